/**
 * The report of a batch as a single HTML page: outcomes, costs and times, by cell of the matrix and by run, and what
 * every run did. The page is self-contained, and runs no script but its own.
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Redaction from "effect-opencode/Redaction"
import type * as RunEvent from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as Transcript from "effect-opencode/Transcript"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JobResult } from "../jobs/JobResult.js"
import * as worktreeChanges from "./changes.js"
import * as excerpt from "./excerpt.js"
import * as page from "./page.js"
import * as statistics from "./statistics.js"

/** A run, and the part of its transcript that the page shows. */
export interface Run extends page.Run {}

export interface Input {
  /** The name of the batch. */
  readonly title: string
  /** The results file. Default: not shown. */
  readonly source?: string | undefined
  /** When the report is made, in milliseconds since the epoch. Default: not shown. */
  readonly at?: number | undefined
  readonly runs: ReadonlyArray<Run>
}

/** Characters of transcripts on a page: a browser opens that many in a moment. */
const pageLength = 10_000_000

/** How much of each run fits on a page with the given number of runs. */
const limitsOf = (runs: number): excerpt.Limits => {
  const transcript = Math.floor(Math.min(300_000, Math.max(4000, pageLength / Math.max(1, runs))))
  return { transcript, text: Math.min(12_000, Math.floor(transcript / 5)) }
}

/**
 * A run with as many of its events as fit on a page with the given number of runs: the start and the end of the run,
 * and of long texts.
 */
export const run = (
  result: JobResult,
  events: Iterable<RunEvent.RunEvent>,
  options: { readonly runs: number }
): Run => ({ result, transcript: excerpt.make(events, limitsOf(options.runs)), missing: undefined })

/** What a result does not say of its job. */
export interface Source {
  /** For the secrets in them, which a diff must not show. */
  readonly options: RunOptions
  /** The job's directory, in the repository of its worktree. */
  readonly cwd: string
}

/** The changes in the worktree of a run, cut to what fits on the page. */
const changesOf = (result: JobResult, { cwd, options }: Source, limits: excerpt.Limits) =>
  Effect.gen(function*() {
    const found = yield* worktreeChanges.read(result, cwd)
    if (found === undefined) return undefined
    const redactor = Redaction.make(yield* Redaction.ofRun(options))
    const changes: page.Changes = found._tag === "Missing"
      ? { _tag: "Missing", reason: redactor.text(found.reason) }
      : { _tag: "Diff", text: excerpt.cut(redactor.text(found.text), 2 * limits.text) }
    return changes
  })

/**
 * Reads the transcripts and the changes of results, one after the other, so that only one of them is in memory as a
 * whole. A transcript or a diff that cannot be read is reported as missing. `directory` is that of the results file;
 * only jobs that `sources` has are shown with their changes.
 */
export const read = (
  results: ReadonlyArray<JobResult>,
  options: { readonly directory: string; readonly sources?: ReadonlyMap<string, Source> | undefined }
): Effect.Effect<ReadonlyArray<Run>, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    return yield* Effect.forEach(results, (result) =>
      Effect.gen(function*(): Effect.fn.Return<
        Run,
        never,
        CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
      > {
        const source = options.sources?.get(result.id)
        const changes = source === undefined
          ? undefined
          : yield* changesOf(result, source, limitsOf(results.length))
        if (result.transcript === undefined) {
          return { result, transcript: undefined, missing: undefined, changes }
        }
        const recorded = yield* Effect.either(Transcript.read(path.resolve(options.directory, result.transcript)))
        return Either.match(recorded, {
          onLeft: ({ reason }) => ({ result, transcript: undefined, missing: `No transcript: ${reason}.`, changes }),
          onRight: ({ events }) => ({ ...run(result, events, { runs: results.length }), changes })
        })
      }))
  })

const timestamp = (milliseconds: number): string =>
  `${new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ")} UTC`

/** Renders the page. The same input always produces the same page. */
export const html = (input: Input): string => {
  const order = new Map(
    statistics.inOrder(input.runs.map(({ result }) => result)).map((result, index) => [result, index])
  )
  return page.render({
    title: input.title,
    about: [
      ...(input.source === undefined ? [] : [input.source]),
      ...(input.at === undefined ? [] : [timestamp(input.at)])
    ],
    runs: [...input.runs].sort((a, b) => (order.get(a.result) ?? 0) - (order.get(b.result) ?? 0)),
    limits: limitsOf(input.runs.length)
  })
}
