/** Working trees, with the git of the machine and a repository on its disk. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { assert, describe, it } from "@effect/vitest"
import * as Workspace from "effect-opencode-cluster/Workspace"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const inDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "eo-workspace-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
)

const git = (cwd: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@localhost", ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"]
  }).trim()

const repository = Effect.map(inDirectory, (directory) => {
  const origin = path.join(directory, "origin.git")
  const clone = path.join(directory, "clone")
  git(directory, "init", "--quiet", "--bare", "--initial-branch=main", origin)
  git(directory, "clone", "--quiet", origin, clone)
  git(clone, "checkout", "--quiet", "-B", "main")
  fs.writeFileSync(path.join(clone, "a.txt"), "one\n")
  git(clone, "add", ".")
  git(clone, "commit", "--quiet", "-m", "one")
  git(clone, "tag", "v1")
  fs.writeFileSync(path.join(clone, "a.txt"), "two\n")
  git(clone, "commit", "--quiet", "-am", "two")
  git(clone, "push", "--quiet", "--tags", "origin", "main")
  return { origin, directory, state: path.join(directory, "state") }
})

const branches = (origin: string) => git(origin, "branch", "--format=%(refname:short)").split("\n").sort()

describe("the working tree of an attempt", () => {
  it.live("is fresh for each, and only what is finished is published", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { open } = yield* Workspace.Workspace
        const job = { id: "fix/a b", url: origin }
        yield* Effect.scoped(Effect.gen(function*() {
          const { directory } = yield* open({ ...job, attempt: 1 })
          assert.strictEqual(fs.readFileSync(path.join(directory, "a.txt"), "utf8"), "two\n")
          fs.writeFileSync(path.join(directory, "left.txt"), "from an attempt that was cut off")
        }))
        assert.deepStrictEqual(branches(origin), ["main"])
        const directory = yield* Effect.scoped(Effect.gen(function*() {
          const opened = yield* open({ ...job, attempt: 2 })
          assert.deepStrictEqual(fs.readdirSync(opened.directory).sort(), [".git", "a.txt"])
          fs.writeFileSync(path.join(opened.directory, "a.txt"), "three\n")
          fs.writeFileSync(path.join(opened.directory, "new.txt"), "new\n")
          const { branch } = yield* opened.finish("Fix a\n\nwith more words")
          assert.match(branch ?? "", /^opencode\/fix\/a-b-[0-9a-f]{8}\/2$/)
          // It has not won yet.
          assert.deepStrictEqual(branches(origin), ["main"])
          const pushed = { id: job.id, attempt: 2, url: origin }
          // By another runner, on another machine, twice: the first one has died before it could say so.
          for (let time = 0; time < 2; time++) {
            yield* Effect.provide(
              Effect.flatMap(Workspace.Workspace, ({ publish }) => publish(pushed)),
              Workspace.layer({ directory: path.join(state, "other") })
            )
          }
          assert.deepStrictEqual(branches(origin), ["main", branch])
          assert.strictEqual(git(origin, "for-each-ref", "refs/opencode"), "")
          assert.strictEqual(git(origin, "show", `${branch}:a.txt`), "three")
          assert.strictEqual(git(origin, "log", "-1", "--format=%s", branch!), "Fix a")
          return opened.directory
        }))
        assert.isFalse(fs.existsSync(directory))
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("begins at a ref, gives a patch on request, and nothing if nothing was changed", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { open } = yield* Workspace.Workspace
        yield* Effect.scoped(Effect.gen(function*() {
          const [one, other] = yield* Effect.all([
            open({ id: "one", attempt: 1, url: origin, ref: "v1", publish: false }),
            open({ id: "other", attempt: 1, url: origin, ref: "main" })
          ], { concurrency: 2 })
          assert.strictEqual(fs.readFileSync(path.join(one.directory, "a.txt"), "utf8"), "one\n")
          fs.writeFileSync(path.join(one.directory, "a.txt"), "changed\n")
          const { patch } = yield* one.finish("Change a")
          assert.match(patch ?? "", /\n-one\n\+changed\n/)
          assert.deepStrictEqual(yield* other.finish("nothing"), {})
        }))
        assert.deepStrictEqual(branches(origin), ["main"])
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("is beside those of jobs whose ids differ in a slash, and replaces what a killed runner has left", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { open } = yield* Workspace.Workspace
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* open({ id: "a/b", attempt: 1, url: origin })
          fs.writeFileSync(path.join(one.directory, "new.txt"), "of the first")
          const other = yield* open({ id: "a_b", attempt: 1, url: origin })
          assert.notStrictEqual(one.directory, other.directory)
          assert.isTrue(fs.existsSync(path.join(one.directory, "new.txt")))
          // The scope of the first attempt is still open, as that of a runner that was killed.
          yield* open({ id: "a/b", attempt: 2, url: origin })
          assert.isFalse(fs.existsSync(one.directory))
          assert.isTrue(fs.existsSync(other.directory))
        }))
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("leaves nothing in the repository if its attempt does not win", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { discard, open, publish } = yield* Workspace.Workspace
        const opened = yield* open({ id: "a", attempt: 1, url: origin })
        fs.writeFileSync(path.join(opened.directory, "new.txt"), "new\n")
        assert.deepStrictEqual(yield* opened.finish("New"), { branch: "opencode/a/1" })
        assert.include(git(origin, "for-each-ref"), "refs/opencode/a/1")
        yield* discard({ id: "a", attempt: 1, url: origin })
        assert.notInclude(git(origin, "for-each-ref"), "opencode")
        assert.strictEqual((yield* Effect.flip(publish({ id: "a", attempt: 1, url: origin }))).reason, "publish")
        assert.deepStrictEqual(branches(origin), ["main"])
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("is given up while a repository does not answer", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      const executor = yield* CommandExecutor.CommandExecutor
      const isFetching = yield* Deferred.make<void>()
      const silent = CommandExecutor.makeExecutor((command) =>
        command._tag === "StandardCommand" && command.args.includes("fetch")
          ? Effect.andThen(Deferred.succeed(isFetching, undefined), Effect.never)
          : executor.start(command)
      )
      const opening = yield* Workspace.Workspace.pipe(
        Effect.flatMap(({ open }) => open({ id: "a", attempt: 1, url: origin })),
        Effect.scoped,
        Effect.provide(Workspace.layer({ directory: state })),
        Effect.provideService(CommandExecutor.CommandExecutor, silent),
        Effect.fork
      )
      yield* Deferred.await(isFetching)
      yield* Fiber.interrupt(opening)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)), 20_000)

  it.live("is made for two runners with one directory", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      const open = (id: string) =>
        Effect.flatMap(Workspace.Workspace, ({ open }) => open({ id, attempt: 1, url: origin })).pipe(
          Effect.scoped,
          Effect.provide(Workspace.layer({ directory: state }))
        )
      // One that was killed while it made the mirror.
      const { open: first } = yield* Effect.provide(Workspace.Workspace, Workspace.layer({ directory: state }))
      yield* Effect.scoped(first({ id: "first", attempt: 1, url: origin }))
      const mirrors = path.join(state, "mirrors")
      fs.rmSync(path.join(mirrors, fs.readdirSync(mirrors)[0]!, "objects"), { recursive: true })
      yield* Effect.forEach(["a", "b", "c", "d"], open, { concurrency: "unbounded" })
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("does not lose a part of a patch that is too long", () =>
    Effect.gen(function*() {
      const { origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { open } = yield* Workspace.Workspace
        const opened = yield* open({ id: "a", attempt: 1, url: origin, publish: false })
        fs.writeFileSync(path.join(opened.directory, "long.txt"), "x\n".repeat(600_000))
        const error = yield* Effect.flip(opened.finish("Long"))
        assert.strictEqual(error.reason, "publish")
        assert.include(error.detail, "1 MiB")
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.live("that cannot be made is an error with its reason", () =>
    Effect.gen(function*() {
      const { directory, origin, state } = yield* repository
      yield* Effect.gen(function*() {
        const { open } = yield* Workspace.Workspace
        const reasonOf = (url: string, ref?: string) =>
          Effect.map(Effect.flip(Effect.scoped(open({ id: "a", attempt: 1, url, ref }))), ({ reason }) => reason)
        assert.strictEqual(yield* reasonOf(path.join(directory, "nowhere")), "unreachable")
        assert.strictEqual(yield* reasonOf(origin, "no-such-branch"), "unknown-ref")
      }).pipe(Effect.provide(Workspace.layer({ directory: state })))
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))
})
