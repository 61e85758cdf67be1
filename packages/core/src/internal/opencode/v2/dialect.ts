import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import * as tail from "../../util/tail.js"
import * as configContent from "../configContent.js"
import * as decode from "../decode.js"
import type { Dialect, Server } from "../dialect.js"
import type { Model, PrivateServer } from "../privateServer.js"
import type { Reader } from "../stderr.js"
import { variableNames } from "../variables.js"
import * as crashTexts from "./crashTexts.js"
import * as diagnostics from "./diagnostics.js"
import * as eventMapper from "./eventMapper.js"
import * as invocation from "./invocation.js"
import * as mcp from "./mcp.js"
import * as permissions from "./permissions.js"
import * as protocol from "./protocol.js"
import * as questions from "./questions.js"
import * as server from "./server.js"

/** Every fact comes from the server, so its log is only kept. */
const stderr = (kept: number): Reader => {
  const own = tail.make(kept)
  return {
    lines: (lines) => {
      for (const line of lines) own.push(`${line}\n`, true)
      return []
    },
    event: () => [],
    end: () => [],
    own: () => own.read()
  }
}

const modelOf = (config: RunConfig): Model | undefined => {
  const named = config.model ?? configContent.configContent(config)?.["model"]
  if (typeof named !== "string") return undefined
  const at = named.indexOf("/")
  if (at < 1) return undefined
  const [id, inline] = named.slice(at + 1).split("#")
  const variant = config.variant ?? inline
  return { provider: named.slice(0, at), id: id!, ...(variant === undefined ? {} : { variant }) }
}

const privateServer: PrivateServer = {
  args: invocation.args,
  address: invocation.address,
  database: "opencode-2.db",
  username: "opencode",
  // Two and a half heartbeats (2.0.26).
  patience: 40_000,
  routes: server.routes,
  replies: server.replies,
  receive: protocol.receive,
  mapper: eventMapper.make,
  rules: permissions.forSession,
  permissionOf: permissions.permissionOf,
  conversation: questions.conversation,
  baseline: permissions.baseline,
  mcp: mcp.names,
  model: modelOf,
  dropped: diagnostics.dropped
}

/** A server that many runs share. It ends with its standard input, and so at the latest with the program. */
const sharedServer: Server = {
  supported: invocation.supported,
  args: () => invocation.args,
  options: () => [],
  inVariables: ["pure", "logLevel"],
  address: invocation.address,
  isForeign: () => false,
  endsWithInput: true,
  credentials: (_username, password) => ({ [variableNames.password]: password })
}

/** The dialect of OpenCode 2.x, measured with 2.0.14. */
export const v2: Dialect = {
  supported: invocation.supported,
  isTested: (version) => Version.format(version) === Version.format(invocation.tested),
  privateServer,
  server: sharedServer,
  options: invocation.options,
  withDefaults: (config) => config,
  // The rules of a session do that.
  unattended: (config) => config,
  invocation: () => ({ args: invocation.args, stdin: "" }),
  variables: invocation.env,
  startupVariables: invocation.startupVariables,
  stdout: decode.reader,
  repeatedStep: () => () => undefined,
  stderr,
  crashTexts,
  models: questions.models,
  session: questions.session,
  importing: questions.importing,
  losesEnd: []
}
