/**
 * A file to which every event of a run is written as a JSON line before the program sees it, so that progress survives
 * a crash. Separate lines record the start of a run and its outcome. Every line names its run (events as
 * `effect-opencode/runId`), so that concurrent runs, also of several programs, can share a file.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as decode from "./internal/opencode/decode.js"
import * as json from "./internal/util/json.js"
import * as lineSplitter from "./internal/util/lines.js"
import { makeDirectories } from "./internal/util/makeDirectories.js"
import * as systemError from "./internal/util/systemError.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import type { RunEvent } from "./RunEvent.js"

const startType = "effect-opencode/run_start"
const endType = "effect-opencode/run_end"
const unwritableType = "effect-opencode/unwritable"
const runKey = "effect-opencode/runId"

/**
 * An attempt of a run began.
 *
 * @since 0.1.0
 * @category models
 */
export interface Start extends Schema.Schema.Type<typeof Start> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Start = Schema.Struct({
  type: Schema.Literal(startType),
  /** Milliseconds since the epoch. */
  timestamp: Schema.Number,
  runId: Schema.String,
  attempt: Schema.Number,
  cwd: Schema.String,
  /** The data directory; `undefined` if it is OpenCode's own. */
  directory: Schema.optional(Schema.String),
  /** The temporary directory, removed when the attempt ends; `undefined` with `OpenCodeServer`. */
  temporary: Schema.optional(Schema.String),
  /** The session that the attempt continues. */
  sessionId: Schema.optional(Schema.String)
})

/**
 * The run ended with this outcome.
 *
 * @since 0.1.0
 * @category models
 */
export interface End extends Schema.Schema.Type<typeof End> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const End = Schema.Struct({
  type: Schema.Literal(endType),
  timestamp: Schema.Number,
  runId: Schema.String,
  /** `success`, the tag of the error, or `interrupted`. */
  outcome: Schema.String,
  finishReason: Schema.optional(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Transcript {
  /**
   * Returns when the operating system has the lines. The first failure is logged as a warning and the run continues.
   */
  readonly write: (events: ReadonlyArray<RunEvent>) => Effect.Effect<void>
  readonly start: (start: Omit<Start, "type">) => Effect.Effect<void>
  readonly end: (end: Omit<End, "type">) => Effect.Effect<void>
}

type Line = { readonly [key: string]: unknown }

/** A marker replaces a line that cannot be masked or written; the other lines of the batch are written. */
const written = (clean: (line: Line) => unknown, line: Line): string => {
  try {
    return json.stringify(clean(line))
  } catch (cause) {
    return json.stringify({ type: unwritableType, of: line["type"], reason: String(cause) })
  }
}

/**
 * Opens a file for appending; missing directories are created. `clean` receives the object of each line before it is
 * written. A marker replaces a value that cannot be written as JSON, for example because it is nested too deeply. With
 * `runId` the lines of events name their run.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  file: string,
  options?: {
    readonly clean?: ((line: { readonly [key: string]: unknown }) => unknown) | undefined
    readonly runId?: string | undefined
  }
): Effect.Effect<Transcript, OpenCodeConfigError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const target = path.resolve(file)
    yield* makeDirectories({ fileSystem, path }, path.dirname(target))
    const handle = yield* fileSystem.open(target, { flag: "a" })
    const encoder = new TextEncoder()
    const clean = options?.clean ?? ((line: { readonly [key: string]: unknown }): unknown => line)
    // First in its line, so that the reader finds it without parsing.
    const named = options?.runId === undefined ? "{" : `{${JSON.stringify(runKey)}:${JSON.stringify(options.runId)},`
    const lock = yield* Effect.makeSemaphore(1)
    let isLossy = false
    const append = (lines: ReadonlyArray<Line>, beginning = "{"): Effect.Effect<void> =>
      lines.length === 0 ?
        Effect.void :
        Effect.suspend(() =>
          handle.writeAll(
            encoder.encode(lines.map((line) => `${beginning}${written(clean, line).slice(1)}\n`).join(""))
          )
        )
          .pipe(
            lock.withPermits(1),
            Effect.catchAll((error) => {
              // Log once, because a full disk fails every line.
              if (isLossy) return Effect.void
              isLossy = true
              return Effect.logWarning(
                `A transcript could not be written (${
                  systemError.describe(error)
                }); it lacks events from here on: ${target}`
              )
            })
          )
    return {
      write: (events: ReadonlyArray<RunEvent>) => append(events.map(decode.toWire), named),
      start: (start: Omit<Start, "type">) => append([{ type: startType, ...start }]),
      end: (end: Omit<End, "type">) => append([{ type: endType, ...end }])
    }
  }).pipe(
    Effect.catchAll((error) =>
      new OpenCodeConfigError({
        path: "transcript",
        reason: `the file cannot be opened for appending (${systemError.describe(error)})`
      })
    )
  )

/**
 * A run as recorded in a transcript.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly runId: string
  readonly cwd: string
  /** The data directory of the last attempt; `undefined` if it was OpenCode's own. */
  readonly directory: string | undefined
  /** The temporary directory of the last attempt, which still exists if the program was killed. */
  readonly temporary?: string | undefined
  readonly sessionId: string | undefined
  readonly attempts: number
  /** The events of all attempts. A line that was cut off in the middle is a `Diagnostic`. */
  readonly events: ReadonlyArray<RunEvent>
  /** `success`, the tag of the error, `interrupted`, or `undefined` if the program died before the run ended. */
  readonly outcome: string | undefined
}

/** The beginning of our own lines. Inside a JSON string the quotes would be escaped. */
const lineStart = new RegExp(`(?<=.)(?=\\{"(?:${runKey}":"|type":"effect-opencode/run_))`)

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * Splits a line into its lines: a killed program can leave half a line, after which another program writes. A complete
 * line is one line, whatever it quotes.
 */
const unglued = (line: lineSplitter.Line): ReadonlyArray<lineSplitter.Line> => {
  if (typeof line !== "string") return [line]
  const next = line.search(lineStart)
  if (next === -1 || isJson(line)) return [line]
  const rest = line.slice(next)
  return [line.slice(0, next), ...(isJson(rest) ? [rest] : rest.split(lineStart))]
}

type Recording =
  & { -readonly [K in keyof Recorded]: Recorded[K] }
  & { readonly events: Array<RunEvent> }

/** The run that a line names, and the line as OpenCode printed it. */
const named = new RegExp(`^\\{"${runKey}":"([^"\\\\]*)",?`)

const directoriesOf = ({ directory, temporary }: Start): Pick<Recorded, "directory" | "temporary"> => ({
  directory,
  ...(temporary === undefined ? {} : { temporary })
})

const isStart = Schema.is(Start)
const isEnd = Schema.is(End)

/**
 * Parses the text of a transcript into its runs, in the order in which they began.
 *
 * @example
 * ```ts
 * import { Transcript } from "effect-opencode"
 *
 * const text = [
 *   `{"type":"effect-opencode/run_start","timestamp":1,"runId":"a","attempt":1,"cwd":"/repo"}`,
 *   `{"type":"text","sessionID":"ses_1","part":{"text":"Hello"}}`
 * ].join("\n")
 *
 * const [run] = Transcript.parse(text)
 * console.log(run?.sessionId, run?.outcome) // "ses_1" undefined
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const parse = (text: string): ReadonlyArray<Recorded> => {
  const splitter = lineSplitter.make()
  const lines = [...splitter.push(new TextEncoder().encode(text)), ...splitter.flush()]
  const runs = new Map<string, Recording>()
  let last: Recording | undefined
  const add = (event: RunEvent, name: string | undefined): void => {
    const raw = event._tag === "Unknown" ? event.raw : undefined
    if (isStart(raw)) {
      const { attempt, cwd, runId, sessionId } = raw
      const known = runs.get(runId)
      // If another attempt begins, the run has not ended, and an attempt that continues no session has a new one.
      const attempted = { attempts: attempt, ...directoriesOf(raw), sessionId, outcome: undefined }
      last = known === undefined ? { runId, cwd, events: [], ...attempted } : Object.assign(known, attempted)
      runs.set(runId, last)
    } else if (isEnd(raw)) {
      const run = runs.get(raw.runId)
      if (run !== undefined) run.outcome = raw.outcome
    } else {
      // A line without a run id belongs to the run that began last.
      const run = name === undefined ? last : runs.get(name)
      if (run === undefined) return
      run.events.push(event)
      if ("sessionId" in event) run.sessionId ??= event.sessionId
    }
  }
  for (const line of lines.flatMap(unglued)) {
    const name = typeof line === "string" ? named.exec(line) : null
    const printed = name === null || typeof line !== "string" ? line : `{${line.slice(name[0].length)}`
    for (const event of decode.allFromSplit(printed)) add(event, name?.[1])
  }
  return [...runs.values()]
}

/**
 * Reads every run of a transcript, in the order in which they began.
 *
 * @since 0.1.0
 * @category constructors
 */
export const readAll = (
  file: string
): Effect.Effect<ReadonlyArray<Recorded>, OpenCodeConfigError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fileSystem.readFileString(file),
      () => new OpenCodeConfigError({ path: "transcript", reason: `the file ${file} cannot be read` })
    )
    return parse(text)
  })

/**
 * Reads a run of a transcript: what it had done, and the session to continue, even if its program was killed. Without
 * `runId`, the run that began last.
 *
 * @example
 * ```ts
 * import { OpenCode, Transcript } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const goOn = Effect.scoped(Effect.gen(function*() {
 *   const recorded = yield* Transcript.read("runs/nightly.jsonl")
 *   const session = yield* OpenCode.resume(recorded)
 *   return yield* session.run("You were interrupted. Go on.")
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const read = (
  file: string,
  options?: { readonly runId?: string | undefined }
): Effect.Effect<Recorded, OpenCodeConfigError, FileSystem.FileSystem> =>
  Effect.flatMap(readAll(file), (runs) => {
    const runId = options?.runId
    const run = runId === undefined ? runs.at(-1) : runs.find((run) => run.runId === runId)
    if (run !== undefined) return Effect.succeed(run)
    return new OpenCodeConfigError({
      path: "transcript",
      reason: runId === undefined ? `no run is recorded in ${file}` : `the run ${runId} is not recorded in ${file}`
    })
  })
