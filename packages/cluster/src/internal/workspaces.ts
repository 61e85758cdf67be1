import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Redaction from "effect-opencode/Redaction"
import * as WorkingTree from "effect-opencode/WorkingTree"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { JobWorkspaceError } from "../AgentJob.js"
import type { Service } from "../Workspace.js"
import * as leavings from "./leavings.js"
import * as outcomes from "./outcome.js"

/**
 * A part of a branch's name, of any id. Two ids that become the same part differ by the hash at its end. A number between
 * slashes is joined to what is before: git has no branch `a/1/1` beside `a/1`, the first attempt of job `a`.
 */
export const branchOf = (id: string, attempt: number): string => {
  const part = id.replace(/[^A-Za-z0-9/_-]+/g, "-").replace(/\/{2,}/g, "/").replace(/^[-/]+|[-/]+$/g, "")
    .replace(/\/(?=\d+(?:\/|$))/g, "-").slice(0, 80)
  const name = part === id ? part : `${part === "" ? "job" : part.replace(/[-/]+$/, "")}-${hash(id)}`
  return `opencode/${name}/${attempt}`
}

/** Where the commits of an attempt are that has not won yet: no clone fetches it. */
const stagedOf = (branch: string): string => `refs/${branch}`

/** The name of a tree's directory, different for different branches: none has a `+`. */
const treeOf = (branch: string): string => branch.replaceAll("/", "+")

/** FNV-1a: short, and the same on every machine. */
const hash = (text: string): string => {
  let value = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value.toString(16).padStart(8, "0")
}

/** The first line of a prompt, as the subject of a commit. */
export const subjectOf = (prompt: string): string => {
  const line = prompt.split("\n").map((line) => line.trim()).find((line) => line !== "") ?? "Changes by an agent"
  return line.length <= 72 ? line : `${line.slice(0, 71)}…`
}

/** Other runners can share the directory: git refuses what another one has locked at this moment. */
const again = Schedule.intersect(Schedule.jittered(Schedule.exponential("100 millis")), Schedule.recurs(4))

/** How long one command may take; a repository that does not answer would have the job wait for ever. */
const patience = "20 minutes"

/** Enough of what git said to show the reason. */
const shown = 1000

const redactor = Redaction.make([])

interface Output {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const text = <E>(stream: Stream.Stream<Uint8Array, E>) => Stream.mkString(Stream.decodeText(stream))

export const make = (
  directory: string
): Effect.Effect<Service, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // git fetches into a mirror under a lock of its own, which a second fetch fails on.
    const exclusive = yield* Effect.makeSemaphore(1)

    const git = (args: ReadonlyArray<string>): Effect.Effect<Output> =>
      Effect.scoped(Effect.flatMap(
        executor.start(
          Command.make("git", ...args).pipe(
            // Nobody is there to type a password.
            Command.env({ LC_ALL: "C", GIT_TERMINAL_PROMPT: "0" }),
            Command.feed("")
          )
        ),
        (process) =>
          Effect.all(
            { stdout: text(process.stdout), stderr: text(process.stderr), exitCode: process.exitCode },
            { concurrency: "unbounded" }
          )
      )).pipe(
        Effect.catchAll((error) => Effect.succeed({ exitCode: 127, stdout: "", stderr: error.message })),
        Effect.timeoutOption(patience),
        Effect.map(
          Option.getOrElse(() => ({ exitCode: 124, stdout: "", stderr: `git did not end within ${patience}` }))
        )
      )

    const expecting = (id: string) => (reason: JobWorkspaceError["reason"], args: ReadonlyArray<string>) =>
      Effect.flatMap(git(args), (output) =>
        output.exitCode === 0
          ? Effect.succeed(output.stdout.trim())
          : Effect.fail(
            new JobWorkspaceError({ id, reason, detail: redactor.text(output.stderr.trim().slice(-shown)) })
          ))

    const mirrorOf = (url: string) =>
      path.join(directory, "mirrors", `${hash(url)}-${hash([...url].reverse().join(""))}.git`)

    return {
      publish: ({ attempt, id, url }) =>
        exclusive.withPermits(1)(
          Effect.gen(function*() {
            const expect = expecting(id)
            const mirror = mirrorOf(url)
            const branch = branchOf(id, attempt)
            const staged = stagedOf(branch)
            if ((yield* git(["--git-dir", mirror, "rev-parse"])).exitCode !== 0) {
              yield* expect("publish", ["init", "--quiet", "--bare", mirror])
            }
            const fetch = ["-C", mirror, "fetch", "--quiet", "--force", url, `+${staged}:${staged}`]
            const isStaged = yield* expect("publish", fetch).pipe(
              Effect.as(true),
              // It was published before, by a runner that could not say so any more.
              Effect.catchIf(({ detail }) => detail.includes("couldn't find remote ref"), () => Effect.succeed(false))
            )
            if (isStaged) {
              const push = ["-C", mirror, "push", "--quiet", "--force", url, `${staged}:refs/heads/${branch}`]
              yield* expect("publish", push)
              yield* git(["-C", mirror, "push", "--quiet", url, `:${staged}`])
            } else {
              yield* expect("publish", ["ls-remote", "--exit-code", url, `refs/heads/${branch}`])
            }
            yield* git(["-C", mirror, "update-ref", "-d", staged])
          }).pipe(Effect.retry(again))
        ),

      discard: ({ attempt, id, url }) =>
        Effect.asVoid(git(["-C", mirrorOf(url), "push", "--quiet", url, `:${stagedOf(branchOf(id, attempt))}`])),

      open: ({ attempt, id, publish, ref, url }) =>
        Effect.gen(function*() {
          const expect = expecting(id)
          const mirror = mirrorOf(url)
          const branch = branchOf(id, attempt)
          const tree = path.join(directory, "trees", treeOf(branch))

          const prepare = Effect.gen(function*() {
            yield* Effect.orDie(
              fileSystem.makeDirectory(path.join(directory, "mirrors"), { recursive: true, mode: 0o700 })
            )
            yield* Effect.orDie(leavings.own(tree, id))
            // Also repairs one whose runner was killed while it made it.
            if ((yield* git(["--git-dir", mirror, "rev-parse"])).exitCode !== 0) {
              // The branches of attempts are this machine's: a mirroring refspec would remove them.
              yield* expect("unreachable", ["init", "--quiet", "--bare", mirror])
              yield* expect("failed", ["-C", mirror, "config", "gc.auto", "0"])
            }
            yield* expect("unreachable", [
              "-C",
              mirror,
              "fetch",
              "--quiet",
              "--prune",
              "--tags",
              "--force",
              url,
              "+refs/heads/*:refs/remotes/origin/*"
            ])
            const head = ref === undefined
              ? /^ref: refs\/heads\/(\S+)\tHEAD/m.exec(
                yield* expect("unreachable", ["ls-remote", "--symref", url, "HEAD"])
              )?.[1]
              : ref
            const candidates = head === undefined ? [] : [`refs/remotes/origin/${head}`, `refs/tags/${head}`, head]
            const found: Array<string> = []
            for (const candidate of candidates) {
              const output = yield* git(["-C", mirror, "rev-parse", "--verify", "--quiet", `${candidate}^{commit}`])
              if (output.exitCode === 0) {
                found.push(output.stdout.trim())
              }
            }
            const [base] = found
            if (base === undefined) {
              return yield* new JobWorkspaceError({ id, reason: "unknown-ref", detail: ref ?? "the default branch" })
            }
            // A runner that was killed has left its tree.
            for (let earlier = attempt; earlier > 0; earlier--) {
              const left = path.join(directory, "trees", treeOf(branchOf(id, earlier)))
              yield* earlier === attempt ? Effect.ignoreLogged(WorkingTree.remove(left)) : leavings.remove(left)
            }
            yield* git(["-C", mirror, "worktree", "prune"])
            yield* expect("failed", ["-C", mirror, "worktree", "add", "--quiet", "--force", "-B", branch, tree, base])
            return base
          }).pipe(
            Effect.provideService(FileSystem.FileSystem, fileSystem),
            Effect.provideService(Path.Path, path)
          )

          // First, because the preparation can be interrupted: a repository may not answer.
          yield* Effect.addFinalizer(() =>
            Effect.andThen(
              Effect.provideService(leavings.remove(tree), FileSystem.FileSystem, fileSystem),
              exclusive.withPermits(1)(Effect.andThen(
                git(["-C", mirror, "worktree", "prune"]),
                git(["-C", mirror, "branch", "--quiet", "-D", branch])
              ))
            )
          )
          const base = yield* exclusive.withPermits(1)(Effect.retry(prepare, {
            while: ({ reason }) => reason !== "unknown-ref",
            schedule: again
          }))

          return {
            directory: tree,
            finish: (message) =>
              Effect.gen(function*() {
                yield* expect("failed", ["-C", tree, "add", "--all"])
                const changed = yield* git(["-C", tree, "diff", "--cached", "--quiet"])
                if (changed.exitCode !== 0) {
                  yield* expect("failed", [
                    "-C",
                    tree,
                    "-c",
                    "user.name=OpenCode",
                    "-c",
                    "user.email=opencode@localhost",
                    "commit",
                    "--quiet",
                    "--no-verify",
                    "-m",
                    subjectOf(message)
                  ])
                }
                const head = yield* expect("failed", ["-C", tree, "rev-parse", "HEAD"])
                if (head === base) return {}
                if (publish === false) {
                  const patch = yield* expect("failed", ["-C", tree, "format-patch", "--stdout", `${base}..HEAD`])
                  if (patch.length >= outcomes.maxText) {
                    const detail = `the patch has ${patch.length} characters, more than 1 MiB; publish a branch instead`
                    return yield* new JobWorkspaceError({ id, reason: "publish", detail })
                  }
                  return { patch: `${patch}\n` }
                }
                yield* expect("publish", ["-C", tree, "push", "--quiet", "--force", url, `HEAD:${stagedOf(branch)}`])
                return { branch }
              })
          }
        })
    }
  })
