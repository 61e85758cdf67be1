/**
 * A git worktree and a branch for each run, so that runs cannot get into each other's way, and the rules by which they
 * go: a worktree with anything in it that is not committed stays, a branch with commits that nothing else has stays, and
 * why is said. Ignored files go with the worktree.
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { plural } from "../display/plural.js"
import type { Worktree as Outcome } from "../jobs/JobResult.js"
import { complaint, gitInTime, gitWithHooks, isLocked } from "./git.js"
import type { Answer } from "./git.js"
import * as tree from "./tree.js"

/** A worktree could not be made. */
export class WorktreeError extends Schema.TaggedError<WorktreeError>("effect-opencode-cli/WorktreeError")(
  "WorktreeError",
  { directory: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `No worktree can be made for ${this.directory}: ${this.reason}`
  }
}

/** A place in a repository, and the commit from which worktrees are made. */
export interface Origin {
  /** The root of the working tree. */
  readonly root: string
  /** The way from the root to the directory; empty for the root itself. */
  readonly prefix: string
  /** The commit's id. */
  readonly base: string
}

/** A worktree that is there. */
export interface Worktree {
  readonly origin: Origin
  readonly path: string
  readonly branch: string
  /** The directory in it that answers to the one asked for. */
  readonly directory: string
  /** What went wrong when it was made, although it was: a hook that failed. */
  readonly warning?: string | undefined
}

/** Which worktrees stay although nothing would be lost with them. */
export type Keep = typeof keeps[number]

export const keeps = ["none", "failed", "succeeded", "all"] as const

/** Whether the worktree of a run stays in any case. */
export const isKept = (keep: Keep, succeeded: boolean): boolean =>
  keep === "all" || (keep === "failed" && !succeeded) || (keep === "succeeded" && succeeded)

export interface Worktrees {
  /** Finds the repository around a directory, and the commit that `base` names there (default: `HEAD`). */
  readonly origin: (directory: string, base?: string) => Effect.Effect<Origin, WorktreeError>
  /**
   * Makes a worktree and a branch for a job. What an earlier try has left under the same name stays as it is. Where a hook
   * of the repository fails the worktree is there all the same, and `warning` has the hook's words. It leaves nothing
   * when it fails or is interrupted. It can be interrupted inside an uninterruptible region, too: only there is what it has made in the
   * hands of the caller for sure.
   */
  readonly add: (origin: Origin, id: string) => Effect.Effect<Worktree, WorktreeError>
  /** Removes what can go, and says what stays and why. Never fails: what goes wrong is a reason to keep. */
  readonly settle: (
    worktree: Worktree,
    options?: { readonly keep?: string | undefined }
  ) => Effect.Effect<typeof Outcome.Type>
  /** The worktrees that earlier tries of these jobs have left. */
  readonly leftovers: (
    origin: Origin,
    ids: ReadonlySet<string>
  ) => Effect.Effect<ReadonlyArray<{ readonly id: string; readonly worktree: Worktree }>>
  /** Removes the directory of the worktrees where nothing is in it. */
  readonly tidy: Effect.Effect<void>
}

/** What begins here and is not finished can be lost although every file is committed. */
const operations: ReadonlyArray<readonly [file: string, what: string]> = [
  ["MERGE_HEAD", "a merge"],
  ["CHERRY_PICK_HEAD", "a cherry-pick"],
  ["REVERT_HEAD", "a revert"],
  ["rebase-merge", "a rebase"],
  ["rebase-apply", "a rebase"],
  ["BISECT_LOG", "a bisection"]
]

/** By these a git in a worktree would work on another repository. */
const redirections = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]

/** More of what a hook says is no line of a log. */
const shownWords = 1000

const hookWarning = ({ exitCode, stderr }: Answer): string => {
  const words = stderr.split(/\r?\n/).map((line) => line.trim())
    .filter((line) => line !== "" && !/^(?:Preparing worktree|HEAD is now at) /.test(line))
    .join("; ")
  return `its post-checkout hook failed${exitCode === undefined ? "" : ` with exit code ${exitCode}`}: ${
    words === ""
      ? "it did not say why"
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

/** The entries of `git worktree list --porcelain`; `-z` would need git 2.36. */
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

/** Worktrees below a directory, which is made when it is needed. */
export const make = (
  home: string
): Effect.Effect<Worktrees, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // Git locks what it changes, and fails where another one has the lock.
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
            return yield* fail(`${name} is set, by which git would leave the worktree; unset it`)
          }
        }
        if (!(yield* exists(directory))) return yield* fail("there is no such directory")
        const found = yield* ask(directory, "rev-parse", "--show-toplevel", "--show-prefix")
        if (found.exitCode !== 0) return yield* fail(complaint(found.stderr))
        const [root = "", below = ""] = found.stdout.split(/\r?\n/)
        if (root === "") return yield* fail("it is no working tree")
        if (yield* hasBranch(directory, prefix)) {
          return yield* fail(
            `no branch "${branchOf("…")}" can be made there, because there is a branch "${prefix}"; rename that one`
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
          onNone: () => fail(`"${base}" names no commit there`),
          onSome: (id) => Effect.succeed({ root, prefix: below.replace(/\/$/, ""), base: id })
        })
      })

    const inside = (origin: Origin, directory: string): string =>
      origin.prefix === "" ? directory : path.join(directory, origin.prefix)

    const isTaken = (root: string, name: string) =>
      Effect.gen(function*() {
        if (yield* exists(path.join(home, name))) return true
        if (yield* hasBranch(root, branchOf(name))) return true
        // A branch a/b leaves no room for one that is called a.
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

    /** Why the directory cannot go; `undefined` where nothing would be lost. */
    const work = (worktree: Worktree): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const look = (...args: ReadonlyArray<string>) => ask(worktree.path, "--no-optional-locks", ...args)
        // Git would tell of a repository around it.
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
            return "files whose changes git was told not to look at"
          }
        }
        const gitDirectory = yield* value(worktree.path, "rev-parse", "--absolute-git-dir")
        if (Option.isNone(gitDirectory)) return "git does not know it"
        for (const [file, what] of operations) {
          if (yield* exists(path.join(gitDirectory.value, file))) return `${what} that is not finished`
        }
        const refs = yield* look("for-each-ref", "--count=1", "refs/worktree")
        if (refs.exitCode !== 0 || refs.stdout !== "") return "references of its own"
        const loose = yield* look("rev-list", "--count", "HEAD", "--not", "--branches", "--tags", "--remotes")
        if (loose.exitCode !== 0) return `git cannot tell where it stands (${complaint(loose.stderr)})`
        const count = Number(loose.stdout)
        if (count !== 0) return `${plural(count, "commit")} on no branch`
        const others = yield* list(worktree.origin.root)
        if (Option.isNone(others)) return "git does not list its worktrees"
        return others.value.some((entry) => entry.path.startsWith(worktree.path + path.sep))
          ? "another worktree inside"
          : undefined
      })

    /** Removes the branch where something else has all of its commits; says what keeps it otherwise. */
    const settleBranch = (worktree: Worktree): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const { branch, origin } = worktree
        const ref = `refs/heads/${branch}`
        const tip = yield* value(origin.root, "rev-parse", "--verify", "--quiet", ref)
        if (Option.isNone(tip)) return undefined
        const others = yield* list(origin.root)
        if (Option.isNone(others)) return `git does not tell who has ${branch}`
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
        // Only as it was looked at.
        const removed = yield* ask(origin.root, "update-ref", "-d", ref, tip.value)
        return removed.exitCode === 0 ? undefined : `${branch} could not be removed (${complaint(removed.stderr)})`
      })

    /** Where git was told to move it. */
    const movedTo = (worktree: Worktree, entries: ReadonlyArray<Entry>): Effect.Effect<string | undefined> =>
      Effect.gen(function*() {
        const entry = entries.find(({ branch }) => branch === worktree.branch)
        if (entry === undefined || entry.path === worktree.path) return undefined
        const own = yield* value(entry.path, "rev-parse", "--absolute-git-dir")
        return Option.exists(own, (directory) => path.basename(directory) === path.basename(worktree.path))
          ? entry.path
          : undefined
      })

    /** Has git forget a worktree whose directory is gone, but none of its commits. Says what stays. */
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
        // An agent that removes all it sees cannot remove the directory in which it works.
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
            ["it was gone already", ...(all.length === 0 ? [] : [`kept: ${all.join(", ")}`])].join("; ")
          )
        }
        // Git was killed while it made the worktree: nobody has worked in it.
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
          // Git forgets it also where it could remove a part of it only.
          const isGone = isForgotten && Option.isSome(entry) &&
            (yield* Effect.isSuccess(tree.remove({ fileSystem, path }, worktree.path)))
          if (!isGone) return outcome(true, `git does not remove it (${complaint(removed.stderr)})`)
        }
        const stays = yield* settleBranch(worktree)
        return outcome(false, stays === undefined ? "nothing was left to keep" : `kept: ${stays}`)
      })

    const settle: Worktrees["settle"] = (worktree, options) => alone(settleNow(worktree, options))

    /** Git runs the hook last: whatever else fails, it takes back what it has made. */
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
     * Another batch can take a name between the look and the leap, and another git can have a lock for a moment. `begun`
     * is told what there may be from now on.
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
        if (format.exitCode !== 0) return yield* fail(`no branch can be called "${branchOf(id)}"`)
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
          // A directory without a file in that commit is not in the worktree.
          yield* Effect.ignore(fileSystem.makeDirectory(worktree.directory, { recursive: true }))
          return made.exitCode === 0 ? worktree : { ...worktree, warning: hookWarning(made) }
        }
        const reason = complaint(made.stderr)
        const isTaken = /already exists/.test(reason)
        // What another one has made is not ours to remove.
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
