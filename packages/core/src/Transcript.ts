/**
 * A file that receives every event of a run as a JSON line before anybody else sees it, so that progress survives a
 * crash of the program. A line of its own says which run begins, and another one how it ended.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as decode from "./internal/decode.js"
import * as json from "./internal/json.js"
import * as lineSplitter from "./internal/lineSplitter.js"
import * as systemError from "./internal/systemError.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import type { RunEvent } from "./RunEvent.js"

const startType = "effect-opencode/run_start"
const endType = "effect-opencode/run_end"
const unwritableType = "effect-opencode/unwritable"

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
  /** The data directory; `undefined` where it is OpenCode's own. */
  directory: Schema.optional(Schema.String),
  /** The temporary directory, which goes with the attempt; `undefined` with `OpenCodeServer`. */
  temporary: Schema.optional(Schema.String)
})

/**
 * The run ended: its outcome is known.
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
  /** Returns when the operating system has the lines. The first failure is logged as a warning: the run goes on. */
  readonly write: (events: ReadonlyArray<RunEvent>) => Effect.Effect<void>
  readonly start: (start: Omit<Start, "type">) => Effect.Effect<void>
  readonly end: (end: Omit<End, "type">) => Effect.Effect<void>
}

type Line = { readonly [key: string]: unknown }

/** One line that cannot be cleaned or written is a mark; the lines that arrived with it are written. */
const written = (clean: (line: Line) => unknown, line: Line): string => {
  try {
    return json.stringify(clean(line))
  } catch (cause) {
    return json.stringify({ type: unwritableType, of: line["type"], reason: String(cause) })
  }
}

/**
 * Opens a file for appending; missing directories are made. `clean` sees the object of each line before it is written.
 * Where a value cannot be written as JSON, because it is nested too deeply for example, a mark stands in its place.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  file: string,
  options?: { readonly clean?: ((line: { readonly [key: string]: unknown }) => unknown) | undefined }
): Effect.Effect<Transcript, OpenCodeConfigError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const target = path.resolve(file)
    yield* fileSystem.makeDirectory(path.dirname(target), { recursive: true })
    const handle = yield* fileSystem.open(target, { flag: "a" })
    const encoder = new TextEncoder()
    const clean = options?.clean ?? ((line: { readonly [key: string]: unknown }): unknown => line)
    const lock = yield* Effect.makeSemaphore(1)
    let isLossy = false
    const append = (lines: ReadonlyArray<{ readonly [key: string]: unknown }>): Effect.Effect<void> =>
      lines.length === 0 ?
        Effect.void :
        Effect.suspend(() => handle.writeAll(encoder.encode(lines.map((line) => `${written(clean, line)}\n`).join(""))))
          .pipe(
            lock.withPermits(1),
            Effect.catchAll((error) => {
              // A disk that is full fails every line.
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
      write: (events: ReadonlyArray<RunEvent>) => append(events.map(decode.toWire)),
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
 * What a transcript says of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly runId: string
  readonly cwd: string
  /** The data directory of the last attempt; `undefined` where it was OpenCode's own. */
  readonly directory: string | undefined
  /** The temporary directory of the last attempt, which is still there where the program was killed. */
  readonly temporary?: string | undefined
  readonly sessionId: string | undefined
  readonly attempts: number
  /** The events of all attempts. A line that was cut off in the middle is a `Diagnostic`. */
  readonly events: ReadonlyArray<RunEvent>
  /** `success`, the tag of the error, `interrupted`, or `undefined`: the program did not live to see the end. */
  readonly outcome: string | undefined
}

/** A program that is killed can leave half a line, and the next run begins behind it. */
const gluedStart = new RegExp(`(?<=[^\\n])\\{"type":"${startType}"`, "g")

const directoriesOf = ({ directory, temporary }: Start): Pick<Recorded, "directory" | "temporary"> => ({
  directory,
  ...(temporary === undefined ? {} : { temporary })
})

const isStart = Schema.is(Start)
const isEnd = Schema.is(End)

/**
 * Reads the text of a transcript: its runs, in the order in which they began.
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
  const lines = [...splitter.push(new TextEncoder().encode(text.replace(gluedStart, "\n$&"))), ...splitter.flush()]
  const runs: Array<Recorded> = []
  const last = (): Recorded | undefined => runs[runs.length - 1]
  const change = (changed: Partial<Recorded>): void => {
    const run = last()
    if (run !== undefined) runs[runs.length - 1] = { ...run, ...changed }
  }
  let events: Array<RunEvent> = []
  for (const event of lines.flatMap((line) => decode.allFromSplit(line))) {
    const raw = event._tag === "Unknown" ? event.raw : undefined
    if (isStart(raw)) {
      if (last()?.runId === raw.runId) {
        // The end of an attempt is not that of the run, where another one begins.
        change({ attempts: raw.attempt, ...directoriesOf(raw), outcome: undefined })
      } else {
        events = []
        runs.push({
          runId: raw.runId,
          cwd: raw.cwd,
          ...directoriesOf(raw),
          sessionId: undefined,
          attempts: raw.attempt,
          events,
          outcome: undefined
        })
      }
    } else if (isEnd(raw)) {
      if (last()?.runId === raw.runId) change({ outcome: raw.outcome })
    } else {
      events.push(event)
      if ("sessionId" in event && event.sessionId !== undefined && last()?.sessionId === undefined) {
        change({ sessionId: event.sessionId })
      }
    }
  }
  return runs
}

/**
 * Reads the last run of a transcript: what it had done, and where to go on, also where its program was killed.
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
export const read = (file: string): Effect.Effect<Recorded, OpenCodeConfigError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const text = yield* Effect.either(fileSystem.readFileString(file))
    if (Either.isLeft(text)) {
      return yield* new OpenCodeConfigError({ path: "transcript", reason: `the file ${file} cannot be read` })
    }
    const run = parse(text.right).at(-1)
    return run ?? (yield* new OpenCodeConfigError({ path: "transcript", reason: `no run is recorded in ${file}` }))
  })
