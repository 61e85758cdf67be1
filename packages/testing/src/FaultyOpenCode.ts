/**
 * An `opencode` executable that plays scripts, for end-to-end tests through real processes without the real binary of
 * 180 MB. It answers `--version` and `models`, reads its standard input to the end as OpenCode does, and then prints,
 * crashes, hangs, floods, ignores signals or leaves processes behind, as scripted.
 *
 * With a version from 2.0.0 on it is OpenCode 2 instead: `serve --stdio` with the routes and events of 2.0.14, where each
 * prompt plays a script. The same scripts work for both majors. A script that ends its process before it says anything
 * (`sqliteCrash`) then crashes the start of the server, which knows no prompt yet: with cases by prompt it ends the server
 * when the prompt arrives.
 *
 * It is a Node program of this package, started by a shell script, so it needs `node` on `PATH` and `/bin/sh`: Linux or
 * macOS.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 * import { Effect, Layer } from "effect"
 *
 * // crashes twice, then answers
 * const layer = FaultyOpenCode.layerOpenCode([
 *   FaultyOpenCode.sqliteCrash,
 *   FaultyOpenCode.sqliteCrash,
 *   FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Here I am.")))
 * ], { forceKillAfter: "100 millis" }).pipe(Layer.provide(NodeContext.layer))
 *
 * const result = OpenCode.run("Are you there?").pipe(Effect.provide(layer))
 * ```
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Events from "./Events.js"
import { withDefault } from "./internal/schemas.js"

const Signal = Schema.Literal("SIGTERM", "SIGINT", "SIGHUP", "SIGKILL", "SIGQUIT")

/**
 * One action of the process.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Step = Schema.Union(
  Schema.TaggedStruct("Stdout", { text: Schema.String }),
  Schema.TaggedStruct("Stderr", { text: Schema.String }),
  /** The prompt, as the text of this event. */
  Schema.TaggedStruct("Echo", { event: Schema.Unknown }),
  Schema.TaggedStruct("Flood", {
    to: Schema.Literal("stdout", "stderr"),
    bytes: Schema.Number,
    lineLength: Schema.Number
  }),
  Schema.TaggedStruct("Sleep", { millis: Schema.Number }),
  Schema.TaggedStruct("Child", {
    detached: Schema.Boolean,
    ignoresSignals: Schema.Boolean,
    holdsStdout: Schema.Boolean,
    lifetime: Schema.Number
  }),
  Schema.TaggedStruct("CloseStdout", {}),
  Schema.TaggedStruct("Exit", { code: Schema.Number }),
  Schema.TaggedStruct("Signal", { signal: Signal }),
  Schema.TaggedStruct("Never", {}),
  Schema.TaggedStruct("Ask", {
    permission: Schema.String,
    patterns: Schema.Array(Schema.String),
    tool: Schema.String,
    input: Schema.Unknown,
    /** What OpenCode 1 prints, which rejects it by itself. */
    rejected: Schema.Struct({ stderr: Schema.String, stdout: Schema.String })
  }),
  Schema.TaggedStruct("Event", {
    type: Schema.String,
    data: Schema.Record({ key: Schema.String, value: Schema.Unknown })
  }),
  Schema.TaggedStruct("Rest", {}),
  Schema.TaggedStruct("Refuse", { status: Schema.Number, message: Schema.String })
)

/**
 * @since 0.1.0
 * @category models
 */
export type Step = typeof Step.Type

/**
 * The script of one process of OpenCode 1, which exits with code 0 after the last step, or of one prompt of OpenCode 2,
 * which then ends with success, or with its last error.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Script = Schema.Struct({
  steps: Schema.Array(Step),
  /** Signals that the process ignores. */
  ignoreSignals: Schema.optional(Schema.Array(Signal))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Script extends Schema.Schema.Type<typeof Script> {}

/**
 * The input of the executable, as JSON.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Scenario = Schema.Struct({
  /** The version that the executable says it is, and behaves as: a server from 2.0.0 on. */
  version: withDefault(Schema.String, () => "1.18.33"),
  models: withDefault(Schema.Array(Schema.String), () => ["fake/m1"]),
  /** Milliseconds after which a process always ends, with code 87. */
  lifetime: withDefault(Schema.Number, () => 300_000),
  /** The first matching case is played. */
  cases: Schema.Array(Schema.Struct({
    /** Text in the prompt. Default: any prompt matches. */
    contains: Schema.optional(Schema.String),
    /** The n-th script for the n-th start of this case; the last one repeats. */
    scripts: Schema.NonEmptyArray(Script)
  }))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Scenario extends Schema.Schema.Encoded<typeof Scenario> {}

/**
 * Makes a script of these steps.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = (...steps: ReadonlyArray<Step>): Script => ({ steps })

/**
 * Makes a script of these steps whose process ignores some signals.
 *
 * @example
 * ```ts
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 *
 * const stubborn = FaultyOpenCode.scriptWith(
 *   { ignoreSignals: ["SIGTERM", "SIGINT", "SIGHUP"] },
 *   FaultyOpenCode.lines([Events.stepStart()]),
 *   FaultyOpenCode.never
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const scriptWith = (
  options: { readonly ignoreSignals: NonNullable<Script["ignoreSignals"]> },
  ...steps: ReadonlyArray<Step>
): Script => ({ ...options, steps })

/**
 * Writes to stdout. As OpenCode 2, sends every line as one of the server's events, also one that is none.
 *
 * @since 0.1.0
 * @category steps
 */
export const stdout = (text: string): Step => ({ _tag: "Stdout", text })

/**
 * Writes to stderr.
 *
 * @since 0.1.0
 * @category steps
 */
export const stderr = (text: string): Step => ({ _tag: "Stderr", text })

/**
 * Writes events to stdout. As OpenCode 2, sends them over HTTP as that major does: its names of tools and of errors, the
 * ids of the run.
 *
 * @since 0.1.0
 * @category steps
 */
export const lines = (events: ReadonlyArray<Events.WireEvent>): Step => stdout(Events.toText(events))

/**
 * Writes the prompt to stdout, as the text of an event.
 *
 * @since 0.1.0
 * @category steps
 */
export const echo: Step = { _tag: "Echo", event: Events.text("") }

/**
 * Writes this many bytes, in lines of 1 KiB or another length.
 *
 * @since 0.1.0
 * @category steps
 */
export const flood = (to: "stdout" | "stderr", bytes: number, lineLength = 1024): Step => ({
  _tag: "Flood",
  to,
  bytes,
  lineLength
})

/**
 * Sleeps by the machine's clock.
 *
 * @since 0.1.0
 * @category steps
 */
export const sleep = (duration: Duration.DurationInput): Step => ({
  _tag: "Sleep",
  millis: Duration.toMillis(duration)
})

/**
 * Starts a process that only stays alive.
 *
 * @example
 * ```ts
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 *
 * // as OpenCode's bash tool: in a session of its own, so that no signal to the group reaches it
 * const leavesOneBehind = FaultyOpenCode.script(
 *   FaultyOpenCode.child({ detached: true, ignoresSignals: true }),
 *   FaultyOpenCode.lines(Events.turn("Done."))
 * )
 * ```
 *
 * @since 0.1.0
 * @category steps
 */
export const child = (options?: {
  /** Runs it in its own session and process group. Default: false. */
  readonly detached?: boolean | undefined
  /** Ignores SIGTERM, SIGINT and SIGHUP. Default: false. */
  readonly ignoresSignals?: boolean | undefined
  /** Keeps the stdout of its parent open. Default: false. */
  readonly holdsStdout?: boolean | undefined
  /** Default: 1 minute. */
  readonly lifetime?: Duration.DurationInput | undefined
}): Step => ({
  _tag: "Child",
  detached: options?.detached ?? false,
  ignoresSignals: options?.ignoresSignals ?? false,
  holdsStdout: options?.holdsStdout ?? false,
  lifetime: Duration.toMillis(options?.lifetime ?? "1 minute")
})

/**
 * Closes stdout and keeps running. As OpenCode 2, ends the open streams of events; the next request opens another one.
 *
 * @since 0.1.0
 * @category steps
 */
export const closeStdout: Step = { _tag: "CloseStdout" }

/**
 * Exits with a code.
 *
 * @since 0.1.0
 * @category steps
 */
export const exit = (code: number): Step => ({ _tag: "Exit", code })

/**
 * Ends by a signal.
 *
 * @since 0.1.0
 * @category steps
 */
export const signal = (signal: typeof Signal.Type): Step => ({ _tag: "Signal", signal })

/**
 * Does nothing, until the process is killed or its lifetime is over.
 *
 * @since 0.1.0
 * @category steps
 */
export const never: Step = { _tag: "Never" }

/**
 * Asks for a permission with the call of a tool. OpenCode 1 rejects it by itself, prints that and exits. OpenCode 2 waits
 * for the answer: after a rejection the prompt ends, after an approval the script continues.
 *
 * @example
 * ```ts
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 *
 * const asks = FaultyOpenCode.script(
 *   FaultyOpenCode.lines([Events.stepStart()]),
 *   FaultyOpenCode.ask("bash", ["rm x"], { tool: "bash", input: { command: "rm x" } }),
 *   FaultyOpenCode.lines([Events.finish({ reason: "tool-calls" }), ...Events.turn("Removed.")])
 * )
 * ```
 *
 * @since 0.1.0
 * @category steps
 */
export const ask = (
  permission: string,
  patterns: ReadonlyArray<string>,
  call: { readonly tool: string; readonly input?: unknown }
): Step => ({
  _tag: "Ask",
  permission,
  patterns,
  tool: call.tool,
  input: call.input ?? {},
  rejected: {
    stderr: Events.stderr.permissionRejected(permission, patterns),
    stdout: Events.toText([
      Events.toolRejected({ tool: call.tool, input: call.input ?? {} }),
      Events.finish({ reason: "tool-calls" })
    ])
  }
})

/**
 * Sends an event as a server of OpenCode 2 does, with the id of the run's session unless the data have one. A script of
 * OpenCode 1 that has this step exits with 64.
 *
 * @since 0.1.0
 * @category steps
 */
export const event = (type: string, data: { readonly [name: string]: unknown } = {}): Step => ({
  _tag: "Event",
  type,
  data
})

/**
 * Ends the prompt of OpenCode 2 without the event that says so. A script of OpenCode 1 that has this step exits with 64.
 *
 * @since 0.1.0
 * @category steps
 */
export const rest: Step = { _tag: "Rest" }

/**
 * Refuses the prompt, as the first step of a script of OpenCode 2. A script of OpenCode 1 that has this step exits with 64.
 *
 * @since 0.1.0
 * @category steps
 */
export const refuse = (status: number, message: string): Step => ({ _tag: "Refuse", status, message })

/**
 * The start-up crash of processes that share a data directory: a text on stderr, nothing on stdout, code 1.
 *
 * @since 0.1.0
 * @category scripts
 */
export const sqliteCrash: Script = script(stderr(Events.stderr.sqliteCrash()), exit(1))

/**
 * A run that the executable was started for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly pid: number
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  /** The complete stdin of the process; empty for OpenCode 2, whose prompts are requests. */
  readonly stdin: string
  /** The prompt; empty for a process of OpenCode 2 that has failed to start. */
  readonly prompt: string
  /** The signals that it ignored, in order. */
  readonly signals: ReadonlyArray<string>
  /** The processes that it started. */
  readonly children: ReadonlyArray<number>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The executable, for the `binary` of a layer. */
  readonly binary: string
  /** The directory of the executable, its scenario and its log, removed when the scope closes. */
  readonly directory: string
  /** The prompts that have arrived, in order of the starts of their processes. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>, PlatformError>
}

/**
 * The executable.
 *
 * @since 0.1.0
 * @category context
 */
export class FaultyOpenCode extends Context.Tag("effect-opencode-testing/FaultyOpenCode")<FaultyOpenCode, Service>() {}

const LogEntry = Schema.parseJson(Schema.Union(
  Schema.Struct({
    type: Schema.Literal("start"),
    pid: Schema.Number,
    args: Schema.Array(Schema.String),
    cwd: Schema.String,
    stdin: Schema.String,
    prompt: Schema.String
  }),
  Schema.Struct({ type: Schema.Literal("signal"), signal: Schema.String }),
  Schema.Struct({ type: Schema.Literal("child"), pid: Schema.Number })
))

const decodeLog = Schema.decodeSync(LogEntry)

const toCalls = (text: string): ReadonlyArray<Call> => {
  const entries = text.split("\n").filter((line) => line !== "").map((line) => decodeLog(line))
  return entries.flatMap((entry) =>
    entry.type !== "start" ? [] : [{
      pid: entry.pid,
      args: entry.args,
      cwd: entry.cwd,
      stdin: entry.stdin,
      prompt: entry.prompt,
      signals: entries.flatMap((entry) => entry.type === "signal" ? [entry.signal] : []),
      children: entries.flatMap((entry) => entry.type === "child" ? [entry.pid] : [])
    }]
  )
}

const encodeScenario = Schema.encodeSync(Schema.parseJson(Scenario))
const decodeScenario = Schema.decodeSync(Scenario)

/** Quotes a text for the shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** The child may have no `PATH`, so `node` is looked up now. */
const findNode: Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directories = (yield* HostEnvironment.variable("PATH")) ?? ""
  for (const directory of directories.split(":")) {
    const file = path.join(directory, "node")
    if (directory !== "" && (yield* Effect.orElseSucceed(fileSystem.exists(file), () => false))) return file
  }
  return "node"
})

/**
 * Writes the executable into its own directory, which is removed when the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (
  scenario: Scenario
) => Effect.Effect<Service, PlatformError, FileSystem.FileSystem | Path.Path | Scope.Scope> = Effect.fnUntraced(
  function*(scenario: Scenario) {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // the same distance from `src` and from `dist`
    const program = yield* path.fromFileUrl(new URL("../bin/faulty-opencode.mjs", import.meta.url))
    const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "faulty-opencode-" })
    const log = path.join(directory, "log")
    yield* fileSystem.makeDirectory(log)
    const file = path.join(log, "scenario.json")
    yield* fileSystem.writeFileString(file, encodeScenario(decodeScenario(scenario)))
    const binary = path.join(directory, "opencode")
    yield* fileSystem.writeFileString(
      binary,
      `#!/bin/sh\nexec ${quote(yield* findNode)} ${quote(program)} ${quote(file)} "$@"\n`,
      { mode: 0o755 }
    )
    const numberOf = (name: string) => Number(/^process-(\d+)\.jsonl$/.exec(name)?.[1] ?? Number.NaN)
    return {
      binary,
      directory,
      calls: fileSystem.readDirectory(log).pipe(
        Effect.map((names) =>
          names.filter((name) => !Number.isNaN(numberOf(name))).sort((a, b) => numberOf(a) - numberOf(b))
        ),
        Effect.flatMap(Effect.forEach((name) => fileSystem.readFileString(path.join(log, name)))),
        Effect.map((texts) => texts.flatMap(toCalls))
      )
    }
  }
)

/**
 * Scripts by order of the starts; the last one repeats.
 *
 * @since 0.1.0
 * @category models
 */
export type Scripts = readonly [Script, ...Array<Script>]

/**
 * Scripts by a text in the prompt.
 *
 * @since 0.1.0
 * @category models
 */
export type Cases = ReadonlyArray<readonly [contains: string, scripts: Script | Scripts]>

/**
 * What the executable says that it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerOptions {
  /** Its version. From 2.0.0 on it is a server of OpenCode 2. Default: 1.18.33. */
  readonly version?: string | undefined
}

const toScenario = (scripts: Scripts | Cases, { version }: LayerOptions): Scenario => {
  const first = scripts[0]
  return first !== undefined && "steps" in first
    ? { version, cases: [{ scripts: scripts as Scripts }] }
    : {
      version,
      cases: (scripts as Cases).map(([contains, scripts]) => ({
        contains,
        scripts: "steps" in scripts ? [scripts] : scripts
      }))
    }
}

/**
 * The executable, with scripts by order of the starts or by a text in the prompt.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 * import { Effect, Layer } from "effect"
 *
 * const faulty = FaultyOpenCode.layer([
 *   ["first task", FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("done")))],
 *   ["second task", FaultyOpenCode.script(FaultyOpenCode.signal("SIGKILL"))]
 * ])
 *
 * const opencode = Layer.unwrapEffect(
 *   Effect.map(FaultyOpenCode.FaultyOpenCode, ({ binary }) => OpenCode.layer({ binary }))
 * ).pipe(Layer.provideMerge(faulty))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  scripts: Scripts | Cases,
  options: LayerOptions = {}
): Layer.Layer<FaultyOpenCode, PlatformError, FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(FaultyOpenCode, make(toScenario(scripts, options)))

/**
 * The service on the executable, which is of the version of the options: 1.18.33 by default. OpenCode 2 needs a `model`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOpenCode = (
  scripts: Scripts | Cases,
  options?: Omit<OpenCode.Options, "binary">
): Layer.Layer<
  OpenCode.OpenCode | FaultyOpenCode,
  PlatformError,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> =>
  Layer.unwrapEffect(
    Effect.map(FaultyOpenCode, ({ binary }) => OpenCode.layer({ version: "1.18.33", ...options, binary }))
  ).pipe(Layer.provideMerge(layer(scripts, { version: options?.version })))
