/**
 * The results file: a JSON line for each ended job, written when the job ends. Each line is written by one call and is
 * on the disk before the next one, so a batch that is killed at any moment loses none of them.
 *
 * A job that was run again (`--retry-failed`) has several lines: the last one counts.
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SynchronizedRef from "effect/SynchronizedRef"
import { JobResult } from "../jobs/JobResult.js"
import * as lock from "./lock.js"
import * as outputFile from "./outputFile.js"

/**
 * The results file cannot be used, for one of these reasons:
 *
 * - `exists`: it already has results, and resuming was not requested
 * - `not-results`: it holds something else; `line` says where
 * - `other-jobs`: it has results of jobs that are not in this batch
 * - `busy`: another batch is writing to it
 * - `unreadable`, `unwritable`: the operating system refused
 */
export class ResultsFileError
  extends Schema.TaggedError<ResultsFileError>("effect-opencode-cli/ResultsFileError")("ResultsFileError", {
    file: Schema.String,
    reason: Schema.Literal("exists", "not-results", "other-jobs", "busy", "unreadable", "unwritable"),
    /** From 1. */
    line: Schema.optional(Schema.Number),
    detail: Schema.optional(Schema.String),
    /** The lock file that another batch holds. */
    lock: Schema.optional(Schema.String)
  })
{
  override get message(): string {
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    switch (this.reason) {
      case "exists":
        return `${this.file} already has results${detail}.`
      case "not-results":
        return `${this.file}:${this.line}:1: not a result of a batch; nothing was changed${detail}.`
      case "other-jobs":
        return `${this.file} has results of other jobs${detail}.`
      case "busy":
        return `Another batch is using ${this.file}${detail}.`
      case "unreadable":
        return `${this.file} cannot be read${detail}.`
      case "unwritable":
        return `The result could not be written to ${this.file}${detail}; the batch was ended.`
    }
  }

  /** What to do about it. */
  get hint(): string | undefined {
    switch (this.reason) {
      case "exists":
        return "--resume continues that batch; --output chooses another file"
      case "not-results":
        return "--output chooses another file"
      case "other-jobs":
        return "the jobs or the options have changed: use the original ones, or choose another file with --output"
      case "busy":
        return `wait for it to end, or delete ${this.lock} if no batch is running`
      default:
        return undefined
    }
  }
}

const ResultJson = Schema.parseJson(JobResult)

const decode = Schema.decodeOption(ResultJson)

const encode = Schema.encodeSync(ResultJson)

const decodeJson = Schema.decodeUnknownEither(Schema.parseJson(Schema.Unknown))

/** Whether one string is a prefix of the other. */
const agree = (self: string, that: string): boolean => self.startsWith(that) || that.startsWith(self)

/** Whether this can be the truncated line of a result; a complete line is not. */
const isCutOff = (rest: string): boolean => {
  const [beginning, behind] = ["{\"id\":\"", "\",\"index\":"]
  const end = rest.indexOf("\"", beginning.length)
  return agree(rest, beginning) && (end < 0 || agree(rest.slice(end), behind)) && Either.isLeft(decodeJson(rest))
}

/** Whether a line was written as a result, even if it is damaged now. */
const isRecord = (line: string): boolean => /^\{"id":"[^"]*","index":/.test(line)

/** The line of a result, with its line break. */
export const format = (result: JobResult): string => `${encode(result)}\n`

/** The contents of a results file. */
export interface Contents {
  /** Every line, in order. */
  readonly results: ReadonlyArray<JobResult>
  /** The numbers of damaged lines, which were written as results and can no longer be read, from 1. */
  readonly unreadable: ReadonlyArray<number>
  /** The number of bytes up to the end of the last complete line. A truncated line follows. */
  readonly length: number
  /** Whether the last line is complete except for its line break. */
  readonly lacksBreak: boolean
}

const lineFeed = 0x0a

/**
/**
 * Classifies a line with NUL bytes: a machine that lost power can leave them in place of data that was not on the disk
 * yet. `undefined` if the line is not the remains of a result.
 */
const damaged = (text: string, hasResults: boolean): { readonly result: JobResult | undefined } | undefined => {
  const head = text.slice(0, text.indexOf("\0"))
  const isEnd = /^\0*$/.test(text.slice(head.length))
  const whole = isEnd ? decode(head) : Option.none()
  if (Option.isSome(whole)) return { result: whole.value }
  return (head === "" || isCutOff(head)) && (isEnd || hasResults) ? { result: undefined } : undefined
}

/**
 * Parses the bytes of a results file. The last line may be cut off anywhere, even inside a character, or end in NUL
 * bytes. A damaged result does not affect the others. Any other line means that the file is not a results file: the
 * left side is that line's number.
 */
export const parse = (bytes: Uint8Array): Either.Either<Contents, number> => {
  const decoder = new TextDecoder()
  const results: Array<JobResult> = []
  const unreadable: Array<number> = []
  let length = 0
  let lacksBreak = false
  const take = (result: JobResult, end: number, hasBreak: boolean): void => {
    results.push(result)
    length = end
    lacksBreak = !hasBreak
  }
  for (let [number, start] = [1, 0]; start < bytes.length; number++) {
    const feed = bytes.indexOf(lineFeed, start)
    const hasBreak = feed >= 0
    const next = hasBreak ? feed + 1 : bytes.length
    const text = decoder.decode(bytes.subarray(start, hasBreak ? feed : next))
    if (text.includes("\0")) {
      const found = damaged(text, results.length > 0)
      if (found === undefined) return Either.left(number)
      if (found.result !== undefined) take(found.result, bytes.indexOf(0, start), false)
      else if (hasBreak && isRecord(text)) unreadable.push(number)
    } else if (hasBreak && text.trim() === "") {
      length = next
      lacksBreak = false
    } else {
      const result = decode(text)
      if (Option.isSome(result)) take(result.value, next, hasBreak)
      else if (hasBreak && isRecord(text)) {
        unreadable.push(number)
        length = next
        lacksBreak = false
      } else if (hasBreak || !isCutOff(text)) return Either.left(number)
    }
    start = next
  }
  if (results.length === 0 && unreadable[0] !== undefined) return Either.left(unreadable[0])
  return Either.right({ results, unreadable, length, lacksBreak })
}

/** The latest result of each job, in the order in which they were written. */
export const latest = (results: ReadonlyArray<JobResult>): ReadonlyMap<string, JobResult> => {
  const byId = new Map<string, JobResult>()
  for (const result of results) {
    byId.delete(result.id)
    byId.set(result.id, result)
  }
  return byId
}

/**
 * Reads the results that a file holds now, without opening it: an empty list if there is no such file, and nothing if
 * it holds something else or cannot be read, which `open` reports.
 */
export const peek = (
  file: string
): Effect.Effect<Option.Option<ReadonlyArray<JobResult>>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFile(file)).pipe(
    Effect.map((bytes) => Option.map(Either.getRight(parse(bytes)), ({ results }) => results)),
    Effect.catchAll((error) =>
      Effect.succeed(
        error._tag === "SystemError" && error.reason === "NotFound" ? Option.some([]) : Option.none()
      )
    )
  )

/** An open results file. */
export interface ResultsFile {
  /** The results that the file already had. */
  readonly before: ReadonlyArray<JobResult>
  /** The numbers of existing lines that can no longer be read. Default: none. */
  readonly unreadable?: ReadonlyArray<number> | undefined
  /** Returns when the line is on the disk. */
  readonly append: (result: JobResult) => Effect.Effect<void, ResultsFileError>
}

export interface Options {
  /** Continue with a file that has results. Default: such a file is refused. */
  readonly resume?: boolean | undefined
  /** The ids of the jobs that results may belong to. */
  readonly jobs: ReadonlySet<string>
}

const holder = ({ host, pid }: lock.Held): string | undefined => {
  if (pid === undefined) return undefined
  return host === undefined ? `pid ${pid}` : `pid ${pid} on ${host}, which is not visible from here`
}

/**
 * Opens a file until the scope closes, and creates its directories. No other process can open it in the meantime:
 * `<file>.lock` names the holder. With `resume`, a line cut off by a kill is removed, so that the next line does not
 * continue it; without `resume`, existing content is not changed. After a failed write, no further result is written.
 */
export const open = (
  file: string,
  options: Options
): Effect.Effect<
  ResultsFile,
  ResultsFileError,
  FileSystem.FileSystem | Path.Path | CommandExecutor.CommandExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const failure = (reason: "unreadable" | "unwritable") => (error: { readonly message: string }) =>
      new ResultsFileError({ file, reason, detail: error.message })

    yield* Effect.mapError(outputFile.makeDirectory(path.dirname(file)), failure("unreadable"))
    yield* Effect.mapError(lock.take(`${file}.lock`), (error) =>
      error._tag === "Held"
        ? new ResultsFileError({
          file,
          reason: "busy",
          detail: holder(error),
          lock: error.file
        })
        : failure("unreadable")(error))

    const bytes = yield* fileSystem.readFile(file).pipe(
      Effect.catchAll((error) =>
        error._tag === "SystemError" && error.reason === "NotFound"
          ? Effect.succeed(new Uint8Array())
          : Effect.fail(error)
      ),
      Effect.mapError(failure("unreadable"))
    )
    const contents = yield* Either.mapLeft(
      parse(bytes),
      (line) => new ResultsFileError({ file, reason: "not-results", line })
    )
    const { lacksBreak, length, results, unreadable } = contents
    if (options.resume !== true && (results.length > 0 || length < bytes.length)) {
      const detail = results.length > 0 ? `${latest(results).size} of them` : "an incomplete one"
      return yield* new ResultsFileError({ file, reason: "exists", detail })
    }
    const others = [...latest(results).keys()].filter((id) => !options.jobs.has(id))
    if (others.length > 0) {
      return yield* new ResultsFileError({
        file,
        reason: "other-jobs",
        detail: `${others.length} of ${latest(results).size}, for example ${others[0]}`
      })
    }
    const handle = yield* Effect.gen(function*() {
      const handle = yield* fileSystem.open(file, { flag: "a" })
      if (length < bytes.length) yield* fileSystem.truncate(file, length)
      if (lacksBreak) yield* handle.writeAll(new Uint8Array([lineFeed]))
      yield* handle.sync
      return handle
    }).pipe(Effect.mapError(failure("unreadable")))
    const broken = yield* SynchronizedRef.make<Option.Option<ResultsFileError>>(Option.none())
    const write = (result: JobResult) =>
      Effect.andThen(handle.writeAll(new TextEncoder().encode(format(result))), handle.sync).pipe(
        Effect.mapError(failure("unwritable")),
        Effect.flip,
        Effect.option
      )
    return {
      before: results,
      unreadable,
      // A half-written line, after an interruption or on a full disk, would corrupt the next one.
      append: (result) =>
        SynchronizedRef.updateAndGetEffect(broken, (error) =>
          Option.isSome(error) ? Effect.succeed(error) : write(result)).pipe(
            Effect.flatMap(Option.match({
              onNone: () =>
                Effect.void,
              onSome: Effect.fail
            })),
            Effect.uninterruptible
          )
    }
  })
