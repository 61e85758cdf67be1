/** The routes and replies of a server (2.0.14). */
import * as Option from "effect/Option"
import { isObject, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import type { Agent, Model, PermissionRequest, Replies, Request, Routes, Rule, Session } from "../privateServer.js"
import * as transfer from "./transfer.js"

const at = (directory: string) => ({ "location[directory]": directory })

const session = (method: Request["method"], sessionId: string, rest = "", body?: unknown): Request => ({
  method,
  route: `/api/session/:id${rest}`,
  path: `/api/session/${encodeURIComponent(sessionId)}${rest}`,
  body
})

const below = (
  method: Request["method"],
  sessionId: string,
  kind: string,
  id: string,
  rest: string,
  body?: unknown
) => ({
  ...session(method, sessionId, `/${kind}/:id${rest}`, body),
  path: `/api/session/${encodeURIComponent(sessionId)}/${kind}/${encodeURIComponent(id)}${rest}`
})

const modelOf = ({ id, provider, variant }: Model) => ({
  id,
  providerID: provider,
  ...(variant === undefined ? {} : { variant })
})

const plain = (method: Request["method"], path: string, more: Partial<Request> = {}): Request => ({
  method,
  route: path,
  path,
  ...more
})

export const routes: Routes = {
  info: plain("GET", "/api/info"),
  agents: (directory) => plain("GET", "/api/agent", { query: at(directory) }),
  models: (directory) => plain("GET", "/api/model", { query: at(directory) }),
  configuration: (directory) => plain("GET", "/api/config", { query: at(directory) }),
  mcp: (directory) => plain("GET", "/api/mcp", { query: at(directory) }),
  create: ({ agent, directory, model, rules, title }) =>
    plain("POST", "/api/session", {
      body: {
        location: { directory },
        title,
        permissions: rules,
        ...(agent === undefined ? {} : { agent }),
        ...(model === undefined ? {} : { model: modelOf(model) })
      }
    }),
  session: (sessionId) => session("GET", sessionId),
  lastSession: (directory) => plain("GET", "/api/session", { query: { directory, limit: "1", order: "desc" } }),
  fork: (sessionId, before) => session("POST", sessionId, "/fork", before === undefined ? {} : { before }),
  setRules: (sessionId, permissions, title) =>
    session("PATCH", sessionId, "", { permissions, ...(title === undefined ? {} : { title }) }),
  setAgent: (sessionId, agent) => session("POST", sessionId, "/agent", { agent }),
  setModel: (sessionId, model) => session("POST", sessionId, "/model", { model: modelOf(model) }),
  setSystem: (sessionId, system) => {
    const key = "system"
    const path = `/api/experimental/session/${encodeURIComponent(sessionId)}/instructions/entries/${key}`
    return {
      method: system === undefined ? "DELETE" : "PUT",
      route: `/api/experimental/session/:id/instructions/entries/${key}`,
      path,
      ...(system === undefined ? {} : { body: { value: system } })
    }
  },
  prompt: (sessionId, text, files) =>
    session("POST", sessionId, "/prompt", { text, ...(files.length === 0 ? {} : { files }) }),
  command: (sessionId, name, text, files) =>
    session("POST", sessionId, "/command", { name, text, ...(files.length === 0 ? {} : { files }) }),
  interrupt: (sessionId) => session("POST", sessionId, "/interrupt"),
  active: plain("GET", "/api/session/active"),
  messages: (sessionId, cursor) => ({
    ...session("GET", sessionId, "/message"),
    query: cursor === undefined ? { limit: "100", order: "desc" } : { limit: "100", cursor }
  }),
  requests: (sessionId) => session("GET", sessionId, "/permission"),
  answer: (sessionId, requestId, decision, message) =>
    below("POST", sessionId, "permission", requestId, "/reply", {
      decision,
      ...(message === undefined ? {} : { message })
    }),
  forms: (sessionId) => session("GET", sessionId, "/form"),
  decline: (sessionId, formId) => below("DELETE", sessionId, "form", formId, ""),
  events: plain("GET", "/api/event"),
  importing: (conversation, directory) =>
    plain("POST", "/api/experimental/session/import", { body: transfer.toBody(conversation, directory) })
}

export const rulesOf = (u: unknown): ReadonlyArray<Rule> =>
  Array.isArray(u)
    ? u.flatMap((rule: unknown) => {
      if (!isObject(rule)) return []
      const { action, effect, resource } = rule
      return typeof action === "string" && typeof resource === "string" &&
          (effect === "allow" || effect === "deny" || effect === "ask")
        ? [{ action, resource, effect }]
        : []
    })
    : []

export const strings = (u: unknown): ReadonlyArray<string> =>
  Array.isArray(u) ? u.filter((item): item is string => typeof item === "string") : []

/** A request for a permission, as an event and as a list have it. */
export const requestOf = (u: WireObject): PermissionRequest | undefined => {
  const id = string(u["id"])
  const sessionId = string(u["sessionID"])
  return id === undefined || sessionId === undefined ? undefined : {
    id,
    sessionId,
    permission: string(u["action"]) ?? "unknown",
    patterns: strings(u["resources"]),
    callId: isObject(u["source"]) ? string(u["source"]["id"]) : undefined,
    metadata: isObject(u["metadata"]) ? u["metadata"] : undefined
  }
}

/** The rules of an agent, if each can be read: one that cannot could be what is asked for. */
const allRulesOf = (u: unknown): ReadonlyArray<Rule> | undefined => {
  const rules = rulesOf(u)
  return Array.isArray(u) && rules.length === u.length ? rules : undefined
}

const data = (body: unknown): unknown => isObject(body) ? body["data"] : undefined

const listOf = <A>(u: unknown, read: (item: WireObject) => A | undefined): ReadonlyArray<A> | undefined => {
  if (!Array.isArray(u)) return undefined
  const all = u.map((item: unknown) => isObject(item) ? read(item) : undefined)
  return all.some((item) => item === undefined) ? undefined : all as ReadonlyArray<A>
}

const namedModel = (u: unknown, name: string): Model | undefined => {
  if (!isObject(u)) return undefined
  const [provider, id, variant] = [string(u["providerID"]), string(u[name]), string(u["variant"])]
  return provider === undefined || id === undefined
    ? undefined
    : { provider, id, ...(variant === undefined ? {} : { variant }) }
}

const agentOf = (u: WireObject): Agent | undefined => {
  const [id, mode, rules] = [string(u["id"]), string(u["mode"]), allRulesOf(u["permissions"])]
  return id === undefined || mode === undefined || rules === undefined
    ? undefined
    : { id, isSubagent: mode === "subagent", rules, model: namedModel(u["model"], "id") }
}

const sessionOf = (u: unknown): Session | undefined => {
  if (!isObject(u)) return undefined
  const id = string(u["id"])
  return id === undefined ? undefined : {
    id,
    directory: isObject(u["location"]) ? string(u["location"]["directory"]) : undefined,
    agent: string(u["agent"]),
    title: string(u["title"]),
    model: namedModel(u["model"], "id"),
    parentId: string(u["parentID"]),
    rules: rulesOf(u["permissions"])
  }
}

export const replies: Replies = {
  version: (body) => isObject(body) ? string(body["version"]) : undefined,
  agents: (body) => listOf(data(body), agentOf),
  models: (body) =>
    listOf(data(body), (model) => {
      const [provider, id] = [string(model["providerID"]), string(model["id"])]
      return provider === undefined || id === undefined ? undefined : `${provider}/${id}`
    }),
  configuredModel: (body) => {
    // The weakest document comes first.
    const documents = listOf(body, (entry) => isObject(entry["info"]) ? entry["info"] : {})
    const named = documents?.flatMap(({ model }) => model === undefined || model === null ? [] : [model])
    const models = named?.flatMap((model) => namedModel(model, "model") ?? [])
    // One that cannot be read could be the strongest.
    return models?.length === named?.length ? models && Option.fromNullable(models.at(-1)) : undefined
  },
  mcp: (body) =>
    listOf(data(body), (server) => {
      const name = string(server["name"])
      const status = isObject(server["status"]) ? string(server["status"]["status"]) : undefined
      return name === undefined || status === undefined ? undefined : { name, isPending: status === "pending" }
    }),
  session: (body) => sessionOf(data(body)),
  rawSession: (body) => {
    const found = data(body)
    return isObject(found) ? found : undefined
  },
  sessions: (body) => listOf(data(body), sessionOf),
  prompt: (body) => {
    const admitted = data(body)
    return isObject(admitted) ? string(admitted["id"]) : undefined
  },
  active: (body) => {
    const sessions = data(body)
    return isObject(sessions) ? Object.keys(sessions) : undefined
  },
  requests: (body) => listOf(data(body), requestOf),
  ids: (body) => listOf(data(body), (item) => string(item["id"])),
  messages: (body) => {
    const messages = listOf(data(body), (message) => message)
    const cursor = isObject(body) && isObject(body["cursor"]) ? string(body["cursor"]["next"]) : undefined
    return messages === undefined ? undefined : { messages, next: cursor }
  }
}
