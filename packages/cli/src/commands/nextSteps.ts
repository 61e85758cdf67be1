/** What a batch says at its end: where everything is, and which commands a person may want next. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Redaction from "effect-opencode/Redaction"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as Effect from "effect/Effect"
import * as format from "../display/format.js"
import { plural } from "../display/plural.js"
import * as terminalText from "../display/terminalText.js"
import type * as Batch from "../fleet/Batch.js"
import type { JobResult } from "../jobs/JobResult.js"

export interface Options {
  readonly outcome: Batch.Outcome
  /** The arguments of the program, with which the batch can be started again. */
  readonly args: ReadonlyArray<string>
  /** The options of all runs, for the secrets that must not be shown. */
  readonly run: RunOptions
  /** The results file. */
  readonly results: string
  readonly report: string | undefined
  /** The directory of the transcripts. */
  readonly transcripts: string
}

/** A word as a shell reads it. */
const quoted = (word: string): string => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

const commandLine = (words: ReadonlyArray<string>): string =>
  terminalText.oneLine(["effect-opencode", ...words].map(quoted).join(" "))

const continuing: ReadonlySet<string> = new Set(["--resume", "--retry-failed", "--dry-run", "--cancel"])

/** A longer command line hides the rest. */
const maxLength = 300

/** The same batch again, as a continuation. */
const again = (args: ReadonlyArray<string>, ...more: ReadonlyArray<string>): string => {
  const whole = wholeAgain(args, ...more)
  const isShort = whole.length <= maxLength && args.every((word) => word === terminalText.oneLine(word))
  return isShort ? whole : `the same command with ${more.join(" ")}`
}

const wholeAgain = (args: ReadonlyArray<string>, ...more: ReadonlyArray<string>): string => {
  const dashes = args.indexOf("--")
  const [own, rest] = dashes === -1 ? [args, []] : [args.slice(0, dashes), args.slice(dashes)]
  return commandLine([...own.filter((word) => !continuing.has(word)), ...more, ...rest])
}

/** More of them would hide the rest. */
const shown = 3

const listed = (all: ReadonlyArray<string>): string =>
  [...all.slice(0, shown), ...(all.length > shown ? [`and ${format.count(all.length - shown)} more`] : [])].join(", ")

/** A branch stays if it or its worktree is named as kept. */
const hasBranch = ({ worktree }: JobResult): boolean =>
  worktree !== undefined && worktree.commits > 0 && (worktree.kept || worktree.reason.includes(worktree.branch))

/** The lines, with a blank one before them. */
export const lines = (
  { args, outcome, report, results, run, transcripts }: Options
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const redactor = Redaction.make(yield* Redaction.ofRun(run))
    /** Relative to the working directory if it is below it. */
    const local = (file: string): string => {
      const relative = path.relative(path.resolve("."), file)
      return relative === "" || relative.startsWith("..") || path.isAbsolute(relative) ? file : relative
    }
    const failed = outcome.results.filter((result) => result.outcome !== "success")
    const branches = outcome.results.filter(hasBranch)
    const kept = outcome.results.flatMap(({ worktree }) => worktree?.kept === true ? [worktree.path] : [])
    const transcript = [...failed, ...outcome.results].find((result) => result.transcript !== undefined)
    const [branch] = branches.flatMap(({ worktree }) => worktree?.branch ?? [])
    const places: ReadonlyArray<readonly [string, string | undefined]> = [
      ["results", outcome.results.length === 0 ? undefined : local(results)],
      ["report", report === undefined ? undefined : local(report)],
      ["transcripts", transcript === undefined ? undefined : local(transcripts)],
      [
        "branches",
        branches.length === 0 ? undefined : listed(
          branches.flatMap(({ worktree }) =>
            worktree === undefined ? [] : [`${worktree.branch} (${plural(worktree.commits, "commit")})`]
          )
        )
      ],
      ["worktrees", kept.length === 0 ? undefined : listed(kept.map(local))]
    ]
    const steps: ReadonlyArray<readonly [string, string | undefined]> = [
      [
        outcome.undone.length > 0
          ? ("submitted" in outcome ? "get the rest" : "run the rest")
          : "run failed jobs again",
        outcome.undone.length > 0
          ? again(args, "--resume")
          : failed.length > 0
          ? again(args, "--resume", "--retry-failed")
          : undefined
      ],
      [
        failed.length > 0 ? "see what a failed run did" : "see what a run did",
        transcript?.transcript === undefined ? undefined : commandLine([
          "replay",
          local(path.resolve(path.dirname(results), transcript.transcript)),
          "--speed",
          "instant"
        ])
      ],
      ["take over a branch", branch === undefined ? undefined : `git merge ${quoted(branch)}`]
    ]
    const table = (rows: ReadonlyArray<readonly [string, string | undefined]>): ReadonlyArray<string> => {
      const present = rows.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
      const width = Math.max(0, ...present.map(([name]) => name.length))
      return present.map(([name, value]) => `${name.padEnd(width)}  ${terminalText.oneLine(redactor.text(value))}`)
    }
    const [where, next] = [table(places), table(steps)]
    return [
      ...(where.length === 0 ? [] : ["", ...where]),
      ...(next.length === 0 ? [] : ["", ...next])
    ]
  })
