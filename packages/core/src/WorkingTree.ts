/**
 * The directory in which agents work: all changes on disk, including those by shell commands and sub-agents, which a
 * run's events do not show, and its removal.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { removeTree } from "./internal/util/removeTree.js"
import * as systemError from "./internal/util/systemError.js"

/**
 * A diff could not be made, for one of these reasons:
 *
 * - `git-unavailable`: git could not be started
 * - `no-working-tree`: git finds none in the directory, or does not trust it
 * - `unknown-revision`: `since` names nothing in the repository
 * - `failed`: git failed, or was ended by a signal
 *
 * @since 0.1.0
 * @category errors
 */
export class WorkingTreeError
  extends Schema.TaggedError<WorkingTreeError>("effect-opencode/WorkingTreeError")("WorkingTreeError", {
    directory: Schema.String,
    reason: Schema.Literal("git-unavailable", "no-working-tree", "unknown-revision", "failed"),
    /** What git said on stderr, or why it did not start. */
    detail: Schema.String
  })
{
  override get message(): string {
    const problem = {
      "git-unavailable": "git could not be started; install it or put it on the PATH",
      "no-working-tree": "git finds no working tree there",
      "unknown-revision": "`since` names no revision",
      failed: "git failed"
    }[this.reason]
    return `Could not diff ${this.directory}: ${problem}${this.detail === "" ? "" : ` (${this.detail})`}`
  }
}

/**
 * Options of `diff`.
 *
 * @since 0.1.0
 * @category models
 */
export interface DiffOptions {
  /** The revision to compare with. Default: `HEAD`, or nothing at all in a repository without a commit. */
  readonly since?: string | undefined
  /** Includes untracked files as new, except ignored ones. Default: `true`. */
  readonly untracked?: boolean | undefined
}

interface Output {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/**
 * Plain output and no writes to the index, whatever is configured. No configured program runs, except the `clean`
 * filters of `.gitattributes`, without which the diff would be wrong.
 */
const globalArgs = ["--no-optional-locks", "-c", "core.quotePath=off", "-c", "core.fsmonitor=false"]

const diffArgs = [
  "diff",
  "--no-ext-diff",
  "--no-textconv",
  "--no-color",
  "--no-relative",
  "--submodule=short",
  "--src-prefix=a/",
  "--dst-prefix=b/"
]

/** Decoded as a whole, because a character can be split across chunks. */
const text = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Stream.mkString(Stream.decodeText(stream))

/** How many processes may run at the same time, one for each new file. */
const concurrency = 4

/** Enough of stderr to show the reason. */
const shownDetail = 2000

const onlyNamed = (file: string): string => `Only in the working tree: ${file}\n`

const make = (executor: CommandExecutor.CommandExecutor, directory: string) => {
  const error = (reason: WorkingTreeError["reason"], detail: string) =>
    new WorkingTreeError({ directory, reason, detail: detail.trim().slice(0, shownDetail) })

  /** With `-C`, so that a missing directory and a missing git fail differently. */
  const git = (cwd: string, args: ReadonlyArray<string>): Effect.Effect<Output, WorkingTreeError> =>
    Effect.scoped(
      Effect.flatMap(
        executor.start(
          Command.make("git", "-C", cwd, ...globalArgs, ...args).pipe(
            Command.env({ LC_ALL: "C" }),
            Command.feed("")
          )
        ).pipe(
          // Node throws for NUL and for arguments that are too long.
          Effect.catchAllCause((cause) =>
            Cause.isInterrupted(cause) ? Effect.interrupt : Effect.fail(error(
              "git-unavailable",
              Option.match(Cause.failureOption(cause), {
                onNone: () => "the process could not be created",
                onSome: systemError.reasonOf
              })
            ))
          )
        ),
        (process) =>
          Effect.all({
            stdout: text(process.stdout),
            stderr: text(process.stderr),
            exitCode: process.exitCode
          }, { concurrency: "unbounded" }).pipe(
            Effect.mapError(() => error("failed", "git was ended by a signal, or its output was cut"))
          )
      )
    )

  const expecting = (reason: WorkingTreeError["reason"], ...codes: ReadonlyArray<number>) => (output: Output) =>
    codes.includes(output.exitCode) ? Effect.succeed(output.stdout) : Effect.fail(error(reason, output.stderr))

  const firstLine = (output: string): string => output.replace(/\r?\n$/, "")

  const resolve = (root: string, revision: string) =>
    git(root, ["rev-parse", "--verify", "--quiet", `${revision}^{tree}`])

  /** The id of the tree to compare with, which cannot be mistaken for an option. */
  const tree = Effect.fnUntraced(function*(root: string, since: string | undefined) {
    if (since !== undefined) {
      return yield* since.startsWith("-")
        ? Effect.fail(error("unknown-revision", since))
        : Effect.flatMap(
          resolve(root, since),
          (output) =>
            output.exitCode === 0
              ? Effect.succeed(firstLine(output.stdout))
              : Effect.fail(error("unknown-revision", since))
        )
    }
    const head = yield* resolve(root, "HEAD")
    return firstLine(
      head.exitCode === 0
        ? head.stdout
        // The empty tree, which exists in every repository without being written.
        : yield* Effect.flatMap(git(root, ["hash-object", "-t", "tree", "--stdin"]), expecting("failed", 0))
    )
  })

  const untracked = (root: string) =>
    git(root, ["ls-files", "--others", "--exclude-standard", "-z"]).pipe(
      Effect.flatMap(expecting("failed", 0)),
      Effect.map((output) => output.split("\0").filter((file) => file !== ""))
    )

  const added = (root: string, file: string) =>
    // A repository inside this one is listed as a directory.
    file.endsWith("/")
      ? Effect.succeed(onlyNamed(file))
      : Effect.map(
        git(root, [...diffArgs, "--no-index", "--", "/dev/null", file]),
        // Exit code 1 says that there are differences, and that a link to a directory could not be followed.
        ({ stdout }) => stdout === "" ? onlyNamed(file) : stdout
      )

  return Effect.fnUntraced(function*(options: DiffOptions) {
    const root = firstLine(
      yield* Effect.flatMap(git(directory, ["rev-parse", "--show-toplevel"]), expecting("no-working-tree", 0))
    )
    const since = yield* tree(root, options.since)
    const tracked = yield* Effect.flatMap(git(root, [...diffArgs, since, "--"]), expecting("failed", 0))
    const files = options.untracked === false ? [] : yield* untracked(root)
    const news = yield* Effect.forEach(files, (file) => added(root, file), { concurrency })
    return tracked + news.join("")
  })
}

/**
 * Returns the unified diff between a revision and the files of the repository that contains the directory, untracked
 * files included; an empty string without changes. It always covers the whole working tree, with paths from its root.
 * Nothing is written, not even the index.
 *
 * Of binary files the diff says only that they differ, and an untracked file that git cannot show (a link to a
 * directory, a nested repository) is only named, in a line `Only in the working tree: name`. `GIT_DIR` and its like in
 * the environment count, and `clean` filters run, as with git itself.
 *
 * @example
 * ```ts
 * import { OpenCode, WorkingTree } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const reviewed = Effect.gen(function*() {
 *   yield* OpenCode.run("Fix the failing test", { cwd: "/srv/project" })
 *   const diff = yield* WorkingTree.diff("/srv/project")
 *   return yield* OpenCode.run(`Review this change:\n${diff}`, { cwd: "/srv/project" })
 * })
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const diff: (
  directory: string,
  options?: DiffOptions
) => Effect.Effect<string, WorkingTreeError, CommandExecutor.CommandExecutor> = Effect.fn("WorkingTree.diff")(
  function*(directory: string, options?: DiffOptions) {
    const executor = yield* CommandExecutor.CommandExecutor
    return yield* make(executor, directory)(options ?? {})
  }
)

/**
 * Removes a directory in which an agent has worked, with everything in it. Read-only directories in it, such as Go's
 * module cache, are made writable first; links are not followed. A directory that is not there is not an error.
 *
 * @since 0.1.0
 * @category destructors
 */
export const remove: (directory: string) => Effect.Effect<void, PlatformError, FileSystem.FileSystem> = Effect.fn(
  "WorkingTree.remove"
)(
  function*(directory: string) {
    yield* removeTree(yield* FileSystem.FileSystem, directory)
  }
)
