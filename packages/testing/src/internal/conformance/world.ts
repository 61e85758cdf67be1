/** The isolated surroundings of one scenario: its directories, its model provider, the processes that it starts. */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Contract from "effect-opencode/Contract"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as Version from "effect-opencode/Version"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as ModelProvider from "../../ModelProvider.js"

/** A started process. */
export interface Running {
  readonly pid: number
  readonly kill: (signal: CommandExecutor.Signal) => Effect.Effect<void>
  /** The lines of stdout so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Ends a standard input that is held open. */
  readonly release: Effect.Effect<void>
}

/** How to start a process of OpenCode. */
export interface Plan {
  /** The arguments; default: those with which the library starts a run with `options`. */
  readonly args?: ReadonlyArray<string> | undefined
  readonly prompt?: string | undefined
  readonly options?: RunOptions | undefined
  /** Sent in these pieces, with a pause between them. Default: the input of the library's run, else none. */
  readonly stdin?: ReadonlyArray<string> | undefined
  /** True to leave standard input open until `release`. */
  readonly holdStdin?: boolean | undefined
  /** Merged over the configuration that points to the provider. */
  readonly config?: { readonly [key: string]: unknown } | undefined
  /** The whole configuration variable, instead of `config`. */
  readonly content?: string | undefined
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  readonly cwd?: string | undefined
  /** Acts on the process while it runs. */
  readonly during?: ((running: Running) => Effect.Effect<void>) | undefined
}

export interface World {
  /** The file that is started. */
  readonly binary: string
  readonly version: Version.Version
  readonly provider: ModelProvider.Service
  /** The working directory of the runs. */
  readonly work: string
  readonly path: (...names: ReadonlyArray<string>) => string
  /** Writes a file, by its name below the scenario's directory. */
  readonly write: (name: string, text: string) => Effect.Effect<void>
  readonly writeBytes: (name: string, bytes: Uint8Array) => Effect.Effect<void>
  /** Reads a file, by its name below the scenario's directory. */
  readonly read: (name: string) => Effect.Effect<string | undefined>
  /** Makes a symbolic link from one name to another. */
  readonly link: (from: string, to: string) => Effect.Effect<void>
  readonly exists: (name: string) => Effect.Effect<boolean>
  /** Starts a process and returns its record when it has ended. */
  readonly run: (name: string, plan: Plan) => Effect.Effect<Contract.ProcessRecord>
  readonly observe: (name: string, value: unknown) => Effect.Effect<void>
  /** Waits until a condition holds, at most as long as a process may take. */
  readonly until: (condition: Effect.Effect<boolean>) => Effect.Effect<void>
  /** True if a process exists. */
  readonly isAlive: (pid: number) => Effect.Effect<boolean>
  /** Kills a process when the scenario ends. */
  readonly own: (pid: number) => Effect.Effect<void, never, Scope.Scope>
}

export interface Options {
  readonly binary: string
  readonly version: Version.Version
  /** How long one process may take. */
  readonly patience: Duration.Duration
}

const pause = Duration.millis(300)

/** Variables of the machine that programs need to start. */
const inherited = ["PATH", "Path", "SystemRoot", "ComSpec", "PATHEXT", "LANG", "LC_ALL"]

/** Nothing listens on this port, so a request to it fails at once. */
const nowhere = "http://127.0.0.1:2"

/**
 * Fills the home directory with what OpenCode would otherwise install at its first start: its plugin package, and the
 * list of models.
 */
const furnish = (world: Pick<World, "write">, version: Version.Version) =>
  Effect.all([
    world.write(
      "home/.config/opencode/package-lock.json",
      JSON.stringify({ packages: { "": { dependencies: { "@opencode-ai/plugin": Version.format(version) } } } })
    ),
    world.write("home/.config/opencode/node_modules/.keep", ""),
    world.write("home/.cache/opencode/models.json", "{}")
  ], { discard: true })

const signalOf = (error: PlatformError): string | undefined =>
  /signal: (SIG[A-Z0-9]+)/.exec(error._tag === "SystemError" ? error.description ?? error.message : error.message)?.[1]

const exitOf = (process: CommandExecutor.Process): Effect.Effect<{ exitCode?: number; signal?: string }> =>
  Effect.match(process.exitCode, {
    onSuccess: (exitCode) => ({ exitCode }),
    onFailure: (error) => ({ signal: signalOf(error) ?? "unknown" })
  })

const toRequest = (request: ModelProvider.ProviderRequest): Contract.ModelRequest => ({
  isTitle: request.isTitle,
  authorization: request.authorization,
  roles: request.messages.map(({ role }) => role),
  prompts: request.messages.filter(({ role }) => role === "user").map(({ text }) => text),
  tools: [...request.tools].sort()
})

/** Records a scenario. */
export const record = <E, R>(
  options: Options,
  provider: ModelProvider.Service,
  name: string,
  scenario: (world: World) => Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const pathService = yield* Path.Path
    const variables = (yield* HostEnvironment.facts).variables
    const root = yield* Effect.flatMap(
      fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-conformance-" }),
      (directory) => fileSystem.realPath(directory)
    )
    const inside = (...names: ReadonlyArray<string>) => pathService.join(root, ...names)
    const processes: { [name: string]: Contract.ProcessRecord } = {}
    const observed: { [name: string]: unknown } = {}

    const writeBytes: World["writeBytes"] = (file, bytes) =>
      Effect.andThen(
        fileSystem.makeDirectory(pathService.dirname(inside(file)), { recursive: true }),
        fileSystem.writeFile(inside(file), bytes)
      ).pipe(Effect.orDie)
    const write: World["write"] = (file, text) => writeBytes(file, new TextEncoder().encode(text))
    yield* furnish({ write }, options.version)
    for (const directory of ["work", "tmp"]) yield* fileSystem.makeDirectory(inside(directory))

    const names = Contract.variableNames
    const base = {
      ...Object.fromEntries(inherited.flatMap((one) => variables[one] === undefined ? [] : [[one, variables[one]]])),
      HOME: inside("home"),
      USERPROFILE: inside("home"),
      TMPDIR: inside("tmp"),
      TEMP: inside("tmp"),
      TMP: inside("tmp"),
      [names.bunTemporary]: inside("tmp"),
      [names.dataHome]: inside("data"),
      [names.configHome]: inside("home", ".config"),
      [names.cacheHome]: inside("home", ".cache"),
      [names.stateHome]: inside("state"),
      [names.disableAutoupdate]: "1",
      [names.disableModelsFetch]: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
      npm_config_registry: nowhere,
      EFFECT_OPENCODE_CONFORMANCE: name
    }

    // OpenCode names a file by its path from the root of the file system as well.
    const shown = [
      [root, "/sandbox"],
      [root.replace(/^[/\\]+/, ""), "sandbox"],
      [provider.baseUrl.replace(/\/v1$/, ""), "http://provider"],
      [pathService.dirname(options.binary), "/bin"]
    ] as const
    const scrub = (text: string): string => shown.reduce((changed, [from, to]) => changed.replaceAll(from, to), text)
    /** Takes the machine's paths and ports out of a value. */
    const scrubbed = <A>(value: A): A => {
      if (typeof value === "string") return scrub(value) as A
      if (Array.isArray(value)) return value.map(scrubbed) as A
      return Predicate.isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, scrubbed(one)])) as A
        : value
    }

    const run: World["run"] = (processName, plan) =>
      Effect.scoped(Effect.gen(function*() {
        const invocation = plan.args === undefined
          ? Contract.invocation(options.version, {
            runId: name,
            prompt: plan.prompt ?? "",
            options: { model: provider.model, ...plan.options }
          })
          : undefined
        const args = plan.args ?? invocation?.args ?? []
        const pieces = plan.stdin ?? (invocation === undefined ? [] : [invocation.stdin])
        const cwd = plan.cwd ?? inside("work")
        const env = {
          ...base,
          PWD: cwd,
          [names.configContent]: plan.content ?? JSON.stringify({ ...provider.configOverrides, ...plan.config }),
          ...plan.env
        }
        const encoder = new TextEncoder()
        const released = yield* Deferred.make<void>()
        const release = Effect.asVoid(Deferred.succeed(released, undefined))
        const sent = Stream.fromIterable(pieces.map((piece, index) => [piece, index] as const)).pipe(
          Stream.mapEffect(([piece, index]) =>
            Effect.delay(Effect.succeed(encoder.encode(piece)), index === 0 ? Duration.zero : pause)
          )
        )
        const stdin = plan.holdStdin === true
          ? Stream.concat(sent, Stream.drain(Stream.fromEffect(Deferred.await(released))))
          : sent
        const command = Command.make(options.binary, ...args).pipe(
          Command.workingDirectory(cwd),
          Command.env(
            Object.fromEntries(
              Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
            ),
            { extendEnv: false }
          ),
          Command.stdin(stdin)
        )
        const process = yield* Effect.orDie(executor.start(command))
        const output = { stdout: "", stderr: "" }
        const collect = (source: "stdout" | "stderr") =>
          process[source].pipe(
            Stream.decodeText(),
            Stream.runForEach((text) =>
              Effect.sync(() => {
                output[source] += text
              })
            ),
            Effect.ignore
          )
        let stopped = false
        const kill = (signal: CommandExecutor.Signal) => Effect.ignore(process.kill(signal))
        const readers = yield* Effect.fork(Effect.all([collect("stdout"), collect("stderr")], { concurrency: 2 }))
        const act = yield* Effect.fork(
          plan.during?.({
            pid: process.pid,
            kill,
            release,
            stdout: () => output.stdout,
            stderr: () => output.stderr
          }) ?? Effect.void
        )
        const limit = yield* Effect.fork(Effect.delay(
          Effect.suspend(() => {
            stopped = true
            return kill("SIGKILL")
          }),
          options.patience
        ))
        const exit = yield* exitOf(process)
        yield* Fiber.interrupt(limit)
        yield* Fiber.interrupt(act)
        // A tool that survives can hold a pipe open.
        yield* Effect.timeoutOption(Fiber.join(readers), "5 seconds")
        const record: Contract.ProcessRecord = {
          args: args.map(scrub),
          stdout: scrub(output.stdout),
          stderr: scrub(output.stderr),
          ...exit,
          ...(stopped ? { stopped } : {})
        }
        processes[processName] = record
        return record
      }))

    const read: World["read"] = (file) =>
      Effect.map(Effect.option(fileSystem.readFileString(inside(file))), Option.getOrUndefined)

    const poll = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
      Effect.flatMap(condition, (done) => done ? Effect.void : Effect.delay(poll(condition), "50 millis"))

    const signal = (pid: number, word: string) =>
      Effect.orElseSucceed(
        Effect.map(
          executor.exitCode(Command.make("kill", word, String(pid)).pipe(Command.stderr("pipe"))),
          (code) => code === 0
        ),
        () => false
      )

    const world: World = {
      binary: options.binary,
      version: options.version,
      provider,
      work: inside("work"),
      path: inside,
      write,
      writeBytes,
      read,
      link: (from, to) =>
        Effect.andThen(
          fileSystem.makeDirectory(pathService.dirname(inside(to)), { recursive: true }),
          fileSystem.symlink(inside(from), inside(to))
        ).pipe(Effect.orDie),
      exists: (file) => Effect.orElseSucceed(fileSystem.exists(inside(file)), () => false),
      run,
      observe: (key, value) =>
        Effect.sync(() => {
          observed[key] = scrubbed(value)
        }),
      until: (condition) => Effect.asVoid(Effect.timeoutOption(poll(condition), options.patience)),
      isAlive: (pid) => signal(pid, "-0"),
      own: (pid) => Effect.addFinalizer(() => signal(pid, "-KILL"))
    }
    const exit = yield* Effect.exit(Effect.timeoutOption(scenario(world), Duration.times(options.patience, 3)))
    const requests = (yield* provider.requests).map((request) => scrubbed(toRequest(request)))
    const recording: Contract.Recording = { scenario: name, processes, requests, observed }
    return Exit.isSuccess(exit) ? recording : yield* Effect.failCause(exit.cause)
  })
