import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import { Transcript } from "effect-opencode"
import { Events, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import { settle } from "../../core/test/support/settling.js"
import * as Interrupt from "../src/host/Interrupt.js"
import type { Surroundings } from "./support/cli.js"
import { runCli } from "./support/cli.js"

const platform = Effect.provide(NodeContext.layer)

/** OpenCode is not started: any executable file stands for it, and its version is given. */
const binary = ["--binary", process.execPath, "--opencode-version", "1.18.33"]

const answering = (...events: Parameters<typeof Events.session>[0]) =>
  Mock.script(Mock.awaitStdin, Mock.lines(Events.session(events)), Mock.exit(0))

/** Runs the program over scripted processes and returns what it started and printed. */
const runWith = (
  scripts: ReadonlyArray<Mock.Script>,
  args: ReadonlyArray<string>,
  surroundings?: Omit<Surroundings, "executor">
) =>
  Effect.scoped(Effect.gen(function*() {
    const context = yield* Layer.build(Mock.layer(scripts))
    const outcome = yield* runCli(args, { ...surroundings, executor: Layer.succeedContext(context) })
    const { commands } = yield* Effect.provide(Mock.MockCommandExecutor, context)
    return { ...outcome, commands: yield* commands }
  }))

/** Advances the clock until a fiber has ended. The clock stands still while files are read and written. */
const running = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.gen(function*() {
    while (true) {
      yield* settle
      if ((yield* fiber.status)._tag === "Done") return yield* Fiber.join(fiber)
      yield* TestClock.adjust("50 millis")
    }
  })

const twoTurns = [
  ...Events.turn(["I look at the test.", Events.tool({ tool: "read", title: "src/a.test.ts" })], { cost: 0.01 }),
  ...Events.turn("It fails because of **time zones**.\n", { cost: 0.02 })
]

describe("help", () => {
  for (const command of ["run", "batch", "replay", "doctor", "conformance"]) {
    it.effect(`of ${command}`, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* runCli([command, "--help"])
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        yield* Effect.promise(() => expect(stdout).toMatchFileSnapshot(`./__snapshots__/help-${command}.txt`))
      }))
  }

  it.effect("without a command shows the help of the program", () =>
    Effect.gen(function*() {
      const nothing = yield* runCli([])
      expect(nothing).toEqual(yield* runCli(["--help"]))
      yield* Effect.promise(() => expect(nothing.stdout).toMatchFileSnapshot("./__snapshots__/help.txt"))
    }))

  it.effect("describes every option and fits the width", () =>
    Effect.gen(function*() {
      for (const command of ["run", "batch", "replay", "doctor", "conformance"]) {
        const { stdout } = yield* runCli([command, "--help"], { stdoutIsTerminal: true, env: { NO_COLOR: "1" } })
        const lines = stdout.split("\n")
        for (const [index, line] of lines.entries()) {
          if (!/^ {2}-/.test(line)) continue
          expect(/\S {2,}\S/.test(line.trim()) || /^ {34}\S/.test(lines[index + 1] ?? ""), line).toBe(true)
        }
        const tooLong = lines.filter((line) => line.length > 80 && !/^ +(effect-opencode|git|#)/.test(line))
        expect(tooLong).toEqual([])
      }
    }))

  it.effect("is coloured on a terminal only", () =>
    Effect.gen(function*() {
      const escape = "\u001b["
      expect((yield* runCli(["--help"], { stdoutIsTerminal: true })).stdout).toContain(escape)
      expect((yield* runCli(["--help"])).stdout).not.toContain(escape)
      expect((yield* runCli(["--help"], { env: { FORCE_COLOR: "1" } })).stdout).toContain(escape)
      const noColor = { stdoutIsTerminal: true, env: { NO_COLOR: "1", FORCE_COLOR: "1" } }
      expect((yield* runCli(["--help"], noColor)).stdout).not.toContain(escape)
      expect((yield* runCli(["--help"], { stdoutIsTerminal: true, env: { TERM: "dumb" } })).stdout).not.toContain(
        escape
      )
    }))
})

describe("the program", () => {
  it.effect("prints its version", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const manifest = path.join(import.meta.dirname, "..", "package.json")
      const { version } = JSON.parse(yield* fileSystem.readFileString(manifest))
      expect(yield* runCli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" })
    }).pipe(platform))

  it.effect("reports wrong arguments in one line, with a hint", () =>
    Effect.gen(function*() {
      const said = (args: ReadonlyArray<string>) =>
        Effect.map(runCli(args), ({ code, stderr, stdout }) => {
          expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
          expect(stderr).toMatch(/^error: [^\n]+\n(hint: [^\n]+\n)?$/)
          return `$ effect-opencode ${
            args.map((arg) => /^[\w=./-]+$/.test(arg) ? arg : JSON.stringify(arg)).join(" ")
          }\n${stderr}`
        })
      const all = yield* Effect.forEach([
        ["rnu"],
        ["run"],
        ["run", "x", "--modle", "a/b"],
        ["run", "x", "--model"],
        ["run", "x", "--timeout", "5"],
        ["run", "x", "--budget-cost", "cheap"],
        ["run", "x", "--permission", "{\"bash\":\"ask\"}"],
        ["run", "x", "--permission", "{\"bash\""],
        ["run", "x", "--log-level", "LOUD"],
        ["run", "x", "--title", "a", "--title", "b"],
        ["run", "x", "--extra-env", "API_KEY=canary"],
        ["run", "--file", "nowhere.md"],
        ["run", "x", "--keep-raw"],
        ["replay"],
        ["replay", "nowhere.jsonl"],
        ["replay", "a.jsonl", "b.jsonl"],
        ["replay", "a.jsonl", "--speed", "0"],
        ["doctor", "what"],
        ["run", "x", ...binary, "--model", "gpt-5"],
        ["run", "  ", ...binary],
        ["run", "x", ...binary, "--cwd", "/nowhere/at/all"],
        ["run", "x", ...binary, "--session-id", "ses_1", "--isolation", "run"]
      ], said)
      const text = all.join("\n").replaceAll(process.execPath, "/usr/bin/opencode")
      expect(text).not.toMatch(/^(?:error|hint):.*canary/m)
      yield* Effect.promise(() => expect(text).toMatchFileSnapshot("./__snapshots__/wrong-arguments.txt"))
    }))
})

describe("run", () => {
  it.effect("prints the answer on standard output and everything else on standard error", () =>
    Effect.gen(function*() {
      const { code, commands, stderr, stdout } = yield* runWith([answering(...twoTurns)], ["run", "Fix it", ...binary])
      expect(code).toBe(0)
      expect(stdout).toBe("It fails because of **time zones**.\n")
      expect(stderr).toBe(
        "I look at the test.\n● read src/a.test.ts\n✔ success · 2 steps · 240 tokens (80 cached) · $0.0300 · 0 ms\n"
      )
      expect(commands.map(({ stdin }) => stdin)).toEqual(["Fix it"])
    }))

  const compacted = [...twoTurns.slice(0, 3), ...Events.compaction({ summary: "SUMMARY" }), ...twoTurns.slice(3)]

  it.effect("keeps OpenCode's own words off standard output", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runWith([answering(...compacted)], ["run", "Fix it", ...binary])
      expect(code).toBe(0)
      expect(stdout).toBe("It fails because of **time zones**.\n")
      expect(stderr).toContain("· OpenCode notes: Continue if you have next steps")
      const json = yield* runWith([answering(...compacted)], ["run", "Fix it", "--json", ...binary])
      expect(JSON.parse(json.stdout.trimEnd().split("\n").at(-1)!).text).toBe(
        "I look at the test.\n\nIt fails because of **time zones**.\n"
      )
    }))

  it.effect("shows the text held back when the run does not finish", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runWith(
        [Mock.script(Mock.awaitStdin, Mock.lines([Events.stepStart(), Events.text("So far.")]), Mock.exit(0))],
        ["run", "Fix it", ...binary]
      )
      expect(code).toBe(7)
      expect(stdout).toBe("")
      expect(stderr).toMatch(/^So far\.\n✘ /)
    }))

  it.effect("takes the prompt from arguments, a file and standard input", () =>
    Effect.scoped(Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const file = yield* fileSystem.makeTempFileScoped()
      yield* fileSystem.writeFileString(file, "From a file.\n")
      const prompt = (args: ReadonlyArray<string>, stdin?: string) =>
        Effect.map(
          runWith([answering(...Events.turn("ok"))], ["run", ...binary, ...args], { stdin }),
          ({ commands }) => commands[0]?.stdin
        )
      expect(yield* prompt(["fix", "the", "test"])).toBe("fix the test")
      expect(yield* prompt(["--", "--fix", "it"])).toBe("--fix it")
      expect(yield* prompt(["-f", file])).toBe("From a file.\n")
      expect(yield* prompt([], "Piped.\n")).toBe("Piped.\n")
      expect(yield* prompt(["-"], "Piped.")).toBe("Piped.")
      expect(yield* prompt(["Review this:", "-"], "diff")).toBe("Review this:\n\ndiff")
      expect(yield* prompt(["Read", "-f", file, "-"], "Piped.")).toBe("Read\n\nFrom a file.\n\n\nPiped.")
      // Standard input is not read unless it is asked for: it may never end.
      expect(yield* prompt(["words"], "Piped.")).toBe("words")
      expect(yield* prompt(["--command", "init"], "Piped.")).toBe("")
    })).pipe(platform))

  it.effect("reports that nothing was piped in", () =>
    Effect.gen(function*() {
      const { code, commands, stderr } = yield* runWith([], ["run", ...binary], { stdin: "\n" })
      expect([code, commands]).toEqual([2, []])
      expect(stderr).toBe(
        "error: No prompt given: standard input is empty.\n" +
          "hint: effect-opencode run \"Fix the failing test\", or --file prompt.md, or pipe it in\n"
      )
    }))

  it.effect("passes its options to OpenCode", () =>
    Effect.gen(function*() {
      const { commands } = yield* runWith(
        [answering(...Events.turn("ok"))],
        ["run", "x", "-m", "acme/large", "--agent", "plan", "--permission", "read-only", "--pure", ...binary],
        { env: {} }
      )
      expect(commands[0]?.args).toEqual(
        expect.arrayContaining(["--model=acme/large", "--agent=plan", "--pure", "--print-logs"])
      )
      const content = JSON.parse(commands[0]?.env["OPENCODE_CONFIG_CONTENT"] ?? "{}")
      expect(content.permission).toMatchObject({ edit: "deny", grep: "allow" })
    }))

  describe("a model without a price", () => {
    const unpriced = answering(...Events.turn("ok", { cost: 0 }))

    it.effect("warns on standard error under a budget in dollars, and marks the result", () =>
      Effect.gen(function*() {
        const budget = ["--budget-cost", "0.01"]
        const people = yield* runWith([unpriced], ["run", "x", "--model", "local/llama", ...budget, ...binary])
        expect(people.code).toBe(0)
        const [warning, end] = people.stderr.trimEnd().split("\n")
        expect(warning).toMatch(
          /^warn: The cost of run \w+ is unknown: .*configOverrides\.provider\.local\.models\.llama\.cost/
        )
        expect(end).toMatch(/^✔ success · 1 step · .* · cost unknown · /)
        const programs = yield* runWith([unpriced], ["run", "x", "--json", ...budget, ...binary])
        expect(JSON.parse(programs.stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({ cost: 0, unpriced: true })
        const allowed = yield* runWith([unpriced], ["run", "x", "--unpriced", "allow", ...budget, ...binary])
        expect([allowed.code, allowed.stderr]).toEqual([0, expect.stringMatching(/^✔ success · [^\n]*\n$/)])
      }))

    it.effect("ends the run with --unpriced error", () =>
      Effect.gen(function*() {
        const args = ["run", "x", "--budget-cost", "0.01", "--unpriced", "error", ...binary]
        const { code, stderr } = yield* runWith([unpriced], args)
        expect(code).toBe(9)
        expect(stderr).toContain("OpenCode does not know what it costs")
        expect(stderr).toContain("configOverrides.provider.<id>.models.<id>.cost")
      }))
  })

  it.effect("with --json prints a line per event and one for the result", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runWith([answering(...twoTurns)], ["run", "x", "--json", ...binary])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
      expect(lines.map(({ type }) => type)).toEqual([
        "step_start",
        "text",
        "tool_use",
        "step_finish",
        "step_start",
        "text",
        "step_finish",
        "effect-opencode/result"
      ])
      expect(lines.at(-1)).toMatchObject({
        outcome: "success",
        text: "I look at the test.\n\nIt fails because of **time zones**.\n",
        steps: 2,
        cost: 0.03,
        finishReason: "stop",
        attempts: 1
      })
      expect(lines.at(-1)).not.toHaveProperty("events")
      expect(lines.at(-1)).not.toHaveProperty("rawLines")
    }))

  it.effect("with --keep-raw prints the raw lines", () =>
    Effect.gen(function*() {
      const { stdout } = yield* runWith([answering(...Events.turn("ok"))], [
        "run",
        "x",
        "--json",
        "--keep-raw",
        ...binary
      ])
      expect(JSON.parse(stdout.trimEnd().split("\n").at(-1)!).rawLines).toHaveLength(3)
    }))

  const refused = Mock.script(
    Mock.awaitStdin,
    Mock.lines([Events.error({ message: "invalid key", statusCode: 401 })]),
    Mock.exit(1)
  )

  it.effect("fails with a summary, one line, a hint and a code", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runWith([refused], ["run", "x", ...binary])
      expect({ code, stdout }).toEqual({ code: 5, stdout: "" })
      expect(stderr.split("\n")).toEqual([
        "! APIError: invalid key",
        "✘ authentication · 0 steps · 0 tokens · $0.0000 · 0 ms",
        "error: OpenCode reported APIError (authentication, HTTP 401): invalid key. Check the provider's credentials (`opencode auth login`, or the API key in the environment).",
        ""
      ])
    }))

  describe("with --schema", () => {
    const schemaFile = Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const file = yield* fileSystem.makeTempFileScoped({ suffix: ".json" })
      yield* fileSystem.writeFileString(
        file,
        JSON.stringify({ type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] })
      )
      return ["--schema", file]
    })
    const asked = (scripts: ReadonlyArray<Mock.Script>, ...args: ReadonlyArray<string>) =>
      Effect.flatMap(schemaFile, (schema) => runWith(scripts, ["run", "Is it?", ...schema, ...args, ...binary]))
    const right = answering(...Events.turn("Here: ```json\n{\"ok\": true}\n```"))
    const wrong = answering(...Events.turn("```json\n{\"ok\": 1}\n```"))

    it.scopedLive("prints the JSON alone", () =>
      Effect.gen(function*() {
        const { code, stdout } = yield* asked([wrong, right])
        expect({ code, stdout }).toEqual({ code: 0, stdout: "{\"ok\":true}\n" })
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scopedLive("with --json has the value in the last line", () =>
      Effect.gen(function*() {
        const { code, stdout } = yield* asked([right], "--json")
        const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!)
        expect({ code, value: last.value, outcome: last.outcome }).toEqual({
          code: 0,
          value: { ok: true },
          outcome: "success"
        })
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scopedLive("ends with 11 if no answer satisfies it", () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* asked([wrong, wrong], "--repairs", "1")
        expect({ code, stdout }).toEqual({ code: 11, stdout: "" })
        expect(stderr).toContain("✘ wrong answer · 2 steps")
        expect(stderr).toContain("error: The answer does not satisfy the schema: [\"ok\"] must be boolean\n")
        expect(stderr).toContain("hint: describe the value in the prompt")
      }).pipe(Effect.provide(NodeContext.layer)))

    it.effect("is refused with a reason before anything is started", () =>
      Effect.gen(function*() {
        expect(yield* runWith([], ["run", "x", "--schema", "/nowhere.json", ...binary])).toMatchObject({
          code: 2,
          stderr: expect.stringContaining("error: --schema: the file /nowhere.json cannot be read")
        })
        expect(yield* runWith([], ["run", "x", "--repairs", "1", ...binary])).toMatchObject({
          code: 2,
          stderr: expect.stringContaining("error: --repairs needs --schema.")
        })
      }))
  })

  it.effect.each(
    [
      [["--share"], "--share cannot be used: not with --server: a server cannot publish sessions"],
      [["--attach", "http://127.0.0.1:1"], "--attach cannot be used: not with --server: the run already has a server"],
      [
        ["--prompt-via", "argv"],
        "--prompt-via cannot be used: not with --server: a server receives the prompt over HTTP"
      ],
      [["--retries", "1"], "--retries cannot be combined with --server: runs do not start OpenCode"],
      [["--opencode-version", "1.18.33"], "--opencode-version cannot be combined with --server: a server is asked"]
    ] as const
  )("with --server refuses %j", ([args, reason]) =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runWith([], ["run", "x", "--server", "--binary", process.execPath, ...args])
      expect(code).toBe(2)
      expect(stderr).toContain(reason)
    }))

  it.scoped.skipIf(process.platform !== "linux")(
    "lets no log message of the library control the terminal",
    () =>
      Effect.gen(function*() {
        const fileSystem = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        // opens, then every write fails
        const transcript = path.join(
          yield* fileSystem.makeTempDirectoryScoped(),
          "a\u001b]0;x\u0007\u001b[2Jb\u009b1mc\r.jsonl"
        )
        yield* fileSystem.symlink("/dev/full", transcript)
        const scripts = [answering(...Events.turn("ok"))]
        const { stderr } = yield* runWith(scripts, ["run", "x", "--transcript", transcript, ...binary])
        expect(stderr).toMatch(/^warn: A transcript could not be written .*\/abc\.jsonl$/m)
        // eslint-disable-next-line no-control-regex -- control characters are what must not be there
        expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
      }).pipe(platform)
  )

  it.effect("with --verbose shows the cause of a failure", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runWith([refused], ["run", "x", "--verbose", ...binary])
      expect(code).toBe(5)
      expect(stderr).toContain("OpenCodeSessionError: OpenCode reported APIError")
      expect(stderr).toMatch(/session \w+, run \w+ in /)
    }))

  it.effect("with --json prints the failure in the result", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* runWith([refused], ["run", "x", "--json", ...binary])
      expect(code).toBe(5)
      const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!)
      expect(result).toMatchObject({
        type: "effect-opencode/result",
        outcome: "OpenCodeSessionError",
        steps: 0,
        error: { kind: "authentication", statusCode: 401 }
      })
      expect(result.error).not.toHaveProperty("partial")
    }))

  it.effect("ends OpenCode on Ctrl-C and shows the state so far", () =>
    Effect.gen(function*() {
      const signals = yield* Queue.unbounded<Interrupt.Received>()
      const working = Mock.script(
        Mock.awaitStdin,
        Mock.lines(Events.session(Events.turn(Events.tool({ tool: "bash", title: "npm test" })))),
        Mock.sleep("1 second"),
        Mock.waitFor(Effect.asVoid(Queue.offer(signals, "SIGINT"))),
        Mock.never
      )
      const fiber = yield* Effect.fork(runWith([working], ["run", "x", ...binary], { signals }))
      const { code, commands, stderr } = yield* running(fiber)
      expect(code).toBe(130)
      expect(stderr).toMatch(
        /^● bash npm test\n✘ interrupted · 1 step · 120 tokens \(40 cached\) · \$0\.0001 · [^\n]+\n$/
      )
      expect(commands).toHaveLength(1)
    }))

  it.effect("ends OpenCode after an internal failure and reports it in one line", () =>
    Effect.gen(function*() {
      const crashing = (...further: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          const signals = yield* Queue.unbounded<Interrupt.Received>()
          const crash = new Interrupt.CrashedError({ cause: new Error("boom\u001b[2J\nand more") })
          const working = Mock.script(
            Mock.awaitStdin,
            Mock.lines(Events.session(Events.turn("ok"))),
            Mock.waitFor(Effect.asVoid(Queue.offer(signals, crash))),
            Mock.never
          )
          const fiber = yield* Effect.fork(runWith([working], ["run", "x", ...further, ...binary], { signals }))
          return yield* running(fiber)
        })
      const { code, commands, stderr } = yield* crashing()
      expect([code, commands.map(({ signals }) => signals)]).toEqual([1, [["SIGTERM"]]])
      expect(stderr.split("\n").slice(-4)).toEqual([
        expect.stringMatching(/^✘ interrupted · 1 step · /),
        "error: The program failed: boom and more",
        "hint: this is a bug in effect-opencode-cli: please report it with the output of --verbose",
        ""
      ])
      expect((yield* crashing("--verbose")).stderr).toContain("Cli.test.ts")
    }))

  it.effect("shows its progress on a terminal only", () =>
    Effect.gen(function*() {
      const slow = Mock.script(
        Mock.awaitStdin,
        Mock.sleep("3 seconds"),
        Mock.lines(Events.session(Events.turn("ok"))),
        Mock.exit(0)
      )
      const terminal = { stderrIsTerminal: true, stdoutIsTerminal: true, env: { NO_COLOR: "1" } }
      const fiber = yield* Effect.fork(runWith([slow], ["run", "x", ...binary], terminal))
      const { code, stderr, stdout } = yield* running(fiber)
      expect(code).toBe(0)
      expect(stdout).toBe("ok\n")
      const written = stderr.split("\r\u001b[2K")
      expect(written.slice(0, -1).every((text) => text === "" || /^. (starting OpenCode|working) · \d s/.test(text)))
        .toBe(true)
      expect(written.length).toBeGreaterThan(10)
      expect(written.at(-1)).toMatch(/^\n✔ success · 1 step · 120 tokens \(40 cached\) · \$0\.0001 · 3\.0 s\n$/)
    }))

  it.effect("lets no text of the model control the terminal", () =>
    Effect.gen(function*() {
      const hostile = [answering(...Events.turn("a\u001b[2Jb\u0007c\nd\te"))]
      const shown = yield* runWith(hostile, ["run", "x", ...binary], { stdoutIsTerminal: true })
      expect(shown.stdout).toBe("abc\nd\te\n")
      // A file gets the text unchanged.
      const kept = yield* runWith(hostile, ["run", "x", ...binary])
      expect(kept.stdout).toBe("a\u001b[2Jb\u0007c\nd\te\n")
    }))
})

describe("replay", () => {
  const recorded = Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const directory = yield* fileSystem.makeTempDirectoryScoped()
    const file = `${directory}/run.jsonl`
    const stamp = (event: object, timestamp: number) => ({ ...event, timestamp })
    const events = Events.session(twoTurns).map((event, index) => stamp(event, 1000 * (index + 5)))
    const marks = { runId: "aaaaabbbbbccccc", cwd: "/repo" }
    yield* fileSystem.writeFileString(
      file,
      [
        { type: "effect-opencode/run_start", timestamp: 0, attempt: 1, ...marks },
        ...events,
        { type: "effect-opencode/run_end", timestamp: 12_000, outcome: "success", ...marks }
      ].map((line) => JSON.stringify(line)).join("\n")
    )
    expect((yield* Transcript.read(file)).outcome).toBe("success")
    return file
  })

  const shown = {
    code: 0,
    stdout: "It fails because of **time zones**.\n",
    stderr:
      "I look at the test.\n● read src/a.test.ts\n✔ success · 2 steps · 240 tokens (80 cached) · $0.0300 · 12.0 s\n"
  }

  /** The duration in milliseconds, and what was printed. */
  const timed = (args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      const outcome = yield* running(yield* Effect.fork(runCli(args)))
      return [(yield* Clock.currentTimeMillis) - before, outcome] as const
    })

  it.scoped("shows a run at its own speed", () =>
    Effect.gen(function*() {
      const [took, outcome] = yield* timed(["replay", yield* recorded])
      expect(outcome).toEqual(shown)
      expect(took).toBe(12_000)
    }).pipe(platform))

  it.scoped("takes its speed from --speed", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      expect(yield* runCli(["replay", file, "--speed", "instant"])).toEqual(shown)

      const [tenfold, faster] = yield* timed(["replay", file, "--speed", "10"])
      expect(faster).toEqual(shown)
      expect(tenfold).toBe(1200)

      // Eight pauses: before each of the seven events, and before the end.
      const [hurried, shorter] = yield* timed(["replay", file, "--max-pause", "100ms"])
      expect(shorter).toEqual(shown)
      expect(hurried).toBe(800)
    }).pipe(platform))

  it.scoped("selects among the runs of a file", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      expect(yield* runCli(["replay", file, "--speed", "instant", "--run", "aaaaabbbbbccccc"])).toEqual(shown)
      const unknown = yield* runCli(["replay", file, "--run", "other"])
      expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("it has aaaaabbbbbccccc") })
    }).pipe(platform))
})
