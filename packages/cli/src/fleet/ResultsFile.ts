/**
 * The file of results: a JSON line for each job that has ended, written when it has. A line that begins is written by one
 * call and is on the disk before the next job's, so a batch that is killed at any moment loses none of them.
 *
 * A job that was run again (`--retry-failed`) has several lines: the last one counts.
 *
 * @since 0.1.0
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
 * The file cannot be used, because of one of these:
 *
 * - `exists`: it has results already, and nobody asked to go on with them
 * - `not-results`: it holds something else; `line` says where
 * - `other-jobs`: it has results of jobs that are not in this batch
 * - `busy`: another batch writes to it
 * - `unreadable`, `unwritable`: the system refused
 *
 * @since 0.1.0
 * @category errors
 */
export class ResultsFileError
  extends Schema.TaggedError<ResultsFileError>("effect-opencode-cli/ResultsFileError")("ResultsFileError", {
    file: Schema.String,
    reason: Schema.Literal("exists", "not-results", "other-jobs", "busy", "unreadable", "unwritable"),
    /** From 1. */
    line: Schema.optional(Schema.Number),
    detail: Schema.optional(Schema.String),
    /** The lock that is held. */
    lock: Schema.optional(Schema.String)
  })
{
  override get message(): string {
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    switch (this.reason) {
      case "exists":
        return `${this.file} has results already${detail}.`
      case "not-results":
        return `${this.file}:${this.line}:1: this is no result of a batch, and nothing was changed${detail}.`
      case "other-jobs":
        return `${this.file} belongs to other jobs${detail}.`
      case "busy":
        return `Another batch works on ${this.file}${detail}.`
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
        return "--resume goes on where they end; --output names another file"
      case "not-results":
        return "--output names another file"
      case "other-jobs":
        return "the input or the options have changed: use those of the first time, or name another file with --output"
      case "busy":
        return `wait for it, or delete ${this.lock} if there is none`
      default:
        return undefined
    }
  }
}

const ResultJson = Schema.parseJson(JobResult)

const decode = Schema.decodeEither(ResultJson)

const encode = Schema.encodeSync(ResultJson)

const decodeJson = Schema.decodeUnknownEither(Schema.parseJson(Schema.Unknown))

/** Whether one is the beginning of the other. */
const agree = (self: string, that: string): boolean => self.startsWith(that) || that.startsWith(self)

/** Whether this can be the beginning of the line of a result; what is whole is none. */
const isCutOff = (rest: string): boolean => {
  const [beginning, behind] = ["{\"id\":\"", "\",\"index\":"]
  const end = rest.indexOf("\"", beginning.length)
  return agree(rest, beginning) && (end < 0 || agree(rest.slice(end), behind)) && Either.isLeft(decodeJson(rest))
}

/** Whether a line was written as a result, whatever has become of it since. */
const isRecord = (line: string): boolean => /^\{"id":"[^"]*","index":/.test(line)

/**
 * The line of a result, with its line break.
 *
 * @since 0.1.0
 * @category conversions
 */
export const format = (result: JobResult): string => `${encode(result)}\n`

/**
 * What a file holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Contents {
  /** Every line, in order. */
  readonly results: ReadonlyArray<JobResult>
  /** The numbers of the lines that were written as results and cannot be read any more, from 1. */
  readonly unreadable: ReadonlyArray<number>
  /** The bytes up to the end of the last line that is whole. What follows is a line that was cut off. */
  readonly length: number
  /** Whether the last line is whole but for its line break. */
  readonly lacksBreak: boolean
}

const lineFeed = 0x0a

/**
/**
 * What a line with NUL bytes is: a machine that lost power can leave them in place of what was not on the disk yet.
 * `undefined` where the line is not what is left of a result.
 */
const damaged = (text: string, hasResults: boolean): { readonly result: JobResult | undefined } | undefined => {
  const head = text.slice(0, text.indexOf("\0"))
  const isEnd = /^\0*$/.test(text.slice(head.length))
  const whole = isEnd ? decode(head) : Either.left(undefined)
  if (Either.isRight(whole)) return { result: whole.right }
  return (head === "" || isCutOff(head)) && (isEnd || hasResults) ? { result: undefined } : undefined
}

/**
 * Reads the bytes of a file. The last line can have been cut off anywhere, in the middle of a character too, or be NUL
 * bytes from somewhere on. A damaged result costs none of the others. Any other line means that the file is something
 * else, and gives the number of the line.
 *
 * @since 0.1.0
 * @category conversions
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
      if (Either.isRight(result)) take(result.right, next, hasBreak)
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

/**
 * The result that counts for each job, in the order in which they came.
 *
 * @since 0.1.0
 * @category getters
 */
export const latest = (results: ReadonlyArray<JobResult>): ReadonlyMap<string, JobResult> => {
  const byId = new Map<string, JobResult>()
  for (const result of results) {
    byId.delete(result.id)
    byId.set(result.id, result)
  }
  return byId
}

/**
 * The results that a file holds now, without opening it: none where there is no such file, and nothing where it holds
 * something else or cannot be read, which `open` explains.
 *
 * @since 0.1.0
 * @category getters
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

/**
 * A file that is open for results.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResultsFile {
  /** Every line that was there. */
  readonly before: ReadonlyArray<JobResult>
  /** The numbers of the lines that were there and cannot be read any more. Default: none. */
  readonly unreadable?: ReadonlyArray<number> | undefined
  /** Returns when the line is on the disk. */
  readonly append: (result: JobResult) => Effect.Effect<void, ResultsFileError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Go on with a file that has results. Default: it is refused. */
  readonly resume?: boolean | undefined
  /** The ids of the jobs that the results can be of. */
  readonly jobs: ReadonlySet<string>
}

const holder = ({ host, pid }: lock.Held): string | undefined => {
  if (pid === undefined) return undefined
  return host === undefined ? `pid ${pid}` : `pid ${pid} on ${host}, which cannot be seen from here`
}

/**
 * Opens a file until the scope closes; directories are made. Nobody else can open it meanwhile: `<file>.lock` says who
 * has it. With `resume` a line that was cut off by a kill is taken away, so that no other is written behind it; without
 * it nothing that the file holds is changed. When a result could not be written, no further one is.
 *
 * @since 0.1.0
 * @category constructors
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
      const detail = results.length > 0 ? `${latest(results).size} of them` : "the beginning of one"
      return yield* new ResultsFileError({ file, reason: "exists", detail })
    }
    const others = [...latest(results).keys()].filter((id) => !options.jobs.has(id))
    if (others.length > 0) {
      return yield* new ResultsFileError({
        file,
        reason: "other-jobs",
        detail: `${others.length} of its ${latest(results).size}, such as ${others[0]}`
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
      // Half a line, of an interruption or a full disk, would take the next one with it.
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
