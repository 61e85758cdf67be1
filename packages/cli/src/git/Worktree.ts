/**
 * A git worktree and a branch for each run, so that runs do not interfere with each other, and the rules for removing
 * them: a worktree with uncommitted work stays, a branch with commits that nothing else has stays, and the reason is
 * reported. Ignored files are removed with the worktree.
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import * as WorkingTree from "effect-opencode/WorkingTree"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { plural } from "../display/plural.js"
import type { Worktree as Outcome } from "../jobs/JobResult.js"
import { complaint, gitInTime, gitWithHooks, isLocked } from "./git.js"
import type { Answer } from "./git.js"

/** A worktree could not be created. */
export class WorktreeError extends Schema.TaggedError<WorktreeError>("effect-opencode-cli/WorktreeError")(
  "WorktreeError",
  { directory: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `Cannot create a worktree for ${this.directory}: ${this.reason}`
  }
}

/** A directory in a repository, and the commit that worktrees start from. */
export interface Origin {
  /** The root of the working tree. */
  readonly root: string
  /** The path from the root to the directory; empty for the root itself. */
  readonly prefix: string
  /** The id of the commit. */
  readonly base: string
}

/** An existing worktree. */
export interface Worktree {
  readonly origin: Origin
  readonly path: string
  readonly branch: string
  /** The directory in the worktree that corresponds to the requested one. */
  readonly directory: string
  /** The problem of a worktree that was created all the same: a hook failed. */
  readonly warning?: string | undefined
}

/** Which worktrees stay although removing them would lose nothing. */
export type Keep = typeof keeps[number]

export const keeps = ["none", "failed", "succeeded", "all"] as const

/** Whether the worktree of a run is kept in any case. */
export const isKept = (keep: Keep, succeeded: boolean): boolean =>
  keep === "all" || (keep === "failed" && !succeeded) || (keep === "succeeded" && succeeded)

export interface Worktrees {
  /** Finds the repository that contains a directory, and the commit that `base` names there (default: `HEAD`). */
  readonly origin: (directory: string, base?: string) => Effect.Effect<Origin, WorktreeError>
  /**
   * Creates a worktree and a branch for a job. What an earlier try has left under the same name is not changed. If a
   * hook of the repository fails, the worktree is created all the same and `warning` has the hook's output. A failure
   * or an interruption leaves nothing behind. It can be interrupted even inside an uninterruptible region, and only
   * there can the caller be sure to get what it has created.
   */
  readonly add: (origin: Origin, id: string) => Effect.Effect<Worktree, WorktreeError>
  /** Removes what can be removed, and says what stays and why. Never fails: a problem is a reason to keep. */
  readonly settle: (
    worktree: Worktree,
    options?: { readonly keep?: string | undefined }
  ) => Effect.Effect<typeof Outcome.Type>
  /** The worktrees left by earlier tries of these jobs. */
  readonly leftovers: (
    origin: Origin,
    ids: ReadonlySet<string>
  ) => Effect.Effect<ReadonlyArray<{ readonly id: string; readonly worktree: Worktree }>>
  /** Removes the directory of the worktrees if it is empty. */
  readonly tidy: Effect.Effect<void>
}

/** Unfinished git operations, which can be lost although every file is committed. */
const operations: ReadonlyArray<readonly [file: string, what: string]> = [
  ["MERGE_HEAD", "a merge"],
  ["CHERRY_PICK_HEAD", "a cherry-pick"],
  ["REVERT_HEAD", "a revert"],
  ["rebase-merge", "a rebase"],
  ["rebase-apply", "a rebase"],
  ["BISECT_LOG", "a bisection"]
]

/** Variables that would make git in a worktree work on another repository. */
const redirections = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]

/** The length at which a hook's output is cut in the log. */
const shownWords = 1000

const hookWarning = ({ exitCode, stderr }: Answer): string => {
  const words = stderr.split(/\r?\n/).map((line) => line.trim())
    .filter((line) => line !== "" && !/^(?:Preparing worktree|HEAD is now at) /.test(line))
    .join("; ")
  return `its post-checkout hook failed${exitCode === undefined ? "" : ` with exit code ${exitCode}`}: ${
    words === ""
      ? "it printed no reason"
      : words.length > shownWords
      ? `${words.slice(0, shownWords)}…`
      : words
  }`
}

interface Entry {
  readonly path: string
  readonly head: string | undefined
  readonly branch: string | undefined
  readonly locked: string | undefined
}

/** Parses `git worktree list --porcelain`; `-z` would need git 2.36. */
const parseList = (text: string): ReadonlyArray<Entry> =>
  text.split(/\r?\n\r?\n/).filter((entry) => entry.trim() !== "").map((entry) => {
    const value = (name: string) => {
      const line = entry.split(/\r?\n/).find((line) => line === name || line.startsWith(`${name} `))
      return line?.slice(name.length + 1)
    }
    return {
      path: value("worktree") ?? "",
      head: value("HEAD"),
      branch: value("branch")?.replace("refs/heads/", ""),
      locked: value("locked")
    }
  })

const prefix = "effect-opencode"

const branchOf = (name: string): string => `${prefix}/${name}`

/** Manages worktrees below a directory, which is created when it is needed. */
export const make = (
  home: string
): Effect.Effect<Worktrees, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // Git locks what it changes, and fails if another git process has the lock.
    const alone = (yield* Effect.makeSemaphore(1)).withPermits(1)
    const exists = (file: string) => Effect.orElseSucceed(fileSystem.exists(file), () => false)
    const real = (file: string) => Effect.orElseSucceed(fileSystem.realPath(file), () => file)

    const ask = (directory: string, ...args: ReadonlyArray<string>) => gitInTime(executor, directory, ...args)

    const value = (directory: string, ...args: ReadonlyArray<string>) =>
      Effect.map(
        ask(directory, ...args),
        ({ exitCode, stdout }) => exitCode === 0 ? Option.some(stdout.replace(/\r?\n$/, "")) : Option.none()
      )

    const list = (root: string) =>
      Effect.map(
        ask(root, "worktree", "list", "--porcelain"),
        ({ exitCode, stdout }) => exitCode === 0 ? Option.some(parseList(stdout)) : Option.none()
      )

    const hasBranch = (root: string, branch: string) =>
      Effect.map(value(root, "show-ref", "--verify", "--quiet", `refs/heads/${branch}`), Option.isSome)

    const origin: Worktrees["origin"] = (directory, base = "HEAD") =>
      Effect.gen(function*() {
        const fail = (reason: string) => new WorktreeError({ directory, reason })
        for (const name of redirections) {
          if ((yield* HostEnvironment.variable(name)) !== undefined) {
            return yield* fail(`${name} is set, which makes git work outside of the worktree; unset it`)
          }
        }
        if (!(yield* exists(directory))) return yield* fail("no such directory")
        const found = yield* ask(directory, "rev-parse", "--show-toplevel", "--show-prefix")
        if (found.exitCode !== 0) return yield* fail(complaint(found.stderr))
        const [root = "", below = ""] = found.stdout.split(/\r?\n/)
        if (root === "") return yield* fail("not a git working tree")
        if (yield* hasBranch(directory, prefix)) {
          return yield* fail(
            `cannot create a branch "${branchOf("…")}" because the branch "${prefix}" exists; rename that branch`
          )
        }
        const commit = yield* value(
          directory,
          "rev-parse",
          "--verify",
          "--quiet",
          "--end-of-options",
          `${base}^{commit}`
        )
        return yield* Option.match(commit, {
          onNone: () => fail(`"${base}" does not name a commit there`),
          onSome: (id) => Effect.succeed({ root, prefix: below.replace(/\/$/, ""), base: id })
        })
      })

    const inside = (origin: Origin, directory: string): string =>
      origin.prefix === "" ? directory : path.join(directory, origin.prefix)

    const isTaken = (root: string, name: string) =>
      Effect.gen(function*() {
        if (yield* exists(path.join(home, name))) return true
        if (yield* hasBranch(root, branchOf(name))) return true
        // A branch a/b leaves no room for a branch named a.
        const below = yield* value(root, "for-each-ref", "--count=1", `refs/heads/${branchOf(name)}/`)
        return Option.exists(below, (names) => names !== "")
      })

    const freeName = (root: string, id: string, number = 1): Effect.Effect<string> => {
      const name = number === 1 ? id : `${id}-${number}`
      return Effect.flatMap(
        isTaken(root, name),
        (taken) => taken ? freeName(root, id, number + 1) : Effect.succeed(name)
      )
    }

    /** Why the directory cannot be removed; `undefined` if nothing would be lost. */
    const work = (worktree: Worktree): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const look = (...args: ReadonlyArray<string>) => ask(worktree.path, "--no-optional-locks", ...args)
        // Git would report on a surrounding repository.
        if (
          !(yield* exists(path.join(worktree.path, ".git")))
        ) return "its .git is gone, so git cannot tell what is in it"
        const status = yield* look(
          "status",
          "--porcelain=v1",
          "-z",
          "--untracked-files=all",
          "--ignore-submodules=none",
          "--no-renames"
        )
        if (status.exitCode !== 0) return `git cannot tell what is in it (${complaint(status.stderr)})`
        const files = status.stdout.split("\0").filter((line) => line !== "")
        if (files.length > 0) {
          const untracked = files.filter((line) => line.startsWith("??")).length
          return [
            ...(files.length > untracked
              ? [`${plural(files.length - untracked, "file")} with uncommitted changes`]
              : []),
            ...(untracked > 0 ? [plural(untracked, "untracked file")] : [])
          ].join(" and ")
        }
        const index = yield* look("ls-files", "-v", "-z")
        if (index.exitCode !== 0) return `git cannot tell what is in it (${complaint(index.stderr)})`
        const flagged = index.stdout.split("\0").filter((line) => /^[a-z]/.test(line) || line.startsWith("S"))
        for (const line of flagged) {
          if (yield* exists(path.join(worktree.path, line.slice(2)))) {
            return "files whose changes git was told to ignore"
          }
        }
        const gitDirectory = yield* value(worktree.path, "rev-parse", "--absolute-git-dir")
        if (Option.isNone(gitDirectory)) return "git does not know this worktree"
        for (const [file, what] of operations) {
          if (yield* exists(path.join(gitDirectory.value, file))) return `${what} in progress`
        }
        const refs = yield* look("for-each-ref", "--count=1", "refs/worktree")
        if (refs.exitCode !== 0 || refs.stdout !== "") return "references of its own"
        const loose = yield* look("rev-list", "--count", "HEAD", "--not", "--branches", "--tags", "--remotes")
        if (loose.exitCode !== 0) return `git cannot tell which commit it is on (${complaint(loose.stderr)})`
        const count = Number(loose.stdout)
        if (count !== 0) return `${plural(count, "commit")} on no branch`
        const others = yield* list(worktree.origin.root)
        if (Option.isNone(others)) return "git does not list its worktrees"
        return others.value.some((entry) => entry.path.startsWith(worktree.path + path.sep))
          ? "another worktree inside"
          : undefined
      })

    /** Removes the branch if something else has all of its commits; returns the reason if the branch stays. */
    const settleBranch = (worktree: Worktree): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const { branch, origin } = worktree
        const ref = `refs/heads/${branch}`
        const tip = yield* value(origin.root, "rev-parse", "--verify", "--quiet", ref)
        if (Option.isNone(tip)) return undefined
        const others = yield* list(origin.root)
        if (Option.isNone(others)) return `git cannot tell which worktree has ${branch}`
        if (others.value.some((entry) => entry.branch === branch && entry.path !== worktree.path)) {
          return `another worktree has ${branch}`
        }
        const own = yield* ask(
          origin.root,
          "rev-list",
          "--count",
          tip.value,
          "--not",
          origin.base,
          `--exclude=${branch}`,
          "--branches",
          "--tags",
          "--remotes"
        )
        if (own.exitCode !== 0) return `git cannot tell what is on ${branch} (${complaint(own.stderr)})`
        const count = Number(own.stdout)
        if (count !== 0) return `${plural(count, "commit")} on ${branch}`
        // Only if it is still at the commit that was checked.
        const removed = yield* ask(origin.root, "update-ref", "-d", ref, tip.value)
        return removed.exitCode === 0 ? undefined : `${branch} could not be removed (${complaint(removed.stderr)})`
      })

    /** The path that the worktree was moved to by git. */
    const movedTo = (worktree: Worktree, entries: ReadonlyArray<Entry>): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const entry = entries.find(({ branch }) => branch === worktree.branch)
        if (entry === undefined || entry.path === worktree.path) return undefined
        const own = yield* value(entry.path, "rev-parse", "--absolute-git-dir")
        return Option.exists(own, (directory) => path.basename(directory) === path.basename(worktree.path))
          ? entry.path
          : undefined
      })

    /** Removes git's record of a worktree whose directory is gone, but none of its commits. Returns what stays. */
    const unregister = (
      { branch, origin, path }: Worktree,
      { head }: Entry
    ): Effect.Effect<{ readonly isDone: boolean; readonly kept: ReadonlyArray<string> }> =>
      Effect.gen(function*() {
        const kept: Array<string> = []
        const loose = head === undefined
          ? Option.none<string>()
          : yield* value(origin.root, "rev-list", "--count", head, "--not", "--branches", "--tags", "--remotes")
        if (head !== undefined && Option.isSome(loose) && loose.value !== "0") {
          const commits = plural(Number(loose.value), "commit")
          const saved = yield* ask(origin.root, "branch", "--no-track", `${branch}-detached`, head)
          if (saved.exitCode !== 0) return { isDone: false, kept: [`${commits} on no branch, ${head}`] }
          kept.push(`${commits} on ${branch}-detached`)
        }
        const removed = yield* ask(origin.root, "worktree", "remove", "--force", "--force", path)
        return removed.exitCode === 0
          ? { isDone: true, kept }
          : { isDone: false, kept: [...kept, `git still lists it (${complaint(removed.stderr)})`] }
      })

    const isEmpty = (directory: string) =>
      Effect.match(fileSystem.readDirectory(directory), {
        onFailure: () => false,
        onSuccess: (names) => names.length === 0
      })

    const settleNow: Worktrees["settle"] = (worktree, options) =>
      Effect.gen(function*() {
        const { branch, origin } = worktree
        // An agent that removes everything cannot remove its own working directory.
        if (yield* isEmpty(worktree.path)) yield* Effect.ignore(fileSystem.remove(worktree.path, { recursive: true }))
        const isThere = yield* exists(worktree.path)
        const entries = yield* list(origin.root)
        if (!isThere && Option.isSome(entries)) {
          const moved = yield* movedTo(worktree, entries.value)
          if (moved !== undefined) return yield* settleNow({ ...worktree, path: moved }, options)
        }
        const entry = Option.flatMap(
          entries,
          (entries) => Option.fromNullable(entries.find((entry) => entry.path === worktree.path))
        )
        const commits = yield* isThere
          ? value(worktree.path, "rev-list", "--count", "HEAD", "--not", origin.base)
          : value(origin.root, "rev-list", "--count", `refs/heads/${branch}`, "--not", origin.base)
        const outcome = (kept: boolean, reason: string): typeof Outcome.Type => ({
          path: worktree.path,
          branch,
          base: origin.base,
          kept,
          reason,
          commits: Option.match(commits, { onNone: () => 0, onSome: Number }),
          ...(worktree.warning === undefined ? {} : { warning: worktree.warning })
        })
        if (!isThere) {
          const { isDone, kept } = Option.isNone(entry)
            ? { isDone: true, kept: [] }
            : yield* unregister(worktree, entry.value)
          const stays = isDone ? yield* settleBranch(worktree) : undefined
          const all = [...kept, ...(stays === undefined ? [] : [stays])]
          return outcome(
            false,
            ["it was already gone", ...(all.length === 0 ? [] : [`kept: ${all.join(", ")}`])].join("; ")
          )
        }
        // Git was killed while it created the worktree: no run has worked in it.
        const isUnfinished = Option.exists(entry, ({ locked }) => locked === "initializing")
        if (!isUnfinished) {
          const reason = (yield* work(worktree)) ?? options?.keep
          if (reason !== undefined) return outcome(true, reason)
        }
        const removed = yield* ask(
          origin.root,
          "worktree",
          "remove",
          ...(isUnfinished ? ["--force", "--force"] : []),
          worktree.path
        )
        if (removed.exitCode !== 0) {
          const others = yield* list(origin.root)
          const isForgotten = Option.exists(others, (all) => !all.some((entry) => entry.path === worktree.path))
          // Git removes its record even if it could delete only a part of the worktree.
          const isGone = isForgotten && Option.isSome(entry) &&
            (yield* Effect.isSuccess(
              Effect.provideService(WorkingTree.remove(worktree.path), FileSystem.FileSystem, fileSystem)
            ))
          if (!isGone) return outcome(true, `git could not remove it (${complaint(removed.stderr)})`)
        }
        const stays = yield* settleBranch(worktree)
        return outcome(false, stays === undefined ? "nothing was left to keep" : `kept: ${stays}`)
      })

    const settle: Worktrees["settle"] = (worktree, options) => alone(settleNow(worktree, options))

    /** Whether the worktree exists. Git runs the hook last, and undoes what it has created if anything else fails. */
    const isMade = (worktree: Worktree) =>
      Effect.map(
        list(worktree.origin.root),
        (entries) =>
          Option.exists(entries, (all) =>
            all.some(({ branch, locked, path }) =>
              path === worktree.path && branch === worktree.branch && locked !== "initializing"
            ))
      )

    /**
     * Tries again, because another batch can take a name between check and creation, and another git process can hold a
     * lock for a moment. `begun` is called with the worktree that may exist from now on.
     */
    const addAs = (
      origin: Origin,
      id: string,
      begun: (worktree: Worktree | undefined) => void,
      tries: { readonly names: number; readonly locks: number } = { names: 5, locks: 10 }
    ): Effect.Effect<Worktree, WorktreeError> =>
      Effect.gen(function*() {
        const fail = (reason: string) => new WorktreeError({ directory: origin.root, reason })
        const format = yield* ask(origin.root, "check-ref-format", "--branch", branchOf(id))
        if (format.exitCode !== 0) return yield* fail(`"${branchOf(id)}" is not a valid branch name`)
        const name = yield* freeName(origin.root, id)
        yield* Effect.ignore(fileSystem.makeDirectory(home, { recursive: true }))
        const target = path.join(yield* real(home), name)
        const branch = branchOf(name)
        const worktree = { origin, path: target, branch, directory: inside(origin, target) }
        begun(worktree)
        const made = yield* gitWithHooks(
          executor,
          origin.root,
          "worktree",
          "add",
          "--no-track",
          "-b",
          branch,
          target,
          origin.base
        )
        if (made.exitCode === 0 || (yield* isMade(worktree))) {
          // A directory that has no files in that commit is missing in the worktree.
          yield* Effect.ignore(fileSystem.makeDirectory(worktree.directory, { recursive: true }))
          return made.exitCode === 0 ? worktree : { ...worktree, warning: hookWarning(made) }
        }
        const reason = complaint(made.stderr)
        const isTaken = /already exists/.test(reason)
        // A worktree that another process has created is not ours to remove.
        if (!isTaken) yield* settleNow(worktree)
        begun(undefined)
        if (isTaken && tries.names > 1) return yield* addAs(origin, id, begun, { ...tries, names: tries.names - 1 })
        if (isLocked(made) && tries.locks > 0) {
          return yield* Effect.delay(addAs(origin, id, begun, { ...tries, locks: tries.locks - 1 }), "200 millis")
        }
        return yield* fail(reason)
      })

    const add: Worktrees["add"] = (origin, id) =>
      Effect.uninterruptible(Effect.suspend(() => {
        let begun: Worktree | undefined
        const adding = addAs(origin, id, (worktree) => {
          begun = worktree
        })
        return Effect.interruptible(alone(adding)).pipe(
          Effect.onInterrupt(() => begun === undefined ? Effect.void : settle(begun))
        )
      }))

    const leftovers: Worktrees["leftovers"] = (origin, ids) =>
      Effect.gen(function*() {
        const below = yield* real(home)
        const idOf = (name: string) => [name, name.replace(/-\d+$/, "")].find((id) => ids.has(id))
        const entries = Option.getOrElse(yield* list(origin.root), () => [])
        return entries.flatMap((entry) => {
          const name = path.basename(entry.path)
          const id = path.dirname(entry.path) === below ? idOf(name) : undefined
          const worktree = { origin, path: entry.path, branch: branchOf(name), directory: inside(origin, entry.path) }
          return id === undefined ? [] : [{ id, worktree }]
        })
      })

    return {
      origin,
      add,
      settle,
      leftovers,
      tidy: Effect.ignore(
        Effect.flatMap(
          fileSystem.readDirectory(home),
          (names) => names.length === 0 ? fileSystem.remove(home, { recursive: true }) : Effect.void
        )
      )
    }
  })
