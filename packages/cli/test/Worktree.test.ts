import * as NodeContext from "@effect/platform-node/NodeContext"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { HostEnvironment } from "effect-opencode"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Worktree from "../src/git/Worktree.js"

/** Without the machine's own configuration, with an identity to commit as. */
const environment = {
  PATH: process.env["PATH"] ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "test",
  GIT_AUTHOR_EMAIL: "test@example.invalid",
  GIT_COMMITTER_NAME: "test",
  GIT_COMMITTER_EMAIL: "test@example.invalid"
}

// The git of the code under test inherits it.
Object.assign(process.env, environment)

const git = (directory: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-C", directory, ...args], {
    env: environment,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"]
  })
    .trim()

interface Box {
  readonly root: string
  readonly repository: string
  readonly home: string
}

/** A repository with a file, a directory and an ignored name: made once, and copied for each test. */
const template = fs.mkdtempSync(path.join(os.tmpdir(), "eo-worktree-template-"))

beforeAll(() => {
  git(template, "init", "--quiet", "-b", "main")
  fs.mkdirSync(path.join(template, "src"))
  fs.writeFileSync(path.join(template, "a.txt"), "one\n")
  fs.writeFileSync(path.join(template, "src", "b.txt"), "two\n")
  fs.writeFileSync(path.join(template, ".gitignore"), "ignored/\n")
  git(template, "add", ".")
  git(template, "commit", "--quiet", "-m", "first")
})

afterAll(() => fs.rmSync(template, { recursive: true, force: true }))

const box = Effect.acquireRelease(
  Effect.sync((): Box => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-worktree-")))
    const repository = path.join(root, "repository")
    fs.cpSync(template, repository, { recursive: true })
    return { root, repository, home: path.join(root, "results.worktrees") }
  }),
  ({ root }) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

const test = <E>(
  name: string,
  body: (box: Box, worktrees: Worktree.Worktrees) => Effect.Effect<void, E>
) =>
  it.scopedLive(
    name,
    () =>
      Effect.flatMap(box, (box) => Effect.flatMap(Worktree.make(box.home), (worktrees) => body(box, worktrees))).pipe(
        Effect.provide(NodeContext.layer)
      )
  )

const branches = ({ repository }: Box) =>
  git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n")

const write = (worktree: Worktree.Worktree, name: string, text: string) => {
  const file = path.join(worktree.path, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
}

const commit = (directory: string, name: string) => {
  fs.writeFileSync(path.join(directory, name), name)
  git(directory, "add", name)
  git(directory, "commit", "--quiet", "-m", name)
}

const open = ({ repository }: Box, worktrees: Worktree.Worktrees, id = "job") =>
  Effect.flatMap(worktrees.origin(repository), (origin) => worktrees.add(origin, id))

describe("Worktree", () => {
  test("has the files of the base, on a branch of its own", (box, worktrees) =>
    Effect.gen(function*() {
      fs.writeFileSync(path.join(box.repository, "a.txt"), "not committed\n")
      const worktree = yield* open(box, worktrees)
      expect(worktree).toMatchObject({
        path: path.join(box.home, "job"),
        directory: path.join(box.home, "job"),
        branch: "effect-opencode/job",
        origin: { root: box.repository, prefix: "", base: git(box.repository, "rev-parse", "HEAD") }
      })
      expect(fs.readFileSync(path.join(worktree.path, "a.txt"), "utf8")).toBe("one\n")
      expect(git(worktree.path, "symbolic-ref", "--short", "HEAD")).toBe("effect-opencode/job")
    }))

  test("resolves a directory below the root, and another base", (box, worktrees) =>
    Effect.gen(function*() {
      git(box.repository, "tag", "before")
      commit(box.repository, "later.txt")
      const origin = yield* worktrees.origin(path.join(box.repository, "src"), "before")
      expect(origin.base).toBe(git(box.repository, "rev-parse", "before"))
      const worktree = yield* worktrees.add(origin, "job")
      expect(worktree.directory).toBe(path.join(box.home, "job", "src"))
      expect(fs.readdirSync(worktree.directory)).toEqual(["b.txt"])
      expect(fs.existsSync(path.join(worktree.path, "later.txt"))).toBe(false)
    }))

  test("does not conflict with others made at the same time", (box, worktrees) =>
    Effect.gen(function*() {
      const origin = yield* worktrees.origin(box.repository)
      const ids = Array.from({ length: 8 }, (_, index) => `job${index}`)
      const made = yield* Effect.forEach(ids, (id) => worktrees.add(origin, id), { concurrency: "unbounded" })
      expect(new Set(made.map(({ path }) => path)).size).toBe(8)
      const settled = yield* Effect.forEach(made, (worktree) => worktrees.settle(worktree), {
        concurrency: "unbounded"
      })
      expect(settled.map(({ kept }) => kept)).toEqual(ids.map(() => false))
      yield* worktrees.tidy
      expect(fs.existsSync(box.home)).toBe(false)
      expect(branches(box)).toEqual(["main"])
    }))

  test("takes another name when an earlier one exists", (box, worktrees) =>
    Effect.gen(function*() {
      const first = yield* open(box, worktrees)
      write(first, "work.txt", "work")
      git(box.repository, "branch", "effect-opencode/job-2")
      const second = yield* open(box, worktrees)
      expect([path.basename(second.path), second.branch]).toEqual(["job-3", "effect-opencode/job-3"])
      const found = yield* Effect.flatMap(worktrees.origin(box.repository), (origin) =>
        worktrees.leftovers(origin, new Set(["job"])))
      expect(
        found.map(({ worktree }) =>
          worktree.path
        ).sort()
      ).toEqual([first.path, second.path])
      expect(fs.readFileSync(path.join(first.path, "work.txt"), "utf8")).toBe("work")
    }))

  test("of another job is not among the leftovers", (box, worktrees) =>
    Effect.gen(function*() {
      yield* open(box, worktrees, "job-x")
      yield* open(box, worktrees, "jo")
      git(box.repository, "worktree", "add", "--quiet", path.join(box.root, "job"), "HEAD")
      const origin = yield* worktrees.origin(box.repository)
      expect(yield* worktrees.leftovers(origin, new Set(["job"]))).toEqual([])
    }))

  test("interrupted while it is made leaves nothing", (box, worktrees) =>
    Effect.gen(function*() {
      const hook = path.join(box.repository, ".git", "hooks", "post-checkout")
      fs.mkdirSync(path.dirname(hook), { recursive: true })
      fs.writeFileSync(hook, `#!/bin/sh\ntouch ${box.root}/reached\nsleep 300\n`, { mode: 0o755 })
      const origin = yield* worktrees.origin(box.repository)
      const adding = yield* Effect.fork(worktrees.add(origin, "job"))
      yield* Effect.iterate(false, {
        while: (reached) => !reached,
        body: () => Effect.delay(Effect.sync(() => fs.existsSync(path.join(box.root, "reached"))), 10)
      })
      yield* Fiber.interrupt(adding)
      expect(fs.existsSync(path.join(box.home, "job"))).toBe(false)
      expect(branches(box)).toEqual(["main"])
    }))

  it.scopedLive("interrupted after git has made it leaves nothing", () =>
    Effect.gen(function*() {
      const there = yield* box
      const made = yield* Deferred.make<void>()
      const fileSystem = yield* FileSystem.FileSystem
      const worktrees = yield* Worktree.make(there.home).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fileSystem,
          makeDirectory: (directory, options) =>
            directory === path.join(there.home, "job")
              ? Effect.andThen(Deferred.succeed(made, undefined), Effect.never)
              : fileSystem.makeDirectory(directory, options)
        })
      )
      const origin = yield* worktrees.origin(there.repository)
      // as in a batch, which must not lose what it receives
      const adding = yield* Effect.fork(Effect.uninterruptible(worktrees.add(origin, "job")))
      yield* Deferred.await(made)
      expect(fs.existsSync(path.join(there.home, "job", "a.txt"))).toBe(true)
      yield* Fiber.interrupt(adding)
      expect(fs.existsSync(path.join(there.home, "job"))).toBe(false)
      expect(branches(there)).toEqual(["main"])
    }).pipe(Effect.provide(NodeContext.layer)))

  describe("cannot be made", () => {
    test(
      "outside a repository, in an empty one, from a missing base or a missing directory",
      (box, worktrees) =>
        Effect.gen(function*() {
          const reason = (directory: string, base?: string) =>
            Effect.map(Effect.flip(worktrees.origin(directory, base)), (error) => error.reason)
          expect(yield* reason(box.root)).toContain("not a git repository")
          expect(yield* reason(path.join(box.root, "missing"))).toBe("no such directory")
          expect(yield* reason(box.repository, "nope")).toBe("\"nope\" does not name a commit there")
          expect(yield* reason(box.repository, "--all")).toBe("\"--all\" does not name a commit there")
          const empty = path.join(box.root, "empty")
          git(box.root, "init", "--quiet", empty)
          expect(yield* reason(empty)).toBe("\"HEAD\" does not name a commit there")
        })
    )

    test("when GIT_DIR points git elsewhere", (box, worktrees) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(worktrees.origin(box.repository)).pipe(
          Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables({ GIT_DIR: "/x" }))
        )
        expect(error.message).toContain("GIT_DIR is set")
      }))
  })

  describe("is removed with its branch when nothing would be lost:", () => {
    test("untouched, or with ignored files only", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        write(worktree, "ignored/big.bin", "x")
        const settled = yield* worktrees.settle(worktree)
        expect(settled).toEqual({
          path: worktree.path,
          branch: "effect-opencode/job",
          base: worktree.origin.base,
          kept: false,
          reason: "nothing was left to keep",
          commits: 0
        })
        expect(fs.existsSync(worktree.path)).toBe(false)
        expect(branches(box)).toEqual(["main"])
      }))

    test("with commits that another branch has", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        commit(worktree.path, "work.txt")
        git(box.repository, "merge", "--quiet", "effect-opencode/job")
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "nothing was left to keep",
          commits: 1
        })
        expect(branches(box)).toEqual(["main"])
      }))

    test("after git was killed while making it", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        fs.rmSync(path.join(worktree.path, "a.txt"))
        git(box.repository, "worktree", "lock", "--reason", "initializing", worktree.path)
        expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false })
        expect(fs.existsSync(worktree.path)).toBe(false)
        expect(branches(box)).toEqual(["main"])
      }))

    test("after it was deleted already", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        git(box.repository, "worktree", "remove", worktree.path)
        expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, reason: "it was already gone" })
        expect(branches(box)).toEqual(["main"])
      }))
  })

  describe("keeps its branch and says why:", () => {
    test("with commits that nothing else has", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        commit(worktree.path, "one.txt")
        commit(worktree.path, "two.txt")
        const tip = git(worktree.path, "rev-parse", "HEAD")
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "kept: 2 commits on effect-opencode/job",
          commits: 2
        })
        expect(fs.existsSync(worktree.path)).toBe(false)
        expect(git(box.repository, "rev-parse", "effect-opencode/job")).toBe(tip)
      }))

    test("even when somebody else removed the worktree", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        commit(worktree.path, "one.txt")
        fs.rmSync(worktree.path, { recursive: true })
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "it was already gone; kept: 1 commit on effect-opencode/job",
          commits: 1
        })
        expect(branches(box)).toEqual(["effect-opencode/job", "main"])
      }))

    test("when another worktree has the branch checked out", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        git(worktree.path, "checkout", "--quiet", "--detach")
        git(box.repository, "worktree", "add", "--quiet", path.join(box.root, "other"), "effect-opencode/job")
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "kept: another worktree has effect-opencode/job"
        })
        expect(branches(box)).toEqual(["effect-opencode/job", "main"])
      }))

    test("unless the agent continued on a branch of its own", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        git(worktree.path, "checkout", "--quiet", "-b", "feature")
        commit(worktree.path, "one.txt")
        expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, commits: 1 })
        expect(branches(box)).toEqual(["feature", "main"])
      }))
  })

  describe("is kept, and says why,", () => {
    const stays = (name: string, reason: string, prepare: (worktree: Worktree.Worktree, box: Box) => void) =>
      test(name, (box, worktrees) =>
        Effect.gen(function*() {
          const worktree = yield* open(box, worktrees)
          prepare(worktree, box)
          const before = git(worktree.path, "status", "--porcelain", "--ignored")
          const head = git(worktree.path, "rev-parse", "HEAD")
          expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: true, reason })
          expect(git(worktree.path, "status", "--porcelain", "--ignored")).toBe(before)
          expect(git(worktree.path, "rev-parse", "HEAD")).toBe(head)
          expect(branches(box)).toContain("effect-opencode/job")
          yield* worktrees.tidy
          expect(fs.existsSync(worktree.path)).toBe(true)
        }))

    stays("with a changed file", "1 file with uncommitted changes", (worktree) => write(worktree, "a.txt", "changed"))
    stays(
      "with a deleted file",
      "1 file with uncommitted changes",
      ({ path: root }) => fs.rmSync(path.join(root, "a.txt"))
    )
    stays("with a staged file", "1 file with uncommitted changes", (worktree) => {
      write(worktree, "new.txt", "new")
      git(worktree.path, "add", "new.txt")
    })
    stays("with untracked files", "2 untracked files", (worktree) => {
      write(worktree, "deep/er/new.txt", "new")
      write(worktree, "new.txt", "new")
    })
    stays("with both", "1 file with uncommitted changes and 1 untracked file", (worktree) => {
      write(worktree, "a.txt", "changed")
      write(worktree, "new.txt", "new")
    })
    stays(
      "with untracked files that git was configured not to show",
      "1 untracked file",
      (worktree, { repository }) => {
        git(repository, "config", "status.showUntrackedFiles", "no")
        write(worktree, "new.txt", "new")
      }
    )
    stays(
      "with changes that git was told to ignore",
      "files whose changes git was told to ignore",
      (worktree) => {
        git(worktree.path, "update-index", "--assume-unchanged", "a.txt")
        write(worktree, "a.txt", "hidden")
      }
    )
    stays(
      "with a skipped file that exists",
      "files whose changes git was told to ignore",
      (worktree) => {
        git(worktree.path, "update-index", "--skip-worktree", "a.txt")
        write(worktree, "a.txt", "hidden")
      }
    )
    stays("with a repository inside", "1 untracked file", (worktree) => {
      git(worktree.path, "init", "--quiet", "inner")
      write(worktree, "inner/x.txt", "x")
    })
    stays("with commits on no branch", "1 commit on no branch", (worktree) => {
      git(worktree.path, "checkout", "--quiet", "--detach")
      commit(worktree.path, "loose.txt")
    })
    stays("in the middle of a merge", "a merge in progress", (worktree) => {
      git(worktree.path, "checkout", "--quiet", "-b", "other")
      commit(worktree.path, "other.txt")
      git(worktree.path, "checkout", "--quiet", "effect-opencode/job")
      commit(worktree.path, "own.txt")
      git(worktree.path, "merge", "--quiet", "--no-commit", "-s", "ours", "other")
    })
    stays("with a reference of its own", "references of its own", (worktree) => {
      git(worktree.path, "update-ref", "refs/worktree/mine", "HEAD")
    })
    stays("with another worktree in an ignored directory", "another worktree inside", (worktree) => {
      git(worktree.path, "worktree", "add", "--quiet", "--detach", path.join(worktree.path, "ignored", "inner"))
    })
    stays(
      "when it is locked",
      "git could not remove it (cannot remove a locked working tree, lock reason: mine)",
      (worktree) => {
        git(worktree.path, "worktree", "lock", "--reason", "mine", worktree.path)
      }
    )

    test("when it was asked for", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        expect(yield* worktrees.settle(worktree, { keep: "the run failed" })).toMatchObject({
          kept: true,
          reason: "the run failed"
        })
        expect(fs.existsSync(worktree.path)).toBe(true)
        // a possible loss is the better reason
        write(worktree, "new.txt", "new")
        const again = yield* worktrees.settle(worktree, { keep: "the run failed" })
        expect(again.reason).toBe("1 untracked file")
      }))

    test("when the repository is gone", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        fs.renameSync(path.join(box.repository, ".git"), path.join(box.root, "moved"))
        expect((yield* worktrees.settle(worktree)).kept).toBe(true)
        expect(fs.existsSync(path.join(worktree.path, "a.txt"))).toBe(true)
      }))
  })

  const hook = (box: Box, name: string, lines: ReadonlyArray<string>) => {
    const file = path.join(box.repository, ".git", "hooks", name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o755 })
  }

  const administrative = (box: Box) => {
    const directory = path.join(box.repository, ".git", "worktrees")
    return fs.existsSync(directory) ? fs.readdirSync(directory) : []
  }

  const appears = (file: string) =>
    Effect.iterate(false, {
      while: (isThere) => !isThere,
      body: () =>
        Effect.promise(() => new Promise<boolean>((resume) => setImmediate(() => resume(fs.existsSync(file)))))
    })

  describe("with a failing hook", () => {
    test("exists, with the hook's output as a warning", (box, worktrees) =>
      Effect.gen(function*() {
        hook(box, "post-checkout", [
          "echo to stdout",
          "echo 'hook: git-lfs was not found on your path' >&2",
          "exit 2"
        ])
        const worktree = yield* open(box, worktrees)
        expect(worktree.warning).toBe(
          "its post-checkout hook failed with exit code 2: to stdout; hook: git-lfs was not found on your path"
        )
        expect(fs.readFileSync(path.join(worktree.path, "a.txt"), "utf8")).toBe("one\n")
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "nothing was left to keep",
          warning: worktree.warning
        })
        expect(administrative(box)).toEqual([])
        expect(branches(box)).toEqual(["main"])
      }))

    test("is made only once, whatever the hook prints", (box, worktrees) =>
      Effect.gen(function*() {
        hook(box, "post-checkout", [
          `echo run >> ${box.root}/runs`,
          "echo 'fatal: node_modules already exists' >&2",
          "echo \"error: could not lock config file .git/config.lock: File exists\" >&2",
          "exit 1"
        ])
        const worktree = yield* open(box, worktrees)
        expect(worktree.warning).toContain("node_modules already exists")
        expect(path.basename(worktree.path)).toBe("job")
        expect(fs.readFileSync(path.join(box.root, "runs"), "utf8")).toBe("run\n")
      }))

    test("reads core.hooksPath", (box, worktrees) =>
      Effect.gen(function*() {
        git(box.repository, "config", "core.hooksPath", "../hooks")
        fs.mkdirSync(path.join(box.root, "hooks"))
        fs.writeFileSync(path.join(box.root, "hooks", "post-checkout"), "#!/bin/sh\nexit 7\n", { mode: 0o755 })
        const worktree = yield* open(box, worktrees)
        expect(worktree.warning).toBe("its post-checkout hook failed with exit code 7: it printed no reason")
      }))

    test("does not wait for a process that the hook left running", (box, worktrees) =>
      Effect.gen(function*() {
        hook(box, "post-checkout", [`sleep 300 & echo $! > ${box.root}/pid`, "exit 3"])
        const worktree = yield* open(box, worktrees)
        expect(worktree.warning).toContain("exit code 3")
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            try {
              process.kill(Number(fs.readFileSync(path.join(box.root, "pid"), "utf8")), "SIGKILL")
            } catch {
              // it has ended
            }
          })
        )
      }).pipe(Effect.scoped))

    it.scoped("exists even if the hook never ends", () =>
      Effect.gen(function*() {
        const there = yield* box
        const worktrees = yield* Worktree.make(there.home)
        hook(there, "post-checkout", [
          `trap '' TERM`,
          "cat",
          `touch ${there.root}/reached`,
          "while :; do sleep 1; done"
        ])
        const origin = yield* worktrees.origin(there.repository)
        const adding = yield* Effect.fork(worktrees.add(origin, "job"))
        yield* appears(path.join(there.root, "reached"))
        yield* TestClock.adjust("10 minutes")
        const worktree = yield* Fiber.join(adding)
        expect(worktree.warning).toContain("git did not end within 10m, so it was ended")
        expect(fs.existsSync(path.join(worktree.path, "a.txt"))).toBe(true)
      }).pipe(Effect.provide(NodeContext.layer)))
  })

  describe("that cannot be made leaves nothing and shows git's output,", () => {
    test("when a filter fails", (box, worktrees) =>
      Effect.gen(function*() {
        fs.writeFileSync(path.join(box.repository, ".gitattributes"), "*.txt filter=lfs\n")
        git(box.repository, "add", ".")
        git(box.repository, "commit", "--quiet", "-m", "filtered")
        git(box.repository, "config", "filter.lfs.smudge", "echo 'no git-lfs here' >&2; false")
        git(box.repository, "config", "filter.lfs.required", "true")
        const error = yield* Effect.flip(open(box, worktrees))
        expect(error.reason).toContain("a.txt: smudge filter lfs failed")
        expect(error.reason).not.toContain("Preparing")
        expect(fs.existsSync(path.join(box.home, "job"))).toBe(false)
        expect(administrative(box)).toEqual([])
        expect(branches(box)).toEqual(["main"])
      }))

    test("when a hook refuses the branch", (box, worktrees) =>
      Effect.gen(function*() {
        hook(box, "reference-transaction", ["echo 'no branches today' >&2", "exit 1"])
        const error = yield* Effect.flip(open(box, worktrees))
        expect(error.reason).toContain("hook")
        expect(branches(box)).toEqual(["main"])
        expect(administrative(box)).toEqual([])
      }))
  })

  describe("with an impossible branch name", () => {
    test("is refused before anything is made", (box, worktrees) =>
      Effect.gen(function*() {
        const origin = yield* worktrees.origin(box.repository)
        for (const id of ["a..b", "job.lock", "a b", "", "x/"]) {
          const error = yield* Effect.flip(worktrees.add(origin, id))
          expect(error.reason).toBe(`"effect-opencode/${id}" is not a valid branch name`)
        }
        expect(fs.existsSync(box.home)).toBe(false)
      }))

    test("is refused at once when a branch has the name of the first part", (box, worktrees) =>
      Effect.gen(function*() {
        git(box.repository, "branch", "effect-opencode")
        const error = yield* Effect.flip(worktrees.origin(box.repository))
        expect(error.reason).toContain("the branch \"effect-opencode\" exists")
      }))

    test("takes another name when branches exist below it", (box, worktrees) =>
      Effect.gen(function*() {
        git(box.repository, "branch", "effect-opencode/job/old")
        expect((yield* open(box, worktrees)).branch).toBe("effect-opencode/job-2")
      }))
  })

  describe("removed by the agent", () => {
    test("is forgotten by git, with its branch", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        fs.rmSync(worktree.path, { recursive: true })
        expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, reason: "it was already gone" })
        expect(administrative(box)).toEqual([])
        expect(branches(box)).toEqual(["main"])
        expect(git(box.repository, "worktree", "list").split("\n")).toHaveLength(1)
      }))

    test("is forgotten when only the empty directory or a lock is left", (box, worktrees) =>
      Effect.gen(function*() {
        const emptied = yield* open(box, worktrees, "emptied")
        for (const name of fs.readdirSync(emptied.path)) fs.rmSync(path.join(emptied.path, name), { recursive: true })
        const locked = yield* open(box, worktrees, "locked")
        git(box.repository, "worktree", "lock", locked.path)
        fs.rmSync(locked.path, { recursive: true })
        for (const worktree of [emptied, locked]) {
          expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, reason: "it was already gone" })
        }
        expect(administrative(box)).toEqual([])
        yield* worktrees.tidy
        expect(fs.existsSync(box.home)).toBe(false)
      }))

    test("loses no commit that was on no branch", (box, worktrees) =>
      Effect.gen(function*() {
        const worktree = yield* open(box, worktrees)
        git(worktree.path, "checkout", "--quiet", "--detach")
        commit(worktree.path, "loose.txt")
        const head = git(worktree.path, "rev-parse", "HEAD")
        fs.rmSync(worktree.path, { recursive: true })
        expect(yield* worktrees.settle(worktree)).toMatchObject({
          kept: false,
          reason: "it was already gone; kept: 1 commit on effect-opencode/job-detached"
        })
        expect(git(box.repository, "rev-parse", "effect-opencode/job-detached")).toBe(head)
        expect(administrative(box)).toEqual([])
        expect(branches(box)).toEqual(["effect-opencode/job-detached", "main"])
      }))

    test("is kept without its .git if it still has files, even inside another repository", (box) =>
      Effect.gen(function*() {
        const inside = yield* Worktree.make(path.join(box.repository, "jobs.worktrees"))
        const worktree = yield* open(box, inside)
        fs.rmSync(path.join(worktree.path, ".git"))
        expect(yield* inside.settle(worktree)).toMatchObject({
          kept: true,
          reason: "its .git is gone, so git cannot tell what is in it"
        })
        expect(fs.existsSync(path.join(worktree.path, "a.txt"))).toBe(true)
      }).pipe(Effect.provide(NodeContext.layer)))
  })

  test("moved by the agent is settled at its new place", (box, worktrees) =>
    Effect.gen(function*() {
      const elsewhere = path.join(box.root, "elsewhere")
      const worktree = yield* open(box, worktrees)
      git(box.repository, "worktree", "move", worktree.path, elsewhere)
      write(worktree, "../../elsewhere/new.txt", "new")
      expect(yield* worktrees.settle(worktree)).toMatchObject({
        kept: true,
        path: elsewhere,
        reason: "1 untracked file"
      })
      fs.rmSync(path.join(elsewhere, "new.txt"))
      expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, path: elsewhere })
      expect(fs.existsSync(elsewhere)).toBe(false)
      expect(branches(box)).toEqual(["main"])
    }))

  test("is removed although an agent's git left its lock", (box, worktrees) =>
    Effect.gen(function*() {
      const worktree = yield* open(box, worktrees)
      fs.writeFileSync(path.join(box.repository, ".git", "worktrees", "job", "index.lock"), "")
      expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false })
      expect(administrative(box)).toEqual([])
    }))

  it.scopedLive("is removed completely when git can remove only a part: read-only directories", () =>
    Effect.gen(function*() {
      const there = yield* box
      // A git that cannot delete, as for a user other than root.
      const bin = path.join(there.root, "bin")
      fs.mkdirSync(bin)
      const real = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim()
      fs.writeFileSync(
        path.join(bin, "git"),
        [
          "#!/bin/sh",
          "case \" $* \" in *\" worktree remove \"*)",
          `  rm -rf "${there.repository}/.git/worktrees/job"`,
          "  echo \"error: failed to delete 'job': Permission denied\" >&2; exit 1;;",
          "esac",
          `exec ${real} "$@"`
        ].join("\n"),
        { mode: 0o755 }
      )
      const before = process.env["PATH"]
      yield* Effect.acquireRelease(
        Effect.sync(() => Object.assign(process.env, { PATH: `${bin}:${before}` })),
        () => Effect.sync(() => Object.assign(process.env, { PATH: before }))
      )
      const fileSystem = yield* FileSystem.FileSystem
      const writable = new Set<string>()
      const denied = new PlatformError.SystemError({
        reason: "PermissionDenied",
        module: "FileSystem",
        method: "remove"
      })
      const worktrees = yield* Worktree.make(there.home).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fileSystem,
          chmod: (file, mode) => Effect.tap(fileSystem.chmod(file, mode), () => Effect.sync(() => writable.add(file))),
          remove: (file, options) =>
            Effect.suspend(() =>
              options?.recursive === true && fs.existsSync(path.join(file, "ignored")) &&
                !writable.has(path.join(file, "ignored", "mod"))
                ? Effect.fail(denied)
                : fileSystem.remove(file, options)
            )
        })
      )
      const worktree = yield* open(there, worktrees)
      write(worktree, "ignored/mod/go.mod", "module x")
      fs.chmodSync(path.join(worktree.path, "ignored", "mod"), 0o500)
      fs.symlinkSync("/", path.join(worktree.path, "ignored", "root"))
      expect(yield* worktrees.settle(worktree)).toMatchObject({ kept: false, reason: "nothing was left to keep" })
      expect(fs.existsSync(worktree.path)).toBe(false)
      expect([...writable].every((file) => file.startsWith(worktree.path))).toBe(true)
      expect(branches(there)).toEqual(["main"])
    }).pipe(Effect.provide(NodeContext.layer)))

  it("is kept by outcome with --keep-worktrees", () => {
    const table = Worktree.keeps.map((keep) => [keep, Worktree.isKept(keep, true), Worktree.isKept(keep, false)])
    expect(table).toEqual([
      ["none", false, false],
      ["failed", false, true],
      ["succeeded", true, false],
      ["all", true, true]
    ])
  })
})
