/**
 * MCP servers in a configuration. 2.x connects them after its start, and offers their tools to code (`execute`) unless
 * their configuration says `codemode: false` (2.0.14): then the model calls them by name and rules decide by name, as in 1.x.
 */
import type { RunConfig } from "../../../RunConfig.js"
import { fromEntries, isObject } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import * as configContent from "../configContent.js"

const isServer = (u: unknown): u is WireObject => isObject(u) && (u["type"] === "local" || u["type"] === "remote")

/** The servers in the form of 2.x, which have a key of their own. */
const nativeOf = (mcp: WireObject): WireObject =>
  isObject(mcp["servers"]) && !isServer(mcp["servers"]) ? mcp["servers"] : {}

const isOn = (server: WireObject): boolean => server["enabled"] !== false && server["disabled"] !== true

/** The names of the servers that a run configures and that are not disabled. */
export const names = (config: RunConfig): ReadonlyArray<string> => {
  const mcp = configContent.ownContent(config)?.["mcp"]
  return isObject(mcp)
    ? Object.entries({ ...mcp, ...nativeOf(mcp) }).flatMap(([name, server]) =>
      isServer(server) && isOn(server) ? [name] : []
    )
    : []
}

/** Fields with the same meaning in both forms. */
const same = new Set(["type", "command", "cwd", "environment", "url", "headers"])

/** A server of 1.x in the form of 2.x; `undefined` if it has fields that have another form there. */
const translated = (server: WireObject): WireObject | undefined => {
  const fields: Array<readonly [string, unknown]> = [["codemode", false]]
  for (const [name, value] of Object.entries(server)) {
    if (same.has(name) || name === "codemode" || (name === "oauth" && value === false)) fields.push([name, value])
    else if (name === "enabled") fields.push(["disabled", value === false])
    else if (name === "timeout" && typeof value === "number") {
      fields.push([name, { startup: value, catalog: value, execution: value }])
    } else return undefined
  }
  return fromEntries(fields)
}

/** The configuration with the tools of its servers for the model itself, unless a server says otherwise. */
export const withTools = (content: WireObject): WireObject => {
  const { mcp } = content
  if (!isObject(mcp)) return content
  const rest: Array<readonly [string, unknown]> = []
  const servers: Array<readonly [string, unknown]> = []
  for (const [name, server] of Object.entries(mcp)) {
    const native = isServer(server) ? translated(server) : undefined
    if (native === undefined) rest.push([name, server])
    else servers.push([name, native])
  }
  for (const [name, server] of Object.entries(nativeOf(mcp))) {
    servers.push([name, isServer(server) ? { codemode: false, ...server } : server])
  }
  return servers.length === 0 ? content : { ...content, mcp: { ...fromEntries(rest), servers: fromEntries(servers) } }
}
