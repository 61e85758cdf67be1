import * as Terminal from "@effect/platform/Terminal"
import { describe, expect, it } from "@effect/vitest"
import { Events, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runCli } from "./support/cli.js"

/** OpenCode is not started: any executable file stands for it, and its version is given. */
const binary = ["--binary", process.execPath, "--opencode-version", "1.18.33"]

const answering = (text: string, cost = 0.25) =>
  Mock.script(Mock.awaitStdin, Mock.lines(Events.session([Events.turn(text, { cost })])), Mock.exit(0))

const failing = Mock.script(
  Mock.awaitStdin,
  Mock.lines(Events.session([Events.stepStart(), Events.error({ message: "invalid key", statusCode: 401 })])),
  Mock.exit(1)
)

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-command-")))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

interface Given {
  readonly files?: { readonly [name: string]: string }
  readonly scripts?: ReadonlyArray<Mock.Script>
}

/** Runs `batch` in a directory, which is printed as `.`. */
const batchIn = (root: string, given: Given, ...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    for (const [name, text] of Object.entries(given.files ?? {})) fs.writeFileSync(path.join(root, name), text)
    const context = yield* Layer.build(Mock.layer(given.scripts ?? []))
    const words = args.map((word) => word.startsWith("./") ? path.join(root, word) : word)
    const log: Array<string> = []
    const terminal: Terminal.Terminal = {
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      isTTY: Effect.succeed(false),
      readInput: Effect.die("nothing is read"),
      readLine: Effect.die("nothing is read"),
      display: (text) => Effect.sync(() => log.push(text))
    }
    const { code, stderr, stdout } = yield* runCli(["batch", ...words], {
      executor: Layer.succeedContext(Context.add(context, Terminal.Terminal, terminal))
    })
    const commands = yield* Effect.flatMap(Mock.MockCommandExecutor, ({ commands }) => commands).pipe(
      Effect.provide(context)
    )
    const local = (text: string) => text.replaceAll(root, ".").replaceAll("./", "")
    return {
      code,
      stderr: local(stderr),
      stdout: local(stdout),
      log: log.join(""),
      prompts: commands.map(({ stdin }) => stdin)
    }
  }))

const test = <E>(
  name: string,
  body: (
    batch: (given: Given, ...args: ReadonlyArray<string>) => ReturnType<typeof batchIn>,
    root: string
  ) => Effect.Effect<void, E>
) =>
  it.scopedLive(
    name,
    () => Effect.flatMap(directory, (root) => body((given, ...args) => batchIn(root, given, ...args), root))
  )

const two = { "jobs.jsonl": "{\"prompt\":\"one\",\"name\":\"first\"}\n{\"prompt\":\"two\"}\n" }

describe("batch", () => {
  test("runs the jobs of a file and prints a summary", (batch, root) =>
    Effect.gen(function*() {
      const scripts = [answering("1"), failing]
      const ended = yield* batch(
        { files: two, scripts },
        "./jobs.jsonl",
        "--jobs",
        "1",
        "--report",
        "./deep/report.html",
        ...binary
      )
      expect(ended).toMatchObject({ code: 1, stderr: "", prompts: ["one", "two"] })
      expect(ended.log).toMatch(/first +starts\n/)
      expect(ended.log).toMatch(/two +failed: authentication: invalid key/)
      expect(ended.stdout).toMatch(/first +done +1 +120 +\$0\.2500/)
      expect(ended.stdout).toMatch(/two +failed .*authentication: invalid key/)
      expect(ended.stdout).toMatch(/2 runs · 1 succeeded · 1 failed/)
      const lines = fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8").trim().split("\n")
      expect(
        lines.map((line) => JSON.parse(line)).map(({ outcome, transcript }) => [outcome, path.dirname(transcript)])
      )
        .toEqual([["success", "jobs.transcripts"], ["OpenCodeSessionError", "jobs.transcripts"]])
      expect(fs.readFileSync(path.join(root, "deep", "report.html"), "utf8").slice(0, 15).toLowerCase()).toBe(
        "<!doctype html>"
      )
      expect(fs.readdirSync(root).sort()).toEqual(["deep", "jobs.jsonl", "jobs.results.jsonl", "jobs.transcripts"])

      // without the option the results stay
      const refused = yield* batch({}, "./jobs.jsonl", ...binary)
      expect(refused).toMatchObject({ code: 2, prompts: [] })
      expect(refused.stderr).toBe(
        "error: jobs.results.jsonl already has results (2 of them).\n" +
          "hint: --resume continues that batch; --output chooses another file\n"
      )
      // no job is left, but one has failed
      const done = yield* batch({}, "./jobs.jsonl", "--resume", ...binary)
      expect(done).toMatchObject({ code: 1, stderr: "", prompts: [] })
      const again = yield* batch({ scripts: [answering("2")] }, "./jobs.jsonl", "--resume", "--retry-failed", ...binary)
      expect(again).toMatchObject({ code: 0, stderr: "", prompts: ["two"] })
      const other = yield* batch({}, "./jobs.jsonl", "--resume", "--model", "x/y", ...binary)
      expect(other).toMatchObject({ code: 2, prompts: [] })
      expect(other.stderr).toContain("has results of other jobs (2 of 2, for example ")
    }))

  test("fills templates and lists what it would run", (batch) =>
    Effect.gen(function*() {
      const files = {
        "data.csv": "file,lang\na.ts,de\nb.ts,fr\n",
        "prompt.md": "Translate {{file}}\ninto {{lang}}, {{tone}}."
      }
      const args = ["./data.csv", "--prompt-file", "./prompt.md", "--name", "{{file}}", "--repeat", "2"]
      const matrix = ["--matrix", "model=a/x,b/y", "tone=kind"]
      const listed = yield* batch({ files }, ...args, ...matrix, "--dry-run")
      expect(listed).toMatchObject({ code: 0, stderr: "", prompts: [] })
      expect(listed.stdout.replace(/^[0-9a-f]{16} {2}/gm, "")).toBe(
        ["a.ts", "b.ts"].flatMap((file) =>
          ["a/x", "b/y"].flatMap((model) => [1, 2].map((time) => `${file} [${model} kind] #${time}\n`))
        ).join("")
      )
      const scripts = Array.from({ length: 8 }, () => answering("x"))
      const ended = yield* batch({ scripts }, ...args, ...matrix, "--jobs", "1", ...binary)
      expect(ended.code).toBe(0)
      expect(ended.prompts.filter((prompt) => prompt === "Translate b.ts\ninto fr, kind.").length).toBe(4)
      // the order of the axes does not matter
      const reversed = ["--matrix", "tone=kind", "--matrix", "model=a/x,b/y"]
      expect((yield* batch({}, ...args, ...reversed, "--resume", ...binary)).code).toBe(0)
    }))

  test("resolves the jobs' directories against --cwd", (batch, root) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.join(root, "base", "sub"), { recursive: true })
      const files = {
        "jobs.jsonl":
          "{\"prompt\":\"one\",\"cwd\":\"sub\",\"folder\":\"base\"}\n{\"prompt\":\"two\",\"folder\":\"base/sub\"}\n"
      }
      const cwds = (cwd: string, output: string) =>
        Effect.gen(function*() {
          const args = ["./jobs.jsonl", "--jobs", "1", "--cwd", cwd, "--output", output, ...binary]
          expect((yield* batch({ files, scripts: [answering("1"), answering("2")] }, ...args)).code).toBe(0)
          const lines = fs.readFileSync(path.join(root, output.slice(2)), "utf8").trim().split("\n")
          return lines.map((line) => path.relative(root, JSON.parse(line).cwd))
        })
      expect(yield* cwds("./base", "./one.jsonl")).toEqual(["base/sub", "base"])
      expect(yield* cwds("./{{folder}}", "./two.jsonl")).toEqual(["base", "base/sub"])
    }))

  test("says at its end where everything is and how to go on", (batch) =>
    Effect.gen(function*() {
      const quota = Mock.script(
        Mock.awaitStdin,
        Mock.lines([Events.error({ message: "You exceeded your current quota", statusCode: 429 })]),
        Mock.exit(1)
      )
      const args = ["./jobs.jsonl", "--name", "it's {{prompt}}", "--jobs", "1", ...binary]
      const ended = yield* batch({ files: two, scripts: [answering("1"), quota] }, ...args)
      expect(ended.stdout).toMatch(/quota: You exceeded your current quota/)
      const [, id] = /replay jobs\.transcripts\/([0-9a-f]{16})\.jsonl/.exec(ended.stdout) ?? []
      expect(ended.stdout.split("\n").slice(-6)).toEqual([
        "results      jobs.results.jsonl",
        "transcripts  jobs.transcripts",
        "",
        `run failed jobs again      effect-opencode batch jobs.jsonl --name 'it'\\''s {{prompt}}' --jobs 1 ${
          binary.join(" ")
        } --resume --retry-failed`,
        `see what a failed run did  effect-opencode replay jobs.transcripts/${id}.jsonl --speed instant`,
        ""
      ])
    }))

  test("asks for answers by their schema and writes their values", (batch, root) =>
    Effect.gen(function*() {
      const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] }
      const rows = [{ prompt: "one", schema }, { prompt: "two", schema }, { prompt: "three" }]
      const files = { "jobs.jsonl": rows.map((row) => `${JSON.stringify(row)}\n`).join("") }
      const scripts = [
        answering("```json\n{\"ok\": true}\n```"),
        answering("It is."),
        answering("It is, I said."),
        answering("3")
      ]
      const args = ["./jobs.jsonl", "--jobs", "1", "--repairs", "1", "--report", "./report.html", ...binary]
      const ended = yield* batch({ files, scripts }, ...args)
      expect(ended.code).toBe(1)
      expect(ended.stdout).toContain("wrong answer: The agent's answer has no JSON v")
      const lines = fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8").trim().split("\n")
      expect(
        lines.map((line) => JSON.parse(line)).map(({ cost, outcome, steps, value }) => ({
          cost,
          outcome,
          steps,
          value
        }))
      ).toEqual([
        { cost: 0.25, outcome: "success", steps: 1, value: { ok: true } },
        { cost: 0.5, outcome: "OpenCodeOutputError", steps: 2, value: undefined },
        { cost: 0.25, outcome: "success", steps: 1, value: undefined }
      ])
      // both answers of the failed job
      const page = fs.readFileSync(path.join(root, "report.html"), "utf8")
      for (const text of ["It is.", "It is, I said."]) expect(page).toContain(text)
      const useless = yield* batch({ files: two }, "./jobs.jsonl", "--repairs", "1", "--output", "./b.jsonl", ...binary)
      expect(useless.stderr).toContain("error: --repairs needs a schema.")
    }))

  test("with --server refuses jobs that need a process of their own", (batch, root) =>
    Effect.gen(function*() {
      const rows = [
        { prompt: "fine" },
        { prompt: "x", config: { share: true } },
        { prompt: "x", config: { extraEnv: { OPENCODE_SERVER_PASSWORD: "x" } } }
      ]
      const files = { "jobs.jsonl": rows.map((row) => `${JSON.stringify(row)}\n`).join("") }
      const server = ["./jobs.jsonl", "--server", "--binary", process.execPath]
      const refused = yield* batch({ files }, ...server)
      expect(refused).toMatchObject({ code: 2, prompts: [], stdout: "" })
      expect(refused.stderr.trim().split("\n")).toEqual([
        expect.stringMatching(/^jobs\.jsonl:2:\d+: `share`: not with --server: a server cannot publish sessions/),
        "jobs.jsonl:3:36: `extraEnv.OPENCODE_SERVER_PASSWORD`: not with --server: the layer's servers have their own " +
        "credentials",
        "error: Nothing was started: there are 2 problems with the jobs."
      ])
      const shared = yield* batch({ files: two }, ...server, "--share")
      expect(shared.stderr.split("\n")[0]).toBe("options: `share`: not with --server: a server cannot publish sessions")
      const started = yield* batch({ files: two }, ...server, "--startup-concurrency", "2")
      expect(started.stderr).toContain("--startup-concurrency and --startup-window cannot be combined with --server")
      expect(fs.readdirSync(root)).toEqual(["jobs.jsonl"])
    }))

  test("leaves the jobs beyond the budget and exits with code 9", (batch) =>
    Effect.gen(function*() {
      const args = ["./jobs.jsonl", "--jobs", "1", ...binary]
      const first = yield* batch({ files: two, scripts: [answering("1")] }, ...args, "--total-cost", "0.2")
      expect(first).toMatchObject({ code: 9, prompts: ["one"] })
      expect(first.stderr).toBe(
        "1 of 2 jobs were not run, because the budget of all jobs is used up; --resume runs them.\n"
      )
      const more = yield* batch({ scripts: [answering("2")] }, ...args, "--total-cost", "1", "--resume")
      expect(more).toMatchObject({ code: 0, prompts: ["two"] })
    }))

  test("starts nothing when OpenCode is missing", (batch, root) =>
    Effect.gen(function*() {
      const ended = yield* batch({ files: two }, "./jobs.jsonl", "--binary", "./nothing")
      expect(ended).toMatchObject({ code: 3, prompts: [] })
      expect(fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8")).toBe("")
    }))

  test("keeps transcripts of different results files apart", (batch, root) =>
    Effect.gen(function*() {
      const ran = (output: string) =>
        Effect.gen(function*() {
          const given = { files: { "in.csv": "prompt\none\n" }, scripts: [answering("1")] }
          expect((yield* batch(given, "./in.csv", "-o", output, ...binary)).code).toBe(0)
          const { transcript } = JSON.parse(fs.readFileSync(path.join(root, output.slice(2)), "utf8"))
          return path.dirname(transcript)
        })
      const outputs = ["./jobs.results.jsonl", "./jobs.jsonl", "./jobs", "./jobs.jsonl.results.jsonl"]
      expect(yield* Effect.forEach(outputs, ran)).toEqual([
        "jobs.transcripts",
        "jobs.jsonl-transcripts",
        "jobs-transcripts",
        "jobs.jsonl.transcripts"
      ])
      // a link stands for the results that it leads to, with their lock
      fs.symlinkSync("jobs.jsonl", path.join(root, "link.jsonl"))
      fs.writeFileSync(path.join(root, "jobs.jsonl.lock"), "")
      const linked = yield* batch({}, "./in.csv", "-o", "./link.jsonl", "--resume", ...binary)
      expect([linked.code, linked.stderr.split("\n")[0]]).toEqual([2, "error: Another batch is using jobs.jsonl."])
    }))

  test("overwrites none of its own inputs and outputs", (batch, root) =>
    Effect.gen(function*() {
      const jobs = "{\"id\":\"1\",\"prompt\":\"hi\"}"
      fs.writeFileSync(path.join(root, "jobs.jsonl"), jobs)
      fs.writeFileSync(path.join(root, "prompt.md"), "Do it.")
      fs.linkSync(path.join(root, "jobs.jsonl"), path.join(root, "hard.jsonl"))
      fs.symlinkSync("out.jsonl", path.join(root, "out.html"))
      fs.mkdirSync(path.join(root, "folder"))
      fs.writeFileSync(path.join(root, "file"), "")
      const before = fs.readdirSync(root).sort()
      const refused = (...args: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          const ended = yield* batch({}, "./jobs.jsonl", "--prompt-file", "./prompt.md", ...args, ...binary)
          expect([args, ended.code, ended.prompts]).toEqual([args, 2, []])
          expect(fs.readdirSync(root).sort()).toEqual(before)
          return ended.stderr.split("\n")[0]
        })
      expect(yield* refused("-o", "./jobs.jsonl")).toBe("error: --output: jobs.jsonl is the job file.")
      expect(yield* refused("-o", "./hard.jsonl")).toBe("error: --output: hard.jsonl is the job file.")
      expect(yield* refused("-o", "./prompt.md")).toBe("error: --output: prompt.md is the prompt file.")
      const out = ["-o", "./out.jsonl", "--report"]
      expect(yield* refused(...out, "./out.jsonl")).toBe("error: --report: out.jsonl is the results file.")
      expect(yield* refused(...out, "./out.html")).toBe("error: --report: out.html is the results file.")
      expect(yield* refused(...out, "./out.jsonl.lock")).toContain("is the lock of the results file.")
      expect(yield* refused(...out, "./hard.jsonl")).toContain("is the job file.")
      expect(yield* refused(...out, "./out.jsonl-transcripts")).toContain("is the transcripts directory.")
      for (const report of ["./folder", "./file/report.html", "/proc/x/report.html"]) {
        expect(yield* refused(...out, report)).toContain("cannot be written; nothing was started.")
      }
      expect(fs.readFileSync(path.join(root, "jobs.jsonl"), "utf8")).toBe(jobs)
    }))

  test(
    "refuses impossible jobs with their place before it creates anything",
    (batch, root) =>
      Effect.gen(function*() {
        fs.mkdirSync(path.join(root, "here"))
        fs.writeFileSync(path.join(root, "here", "a.txt"), "")
        const rows = [
          { prompt: "fine", cwd: "here", config: { files: ["a.txt"], dir: "." } },
          { prompt: "missing", cwd: "nowhere" },
          { prompt: "no directory", cwd: "here/a.txt" },
          { prompt: "files", cwd: "here", config: { files: ["a.txt", "b.txt"] } },
          { prompt: "dir", config: { dir: "inner" } },
          { prompt: "session", config: { sessionId: "ses_1" } },
          { prompt: "last session", config: { continueSession: true } }
        ]
        const files = { "jobs.jsonl": rows.map((row) => `${JSON.stringify(row)}\n`).join("") }
        const args = ["./jobs.jsonl", "--cwd", "./", "--report", "./out/report.html", ...binary]
        const session =
          "with --isolation run every run starts with an empty data directory, so there is no session to continue; " +
          "use --isolation none or a directory"
        const said = [
          "jobs.jsonl:2:27: `cwd`: there is no directory nowhere",
          "jobs.jsonl:3:32: `cwd`: not a directory: here/a.txt",
          "jobs.jsonl:4:50: `files`: there is no file here/b.txt",
          "jobs.jsonl:5:33: `dir`: there is no directory inner",
          `jobs.jsonl:6:43: \`sessionId\`: ${session}`,
          `jobs.jsonl:7:54: \`continueSession\`: ${session}`,
          "error: Nothing was started: there are 6 problems with the jobs."
        ]
        for (const further of [[], ["--dry-run"], ["--resume"], ["--worktree"]]) {
          const refused = yield* batch({ files }, ...args, ...further)
          expect(refused).toMatchObject({ code: 2, stdout: "", prompts: [] })
          // a relative path is resolved in the worktree, which does not exist yet
          const expected = further[0] === "--worktree"
            ? said.filter((line) => !/files|dir`/.test(line)).map((line) => line.replace("6 problems", "4 problems"))
            : said
          expect(refused.stderr.trim().split("\n")).toEqual(expected)
          expect(fs.readdirSync(root).sort()).toEqual(["here", "jobs.jsonl"])
        }
        const nowhere = yield* batch({ files }, "./jobs.jsonl", "--cwd", "./nowhere", ...binary)
        expect(nowhere.stderr.split("\n").filter((line) => line.startsWith("--cwd"))).toEqual([
          "--cwd: `cwd`: there is no directory nowhere"
        ])
      })
  )

  test("with --resume checks only the jobs that it would run", (batch, root) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.join(root, "gone"))
      const files = { "jobs.csv": "prompt,cwd\none,gone\ntwo,later\n" }
      fs.mkdirSync(path.join(root, "later"))
      const args = ["./jobs.csv", "--cwd", "./", "--jobs", "1", ...binary]
      const first = yield* batch({ files, scripts: [answering("1")] }, ...args, "--total-cost", "0.2")
      expect(first).toMatchObject({ code: 9, prompts: ["one"] })
      for (const name of ["gone", "later"]) fs.rmdirSync(path.join(root, name))
      const results = fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8")
      const refused = yield* batch({}, ...args, "--resume")
      expect(refused).toMatchObject({ code: 2, prompts: [] })
      expect(refused.stderr.split("\n")[0]).toBe("jobs.csv:3:5: `cwd`: there is no directory later")
      expect(fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8")).toBe(results)
      fs.mkdirSync(path.join(root, "later"))
      expect(yield* batch({ scripts: [answering("2")] }, ...args, "--resume")).toMatchObject({
        code: 0,
        prompts: ["two"]
      })
    }))

  test("continues existing sessions", (batch) =>
    Effect.gen(function*() {
      const files = { "jobs.csv": "prompt,config.sessionId\none,ses_1\n" }
      const ended = yield* batch(
        { files, scripts: [answering("1")] },
        "./jobs.csv",
        "--isolation",
        "./data",
        ...binary
      )
      expect(ended).toMatchObject({ code: 0, prompts: ["one"] })
    }))

  test("shows fifty problems and counts the rest", (batch) =>
    Effect.gen(function*() {
      const files = { "jobs.csv": `cwd\n${Array.from({ length: 1200 }, (_, index) => `no${index}\n`).join("")}` }
      const { code, stderr } = yield* batch({ files }, "./jobs.csv", "--prompt", "x", ...binary)
      const lines = stderr.trim().split("\n")
      expect([code, lines.length]).toEqual([2, 52])
      expect(lines.slice(-2)).toEqual([
        "… and 1,150 more",
        "error: Nothing was started: there are 1,200 problems with the jobs."
      ])
    }))

  test("reports what is wrong with its input and starts nothing", (batch, root) =>
    Effect.gen(function*() {
      const files = {
        ...two,
        "bad.jsonl": "{\"prompt\":\"a {{x}}\"}\n{\"prompt\":\"b\"\n{\"prompt\":\"c\",\"model\":\"gpt\"}\n",
        "bad.csv": "prompt,agents\n\"a,b\n",
        "bad.yaml": "- prompt: a\n  config: {permission: {bash: ask}, colour: red}\n",
        "notes.txt": "my notes"
      }
      const cases: ReadonlyArray<ReadonlyArray<string>> = [
        [],
        ["./nowhere.jsonl"],
        ["./notes.txt"],
        ["./notes.txt", "--format", "jsonl"],
        ["./bad.jsonl"],
        ["./bad.csv"],
        ["./bad.yaml"],
        ["./jobs.jsonl", "./bad.csv"],
        ["./jobs.jsonl", "--output", "./notes.txt"],
        ["./jobs.jsonl", "--output", "./jobs.jsonl"],
        ["./jobs.jsonl", "--prompt", "Do {{prompt}} {{it"],
        ["./jobs.jsonl", "--prompt", "x", "--prompt-file", "y"],
        ["./jobs.jsonl", "--prompt-file", "nowhere.md"],
        ["./jobs.jsonl", "--matrix", "model"],
        ["./jobs.jsonl", "--matrix", "model=a/b,", "model=c/d"],
        ["./jobs.jsonl", "--matrix", "tone=a,b"],
        ["./jobs.jsonl", "--jobs", "0"],
        ["./jobs.jsonl", "--repeat", "many"],
        ["./jobs.jsonl", "--total-cost", "0"],
        ["./jobs.jsonl", "--retry-failed"],
        ["./jobs.jsonl", "--base", "main"],
        ["./jobs.jsonl", "--keep-worktrees", "all"]
      ]
      const said = yield* Effect.forEach(cases, (args) =>
        Effect.map(batch({ files }, ...args, ...binary), ({ code, prompts, stderr, stdout }) => {
          expect([args, {
            code,
            prompts: prompts.filter((prompt) =>
              prompt !== ""
            ),
            stdout
          }]).toEqual([
            args,
            { code: 2, prompts: [], stdout: "" }
          ])
          return `$ effect-opencode batch ${args.map((arg) => arg.replace("./", "")).join(" ")}\n${stderr}`
        }))
      yield* Effect.promise(() => expect(said.join("\n")).toMatchFileSnapshot("./__snapshots__/wrong-batches.txt"))
      expect(fs.readFileSync(path.join(root, "notes.txt"), "utf8")).toBe("my notes")
      expect(fs.readFileSync(path.join(root, "jobs.jsonl"), "utf8")).toBe(two["jobs.jsonl"])
    }))
})
