/** What a run has changed in its worktree: a diff, bounded whatever the agent wrote. */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import { plural } from "../display/plural.js"
import { complaint, gitInTime } from "../git/git.js"
import type { JobResult } from "../jobs/JobResult.js"

/** A diff, or why there is none. */
export type Changes =
  | { readonly _tag: "Diff"; readonly text: string }
  | { readonly _tag: "Missing"; readonly reason: string }

/** Plain output, and no configured program runs. A file of more than half a megabyte is only named. */
const settings = ["-c", "core.bigFileThreshold=512k"]

const diff = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short"]

/** With more lines than this, a page shows only which files have changed. */
const maxLines = 20_000

/** Untracked files that are shown; further ones are only named. */
const maxUntracked = 20

/** The added and removed lines of `--numstat`. */
const linesOf = (numstat: string): number =>
  numstat.split("\n").reduce((sum, line) => {
    const [added, removed] = line.split("\t")
    return sum + (Number(added) || 0) + (Number(removed) || 0)
  }, 0)

const isCommit = (base: string): boolean => /^[0-9a-f]{40,64}$/.test(base)

/**
 * Reads the changes of a run: of its worktree if it still exists, otherwise of its branch. `repository` is a directory of
 * the repository. `undefined` if the run had no worktree, or has changed nothing.
 */
export const read = (
  { worktree }: JobResult,
  repository: string
): Effect.Effect<Changes | undefined, never, CommandExecutor.CommandExecutor> =>
  Effect.gen(function*() {
    if (worktree === undefined || !isCommit(worktree.base)) return undefined
    const { base, branch, commits, kept, path } = worktree
    if (!kept && commits === 0) return undefined
    const executor = yield* CommandExecutor.CommandExecutor
    const directory = kept ? path : repository
    const git = (...args: ReadonlyArray<string>) => gitInTime(executor, directory, ...settings, ...args)
    const revisions = kept ? [base] : [base, `refs/heads/${branch}`]
    const missing = (stderr: string): Changes => ({
      _tag: "Missing",
      reason: `${kept ? path : branch}: ${complaint(stderr)}`
    })

    const amount = yield* git(...diff, "--numstat", ...revisions, "--")
    if (amount.exitCode !== 0) return missing(amount.stderr)
    const isLong = linesOf(amount.stdout) > maxLines
    const tracked = yield* git(...diff, ...(isLong ? ["--stat=200"] : []), ...revisions, "--")
    if (tracked.exitCode !== 0) return missing(tracked.stderr)

    const listed = kept ? yield* git("ls-files", "--others", "--exclude-standard", "-z") : undefined
    const untracked = (listed?.stdout ?? "").split("\0").filter((file) => file !== "")
    const news = yield* Effect.forEach(untracked.slice(0, maxUntracked), (file) =>
      file.endsWith("/")
        ? Effect.succeed(`Untracked: ${file}\n`)
        : Effect.map(
          git(...diff, "--no-index", "--", "/dev/null", file),
          // An empty file has no difference.
          ({ stdout }) => stdout === "" ? `Untracked: ${file}\n` : stdout
        ))
    const more = untracked.length - news.length
    const text = [
      tracked.stdout,
      ...news,
      ...(more > 0 ? [`${plural(more, "more untracked file")}\n`] : [])
    ].join("")
    return text === "" ? undefined : { _tag: "Diff", text }
  })
