import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import { WorkingTree } from "effect-opencode"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-working-tree-")))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

const git = (root: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-C", root, "-c", "user.name=Test", "-c", "user.email=test@example.com", ...args], {
    encoding: "utf8"
  })

const put = (root: string, name: string, content: string | Uint8Array) => {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
  fs.writeFileSync(path.join(root, name), content)
}

const repository = Effect.tap(directory, (root) =>
  Effect.sync(() => {
    git(root, "init", "-q")
    put(root, "a.txt", "alpha\n")
    put(root, "gone.txt", "gone\n")
    put(root, ".gitignore", "ignored\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
  }))

const names = (diff: string) =>
  [...diff.matchAll(/^(?:diff --git a\/.* b\/|Only in the working tree: )(.*)$/gm)].map((match) => match[1])

const scoped = (
  name: string,
  body: Effect.Effect<void, unknown, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Scope.Scope>
) => it.scopedLive(name, () => Effect.provide(body, NodeContext.layer))

describe("diff", () => {
  scoped(
    "is empty when nothing changed",
    Effect.gen(function*() {
      expect(yield* WorkingTree.diff(yield* repository)).toBe("")
    })
  )

  scoped(
    "contains all differences from HEAD: changed, staged, deleted and new files, from any directory inside",
    Effect.gen(function*() {
      const root = yield* repository
      put(root, "a.txt", "alpha\nGrüße 🦀\n")
      put(root, "staged.txt", "staged\n")
      git(root, "add", "staged.txt")
      fs.rmSync(path.join(root, "gone.txt"))
      put(root, "sub/sp ü\n.txt", "no line feed")
      put(root, "sub/-dash", "dash\n")
      put(root, "empty", "")
      put(root, "binary", new Uint8Array([0, 1, 2]))
      put(root, "ignored", "ignored\n")
      const index = path.join(root, ".git", "index")
      const before = fs.readFileSync(index)
      const status = git(root, "status", "--porcelain")

      const diff = yield* WorkingTree.diff(path.join(root, "sub"))
      expect(names(diff)).toEqual([
        "a.txt",
        "gone.txt",
        "staged.txt",
        "binary",
        "empty",
        "sub/-dash"
      ])
      expect(diff).toContain("+Grüße 🦀\n")
      expect(diff).toContain("deleted file mode 100644\n")
      expect(diff).toContain("Binary files /dev/null and b/binary differ\n")
      expect(diff).toContain(
        "+++ \"b/sub/sp ü\\n.txt\"\t\n@@ -0,0 +1 @@\n+no line feed\n\\ No newline at end of file\n"
      )
      expect(diff).not.toContain("ignored")
      expect(fs.readFileSync(index)).toEqual(before)
      expect(git(root, "status", "--porcelain")).toBe(status)

      expect(names(yield* WorkingTree.diff(root, { untracked: false }))).toEqual(["a.txt", "gone.txt", "staged.txt"])
    })
  )

  scoped(
    "can be applied",
    Effect.gen(function*() {
      const root = yield* repository
      put(root, "a.txt", "    alpha\r\n    beta\r\n")
      put(root, "new/b.txt", "\tnew\n")
      put(root, "c.txt", "no line feed")
      const diff = yield* WorkingTree.diff(root)
      const clone = path.join(root, ".git", "clone")
      git(root, "clone", "-q", root, clone)
      execFileSync("git", ["-C", clone, "apply", "--whitespace=nowarn"], { input: diff })
      for (const name of ["a.txt", "new/b.txt", "c.txt"]) {
        expect(fs.readFileSync(path.join(clone, name), "utf8")).toBe(fs.readFileSync(path.join(root, name), "utf8"))
      }
    })
  )

  scoped(
    "ignores the configuration and runs no configured program",
    Effect.gen(function*() {
      const root = yield* repository
      const touch = `touch ${path.join(root, "touched")}; cat`
      for (
        const [name, value] of [
          ["diff.external", touch],
          ["diff.x.textconv", touch],
          ["core.fsmonitor", touch],
          ["diff.noprefix", "true"],
          ["diff.relative", "true"],
          ["color.ui", "always"]
        ] as const
      ) git(root, "config", name, value)
      put(root, ".git/info/attributes", "*.txt diff=x\n")
      put(root, "a.txt", "beta\n")
      put(root, "new.txt", "new\n")
      const diff = yield* WorkingTree.diff(root)
      expect(diff).toContain("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-alpha\n+beta\n")
      expect(diff).toContain("--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n")
      expect(fs.existsSync(path.join(root, "touched"))).toBe(false)
    })
  )

  scoped(
    "names files that git cannot show",
    Effect.gen(function*() {
      const root = yield* repository
      fs.symlinkSync("a.txt", path.join(root, "link"))
      fs.symlinkSync("nowhere", path.join(root, "dangling"))
      fs.mkdirSync(path.join(root, "empty-directory"))
      fs.symlinkSync("empty-directory", path.join(root, "link-to-directory"))
      put(root, "nested/file", "nested\n")
      git(path.join(root, "nested"), "init", "-q")
      const diff = yield* WorkingTree.diff(root)
      expect(names(diff)).toEqual(["dangling", "link", "link-to-directory", "nested/"])
      expect(diff).toContain("Only in the working tree: link-to-directory\nOnly in the working tree: nested/\n")
    })
  )

  scoped(
    "compares with an older revision, or with an empty tree when there is no commit",
    Effect.gen(function*() {
      const root = yield* repository
      put(root, "a.txt", "beta\n")
      git(root, "commit", "-q", "-a", "-m", "second")
      expect(yield* WorkingTree.diff(root)).toBe("")
      expect(names(yield* WorkingTree.diff(root, { since: "HEAD~1" }))).toEqual(["a.txt"])

      const empty = yield* directory
      git(empty, "init", "-q")
      put(empty, "staged.txt", "staged\n")
      git(empty, "add", "staged.txt")
      put(empty, "new.txt", "new\n")
      const diff = yield* WorkingTree.diff(empty)
      expect(names(diff)).toEqual(["staged.txt", "new.txt"])
      expect(diff).toContain("+staged\n")
    })
  )

  scoped(
    "returns a large diff completely, and many new files in order",
    Effect.gen(function*() {
      const root = yield* repository
      put(root, "a.txt", "Grüße 🦀\n".repeat(200_000))
      const numbers = Array.from({ length: 30 }, (_, index) => `new/${String(index).padStart(2, "0")}.txt`)
      for (const name of numbers) put(root, name, "new\n")
      const diff = yield* WorkingTree.diff(root)
      expect(diff.match(/^\+Grüße 🦀$/gm)?.length).toBe(200_000)
      expect(names(diff)).toEqual(["a.txt", ...numbers])
    })
  )

  scoped(
    "fails for a missing repository, directory, revision or git",
    Effect.gen(function*() {
      const root = yield* directory
      const failing = (...args: Parameters<typeof WorkingTree.diff>) => Effect.flip(WorkingTree.diff(...args))
      const none = yield* failing(root)
      expect(none).toMatchObject({ _tag: "WorkingTreeError", reason: "no-working-tree", directory: root })
      expect(none.message).toContain("not a git repository")
      expect(yield* failing(path.join(root, "missing"))).toMatchObject({ reason: "no-working-tree" })
      expect(yield* failing("a\0b")).toMatchObject({ reason: "git-unavailable" })

      const repo = yield* repository
      for (const since of ["nope", "HEAD..HEAD", "--output=stolen", ""]) {
        expect(yield* failing(repo, { since })).toMatchObject({ reason: "unknown-revision" })
      }
      expect(fs.readdirSync(repo).sort()).toEqual([".git", ".gitignore", "a.txt", "gone.txt"])

      const PATH = process.env["PATH"]
      yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          process.env["PATH"] = root
        }),
        () =>
          Effect.map(failing(repo), (error) => {
            expect(error).toMatchObject({ reason: "git-unavailable", detail: "NotFound" })
          }),
        () =>
          Effect.sync(() => {
            process.env["PATH"] = PATH
          })
      )
    })
  )
})

describe("remove", () => {
  scoped(
    "removes read-only directories, and follows no links",
    Effect.gen(function*() {
      const root = yield* directory
      const kept = yield* directory
      put(kept, "file", "")
      const removed = path.join(root, "removed")
      put(removed, "module/cache/go.mod", "module x")
      fs.symlinkSync(kept, path.join(removed, "module", "link"))
      fs.chmodSync(kept, 0o500)
      for (const name of ["module/cache", "module"]) fs.chmodSync(path.join(removed, name), 0o500)
      yield* WorkingTree.remove(removed)
      yield* WorkingTree.remove(removed)
      expect(fs.readdirSync(root)).toEqual([])
      expect(fs.readdirSync(kept)).toEqual(["file"])
      expect(fs.statSync(kept).mode & 0o777).toBe(0o500)
      fs.chmodSync(kept, 0o700)
    })
  )
})
