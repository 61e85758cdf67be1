import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Mount } from "../process/bubblewrap.js"

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

/** What runs programs that git finds in it, so what an agent must not change. */
const settings = ["config", "config.worktree", "hooks"] as const

/** What a commit in a linked worktree writes in the repository that it shares. */
const shared = ["objects", "refs", "logs", "reftable"] as const

/** Which repository a linked worktree belongs to. */
const links = ["commondir", "gitdir", "config.worktree"] as const

/**
 * The mounts for git in a directory without symbolic links, which is writable itself.
 *
 * In a repository of its own, the settings and hooks are read-only, and `.git` cannot be moved away from around them. A
 * linked worktree gets what a commit needs of its repository elsewhere; settings and hooks stay read-only there. Which
 * repository that is stands in a file that an agent of an earlier run could have replaced, so the repository has to name
 * the worktree, too.
 */
export const mounts = ({ fileSystem, path }: Services, root: string): Effect.Effect<ReadonlyArray<Mount>> =>
  Effect.gen(function*() {
    const isIt = (file: string) =>
      Effect.map(Effect.option(fileSystem.realPath(file)), (real) => Option.isSome(real) && real.value === file)
    const there = (tag: "Read" | "Write", directory: string, names: ReadonlyArray<string>) =>
      Effect.map(
        Effect.filter(names.map((name) => path.join(directory, name)), isIt),
        (found) => found.map((path): Mount => ({ _tag: tag, path }))
      )
    // Reading a pipe would never end.
    const text = (file: string) =>
      Effect.flatMap(
        fileSystem.stat(file),
        ({ type }) => type === "File" ? fileSystem.readFileString(file) : Effect.succeed("")
      )
    const git = path.join(root, ".git")
    if (!(yield* isIt(git))) return []
    const info = yield* fileSystem.stat(git)
    if (info.type === "Directory") {
      return [{ _tag: "Write" as const, path: git }, ...(yield* there("Read", git, settings))]
    }
    const named = /^gitdir: (.+)/.exec(yield* text(git))?.[1]?.trim()
    if (named === undefined) return []
    const own = yield* fileSystem.realPath(path.resolve(root, named))
    const common = path.dirname(path.dirname(own))
    const back = (yield* text(path.join(own, "gitdir"))).trim()
    const isOurs = path.basename(path.dirname(own)) === "worktrees" &&
      path.basename(back) === ".git" &&
      (yield* fileSystem.realPath(path.dirname(path.resolve(own, back)))) === root &&
      (yield* isIt(path.join(common, "objects"))) && (yield* isIt(path.join(common, "refs")))
    if (!isOurs) return []
    // Git would create it with the first commit.
    yield* Effect.ignore(fileSystem.makeDirectory(path.join(common, "logs")))
    return [
      { _tag: "Write" as const, path: own },
      ...(yield* there("Read", own, links)),
      ...(yield* there("Write", common, shared))
    ]
  }).pipe(Effect.orElseSucceed(() => []))
