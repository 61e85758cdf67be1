import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as changes from "../src/report/changes.js"
import * as Report from "../src/report/Report.js"
import { result } from "./support/results.js"

const canary = "canary-of-a-diff-5c1e"

/** A repository, and a worktree in which an agent has worked. */
const worked = Effect.acquireRelease(
  Effect.sync(() => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-changes-")))
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"))
    const env = {
      ...Object.fromEntries(own),
      GIT_CONFIG_NOSYSTEM: "1",
      HOME: root,
      ...Object.fromEntries(["AUTHOR", "COMMITTER"].flatMap((who) => [
        [`GIT_${who}_NAME`, "test"],
        [`GIT_${who}_EMAIL`, "test@example.invalid"]
      ]))
    }
    const [repository, worktree] = [path.join(root, "repository"), path.join(root, "worktree")]
    const git = (directory: string, ...args: ReadonlyArray<string>) =>
      execFileSync("git", ["-C", directory, ...args], { encoding: "utf8", env }).trim()
    fs.mkdirSync(repository)
    fs.writeFileSync(path.join(repository, "a.txt"), "one\n")
    git(repository, "init", "--quiet", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    const base = git(repository, "rev-parse", "HEAD")
    git(repository, "worktree", "add", "--quiet", "-b", "effect-opencode/job", worktree)
    fs.writeFileSync(path.join(worktree, "a.txt"), "committed\n")
    git(worktree, "commit", "--quiet", "-am", "second")
    const job = (kept: boolean, commits = 1) =>
      result({
        worktree: { path: worktree, branch: "effect-opencode/job", base, kept, reason: "1 commit", commits }
      })
    return { root, repository, worktree, git, job }
  }),
  ({ root }) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
)

const textOf = (found: changes.Changes | undefined): string | undefined =>
  found?._tag === "Diff" ? found.text : found?.reason

describe("the changes of a run", () => {
  it.scopedLive("are those of its worktree: commits, uncommitted and untracked files", () =>
    Effect.gen(function*() {
      const { job, repository, worktree } = yield* worked
      fs.appendFileSync(path.join(worktree, "a.txt"), "uncommitted\n")
      fs.writeFileSync(path.join(worktree, "new.txt"), "untracked\n")
      fs.writeFileSync(path.join(worktree, "empty.txt"), "")
      fs.writeFileSync(path.join(worktree, "huge.txt"), "x\n".repeat(400_000))
      const text = textOf(yield* changes.read(job(true), repository))
      for (const line of ["-one", "+committed", "+uncommitted", "+++ b/new.txt", "+untracked", "b/empty.txt"]) {
        expect(text).toContain(line)
      }
      expect(text).toContain("Binary files /dev/null and b/huge.txt differ")
      expect(text?.length).toBeLessThan(2000)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("are those of its branch if the worktree is gone", () =>
    Effect.gen(function*() {
      const { git, job, repository, worktree } = yield* worked
      git(repository, "worktree", "remove", "--force", worktree)
      expect(textOf(yield* changes.read(job(false), repository))).toContain("-one\n+committed\n")
      expect(yield* changes.read(job(false, 0), repository)).toBeUndefined()
      git(repository, "branch", "-D", "effect-opencode/job")
      expect(yield* changes.read(job(false), repository)).toMatchObject({ _tag: "Missing" })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("are only counted if there are very many", () =>
    Effect.gen(function*() {
      const { git, job, repository, worktree } = yield* worked
      for (const name of ["b", "c", "d"]) fs.writeFileSync(path.join(worktree, name), "line\n".repeat(9000))
      git(worktree, "add", ".")
      const text = textOf(yield* changes.read(job(true), repository))
      expect(text).toMatch(/4 files changed, 27001 insertions\(\+\), 1 deletion\(-\)/)
      expect(text?.length).toBeLessThan(2000)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("start nothing that is in a results file", () =>
    Effect.gen(function*() {
      const { job, repository } = yield* worked
      const { worktree } = job(true)
      const wrong = result({ worktree: { ...worktree!, base: "--output=/tmp/x" } })
      expect(yield* changes.read(wrong, repository)).toBeUndefined()
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("show no secret of their job", () =>
    Effect.gen(function*() {
      const { job, repository, root, worktree } = yield* worked
      fs.writeFileSync(path.join(worktree, "new.txt"), `token ${canary}\n`)
      const sources = new Map([
        ["job", { cwd: repository, options: { extraEnv: { TOKEN: Redacted.make(canary) } } }]
      ])
      const html = Report.html({ title: "x", runs: yield* Report.read([job(true)], { directory: root, sources }) })
      expect(html).toContain("+token ")
      expect(html).not.toContain(canary)
    }).pipe(Effect.provide(NodeContext.layer)))
})
