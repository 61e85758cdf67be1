import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import { isObject } from "../../util/object.js"
import * as protocol from "./protocol.js"
import * as requests from "./request.js"
import type { Call, Request } from "./request.js"

export interface NewSession {
  /** The session's working directory; prompts of the session run in it. */
  readonly directory: string
  /** Required: without one the first prompt costs another model call. */
  readonly title: string
  readonly permission: ReadonlyArray<protocol.Rule>
}

/** One prompt. `tools` is missing on purpose: it would permanently replace the session's permission rules. */
export interface Prompt {
  readonly parts: ReadonlyArray<PromptPart>
  readonly model?: { readonly providerID: string; readonly modelID: string } | undefined
  /** The session does not remember it, so each prompt names it. */
  readonly agent?: string | undefined
  readonly variant?: string | undefined
  /** Added to the system prompt, for this prompt only. */
  readonly system?: string | undefined
}

export type PromptPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "file"; readonly mime: string; readonly url: string; readonly filename?: string | undefined }

/**
 * An answer to a permission request. There is no "always": it would apply to all sessions of the directory, against
 * their rules.
 */
export type PermissionReply = "once" | { readonly reject: string | undefined }

/** The API of one server. No call waits for a model; each has a time limit. */
export interface Api {
  /** Without credentials. */
  readonly url: string
  readonly health: Call<{ readonly version: string }>
  readonly createSession: (session: NewSession) => Call<protocol.Session>
  readonly getSession: (sessionId: string) => Call<protocol.Session>
  /** `permission` is appended to the existing rules. */
  readonly patchSession: (
    sessionId: string,
    patch: { readonly title?: string | undefined; readonly permission?: ReadonlyArray<protocol.Rule> | undefined }
  ) => Call<protocol.Session>
  /** The root sessions of a directory, most recently used first. */
  readonly sessions: (directory: string, limit?: number) => Call<ReadonlyArray<protocol.Session>>
  readonly children: (sessionId: string) => Call<ReadonlyArray<protocol.Session>>
  /** Copies a session without its permission rules and parent, up to a message or whole. */
  readonly fork: (sessionId: string, before?: string) => Call<protocol.Session>
  /** Returns as soon as the server has the prompt; everything else comes as events. */
  readonly promptAsync: (sessionId: string, prompt: Prompt) => Call<void>
  /** Returns when the session is idle; succeeds if there is nothing to abort. */
  readonly abort: (sessionId: string) => Call<void>
  /** All messages, the oldest first. */
  readonly messages: (sessionId: string) => Call<ReadonlyArray<protocol.Message>>
  /** The status of the sessions of a directory, without idle ones. */
  readonly status: (directory: string) => Call<{ readonly [sessionId: string]: protocol.Status }>
  /** The open permission requests in a directory. Requests of an aborted run can still be among them. */
  readonly permissions: (directory: string) => Call<ReadonlyArray<protocol.PermissionRequest>>
  /** `false` if the request no longer waits. */
  readonly replyPermission: (directory: string, requestId: string, reply: PermissionReply) => Call<boolean>
  readonly questions: (directory: string) => Call<ReadonlyArray<protocol.Question>>
  /** `false` if the question no longer waits. */
  readonly rejectQuestion: (directory: string, questionId: string) => Call<boolean>
  readonly agents: (directory: string) => Call<ReadonlyArray<protocol.Agent>>
  /** The models as `provider/model`. Also prepares the directory, which saves the first prompt 0.8 s. */
  readonly models: (directory: string) => Call<ReadonlyArray<string>>
  /** Resolves a directory to the server's name for it, without symbolic links (1.18.33). */
  readonly resolved: (directory: string) => Call<string>
  /** Aborts everything in all directories, ends tools and MCP servers, and forgets configurations and grants. */
  readonly dispose: Call<void>
  /** Opens the event stream of all directories, which does not end by itself. */
  readonly events: Effect.Effect<Stream.Stream<Uint8Array, OpenCodeServerError>, OpenCodeServerError, Scope.Scope>
}

export interface Options extends requests.Options {
  /** Messages per request. Default: 100. */
  readonly pageSize?: number | undefined
}

const isSession = Schema.is(protocol.Session)
const isHealth = Schema.is(Schema.Struct({ version: Schema.String }))

const listOf = <A>(is: (u: unknown) => u is A) => (u: unknown): u is ReadonlyArray<A> => Array.isArray(u) && u.every(is)

const isSessions = listOf(isSession)
const isPermissions = listOf(Schema.is(protocol.PermissionRequest))
const isQuestions = listOf(Schema.is(protocol.Question) as (u: unknown) => u is protocol.Question)
const isAgents = listOf(Schema.is(protocol.Agent) as (u: unknown) => u is protocol.Agent)

const isPlace = Schema.is(Schema.Struct({ directory: Schema.String }))

const isStatuses = (u: unknown): u is { readonly [sessionId: string]: unknown } =>
  isObject(u) && Object.values(u).every((status) => isObject(status) && "type" in status)

const isList = (u: unknown): u is ReadonlyArray<unknown> => Array.isArray(u)

interface Providers {
  readonly providers: ReadonlyArray<{ readonly id: string; readonly models: { readonly [id: string]: unknown } }>
}

const isProviders = (u: unknown): u is Providers =>
  isObject(u) &&
  listOf((p): p is Providers["providers"][number] =>
    isObject(p) && typeof p["id"] === "string" && isObject(p["models"])
  )(u["providers"])

/** Makes the API of a server at an address. */
export const make = (options: Options): Api => {
  const { url } = options
  const pageSize = options.pageSize ?? 100
  const { answer, ask, decode, ok, open, send } = requests.make(options)

  const session = (method: HttpMethod.HttpMethod, sessionId: string, rest = "", body?: unknown): Request => ({
    method,
    route: `/session/:id${rest}`,
    path: `/session/${encodeURIComponent(sessionId)}${rest}`,
    body
  })

  const directory = (
    method: HttpMethod.HttpMethod,
    route: string,
    of: string,
    more: Partial<Request> = {}
  ): Request => ({ method, route, path: route, ...more, query: { directory: of, ...more.query } })

  const messages = (sessionId: string): Call<ReadonlyArray<protocol.Message>> => {
    const page = (
      before: string | undefined,
      later: ReadonlyArray<protocol.Message>
    ): Call<ReadonlyArray<protocol.Message>> => {
      const request: Request = {
        ...session("GET", sessionId, "/message"),
        query: { limit: String(pageSize), before }
      }
      return Effect.flatMap(ok(request), (reply) =>
        Effect.flatMap(decode(request, isList, reply), (list) => {
          const all = [...list.flatMap((message) => protocol.toMessage(message) ?? []), ...later]
          return reply.cursor === undefined || list.length === 0
            ? Effect.succeed(all)
            : page(reply.cursor, all)
        }))
    }
    return page(undefined, [])
  }

  const health: Request = { method: "GET", route: "/global/health", path: "/global/health" }
  const events: Request = { method: "GET", route: "/global/event", path: "/global/event" }

  return {
    url,
    health: ask(health, isHealth),
    createSession: ({ directory: of, permission, title }) =>
      ask(directory("POST", "/session", of, { body: { title, permission } }), isSession),
    getSession: (sessionId) => ask(session("GET", sessionId), isSession),
    patchSession: (sessionId, patch) => ask(session("PATCH", sessionId, "", patch), isSession),
    sessions: (of, limit) =>
      ask(
        directory("GET", "/session", of, {
          query: { roots: "true", limit: limit === undefined ? undefined : String(limit) }
        }),
        isSessions
      ),
    children: (sessionId) => ask(session("GET", sessionId, "/children"), isSessions),
    fork: (sessionId, before) =>
      ask(session("POST", sessionId, "/fork", before === undefined ? {} : { messageID: before }), isSession),
    promptAsync: (sessionId, prompt) => send(session("POST", sessionId, "/prompt_async", prompt)),
    abort: (sessionId) => send(session("POST", sessionId, "/abort")),
    messages,
    status: (of) => Effect.map(ask(directory("GET", "/session/status", of), isStatuses), Record.map(protocol.toStatus)),
    permissions: (of) => ask(directory("GET", "/permission", of), isPermissions),
    replyPermission: (of, requestId, reply) =>
      answer(directory("POST", "/permission/:id/reply", of, {
        path: `/permission/${encodeURIComponent(requestId)}/reply`,
        body: reply === "once" ? { reply: "once" } : { reply: "reject", message: reply.reject }
      })),
    questions: (of) => ask(directory("GET", "/question", of), isQuestions),
    rejectQuestion: (of, questionId) =>
      answer(directory("POST", "/question/:id/reject", of, {
        path: `/question/${encodeURIComponent(questionId)}/reject`
      })),
    agents: (of) => ask(directory("GET", "/agent", of), isAgents),
    models: (of) =>
      Effect.map(
        ask(directory("GET", "/config/providers", of), isProviders),
        ({ providers }) => providers.flatMap(({ id, models }) => Object.keys(models).map((model) => `${id}/${model}`))
      ),
    resolved: (of) => Effect.map(ask(directory("GET", "/path", of), isPlace), (place) => place.directory),
    dispose: send({ method: "POST", route: "/global/dispose", path: "/global/dispose" }),
    events: open(events)
  }
}
