import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Isolation } from "../../../Isolation.js"
import { OpenCodeConfigError, OpenCodeServerError } from "../../../OpenCodeError.js"
import type { QueryError, RunError, SessionOpenError } from "../../../OpenCodeError.js"
import type { RunOptions } from "../../../RunOptions.js"
import * as check from "../../opencode/check.js"
import * as versions from "../../opencode/dialect.js"
import * as dialects from "../../opencode/dialects.js"
import type { Problem } from "../../opencode/problem.js"
import * as plans from "../../run/plan.js"
import type { Prepare, Prepared, Request, Transport } from "../../run/transport.js"
import { isObject } from "../../util/object.js"
import * as lackingOptions from "../lackingOptions.js"
import * as titles from "../title.js"
import type { Api } from "./api.js"
import type { ApiConnection, Connection, Server } from "./connection.js"
import * as promptParts from "./promptParts.js"
import type * as protocol from "./protocol.js"
import * as rules from "./rules.js"
import * as serverKey from "./serverKey.js"
import type { Services } from "./services.js"
import * as sessions from "./sessions.js"
import * as turns from "./turn.js"

const serverOf = (services: Services, options: RunOptions): Effect.Effect<Server, SessionOpenError, Scope.Scope> =>
  services.server(options, isolationOf(services, options))

const isolationOf = (services: Services, { isolation }: RunOptions): Isolation => isolation ?? services.isolation

const connect = (services: Services, options: RunOptions): Effect.Effect<Connection, QueryError, Scope.Scope> =>
  Effect.flatMap(serverOf(services, options), (server) => server.connect)

/** The directory of the session: `dir`, relative to `cwd`, or `cwd`. */
const directoryOf = ({ path }: Services, { cwd, options }: plans.Plan): string =>
  options.dir === undefined ? cwd : path.resolve(cwd, options.dir)

/** Refuses `~` in a directory if the server is on another machine. */
const homeProblem = (services: Services, options: RunOptions): Option.Option<Problem> =>
  services.isLocal ? Option.none() : Option.map(
    Option.fromNullable((["cwd", "dir"] as const).find((path) => options[path]?.startsWith("~"))),
    (path) => ({ path, reason: "the server's home directory is not known here; write the path out" })
  )

const updatedAt = (session: object): number | undefined => {
  const time: unknown = "time" in session ? session.time : undefined
  return isObject(time) && typeof time["updated"] === "number" ? time["updated"] : undefined
}

/** Waits for the turn in the session that the run continues, and returns its id; `undefined` for a new session. */
const takeTurn = (
  services: Services,
  connection: Connection,
  plan: plans.Plan
): Effect.Effect<string | undefined, OpenCodeServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const { continueSession, fork, sessionId } = plan.options
    if (fork === true || (sessionId === undefined && continueSession !== true)) return undefined
    const id = sessionId ?? (yield* connection.lastSession(directoryOf(services, plan)))
    if (id !== undefined) yield* services.locks.enter(id)
    return id
  })

/** Finds the session to continue or to branch off; `undefined` for a new one. */
const find = (
  services: Services,
  api: Api,
  plan: plans.Plan,
  turn: string | undefined
): Effect.Effect<protocol.Session | undefined, OpenCodeConfigError | OpenCodeServerError> => {
  const { continueSession, fork, sessionId } = plan.options
  const id = sessionId ?? turn
  if (id === undefined) {
    return fork === true && continueSession === true
      ? Effect.map(api.sessions(directoryOf(services, plan), 1), (sessions) => sessions[0])
      : Effect.succeed(undefined)
  }
  return Effect.catchIf(
    api.getSession(id),
    (error) => error.status === 404,
    () =>
      new OpenCodeConfigError({
        path: sessionId === undefined ? "continueSession" : "sessionId",
        reason: `the server has no session ${id}`
      })
  )
}

/** OpenCode's agent for the run. An unknown one would end the prompt silently (1.18.33). */
const agentOf = (
  agents: ReadonlyArray<protocol.Agent>,
  { options: { agent: name } }: plans.Plan
): Either.Either<protocol.Agent | undefined, Problem> => {
  // OpenCode's default agent is the first one.
  if (name === undefined) return Either.right(agents[0])
  const agent = agents.find((agent) => agent.name === name)
  if (agent === undefined) return Either.left(check.agentFallback({ agent: name, reason: "unknown" }))
  return agent.mode === "subagent"
    ? Either.left(check.agentFallback({ agent: name, reason: "subagent" }))
    : Either.right(agent)
}

/** The directories in which a connection has been used. */
const used = new WeakMap<ApiConnection, Set<string>>()

/**
 * Lists the agents, if they matter. The request also prepares the directory, so that a prompt begins at once: one that
 * has not begun cannot be aborted.
 */
const agentsOf = (
  connection: ApiConnection,
  directory: string,
  needed: boolean
): Effect.Effect<ReadonlyArray<protocol.Agent>, OpenCodeServerError> =>
  Effect.suspend(() => {
    const directories = used.get(connection) ?? new Set()
    used.set(connection, directories)
    return !needed && directories.has(directory)
      ? Effect.succeed([])
      : Effect.tap(connection.api.agents(directory), () => Effect.sync(() => directories.add(directory)))
  })

const orConfigError = <A>(either: Either.Either<A, Problem>): Effect.Effect<A, OpenCodeConfigError> =>
  Either.match(either, { onLeft: (problem) => new OpenCodeConfigError(problem), onRight: Effect.succeed })

const modelOf = ({ model }: RunOptions) => {
  if (model === undefined) return undefined
  const at = model.indexOf("/")
  return { providerID: model.slice(0, at), modelID: model.slice(at + 1) }
}

/**
 * The first message that a branch does not have, if there is one. OpenCode copies what is before a message, and everything
 * if it does not know it (1.18.33).
 */
const firstLater = (
  api: Api,
  { options: { forkAfter } }: plans.Plan,
  session: protocol.Session | undefined
): Effect.Effect<string | undefined, OpenCodeServerError | OpenCodeConfigError> =>
  forkAfter === undefined || session === undefined
    ? Effect.succeed(undefined)
    : Effect.flatMap(api.messages(session.id), (messages) => {
      const ids = messages.map(({ info }) => info.id)
      const at = ids.indexOf(forkAfter)
      return at === -1
        ? new OpenCodeConfigError(check.unknownMessage(session.id, forkAfter))
        : Effect.succeed(ids[at + 1])
    })

/** Creates or prepares the session of a run. */
const opening = (
  api: Api,
  plan: plans.Plan,
  directory: string,
  session: protocol.Session | undefined,
  before: string | undefined,
  agent: protocol.Agent | undefined,
  wanted: ReadonlyArray<protocol.Rule>
): Effect.Effect<turns.Opened, OpenCodeServerError> =>
  Effect.gen(function*() {
    const { title } = plan.options
    if (session === undefined) {
      const { id } = yield* api.createSession({ directory, title: titles.titleOf(plan), permission: wanted })
      return { sessionId: id, since: undefined }
    }
    const status = (yield* api.status(directory))[session.id]
    if (plan.options.fork !== true && status !== undefined && status.type !== "idle") {
      return yield* new OpenCodeServerError({
        reason: "refused",
        url: api.url,
        // OpenCode would merge both prompts into one answer (1.18.33).
        detail: `the session ${session.id} is busy with another program's prompt`,
        stderr: ""
      })
    }
    // A branch starts without rules.
    const base = plan.options.fork === true ? yield* api.fork(session.id, before) : session
    const permission = rules.renewal(rules.of(base), agent === undefined ? [] : rules.of(agent), wanted)
    const patch = {
      ...(permission.length === 0 ? {} : { permission }),
      ...(title === undefined || title === base.title ? {} : { title })
    }
    if (Object.keys(patch).length > 0) yield* api.patchSession(base.id, patch)
    return { sessionId: base.id, since: updatedAt(base) }
  })

/** The session's own directory, in which its prompts run regardless of the run's options. */
const sessionDirectory = (
  api: Api,
  session: protocol.Session | undefined,
  { options }: plans.Plan,
  directory: string
): Effect.Effect<string, OpenCodeServerError | OpenCodeConfigError> =>
  Effect.gen(function*() {
    const own = session?.directory ?? directory
    const asked = options.dir !== undefined ? "dir" : options.cwd !== undefined ? "cwd" : undefined
    if (asked === undefined || own === directory || own === (yield* api.resolved(directory))) return own
    return yield* new OpenCodeConfigError({
      path: asked,
      reason: `the session belongs to the directory ${own} and can only be continued there`
    })
  })

/** Prepares a run on a server of OpenCode 1. */
const prepareApi = (
  services: Services,
  connection: ApiConnection,
  plan: plans.Plan,
  turn: string | undefined
): Effect.Effect<Prepared, RunError, Scope.Scope> =>
  Effect.gen(function*() {
    const { options } = plan
    const { api } = connection
    const asked = directoryOf(services, plan)
    const session = yield* find(services, api, plan, turn)
    const directory = yield* sessionDirectory(api, session, plan, asked)
    const before = yield* firstLater(api, plan, session)
    const agents = yield* agentsOf(connection, directory, options.agent !== undefined || session !== undefined)
    const agent = yield* orConfigError(agentOf(agents, plan))
    const wanted = yield* orConfigError(rules.make(options.permission, services.rules))
    if (options.command !== undefined) return yield* new OpenCodeConfigError(serverKey.noCommand)
    const parts = yield* promptParts.make(services, plan, services.isLocal)
    return {
      dialect: connection.dialect,
      losesEnd: false,
      // A directory that is removed with the server is not reported, because nobody else can use it.
      directory: keptOf(services, connection, plan),
      start: (sink) =>
        Effect.andThen(
          sink.onStart(services.introduce(connection.pid)),
          turns.start({
            connection,
            directory,
            thinking: options.thinking === true,
            open: opening(api, plan, directory, session, before, agent, wanted),
            prompt: {
              parts,
              model: modelOf(options),
              agent: options.agent,
              variant: options.variant,
              system: options.system
            },
            decide: (request, sessionId) =>
              options.auto === true ? Effect.succeed("once" as const) : services.decide({ plan, sessionId, request }),
            patience: services.patience
          }, sink)
        ),
      conversation: connection.conversation
    }
  })

const keptOf = (services: Services, { directory }: Connection, { options }: plans.Plan): string | undefined =>
  typeof isolationOf(services, options) === "object" ? directory : undefined

const prepare = (
  services: Services,
  server: Server,
  plan: plans.Plan,
  turn: string | undefined,
  { inTime }: Request
): Effect.Effect<Prepared, RunError, Scope.Scope> =>
  inTime(Effect.flatMap(server.connect, (connection) =>
    connection._tag === "Api"
      ? prepareApi(services, connection, plan, turn)
      : sessions.prepare(services, connection, plan, {
        turn,
        directory: directoryOf(services, plan),
        data: keptOf(services, connection, plan)
      })))

/** Refuses what the version of the server lacks. */
const checkVersion = (
  services: Services,
  { dialect, version }: Connection,
  { options }: plans.Plan
): Effect.Effect<void, QueryError> =>
  Effect.gen(function*() {
    const lacking = versions.lacking(dialect.options, options, version)
    if (lacking !== undefined) return yield* lackingOptions.error(yield* services.binary, version, lacking)
  })

/**
 * Every run acquires in the same order: a server, the turn in its session, then a slot to run. Different orders would
 * deadlock.
 */
const acquire = (services: Services, plan: plans.Plan): Effect.Effect<Prepare, QueryError, Scope.Scope> =>
  Effect.gen(function*() {
    if (plan.options.runId !== undefined) yield* services.refuseLive(plan.runId)
    const server = yield* serverOf(services, plan.options)
    const connection = yield* server.connect
    yield* checkVersion(services, connection, plan)
    const turn = yield* takeTurn(services, connection, plan)
    return (request) => prepare(services, server, plan, turn, request)
  })

/** Holds one server for all turns of a conversation, because its data hold the session. */
const forSession = (services: Services, plan: plans.Plan): Effect.Effect<Services, SessionOpenError, Scope.Scope> =>
  Effect.map(serverOf(services, plan.options), (server) => ({
    ...services,
    isolation: isolationOf(services, plan.options),
    server: (options) => {
      // Its turns have no isolation of their own.
      const opened = { ...dialects.unversioned.withDefaults(plan.options), isolation: options.isolation }
      const path = serverKey.difference(opened, dialects.unversioned.withDefaults(options))
      return path === undefined ? Effect.succeed(server) : new OpenCodeConfigError({
        path,
        reason: "fixed when the server starts, and all turns of a session share one server"
      })
    }
  }))

/** A transport that runs many runs on one server. */
export const make = (services: Services): Transport => ({
  carrier: services.isLocal ? "server" : "attached",
  problem: (options) =>
    Option.firstSomeOf([
      serverKey.refused(options),
      services.problem(options, isolationOf(services, options)),
      homeProblem(services, options),
      Either.getLeft(rules.make(options.permission, services.rules))
    ]),
  secrets: services.secrets,
  checkFiles: (plan) => services.isLocal ? plans.checkFiles(services, plan) : plans.checkAttachments(services, plan),
  acquire: (plan, { inTime }) => inTime(acquire(services, plan)),
  forSession: (plan) => Effect.map(forSession(services, plan), make),
  forLocation: ({ directory }) =>
    Effect.succeed(make(directory === undefined ? services : { ...services, isolation: { directory } })),
  directory: typeof services.isolation === "object"
    ? services.path.resolve(services.isolation.directory)
    : undefined,
  importing: () =>
    new OpenCodeConfigError({
      path: "conversation",
      reason:
        "a server has no way to import a session; import it with `OpenCode.layer`, into the data directory of the " +
        "server (`isolation`), and resume it here"
    }),
  conversation: ({ options }, sessionId) =>
    Effect.scoped(Effect.flatMap(connect(services, options), (connection) => connection.conversation(sessionId))),
  version: Effect.scoped(Effect.map(connect(services, services.defaults), ({ version }) => version)),
  models: Effect.scoped(Effect.gen(function*() {
    const { defaults, path } = services
    const problem = homeProblem(services, defaults)
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
    // With a sandbox, the server of the working directory.
    const options = yield* plans.expand(services, defaults)
    const connection = yield* connect(services, options)
    return yield* connection.models(path.resolve(options.cwd ?? "."), options)
  }))
})
