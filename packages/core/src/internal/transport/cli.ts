import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Conversation } from "../../Conversation.js"
import type * as Isolation from "../../Isolation.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { OpenCodeVersionError, QueryError, RunError } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import type { RunOptions } from "../../RunOptions.js"
import type { Location } from "../../Session.js"
import * as directories from "../launch/directories.js"
import * as environment from "../launch/environment.js"
import * as inputs from "../launch/inputs.js"
import type { Launcher, Release } from "../launch/launcher.js"
import * as narrowedModels from "../launch/narrowedModels.js"
import * as query from "../launch/query.js"
import * as sandbox from "../launch/sandbox.js"
import * as branches from "../opencode/branch.js"
import * as check from "../opencode/check.js"
import * as dialects from "../opencode/dialect.js"
import type { Dialect } from "../opencode/dialect.js"
import type { Problem } from "../opencode/problem.js"
import * as retryCount from "../opencode/retryCount.js"
import * as stderrFacts from "../opencode/stderr.js"
import * as drain from "../process/drain.js"
import * as processList from "../process/list.js"
import * as liveRuns from "../process/liveRuns.js"
import * as marks from "../process/marks.js"
import * as orphans from "../process/orphans.js"
import * as owners from "../process/owner.js"
import * as spawn from "../process/spawn.js"
import * as table from "../process/table.js"
import * as plans from "../run/plan.js"
import * as sessionExport from "../run/sessionExport.js"
import type { Prepared, Request, Sink, Transport } from "../run/transport.js"
import * as ansi from "../util/ansi.js"
import * as limits from "../util/limits.js"
import * as lineSplitter from "../util/lines.js"
import * as lackingOptions from "./lackingOptions.js"

/** In bytes. OpenCode does not print longer lines to stderr, so they are not worth the memory. */
const maxStderrLine = 1024 * 1024

const LF = 0x0a

/** Starts processes with the isolation of a run, if it has its own. */
export const within = <A extends Pick<Launcher, "isolation">>(client: A, { isolation }: RunOptions): A =>
  isolation === undefined ? client : { ...client, isolation }

const continuing = (isolation: Isolation.Isolation, options: RunOptions): Option.Option<Problem> => {
  const path = options.sessionId !== undefined
    ? "sessionId"
    : options.continueSession === true
    ? "continueSession"
    : undefined
  return path !== undefined && isolation === "run" && options.attach === undefined
    ? Option.some({
      path,
      reason: "with the isolation \"run\" every run starts with an empty data directory, so there is no session to " +
        "continue; set `isolation` to \"none\" or to a directory"
    })
    : Option.none()
}

export interface Binary extends Release {
  readonly binary: string
}

/** Checks that the binary's version has the options in use. */
export const checkVersion = (
  plan: plans.Plan,
  { binary, dialect, version }: Binary
): Effect.Effect<void, OpenCodeVersionError> => {
  const lacking = dialects.lacking(dialect.options, plan.options, version)
  return lacking === undefined ? Effect.void : lackingOptions.error(binary, version, lacking)
}

/** Finds the binary for every run; only the first one has to wait for it. */
export const finder = (client: Launcher) => {
  let found: Binary | undefined
  const find = Effect.zipWith(client.binary, client.release, (binary, release): Binary => ({ binary, ...release }))
  return ({ inTime }: Request): Effect.Effect<Binary, RunError> =>
    Effect.suspend(() =>
      found !== undefined ? Effect.succeed(found) : Effect.map(inTime(find), (binary) => {
        found = binary
        return binary
      })
    )
}

/** True if nothing may happen before somebody has seen the process. */
const isHeld = ({ options }: plans.Plan): boolean => options.onStart !== undefined || options.runId !== undefined

/** Waits for those who must see a process before it gets its prompt. */
export const introduce = (
  client: Launcher,
  plan: plans.Plan,
  { onStart }: Pick<Sink, "onStart">,
  pid: number
): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.gen(function*() {
    if (plan.options.runId !== undefined) yield* liveRuns.giveWay(client, plan.runId, pid)
    yield* onStart(processList.introduce(client, pid, client.leash.program))
  })

/** The directory of a run that other runs use, too, if the layer does not space their starts. */
export const sharedBy = (
  client: Launcher,
  { options }: plans.Plan,
  isOwnDirectory: boolean,
  directory: string | undefined
): string | undefined =>
  client.isolation !== "run" && (isOwnDirectory || options.isolation !== undefined) ? directory ?? "" : undefined

/** This program, if another one can use the run's id: its end must not reach that one's run. */
export const programOf = (client: Launcher, { options }: plans.Plan): Effect.Effect<string | undefined> =>
  options.runId === undefined
    ? Effect.succeed(undefined)
    : Effect.map(client.leash.program, (owner) => owner === undefined ? undefined : owners.format(owner))

/** Refuses a given id that a live run has. */
export const refuseLive = (client: Launcher, { options, runId }: plans.Plan): Effect.Effect<void, RunError> =>
  options.runId === undefined ? Effect.void : liveRuns.refuse(client, runId)

/** Copies the session to branch off up to its last message, which the command line has no option for (1.18.33). */
const branched = (
  options: RunOptions,
  services: Parameters<typeof sessionExport.importing>[0]
): Effect.Effect<RunOptions, QueryError> =>
  Effect.gen(function*() {
    const { forkAfter, sessionId } = options
    if (forkAfter === undefined || sessionId === undefined) return options
    const conversation = yield* sessionExport.conversation(services)(sessionId)
    const copy = branches.make(conversation, forkAfter, yield* plans.newId)
    if (copy === undefined) return yield* new OpenCodeConfigError(check.unknownMessage(sessionId, forkAfter))
    return { ...options, sessionId: yield* sessionExport.importing(services)(copy), fork: false, forkAfter: undefined }
  })

const prepare = (
  layer: Launcher,
  given: plans.Plan,
  { binary, dialect, version }: Binary,
  isOwnDirectory: boolean,
  { inTime }: Request
): Effect.Effect<Prepared, RunError, Scope.Scope> =>
  Effect.gen(function*() {
    const client = within(layer, given.options)
    const { files = [], system } = yield* inputs.make(client, given.options)
    const around = yield* environment.make(
      client,
      dialect,
      dialect.unattended({ ...given.options, files }, version),
      given.cwd,
      system
    )
    const plan = {
      ...given,
      options: yield* inTime(branched({ ...given.options, files }, {
        client: { ...client, defaults: given.options },
        dialect,
        cwd: given.cwd,
        env: around.env,
        file: client.path.join(around.temporary, ".session.json")
      }))
    }
    const started = {
      ...dialect.invocation(plan, version),
      env: {
        ...around.env,
        ...(yield* narrowedModels.variables(client, plan.options, around)),
        ...(yield* marks.variables(table.variable, plan.runId))
      }
    }
    const problem = check.invocation(started)
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
    const { path } = client
    const program = yield* programOf(client, plan)
    // Only a shell can wait before it starts a program that has its prompt already.
    if (path.sep === "\\" && plan.options.onStart !== undefined && started.stdin === "") {
      return yield* new OpenCodeConfigError({
        path: "onStart",
        reason: "on Windows only a prompt on stdin can wait for it"
      })
    }
    const wrap = yield* sandbox.wrap(client, {
      binary,
      cwd: plan.cwd,
      env: started.env,
      work: path.resolve(plan.cwd, plan.options.dir ?? "."),
      files: system === undefined ? files : [...files, system],
      config: plan.options,
      isolation: client.isolation
    })
    return {
      dialect,
      losesEnd: dialect.losesEnd.some((range) => dialects.includes(range, version)),
      directory: around.directory,
      temporary: around.temporary,
      shared: sharedBy(client, plan, isOwnDirectory, around.directory),
      start: (sink) =>
        Effect.flatMap(
          spawn.start(client.executor, client.table, {
            binary,
            cwd: plan.cwd,
            invocation: started,
            wrap,
            // Windows has no such shell.
            wholeStdin: path.sep === "/"
              ? {
                file: path.join(around.temporary, ".prompt"),
                // A slash command also runs without arguments.
                actsOnNothing: plan.options.command !== undefined
              }
              : undefined,
            isHeld: isHeld(plan),
            extendEnv: client.environment.extend,
            marker: plan.runId,
            program,
            limit: client.limitMark.next(),
            forceKillAfter: client.forceKillAfter,
            onExit: sink.watchdog.ended
          }),
          (running) =>
            Effect.tap(
              read(running, dialect, sink, plan.options.agent),
              () => Effect.andThen(introduce(client, plan, sink, running.pid), running.release)
            )
        ),
      // The options hold the secrets to mask in its errors.
      conversation: sessionExport.conversation({
        client: { ...client, defaults: plan.options },
        dialect,
        cwd: plan.cwd,
        env: started.env
      })
    }
  })

/** Reads both pipes of a process that was started with this agent. */
const read = (running: spawn.Running, dialect: Dialect, sink: Sink, agent: string | undefined) =>
  Effect.gen(function*() {
    const { watchdog, rawLines, state, stderr } = sink
    const scope = yield* Effect.scope

    const stdoutLines = lineSplitter.make()
    const fromStdout = sink.recorder.source()
    const readLine = dialect.stdout()
    const retries = retryCount.make(() => state.sessionId)
    const repeated = dialect.repeatedStep(retries)
    const facts = dialect.stderr(limits.kept)
    let firstEventAt: number | undefined
    /** Reports a rate limit to other runs, together with the next events that are passed on. */
    let limited: Effect.Effect<void> = Effect.void
    const whileLimited = (handOn: Effect.Effect<void>): Effect.Effect<void> => {
      const first = limited
      limited = Effect.void
      return Effect.andThen(first, handOn)
    }
    const toEvents = (found: ReadonlyArray<stderrFacts.Fact>): ReadonlyArray<RunEvent> =>
      found.flatMap((fact): ReadonlyArray<RunEvent> => {
        switch (fact._tag) {
          case "PermissionRejected":
            return [fact.event]
          case "AgentFallback":
            // The pipes are read independently, so around the first event the order is unknown.
            if (!fact.isLate || (fact.fallback.agent === agent && watchdog.now() === firstEventAt)) {
              watchdog.agentFallback(fact.fallback)
            }
            return []
          case "ProviderFailure": {
            const retry = stderrFacts.providerRetry(fact, retries.next(fact.sessionId))
            if (retry.kind === "rate-limit") limited = sink.onRateLimited(undefined)
            return [retry]
          }
        }
      })
    const onStdout = (lines: ReadonlyArray<lineSplitter.Line>): Effect.Effect<void> => {
      if (rawLines !== undefined) {
        for (const line of lines) {
          if (typeof line === "string") rawLines.push(lineSplitter.copy(line))
        }
      }
      const arrived: Array<RunEvent> = []
      const take = (event: RunEvent): void => {
        if (event._tag !== "Diagnostic") firstEventAt ??= watchdog.now()
        const retry = repeated(event)
        if (retry !== undefined) arrived.push(retry)
        arrived.push(...toEvents(facts.event(event)), event)
        // At once, because the first event lets the next run start.
        if (event._tag === "SessionError" && event.kind === "rate-limit") limited = sink.onRateLimited(event.retryAfter)
      }
      for (const line of lines) readLine(line, take)
      return whileLimited(fromStdout(arrived))
    }

    const stderrLines = lineSplitter.make(maxStderrLine)
    const fromStderr = sink.recorder.source()
    const onStderr = (lines: ReadonlyArray<lineSplitter.Line>, isFresh: boolean): Effect.Effect<void> => {
      const texts = lines.map((raw) => typeof raw === "string" ? ansi.strip(raw) : `[a line of ${raw.tooLong} bytes]`)
      for (const text of texts) stderr.push(text)
      return whileLimited(fromStderr(toEvents(facts.lines(texts, isFresh))))
    }
    let isFresh = true

    const stdoutPump = yield* Effect.forkIn(
      pump(running.stdout, scope, (chunk) => {
        watchdog.read()
        return onStdout(splitAll(stdoutLines, chunk))
      }),
      scope
    )
    const stderrPump = yield* Effect.forkIn(
      pump(running.stderr, scope, (chunk) => {
        const lines = splitAll(stderrLines, chunk)
        const wasFresh = isFresh
        isFresh = Chunk.unsafeLast(chunk).at(-1) === LF
        return onStderr(lines, wasFresh)
      }),
      scope
    )

    return {
      stop: (options: { readonly force: boolean }) =>
        Effect.gen(function*() {
          const survivors = yield* running.terminate(options)
          const exit = (yield* running.hasExited) ? yield* running.exit : yield* Effect.map(
            Effect.timeoutOption(running.exit, survivors.length > 0 ? Duration.zero : drain.patience),
            Option.getOrElse((): spawn.ProcessExit => ({ _tag: "Lost" }))
          )
          yield* drain.until([stdoutPump, stderrPump], watchdog)
          yield* onStderr(stderrLines.flush(), isFresh)
          yield* onStdout(stdoutLines.flush())
          yield* whileLimited(fromStderr(toEvents(facts.end())))
          return { exit, survivors, ownStderr: facts.own() }
        })
    }
  })

const splitAll = (
  splitter: lineSplitter.LineSplitter,
  chunk: Chunk.Chunk<Uint8Array>
): ReadonlyArray<lineSplitter.Line> => {
  const first = Chunk.unsafeHead(chunk)
  return chunk.length === 1
    ? splitter.push(first)
    : Chunk.toReadonlyArray(chunk).flatMap((bytes) => splitter.push(bytes))
}

/**
 * Passes every chunk of a pipe to a consumer, until its end. Pulled by hand, because a channel retains a sink's effect
 * until the events in it leave the young generation, which doubled the time in the garbage collector.
 */
const pump = <E>(
  pipe: Stream.Stream<Uint8Array, E>,
  scope: Scope.Scope,
  consume: (chunk: Chunk.Chunk<Uint8Array>) => Effect.Effect<void>
): Effect.Effect<void> =>
  Channel.toPullIn(Stream.toChannel(pipe), scope).pipe(
    Effect.flatMap((pull) => {
      // Made once, because it runs for every chunk.
      const onPull = Either.match({
        onLeft: () => Effect.void,
        onRight: (chunk: Chunk.Chunk<Uint8Array>): Effect.Effect<void, E> => Effect.andThen(consume(chunk), next)
      })
      const next: Effect.Effect<void, E> = Effect.flatMap(pull, onPull)
      return next
    }),
    Effect.ignore
  )

/** Makes a data directory that lives as long as the scope, if every run would have its own. */
export const forSession = (
  layer: Launcher,
  { options }: plans.Plan
): Effect.Effect<Launcher, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const client = within(layer, options)
    const { isolation } = client
    if (isolation === "run") {
      const directory = yield* directories.temporary(client)
      return { ...client, isolation: { directory: directories.dataIn(client.path, directory) } }
    }
    if (options.sessionId !== undefined && options.attach === undefined && typeof isolation === "object") {
      const directory = client.path.resolve(isolation.directory)
      const there = yield* Effect.orElseSucceed(client.fileSystem.exists(directory), () => false)
      if (!there) {
        return yield* new OpenCodeConfigError({
          path: "sessionId",
          reason: `the data directory ${directory} of the session does not exist`
        })
      }
    }
    return client
  })

/** Ends what an earlier program has left of its conversation, and uses its data directory. */
export const forLocation = (client: Launcher, { directory, runId }: Location): Effect.Effect<Launcher> =>
  Effect.as(
    runId === undefined ? Effect.void : orphans.end(client, runId),
    { ...client, isolation: directory === undefined ? "none" : { directory } }
  )

export const ownImport: Problem = {
  path: "isolation",
  reason: "a data directory of its own is removed at once, and the session with it; name a directory, or \"none\""
}

/** Writes a conversation into the data directory of the plan. */
const importing = (
  layer: Launcher,
  { cwd, options }: plans.Plan,
  conversation: Conversation
): Effect.Effect<Location, QueryError> =>
  Effect.scoped(Effect.gen(function*() {
    const client = within(layer, options)
    if (client.isolation === "run") {
      return yield* new OpenCodeConfigError(ownImport)
    }
    const { dialect } = yield* client.release
    const { directory, env, temporary } = yield* environment.make(client, dialect, options, cwd)
    const sessionId = yield* sessionExport.importing({
      client: { ...client, defaults: options },
      dialect,
      cwd,
      env,
      file: client.path.join(temporary, ".session.json")
    })(conversation)
    return { sessionId, cwd, directory }
  }))

/**
 * A transport with a new process for every attempt. `isOwnDirectory` is true if its data directory is not the layer's,
 * whose gate would not space the starts in it.
 */
export const make = (client: Launcher, isOwnDirectory = false): Transport => {
  const find = finder(client)
  return {
    carrier: "process",
    problem: (options) => {
      const inner = within(client, options)
      return Option.orElse(sandbox.problem(inner, options), () => continuing(inner.isolation, options))
    },
    secrets: (options) => environment.secrets(client, options, within(client, options).isolation),
    checkFiles: (plan) => plans.checkFiles(client, plan),
    acquire: (plan, request) =>
      Effect.gen(function*() {
        yield* refuseLive(client, plan)
        const found = yield* find(request)
        yield* checkVersion(plan, found)
        return (request) => prepare(client, plan, found, isOwnDirectory, request)
      }),
    forSession: (plan) =>
      Effect.map(
        forSession(client, plan),
        (inner) => make(inner, isOwnDirectory || (plan.options.isolation ?? "run") !== "run")
      ),
    forLocation: (location) => Effect.map(forLocation(client, location), (inner) => make(inner, true)),
    // Absolute, because another program may read it from a file in any working directory.
    directory: typeof client.isolation === "object"
      ? client.path.resolve(client.isolation.directory)
      : undefined,
    importing: (plan, conversation) => importing(client, plan, conversation),
    conversation: ({ cwd, options }, sessionId) =>
      Effect.scoped(Effect.flatMap(client.release, ({ dialect }) =>
        Effect.flatMap(
          environment.make(client, dialect, options, cwd),
          ({ env }) =>
            sessionExport.conversation({ client: { ...client, defaults: options }, dialect, cwd, env })(sessionId)
        ))),
    version: Effect.map(client.release, ({ version }) => version),
    models: Effect.flatMap(
      client.release,
      ({ dialect: { models } }) => Effect.map(query.make(client, models.args), models.read)
    )
  }
}
