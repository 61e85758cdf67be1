import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import { Events, FaultyOpenCode, ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { JobResult } from "../../src/jobs/JobResult.js"
import type { Sandbox } from "./sandbox.js"
import {
  binary,
  killWatchdogs,
  left,
  nothing,
  processes,
  provider,
  run,
  sandbox,
  start,
  until,
  version
} from "./sandbox.js"

const { Reply } = ModelProvider

const opencode = ["--binary", binary, "--opencode-version", version]

/** The options that point OpenCode at the scripted provider. */
const asking = (box: Sandbox) =>
  Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) => {
    const file = path.join(box.root, "provider.json")
    fs.writeFileSync(file, JSON.stringify(configOverrides))
    return ["--model", model, "--config-overrides", `@${file}`]
  })

const { lines: say, script } = FaultyOpenCode

/** OpenCode for the tasks 8 to 14, and for the others a script that answers at once. */
const halfScripted = (box: Sandbox) =>
  Effect.map(FaultyOpenCode.FaultyOpenCode, ({ binary: scripted }) => {
    const file = path.join(box.root, "half-scripted")
    const lines = [
      "#!/bin/sh",
      "cat > \"$TMPDIR/.prompt\"",
      "case \"$(cat \"$TMPDIR/.prompt\")\" in",
      `  "task "[89] | "task 1"[0-4]) binary='${binary}' ;;`,
      `  *) binary='${scripted}' ;;`,
      "esac",
      "exec \"$binary\" \"$@\" < \"$TMPDIR/.prompt\""
    ]
    fs.writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o755 })
    return file
  })

const results = (file: string): ReadonlyArray<JobResult> =>
  fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

const lines = (file: string): number => fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n").length - 1 : 0

/** The task of the job: the text of its user. */
const taskOf = (request: ModelProvider.ProviderRequest): string =>
  request.messages.filter(({ role }) => role === "user").map(({ text }) => text).join("\n")

describe("a batch with the real OpenCode", () => {
  it.scopedLive("runs a matrix in worktrees and writes a report", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const git = (...args: ReadonlyArray<string>) =>
        execFileSync("git", args, { cwd: box.work, env: box.environment as NodeJS.ProcessEnv, encoding: "utf8" })
      git("init", "--quiet", "-b", "main")
      fs.writeFileSync(path.join(box.work, "a.txt"), "one\n")
      git("add", ".")
      git("commit", "--quiet", "-m", "first")
      fs.writeFileSync(path.join(box.root, "jobs.csv"), "task,name\nwrite it,writer\nthink about it,thinker\n")

      const args = [
        "batch",
        path.join(box.root, "jobs.csv"),
        "--prompt",
        "{{task}} in a {{tone}} tone",
        "--matrix",
        "tone=warm,cold",
        "--worktree",
        "--report",
        path.join(box.root, "report.html"),
        "--permission",
        "allow-all",
        ...opencode,
        ...(yield* asking(box))
      ]
      const ended = yield* run(box, ...args)
      expect(ended).toMatchObject({ code: 0, stderr: "" })
      expect(ended.stdout).toContain("writer [warm]")
      expect(ended.stdout).toMatch(/4 runs.*4 succeeded/)

      const written = results(path.join(box.root, "jobs.results.jsonl"))
      const base = git("rev-parse", "HEAD").trim()
      const facts = written.map((result) => [
        result.name,
        result.prompt,
        result.outcome,
        result.answer,
        result.steps,
        result.worktree?.kept,
        result.worktree?.reason
      ])
      expect(facts.sort()).toEqual([
        ["thinker [cold]", "think about it in a cold tone", "success", "done", 1, false, "nothing was left to keep"],
        ["thinker [warm]", "think about it in a warm tone", "success", "done", 1, false, "nothing was left to keep"],
        ["writer [cold]", "write it in a cold tone", "success", "done", 2, true, "1 untracked file"],
        ["writer [warm]", "write it in a warm tone", "success", "done", 2, true, "1 untracked file"]
      ])
      for (const { cell, cost, cwd, transcript, usage, worktree } of written) {
        expect(cell).toEqual({ tone: expect.stringMatching(/^(warm|cold)$/) })
        expect(cost).toBeGreaterThan(0)
        expect(usage.total).toBeGreaterThan(0)
        expect(fs.existsSync(path.join(box.root, transcript!))).toBe(true)
        expect(worktree?.base).toBe(base)
        expect(cwd).toBe(worktree?.path)
        expect(fs.existsSync(cwd)).toBe(worktree?.kept)
        if (worktree?.kept === true) expect(fs.readFileSync(path.join(cwd, "work.txt"), "utf8")).toContain(cell["tone"])
      }
      expect(git("status", "--porcelain")).toBe("")
      expect(git("branch", "--format=%(refname:short)").trim().split("\n").length).toBe(3)
      const page = fs.readFileSync(path.join(box.root, "report.html"), "utf8")
      for (const shown of ["thinker", "think about it in a cold tone", "echo warm &gt; work.txt"]) {
        expect([shown, page.includes(shown)]).toEqual([shown, true])
      }
      expect(left(box)).toEqual(nothing)

      // no job is left, and nothing is started
      const again = yield* run(box, ...args, "--resume")
      expect(again.code).toBe(0)
      expect(results(path.join(box.root, "jobs.results.jsonl"))).toEqual(written)
    }).pipe(Effect.provide(provider((request) => {
      const task = taskOf(request)
      if (!task.includes("write it") || request.step > 0) return Reply.text("done")
      return Reply.toolCalls([{
        name: "bash",
        arguments: {
          command: `echo ${task.includes("warm") ? "warm" : "cold"} > work.txt`,
          description: "Write"
        }
      }])
    }))))

  it.scopedLive("over one warm server: answers, a value, a failure, and nothing left of it after a kill", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const file = path.join(box.work, "jobs.results.jsonl")
      const schema = { type: "object", properties: { number: { type: "integer" } }, required: ["number"] }
      const jobs = [
        ...Array.from({ length: 6 }, (_, index) => ({ prompt: `task ${index + 1}`, name: `${index + 1}` })),
        { prompt: "count", name: "counter", schema },
        { prompt: "no quota", name: "poor" },
        { prompt: "never", name: "stuck" }
      ]
      fs.writeFileSync(path.join(box.work, "jobs.jsonl"), jobs.map((job) => JSON.stringify(job)).join("\n"))
      const provided = yield* asking(box)
      const args = ["batch", "jobs.jsonl", "--permission", "allow-all", ...provided]
      const servers = () => processes(box).filter(({ command }) => command.includes(" serve ")).length

      // eight jobs end, and the agent of the ninth is in the middle of a shell command
      const first = yield* start(box, ...args, "--server", "--binary", binary)
      const sleeping = () => processes(box).filter(({ command }) => command.startsWith("sleep 3000")).length
      yield* until(first, () => lines(file) === 8 && sleeping() === 1)
      expect(servers()).toBe(1)
      expect(killWatchdogs(first.pid)).toBeGreaterThan(0)
      first.kill("SIGKILL")
      expect((yield* first.ended).signal).toBe("SIGKILL")
      expect([servers(), sleeping()]).toEqual([1, 1])

      const written = results(file)
      expect(written.map(({ name, outcome }) => [name, outcome]).sort()).toEqual(
        jobs.filter(({ name }) => name !== "stuck")
          .map(({ name }) => [name, name === "poor" ? "OpenCodeSessionError" : "success"]).sort()
      )
      expect(written.find(({ name }) => name === "counter")?.value).toEqual({ number: 7 })
      expect(written.find(({ name }) => name === "poor")?.failure).toEqual({
        kind: "quota",
        reason: expect.stringContaining("You exceeded your current quota")
      })

      // continues without a server
      const { binary: scripted } = yield* FaultyOpenCode.FaultyOpenCode
      const resumed = yield* run(box, ...args, "--resume", "--binary", scripted, "--opencode-version", version)
      expect(resumed.stdout).toContain("An earlier batch was killed: 1 run cut off")
      expect(resumed.stdout).toMatch(/9 runs.*8 succeeded.*1 failed/)
      expect(resumed.stdout).toContain("quota: You exceeded")
      expect(left(box)).toEqual(nothing)
    }).pipe(
      Effect.provide(FaultyOpenCode.layer([script(say(Events.turn("done")), FaultyOpenCode.exit(0))])),
      Effect.provide(NodeContext.layer),
      Effect.provide(provider((request) => {
        const task = taskOf(request)
        if (task.includes("no quota")) return Reply.quota("You exceeded your current quota")
        if (task.includes("never")) {
          return Reply.toolCalls([{ name: "bash", arguments: { command: "sleep 3000", description: "Wait" } }])
        }
        return Reply.text(task.includes("count") ? "```json\n{\"number\": 7}\n```" : "done")
      }))
    ))

  it.scopedLive(
    "of 24 jobs, killed halfway, resumes to exactly 24 results and leaves nothing",
    () =>
      Effect.gen(function*() {
        const box = yield* sandbox
        const file = path.join(box.work, "jobs.results.jsonl")
        const jobs = Array.from({ length: 24 }, (_, index) => ({ prompt: `task ${index + 1}`, name: `${index + 1}` }))
        fs.writeFileSync(path.join(box.work, "jobs.jsonl"), jobs.map((job) => JSON.stringify(job)).join("\n"))
        const args = [
          "batch",
          "jobs.jsonl",
          "--startup-concurrency",
          "2",
          "--permission",
          "allow-all",
          "--binary",
          yield* halfScripted(box),
          "--opencode-version",
          version,
          ...(yield* asking(box))
        ]

        // eight end; the next ones are in the middle of a shell command when the batch is killed
        const first = yield* start(box, ...args)
        const sleeping = () => processes(box).filter(({ command }) => command.startsWith("sleep 3000")).length
        yield* until(first, () => lines(file) === 8 && sleeping() === 4)
        const second = yield* run(box, ...args, "--resume")
        expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining("Another batch is using") })
        expect(killWatchdogs(first.pid)).toBe(1)
        first.kill("SIGKILL")
        expect((yield* first.ended).signal).toBe("SIGKILL")
        expect(lines(file)).toBe(8)
        // Its watchdog is dead, so nobody has ended what it left.
        expect(sleeping()).toBe(4)
        // the kill came in the middle of a line
        fs.appendFileSync(file, "{\"id\":\"0123456789abcdef\",\"index\":8,\"name\":\"caf\u00c3")

        const { requests, respond } = yield* ModelProvider.ModelProvider
        yield* respond(() => Reply.text("done"))
        const before = (yield* requests).length
        const resumed = yield* run(box, ...args, "--resume")
        expect(resumed).toMatchObject({ code: 0, stderr: "" })
        expect(resumed.stdout).toMatch(/24 runs.*24 succeeded/)
        expect(resumed.stdout).toContain("An earlier batch was killed: 4 runs cut off")

        const written = results(file)
        expect(written.length).toBe(24)
        expect(new Set(written.map(({ id }) => id)).size).toBe(24)
        expect(new Set(written.map(({ prompt }) => prompt))).toEqual(new Set(jobs.map(({ prompt }) => prompt)))
        expect(written.every(({ answer, outcome }) => outcome === "success" && answer === "done")).toBe(true)
        // The four that were cut off were asked again, by OpenCode, as were two that had not begun.
        const again = (yield* requests).slice(before).filter(({ isTitle }) => !isTitle)
        expect(again.map((request) => taskOf(request).trim()).sort()).toEqual(
          Array.from({ length: 6 }, (_, index) => `task ${index + 9}`).sort()
        )
        expect(left(box)).toEqual(nothing)
        expect(fs.existsSync(`${file}.lock`)).toBe(false)
      }).pipe(
        Effect.provide(provider((request) => {
          const number = Number(/task (\d+)/.exec(taskOf(request))?.[1])
          return number <= 8 ? Reply.text("done") : Reply.toolCalls([{
            name: "bash",
            // OpenCode itself would end it after two minutes.
            arguments: { command: "trap '' TERM; sleep 3000", description: "Sleep", timeout: 3_600_000 }
          }])
        })),
        Effect.provide(FaultyOpenCode.layer([script(say(Events.session([Events.turn("done")])))])),
        Effect.provide(NodeContext.layer)
      ),
    3_600_000
  )
})

describe("Ctrl-C", () => {
  const { layer } = FaultyOpenCode

  const jobs = (box: Sandbox, binary: string) => {
    fs.writeFileSync(
      path.join(box.work, "jobs.jsonl"),
      Array.from({ length: 6 }, (_, index) => JSON.stringify({ prompt: `task ${index}` })).join("\n")
    )
    return ["batch", "jobs.jsonl", "--jobs", "2", "--binary", binary, "--opencode-version", version, "--plain"]
  }

  /** A binary whose runs start, and continue once the gate is open. */
  const gated = (box: Sandbox, binary: string) => {
    const [file = "", begun, gate] = ["opencode", "begun", "gate"].map((name) => path.join(box.root, name))
    const lines = [
      "#!/bin/sh",
      `: > "${begun}-$$"`,
      `until [ -e "${gate}" ]; do sleep 0.1; done`,
      `exec "${binary}" "$@"`
    ]
    fs.writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o755 })
    return {
      binary: file,
      begun: () => fs.readdirSync(box.root).filter((name) => name.startsWith("begun-")).length,
      open: () => fs.writeFileSync(gate!, "")
    }
  }

  it.scopedLive("once lets running jobs end, and the batch can be resumed", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const { begun, binary, open } = gated(box, (yield* FaultyOpenCode.FaultyOpenCode).binary)
      const args = jobs(box, binary)
      const file = path.join(box.work, "jobs.results.jsonl")
      const first = yield* start(box, ...args)
      yield* until(first, () => begun() === 2)
      first.kill("SIGINT")
      yield* until(first, () => first.output().includes("Stopping"))
      open()
      const ended = yield* first.ended
      expect(ended).toMatchObject({ code: 130, signal: null })
      expect(ended.stderr).toContain("4 of 6 jobs were not run, because the batch was interrupted; --resume runs them")
      expect(begun()).toBe(2)
      expect(results(file).map(({ outcome }) => outcome)).toEqual(["success", "success"])
      expect(left(box)).toEqual(nothing)
      expect((yield* run(box, ...args)).stderr).toContain("already has results (2 of them)")
      expect((yield* run(box, ...args, "--resume")).code).toBe(0)
      expect(begun()).toBe(6)
      expect(new Set(results(file).map(({ id }) => id)).size).toBe(6)
    }).pipe(
      Effect.provide(layer([script(say(Events.session([Events.turn("done")])))])),
      Effect.provide(NodeContext.layer)
    ))

  it.scopedLive("twice ends everything", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const { binary } = yield* FaultyOpenCode.FaultyOpenCode
      const first = yield* start(box, ...jobs(box, binary))
      const children = () => processes(box).filter(({ command }) => command.startsWith("sleep 3600")).length
      yield* until(first, () => children() === 2)
      first.kill("SIGINT")
      yield* until(first, () => first.output().includes("Stopping"))
      yield* Effect.sleep("500 millis")
      first.kill("SIGINT")
      const ended = yield* first.ended
      expect(ended).toMatchObject({ code: 130, signal: null })
      expect(ended.stderr).toContain("--resume runs the rest")
      expect(results(path.join(box.work, "jobs.results.jsonl"))).toEqual([])
      expect(left(box)).toEqual(nothing)
    }).pipe(
      Effect.provide(layer([
        script(
          FaultyOpenCode.child({ detached: true, lifetime: "1 hour" }),
          say(Events.session([Events.stepStart()])),
          FaultyOpenCode.never
        )
      ])),
      Effect.provide(NodeContext.layer)
    ))
})
