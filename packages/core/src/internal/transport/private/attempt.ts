import type * as HttpClient from "@effect/platform/HttpClient"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { OpenCodeConfigError, OpenCodeServerError } from "../../../OpenCodeError.js"
import type { OpenCodeSpawnError } from "../../../OpenCodeError.js"
import type { Launcher } from "../../launch/launcher.js"
import type { Dialect } from "../../opencode/dialect.js"
import type { Agent, File, Model, PrivateServer, Rule, Session } from "../../opencode/privateServer.js"
import * as retryCount from "../../opencode/retryCount.js"
import type * as verdicts from "../../opencode/verdict.js"
import type { Plan } from "../../run/plan.js"
import type { Running, Sink } from "../../run/transport.js"
import * as titles from "../server/http.js"
import * as hubs from "../server/hub.js"
import * as request from "../server/request.js"
import type { Requests } from "../server/request.js"
import * as catalogs from "./catalog.js"
import * as mcp from "./mcp.js"
import * as processes from "./process.js"
import * as turn from "./turn.js"

export interface Options {
  readonly client: Launcher
  readonly httpClient: HttpClient.HttpClient
  readonly dialect: Dialect
  readonly server: PrivateServer
  readonly process: processes.Options
  readonly password: Redacted.Redacted
  readonly plan: Plan
  /** Waits for those who must see the process before it gets its prompt. */
  readonly introduce: (sink: Sink, pid: number) => Effect.Effect<void, OpenCodeConfigError>
  /** The session's directory. */
  readonly directory: string
  readonly rules: ReadonlyArray<Rule>
  readonly model: Model | undefined
  /** True if there is a stored login for the model's provider, which this major may not read. */
  readonly hasLogin: boolean
  readonly files: ReadonlyArray<File>
}

/** How long the server may take to interrupt a prompt, before it is ended anyway. */
const patience = Duration.seconds(5)

const refused = (path: string, reason: string): verdicts.Exit => ({
  _tag: "Refused",
  error: new OpenCodeConfigError({ path, reason })
})

const dropped = (path: string): verdicts.Exit =>
  refused(
    "configOverrides",
    `OpenCode cannot read ${path} and would continue without it; nothing was asked of the model`
  )

/** Finds the session to continue or to branch off; `undefined` for a new one. */
const find = (
  { directory, plan: { options }, server: { replies, routes } }: Options,
  requests: Requests
): Effect.Effect<Session | undefined, OpenCodeServerError | verdicts.Exit> => {
  const { continueSession, sessionId } = options
  if (sessionId !== undefined) {
    return Effect.catchIf(
      requests.read(routes.session(sessionId), replies.session),
      ({ status }) => status === 404 || status === 400,
      () => Effect.fail(refused("sessionId", `there is no session ${sessionId} in this data directory`))
    )
  }
  return continueSession === true
    ? Effect.map(requests.read(routes.lastSession(directory), replies.sessions), (sessions) => sessions[0])
    : Effect.succeed(undefined)
}

/** Refuses a model that needs a login which the server does not read. */
const checkLogin = (
  { directory, hasLogin, model, server }: Options,
  requests: Requests
): Effect.Effect<void, OpenCodeServerError | verdicts.Exit> => {
  if (!hasLogin || model === undefined) return Effect.void
  const isListed = (models: ReadonlyArray<string>): boolean => models.includes(`${model.provider}/${model.id}`)
  return Effect.flatMap(
    catalogs.read(requests, server, directory, isListed),
    (models) =>
      isListed(models) ? Effect.void : Effect.fail(refused(
        "model",
        `OpenCode 2 does not read the stored login for ${model.provider} (auth.json) in a data directory of its own; ` +
          `pass its key with \`extraEnv\` or \`configOverrides.provider.${model.provider}.options.apiKey\``
      ))
  )
}

const realPath = ({ client, directory }: Options): Effect.Effect<string> =>
  Effect.orElseSucceed(client.fileSystem.realPath(directory), () => directory)

/** Creates or prepares the session of the run. */
const open = (
  options: Options,
  requests: Requests,
  agent: Agent | undefined
): Effect.Effect<
  { readonly id: string; readonly rules: ReadonlyArray<Rule> },
  OpenCodeServerError | verdicts.Exit
> =>
  Effect.gen(function*() {
    const { directory, model, plan, server: { baseline, replies, routes } } = options
    const found = yield* find(options, requests)
    const rules = [...(agent === undefined ? [] : baseline(agent)), ...options.rules]
    if (found === undefined) {
      if (model === undefined) {
        return yield* Effect.fail(refused(
          "model",
          "OpenCode 2 sends the prompt to a free model of opencode.ai where none is named; set `model`"
        ))
      }
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
      return { id: created.id, rules }
    }
    const asked = plan.options.dir !== undefined ? "dir" : plan.options.cwd !== undefined ? "cwd" : undefined
    if (
      asked !== undefined && found.directory !== undefined && found.directory !== directory &&
      found.directory !== (yield* realPath(options))
    ) {
      return yield* Effect.fail(
        refused(asked, `the session belongs to the directory ${found.directory} and can only be continued there`)
      )
    }
    const session = plan.options.fork === true
      ? yield* requests.read(routes.fork(found.id), replies.session)
      : found
    yield* requests.send(routes.setRules(session.id, rules, plan.options.title))
    if (plan.options.agent !== undefined) yield* requests.send(routes.setAgent(session.id, plan.options.agent))
    if (model !== undefined) yield* requests.send(routes.setModel(session.id, model))
    return { id: session.id, rules }
  })

/** Starts the server of an attempt and runs its prompt. When the scope closes, both are ended. */
export const start = (
  options: Options,
  sink: Sink
): Effect.Effect<Running, OpenCodeSpawnError, Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { directory, plan, server } = options
    const { replies, routes } = server
    const scope = yield* Effect.scope
    const child = yield* Effect.interruptible(
      processes.start(options.client, options.dialect, server, options.process, sink)
    )
    // Separate, because it must stay open while the prompt is interrupted.
    const inner = yield* Scope.make()
    let isClosing = false
    let interrupt: Effect.Effect<unknown> | undefined
    let aborting: Fiber.Fiber<void> | undefined

    const converse = Effect.gen(function*() {
      // Before anything is asked of the server: a session that is continued would be changed already.
      yield* Effect.mapError(
        options.introduce(sink, child.pid),
        (error): verdicts.Exit => ({ _tag: "Refused", error })
      )
      const url = yield* child.url
      const requests = request.make({
        client: options.httpClient,
        url,
        username: server.username,
        password: options.password,
        redact: plan.redactor.text
      })
      const lost = (detail: string) =>
        new OpenCodeServerError({
          reason: "unreachable",
          url,
          request: `GET ${routes.events.route}`,
          detail,
          stderr: ""
        })
      const hub = yield* hubs.makeFor({
        receive: server.receive,
        sessionOf: ({ sessionId }) => sessionId,
        parentOf: ({ parentId }) => parentId
      }, {
        open: requests.open(routes.events),
        lost,
        gone: Effect.as(child.exit, lost("the server has ended")),
        patience: Duration.millis(server.patience)
      })
      const agents = yield* requests.read(routes.agents(directory), replies.agents)
      const named = plan.options.agent
      const agent = agents.find(({ id, isSubagent }) => named === undefined ? !isSubagent : id === named)
      if (named !== undefined && (agent === undefined || agent.isSubagent)) {
        sink.watchdog.agentFallback({ agent: named, reason: agent === undefined ? "unknown" : "subagent" })
        return yield* Effect.never
      }
      yield* checkLogin(options, requests)
      yield* mcp.settled(requests, server, directory, server.mcp(plan.options))
      const session = yield* open(options, requests, agent)
      sink.state.inSession(session.id)
      const subscription = yield* hub.subscribe(session.id)
      const path = child.dropped()
      if (path !== undefined) return yield* Effect.fail(dropped(path))
      if (isClosing) return yield* Effect.interrupt
      interrupt = requests.send(routes.interrupt(session.id)).pipe(Effect.timeoutOption(patience), Effect.ignore)
      const promptId = yield* requests.read(routes.prompt(session.id, plan.prompt, options.files), replies.prompt)
      yield* turn.follow({
        server,
        requests,
        subscription,
        mapper: server.mapper({
          sessionId: session.id,
          thinking: plan.options.thinking === true,
          retries: retryCount.make(() => session.id),
          isClosing: () => isClosing
        }),
        sink,
        sessionId: session.id,
        promptId,
        rules: session.rules,
        answer: plan.options.auto === true ? "once" : "reject"
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
            Effect.timeoutOption(child.exit, "500 millis"),
            Option.getOrElse(() => exit)
          )
          : Effect.succeed(exit)
      ),
      Effect.raceFirst(child.exit),
      Effect.raceFirst(Effect.map(child.onDropped, dropped))
    )
    const driver = yield* Effect.forkIn(Scope.extend(Effect.interruptible(drive), inner), inner)
    driver.addObserver(sink.watchdog.ended)

    /** Interrupts the prompt, so that the session shows that it has ended, and waits for its last events. */
    const endPrompt = Effect.gen(function*() {
      if (Option.isSome(yield* Fiber.poll(driver))) return
      if (interrupt !== undefined && !(yield* child.hasExited)) {
        yield* interrupt
        yield* Effect.timeoutOption(Fiber.await(driver), patience)
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

    const stopped = yield* Deferred.make<void>()
    const stop = (how: { readonly force: boolean }) =>
      Effect.gen(function*() {
        if (!how.force) yield* abort
        else yield* Fiber.interrupt(driver)
        yield* Scope.close(inner, Exit.void)
        const { ownStderr, survivors } = yield* child.end(how)
        yield* Deferred.succeed(stopped, undefined)
        return { exit: yield* exitOf(yield* Fiber.await(driver)), survivors, ownStderr }
      })

    yield* Scope.addFinalizer(
      scope,
      Effect.flatMap(Deferred.isDone(stopped), (isDone) =>
        isDone ? Effect.void : Effect.andThen(abort, Scope.close(inner, Exit.void)))
    )

    return { stop }
  }))

const exitOf = (exit: Exit.Exit<verdicts.Exit>): Effect.Effect<verdicts.Exit> =>
  Exit.match(exit, {
    onSuccess: Effect.succeed,
    onFailure: (cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.succeed<verdicts.Exit>({ _tag: "Lost" })
        : Effect.die(Cause.squash(cause))
  })
