import type * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../../OpenCodeError.js"
import type { OpenCodeServerError, RunError } from "../../../OpenCodeError.js"
import * as check from "../../opencode/check.js"
import type { Agent, File, Model, PermissionRequest, Rule, Session } from "../../opencode/privateServer.js"
import * as retryCount from "../../opencode/retryCount.js"
import type * as verdicts from "../../opencode/verdict.js"
import * as drain from "../../process/drain.js"
import type { Plan } from "../../run/plan.js"
import type { Running, Sink, Stopped } from "../../run/transport.js"
import * as inTime from "../../util/inTime.js"
import * as runtime from "../../util/runtime.js"
import type { Answer } from "../server/permissionRequests.js"
import type { Requests } from "../server/request.js"
import * as titles from "../title.js"
import * as catalogs from "./catalog.js"
import type { Lease, Server } from "./lease.js"
import * as mcp from "./mcp.js"
import * as turn from "./turn.js"

export interface Options {
  readonly fileSystem: FileSystem.FileSystem
  readonly plan: Plan
  /**
   * Starts or finds the server. It is given back when the attempt ends. Run without interruption, so that what it has
   * taken is never lost; it decides where it can be interrupted.
   */
  readonly lease: (sink: Sink) => Effect.Effect<Lease, RunError, Scope.Scope>
  /** Waits for those who must see the process before the prompt. */
  readonly introduce: (sink: Sink, pid: number | undefined) => Effect.Effect<void, OpenCodeConfigError>
  /** The session to continue or to branch off, if the options do not name it. */
  readonly last?: string | undefined
  /** The session's directory. */
  readonly directory: string
  readonly rules: ReadonlyArray<Rule>
  readonly model: Model | undefined
  /** True if there is a stored login for the model's provider, which this major may not read. */
  readonly hasLogin: (model: Model) => Effect.Effect<boolean>
  readonly files: ReadonlyArray<File>
  /** Decides a request of the session `sessionId` or of a sub-agent. */
  readonly decide: (request: PermissionRequest, sessionId: string) => Effect.Effect<Answer>
  /** True to emit the requests that are decided. */
  readonly announces: boolean
  /** How long the server may take to interrupt a prompt. */
  readonly patience: Duration.Duration
}

/** How long the events of a server may take to begin. */
const eventPatience = Duration.minutes(1)

const refused = (path: string, reason: string): verdicts.Exit => ({
  _tag: "Refused",
  error: new OpenCodeConfigError({ path, reason })
})

const dropped = (path: string): verdicts.Exit =>
  refused(
    "configOverrides",
    `OpenCode cannot read ${path} and would continue without it; nothing was asked of the model`
  )

/** What a prompt needs of its server. */
interface Talk extends Pick<Server, "protocol"> {
  readonly requests: Requests
}

/** Finds the session to continue or to branch off; `undefined` for a new one. */
const find = (
  { directory, last, plan: { options } }: Options,
  { protocol: { replies, routes }, requests }: Talk
): Effect.Effect<Session | undefined, OpenCodeServerError | verdicts.Exit> => {
  const sessionId = options.sessionId ?? last
  if (sessionId !== undefined) {
    return Effect.catchIf(
      requests.read(routes.session(sessionId), replies.session),
      ({ status }) => status === 404 || status === 400,
      () =>
        Effect.fail(refused(
          options.sessionId === undefined ? "continueSession" : "sessionId",
          `there is no session ${sessionId} in the data of the server`
        ))
    )
  }
  return options.continueSession === true
    ? Effect.map(requests.read(routes.lastSession(directory), replies.sessions), (sessions) => sessions[0])
    : Effect.succeed(undefined)
}

/**
 * The model of the prompt; `undefined` if the session keeps its own. One without is given that of the configuration,
 * because without any OpenCode sends the prompt to a free model of opencode.ai (2.0.14).
 */
const modelOf = (
  { directory, model }: Options,
  { protocol: { replies, routes }, requests }: Talk,
  found: Session | undefined,
  agent: Agent | undefined
): Effect.Effect<Model | undefined, OpenCodeServerError | verdicts.Exit> => {
  const keeps = found?.model !== undefined
  const named = model ?? (keeps ? undefined : agent?.model)
  return named !== undefined || keeps ? Effect.succeed(named) : Effect.flatMap(
    requests.read(routes.configuration(directory), replies.configuredModel),
    Option.match({
      onNone: () =>
        Effect.fail(refused(
          "model",
          "neither the run nor OpenCode's configuration names one, and OpenCode 2 would send the prompt to a free model " +
            "of opencode.ai; set `model`"
        )),
      onSome: Effect.succeed
    })
  )
}

/** Refuses a model that needs a login which the server does not read. */
const checkLogin = (
  { directory, hasLogin }: Options,
  { protocol, requests }: Talk,
  model: Model
): Effect.Effect<void, OpenCodeServerError | verdicts.Exit> => {
  const isListed = (models: ReadonlyArray<string>): boolean => models.includes(`${model.provider}/${model.id}`)
  return Effect.flatMap(
    catalogs.models(requests, protocol, directory, isListed),
    (models) =>
      isListed(models) ? Effect.void : Effect.fail(refused(
        "model",
        `OpenCode 2 does not read the stored login for ${model.provider} (auth.json) in a data directory of its own; ` +
          `pass its key with \`extraEnv\` or \`configOverrides.provider.${model.provider}.options.apiKey\``
      ))
  ).pipe(Effect.whenEffect(hasLogin(model)), Effect.asVoid)
}

const realPath = ({ directory, fileSystem }: Options): Effect.Effect<string> =>
  Effect.orElseSucceed(fileSystem.realPath(directory), () => directory)

/** A session is active for a moment after its end. */
const looks = 8

/** True if the server works on a prompt in the session. */
const isBusy = (
  talk: Talk,
  sessionId: string,
  left = looks
): Effect.Effect<boolean, OpenCodeServerError> =>
  Effect.flatMap(talk.requests.read(talk.protocol.routes.active, talk.protocol.replies.active), (active) => {
    if (!active.includes(sessionId)) return Effect.succeed(false)
    return left === 1
      ? Effect.succeed(true)
      : Effect.delay(isBusy(talk, sessionId, left - 1), "250 millis")
  })

/** Branches off after a message: a server copies what is before one. */
const branch = (
  { protocol, requests }: Talk,
  sessionId: string,
  after: string | undefined
): Effect.Effect<Session, OpenCodeServerError | verdicts.Exit> => {
  const fork = (before: string | undefined) =>
    requests.read(protocol.routes.fork(sessionId, before), protocol.replies.session)
  return after === undefined ? fork(undefined) : Effect.gen(function*() {
    const { isFound, messages: [next] } = yield* turn.after({ anchor: after, requests, server: protocol, sessionId })
    if (!isFound) {
      const { path, reason } = check.unknownMessage(sessionId, after)
      return yield* Effect.fail(refused(path, reason))
    }
    if (next === undefined) return yield* fork(undefined)
    // Without it the branch would have the whole session.
    return yield* typeof next["id"] === "string"
      ? fork(next["id"])
      : requests.failure(protocol.routes.messages(sessionId, undefined), "unexpected-reply", {
        detail: `the message after ${after} has no id`
      })
  })
}

interface Opened {
  readonly id: string
  readonly rules: ReadonlyArray<Rule>
  /** The last message before the prompt. */
  readonly last: string | undefined
  readonly isNew: boolean
}

/** Creates or prepares the session of the run. */
const open = (
  options: Options,
  talk: Talk,
  found: Session | undefined,
  agent: Agent | undefined,
  model: Model | undefined
): Effect.Effect<Opened, OpenCodeServerError | verdicts.Exit> =>
  Effect.gen(function*() {
    const { directory, plan } = options
    const { protocol: { baseline, replies, routes }, requests } = talk
    const rules = [...(agent === undefined ? [] : baseline(agent)), ...options.rules]
    if (found === undefined) {
      const created = yield* requests.read(
        routes.create({ directory, title: titles.titleOf(plan), agent: plan.options.agent, model, rules }),
        replies.session
      )
      // A rule that was dropped could be one that denies something.
      if (!turn.endsWith(created.rules, rules)) {
        return yield* requests.failure(routes.session(created.id), "unexpected-reply", {
          detail: "the new session lacks rules of the run"
        })
      }
      return { id: created.id, rules, isNew: true, last: undefined }
    }
    if (plan.options.fork !== true && (yield* isBusy(talk, found.id))) {
      // OpenCode would answer both prompts together.
      return yield* requests.failure(routes.session(found.id), "refused", {
        detail: `the session ${found.id} is busy with another program's prompt`
      })
    }
    const session = plan.options.fork === true
      ? yield* branch(talk, found.id, plan.options.forkAfter)
      : found
    yield* requests.send(routes.setRules(session.id, rules, plan.options.title))
    if (plan.options.agent !== undefined) yield* requests.send(routes.setAgent(session.id, plan.options.agent))
    if (model !== undefined) yield* requests.send(routes.setModel(session.id, model))
    const { messages } = yield* requests.read(routes.messages(session.id, undefined), replies.messages)
    const last = messages.flatMap(({ id }) => typeof id === "string" ? [id] : [])[0]
    return { id: session.id, rules, isNew: false, last }
  })

/** Gives the session the system prompt of the run, or takes away that of an earlier one. */
const setSystem = (
  { plan: { options: { system } } }: Options,
  { protocol: { routes }, requests }: Talk,
  { id, isNew }: Opened
): Effect.Effect<void, OpenCodeServerError | verdicts.Exit> => {
  const send = requests.send(routes.setSystem(id, system))
  if (system === undefined) return isNew ? Effect.void : Effect.catchIf(send, isMissing, () => Effect.void)
  return Effect.catchIf(send, ({ status }) => status === 404 || status === 413, ({ status }) =>
    Effect.fail(refused(
      "system",
      status === 413 ? "OpenCode 2 does not accept a text of this length" : "this OpenCode 2 does not accept one"
    )))
}

const isMissing = ({ status }: OpenCodeServerError): boolean => status === 404

/** The directory that a session is continued in. */
const checkDirectory = (
  options: Options,
  found: Session | undefined
): Effect.Effect<string, verdicts.Exit> =>
  Effect.gen(function*() {
    const { directory, plan } = options
    const own = found?.directory ?? directory
    const asked = plan.options.dir !== undefined ? "dir" : plan.options.cwd !== undefined ? "cwd" : undefined
    if (asked === undefined || own === directory || own === (yield* realPath(options))) return own
    return yield* Effect.fail(
      refused(asked, `the session belongs to the directory ${own} and can only be continued there`)
    )
  })

/** Runs a prompt on a server. When the scope closes, the prompt is ended and the server given back. */
export const start = (options: Options, sink: Sink): Effect.Effect<Running, RunError, Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { patience, plan } = options
    const scope = yield* Effect.scope
    const lease = yield* options.lease(sink)
    const { server } = lease
    const { protocol } = server
    const { replies, routes } = protocol
    // Separate, because it must stay open while the prompt is interrupted.
    const inner = yield* Scope.make()
    let isClosing = false
    let prompted:
      | {
        readonly interrupt: Effect.Effect<unknown>
        readonly isResting: Effect.Effect<boolean>
        readonly asks: { readonly close: Effect.Effect<void> }
      }
      | undefined
    /** True if a prompt has ended although nobody has followed it to its end. */
    let hasRested = false
    let driver: runtime.Forked<verdicts.Exit> | undefined = undefined
    let aborting: Fiber.Fiber<void> | undefined

    /** Interrupts the prompt, so that the session shows that it has ended, and waits for its last events. */
    const endPrompt = Effect.gen(function*() {
      if (driver === undefined) return
      const ended = yield* Fiber.poll(driver)
      // One that has failed by itself has left its prompt at work.
      if (Option.isSome(ended) && isSettled(ended.value)) return
      if (prompted !== undefined && !(yield* server.hasExited)) {
        yield* prompted.asks.close
        yield* prompted.interrupt
        if (Option.isSome(ended)) hasRested = yield* prompted.isResting
        else {
          yield* Effect.timeoutOption(Fiber.await(driver), patience)
          yield* drain.until([driver], sink.watchdog)
        }
      }
      yield* Fiber.interrupt(driver)
    })

    /**
     * On its own fiber, because an interruption of the waiting caller would reach the requests. Later callers wait for the
     * same abort.
     */
    const abort = Effect.uninterruptible(Effect.gen(function*() {
      isClosing = true
      aborting ??= yield* Effect.forkIn(Effect.interruptible(endPrompt), inner)
      return aborting
    })).pipe(Effect.flatMap(Fiber.await), Effect.asVoid)

    let stopped: Deferred.Deferred<Stopped> | undefined
    const stop = (how: { readonly force: boolean }): Effect.Effect<Stopped> =>
      Effect.gen(function*() {
        if (stopped !== undefined) return yield* Deferred.await(stopped)
        const all = stopped = runtime.deferred<Stopped>()
        // Also with a defect: the next caller must not wait for ever.
        yield* Effect.exit(ending(how)).pipe(Effect.flatMap((exit) => Deferred.done(all, exit)))
        return yield* Deferred.await(all)
        // An interruption would leave nobody to complete it.
      }).pipe(Effect.uninterruptible)
    const ending = (how: { readonly force: boolean }): Effect.Effect<Stopped> =>
      Effect.gen(function*() {
        if (!how.force) yield* abort
        else if (driver !== undefined) yield* Fiber.interrupt(driver)
        yield* Scope.close(inner, Exit.void)
        const exit = driver === undefined ? Exit.succeed(lost) : yield* Fiber.await(driver)
        // Given back whatever the attempt ends with.
        const isResting = prompted === undefined || hasRested || isSettled(exit)
        const ended = yield* lease.end({ force: how.force, isResting })
        return { exit: yield* exitOf(exit), ...ended }
      })
    // What it ends with is for the caller of `stop`.
    yield* Scope.addFinalizer(scope, Effect.asVoid(Effect.exit(stop({ force: false }))))

    // Before anything is asked of the server: a session that is continued would be changed already.
    yield* Effect.interruptible(options.introduce(sink, server.pid))

    const converse = Effect.gen(function*() {
      const connection = yield* server.connection
      const { requests } = connection
      const talk: Talk = { protocol, requests }
      const found = yield* find(options, talk)
      const directory = yield* checkDirectory(options, found)
      const named = plan.options.agent
      // A session that is continued keeps its agent.
      const current = named ?? found?.agent
      const agents = yield* catalogs.agents(requests, protocol, directory, current)
      const agent = agents.find(({ id }) => id === current) ??
        (named === undefined ? agents.find(({ isSubagent }) => !isSubagent) : undefined)
      if (named !== undefined && (agent === undefined || agent.isSubagent)) {
        sink.watchdog.agentFallback({ agent: named, reason: agent === undefined ? "unknown" : "subagent" })
        return yield* Effect.never
      }
      const model = yield* modelOf(options, talk, found, agent)
      if (model !== undefined) yield* checkLogin(options, talk, model)
      yield* mcp.settled(requests, protocol, directory, protocol.mcp(plan.options))
      const session = yield* open(options, talk, found, agent, model)
      sink.state.inSession(session.id)
      yield* setSystem(options, talk, session)
      yield* sink.onSession(session.id)
      const subscription = yield* inTime.orFail(
        eventPatience,
        () =>
          requests.failure(routes.events, "unexpected-reply", {
            detail: "its events did not begin with server.connected"
          })
      )(connection.subscribe(session.id))
      const asks = yield* turn.asksOf(
        { requests, server: protocol, sink },
        (request) => options.decide(request, session.id)
      )
      const path = server.dropped()
      if (path !== undefined) return yield* Effect.fail(dropped(path))
      if (isClosing) return yield* Effect.interrupt
      prompted = {
        interrupt: requests.send(routes.interrupt(session.id)).pipe(Effect.timeoutOption(patience), Effect.ignore),
        isResting: isBusy(talk, session.id).pipe(
          Effect.timeoutOption(patience),
          Effect.match({ onFailure: () => false, onSuccess: Option.contains(false) })
        ),
        asks
      }
      const { command } = plan.options
      const anchor = command === undefined
        ? yield* requests.read(routes.prompt(session.id, plan.prompt, options.files), replies.prompt)
        : yield* Effect.as(
          Effect.catchIf(
            requests.send(routes.command(session.id, command, plan.prompt, options.files)),
            ({ status }) => status === 404,
            () => Effect.fail(refused("command", `there is no command ${command}`))
          ),
          session.last
        )
      // The first interruption may have come before the prompt.
      if (isClosing) yield* prompted.interrupt
      yield* turn.follow({
        server: protocol,
        requests,
        subscription,
        mapper: protocol.mapper({
          sessionId: session.id,
          thinking: plan.options.thinking === true,
          retries: retryCount.make(() => session.id),
          isClosing: () => isClosing
        }),
        sink,
        sessionId: session.id,
        anchor,
        rules: session.rules,
        asks,
        announces: options.announces
      })
    })

    const drive: Effect.Effect<verdicts.Exit, never, Scope.Scope> = converse.pipe(
      Effect.as<verdicts.Exit>({ _tag: "Settled" }),
      Effect.catchAll((error) =>
        Effect.succeed<verdicts.Exit>(
          error._tag === "OpenCodeServerError" ? { _tag: "Server", error } : error
        )
      ),
      // A server that has ended explains a failed request better than the request.
      Effect.flatMap((exit) =>
        exit._tag === "Server"
          ? Effect.map(
            Effect.timeoutOption(server.exit, "500 millis"),
            Option.getOrElse(() => exit)
          )
          : Effect.succeed(exit)
      ),
      Effect.raceFirst(server.exit),
      Effect.raceFirst(Effect.map(server.onDropped, dropped))
    )
    driver = yield* Effect.forkIn(Scope.extend(Effect.interruptible(drive), inner), inner)
    driver.addObserver(sink.watchdog.ended)
    return { stop }
  }))

const lost: verdicts.Exit = { _tag: "Lost" }

/** True if the prompt has ended on the server. */
const isSettled = (exit: Exit.Exit<verdicts.Exit>): boolean => Exit.isSuccess(exit) && exit.value._tag === "Settled"

const exitOf = (exit: Exit.Exit<verdicts.Exit>): Effect.Effect<verdicts.Exit> =>
  Exit.match(exit, {
    onSuccess: Effect.succeed,
    onFailure: (cause) => Cause.isInterruptedOnly(cause) ? Effect.succeed(lost) : Effect.die(Cause.squash(cause))
  })
