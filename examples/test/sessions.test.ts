/**
 * Runs every program of examples/sessions unchanged: `runMain` hands the program over instead of starting it, and the
 * processes that it starts are scripted.
 */
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Cause, ConfigProvider, Effect, Exit, Layer, Option } from "effect"
import { MockCommandExecutor } from "effect-opencode-testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterEach, vi } from "vitest"
import { handedOver, keeping } from "./support/program.js"

const { awaitStdin, exit, lines, script, stderr, stdout } = MockCommandExecutor

interface Harness {
  main: Effect.Effect<unknown, unknown> | undefined
  /** The script of any command other than the version query. */
  answer: (command: MockCommandExecutor.RecordedCommand) => MockCommandExecutor.Script
  executor: MockCommandExecutor.Service | undefined
}

const harness: Harness = vi.hoisted(() => ({
  main: undefined,
  answer: () => {
    throw new Error("no script")
  },
  executor: undefined
}))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
  const executor = MockCommandExecutor.layer((command) =>
    command.args.includes("--version") ? script(stdout("1.18.33\n")) : harness.answer(command)
  ).pipe(
    Layer.tap((context) =>
      Effect.sync(() => {
        harness.executor = context.unsafeMap.get(MockCommandExecutor.MockCommandExecutor.key)
      })
    )
  )
  return replaced(original, harness, (node) => Layer.merge(node, executor))
})

/** Imports a program, which does not start it yet, and then runs it. */
const run = (
  load: () => Promise<unknown>,
  answer: Harness["answer"],
  environment: { readonly [name: string]: string } = {}
) =>
  Effect.gen(function*() {
    harness.main = undefined
    harness.executor = undefined
    harness.answer = answer
    vi.resetModules()
    yield* Effect.promise(load)
    expect(harness.main).toBeDefined()
    const printed: Array<string> = []
    const exit = yield* Effect.exit(handedOver(harness)).pipe(
      Effect.withConsole(keeping(printed)),
      Effect.withConfigProvider(
        ConfigProvider.orElse(
          ConfigProvider.fromMap(new Map(Object.entries(environment))),
          () => ConfigProvider.fromEnv()
        )
      )
    )
    const executor: MockCommandExecutor.Service | undefined = harness.executor
    const commands = executor === undefined ? [] : yield* (executor as MockCommandExecutor.Service).commands
    return { exit, printed, commands: commands.filter(({ args }) => !args.includes("--version")) }
  })

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const part = (type: string, part: object, sessionID = "ses_1") => ({ type, sessionID, part })

const text = (text: string) => part("text", { text })

const finish = part("step_finish", { reason: "stop", cost: 0.01, tokens: { input: 900, output: 100, total: 1000 } })

const says = (words: string) => script(awaitStdin, lines([text(words), finish]), exit(0))

const json = (value: unknown) => says(`Here it is.\n\n\`\`\`json\n${JSON.stringify(value)}\n\`\`\``)

const sessionOf = ({ args }: MockCommandExecutor.RecordedCommand) =>
  args.find((arg) => arg.startsWith("--session="))?.slice("--session=".length)

const isRun = ({ args }: MockCommandExecutor.RecordedCommand) => args[0] === "run"

const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-example-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

describe("the programs of docs/sessions.md", () => {
  afterEach(() => {
    vi.resetModules()
  })

  describe("review loop", () => {
    const edits = script(
      awaitStdin,
      lines([
        part("tool_use", {
          tool: "write",
          callID: "call_1",
          state: { status: "completed", input: { filePath: "src/a.ts", content: "" }, output: "", metadata: {} }
        }),
        text("Done."),
        finish
      ]),
      exit(0)
    )
    const problem = "src/a.ts(1,1): error TS2322: no\n"

    /** A compiler that accepts the agent's work of this round. */
    const contentWith = (round: number) => {
      let compiled = 0
      return (command: MockCommandExecutor.RecordedCommand) => {
        if (isRun(command)) return edits
        if (command.args[0] !== "tsc") return script()
        return ++compiled < round ? script(stdout(problem), exit(2)) : script(exit(0))
      }
    }

    it.live("returns the compiler's output to the same conversation", () =>
      Effect.gen(function*() {
        const { commands, exit, printed } = yield* run(() => import("../sessions/review-loop.js"), contentWith(2))
        expect(exit).toEqual(Exit.void)
        expect(printed).toEqual([
          "round 1: src/a.ts",
          "round 2: src/a.ts",
          "It compiles: 2000 tokens, $0.02"
        ])
        const turns = commands.filter(isRun)
        expect(turns.map(sessionOf)).toEqual([undefined, "ses_1"])
        expect(turns[1]?.stdin).toContain(problem)
        expect(new Set(turns.map(({ env }) => env["XDG_DATA_HOME"])).size).toBe(1)
      }))

    it.live("stops after three rounds and reports what is left", () =>
      Effect.gen(function*() {
        const { commands, exit } = yield* run(() => import("../sessions/review-loop.js"), contentWith(9))
        expect(failureOf(exit)).toMatchObject({ _tag: "NotCompilingError", rounds: 3, problems: problem })
        expect(commands.filter(isRun)).toHaveLength(3)
      }))
  })

  describe("fan-out", () => {
    const audited = (service: string) => ({ service, risk: "low", outdated: [], lastRelease: "2026-01-02" })

    it.live("returns a typed result per service and runs one step over them", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const { exit: ended, printed } = yield* run(() => import("../sessions/fan-out.js"), (command) =>
          isRun(command)
            ? script(
              awaitStdin,
              MockCommandExecutor.decide(({ args, stdin }) => {
                asked.push(stdin)
                const service = /services\/(\w+)/.exec(stdin)?.[1]
                if (service === "mail") return [stderr("no"), exit(1)]
                if (service !== undefined) return json({ ...audited(service), risk: "severe" }).steps
                if (args.some((arg) => arg.startsWith("--session="))) return json(audited("billing")).steps
                return json({ first: "search", steps: ["update effect"] }).steps
              })
            )
            : script())
        expect(ended).toEqual(Exit.void)
        expect(printed[0]).toContain("mail: OpenCode exited with code 1")
        expect(printed.slice(1)).toEqual(["begin with search", "- update effect", "planned for $0.01"])
        // Two answers that did not decode at first and were corrected.
        expect(asked.filter((prompt) => prompt.includes("\"severe\""))).toHaveLength(2)
        const reduce = asked.find((prompt) => prompt.startsWith("Plan the updates"))
        expect(reduce).toContain("\"lastRelease\":\"2026-01-02T00:00:00.000Z\"")
        expect(reduce).not.toContain("\"mail\",\"risk\"")
      }))
  })

  it.live("recursive: decodes a nested answer", () =>
    Effect.gen(function*() {
      const value = { name: "core", parts: [{ name: "session", parts: [] }] }
      const { commands, printed } = yield* run(
        () => import("../sessions/recursive.js"),
        (command) => isRun(command) ? json(value) : script()
      )
      expect(printed).toEqual(["core", "  session"])
      expect(commands.find(isRun)?.stdin).toContain("\"$ref\": \"#/$defs/Module\"")
    }))

  it.live("changes: lists the changes made by tools and those seen by git", () =>
    Effect.gen(function*() {
      const bash = part("tool_use", {
        tool: "bash",
        callID: "call_1",
        state: { status: "completed", input: { command: "npm test" }, output: "", metadata: { exit: 1 } }
      })
      const { printed } = yield* run(() => import("../sessions/changes.js"), (command) => {
        if (isRun(command)) return script(awaitStdin, lines([bash, text("Fixed."), finish]), exit(0))
        if (command.args.includes("diff")) return script(stdout("--- a/a.ts\n"))
        return script(stdout(command.args.includes("ls-files") ? "" : "tree\n"))
      })
      expect(printed).toEqual(["$ npm test (1)", "--- a/a.ts\n"])
    }))

  describe("restart", () => {
    const load = () => import("../sessions/restart.js")

    it.scopedLive("continues the same conversation at every start", () =>
      Effect.gen(function*() {
        const home = yield* temporary
        const first = yield* run(load, () => says("Noted."), { AGENT_HOME: home, PROMPT: "Remember 7" })
        expect(first.printed).toEqual(["Noted."])
        expect(JSON.parse(fs.readFileSync(path.join(home, "session.json"), "utf8"))).toEqual({
          sessionId: "ses_1",
          directory: path.join(home, "data"),
          cwd: process.cwd()
        })
        const second = yield* run(load, () => says("7"), { AGENT_HOME: home, PROMPT: "Which number?" })
        expect(second.printed).toEqual(["7"])
        const turns = [...first.commands, ...second.commands].filter(isRun)
        expect(turns.map(({ stdin }) => stdin)).toEqual(["Remember 7", "Which number?"])
        expect(turns.map(sessionOf)).toEqual([undefined, "ses_1"])
        expect(turns.map(({ env }) => env["XDG_DATA_HOME"])).toEqual([
          path.join(home, "data"),
          path.join(home, "data")
        ])
        expect(fs.existsSync(path.join(home, "data"))).toBe(true)
      }))

    it.scopedLive("keeps a failed turn in the conversation", () =>
      Effect.gen(function*() {
        const home = yield* temporary
        const failing = script(lines([part("step_start", {})]), exit(1))
        const first = yield* run(load, () => failing, { AGENT_HOME: home, PROMPT: "one" })
        expect(failureOf(first.exit)).toMatchObject({ _tag: "OpenCodeProcessError" })
        const second = yield* run(load, () => says("2"), { AGENT_HOME: home, PROMPT: "two" })
        expect(second.commands.filter(isRun).map(sessionOf)).toEqual(["ses_1"])
      }))
  })

  describe("after-crash", () => {
    const load = () => import("../sessions/after-crash.js")

    it.scopedLive("starts again after a finished run and continues a killed one", () =>
      Effect.gen(function*() {
        const home = yield* temporary
        const file = path.join(home, "nightly.jsonl")
        const whole = yield* run(load, () => says("All done."), { AGENT_HOME: home })
        expect(whole.printed).toEqual(["All done."])
        const recorded = fs.readFileSync(file, "utf8").trimEnd().split("\n")
        expect(recorded).toHaveLength(4)

        const again = yield* run(load, () => says("Nothing to do."), { AGENT_HOME: home })
        expect(again.commands.filter(isRun).map(sessionOf)).toEqual([undefined])

        // What remains of a run whose program was killed while it wrote its second event.
        fs.writeFileSync(file, `${recorded.slice(0, 2).join("\n")}\n${recorded[2]!.slice(0, 20)}`)
        const resumed = yield* run(load, () => says("The rest is done."), { AGENT_HOME: home })
        expect(resumed.printed).toEqual(["continuing after 2 events", "The rest is done."])
        const [turn] = resumed.commands.filter(isRun)
        expect(sessionOf(turn!)).toBe("ses_1")
        expect(turn!.env["XDG_DATA_HOME"]).toBe(path.join(home, "data"))

        // The transcript records the end, although the line before it was cut off.
        const last = yield* run(load, () => says("Nothing to do."), { AGENT_HOME: home })
        expect(last.commands.filter(isRun).map(sessionOf)).toEqual([undefined])
      }))
  })

  describe("ledger", () => {
    it.scopedLive("writes a line for the run before its prompt is sent, and keeps its conversation apart", () =>
      Effect.gen(function*() {
        const home = yield* temporary
        const { commands, printed } = yield* run(() => import("../sessions/ledger.js"), () => says("All done."), {
          AGENT_HOME: home,
          JOB: "nightly-7"
        })
        expect(printed).toEqual(["nightly-7 All done."])
        expect(fs.readFileSync(path.join(home, "ledger"), "utf8")).toMatch(/^nightly-7 1 \d+ \n$/)
        const [command] = commands.filter(isRun)
        expect(command!.env["EFFECT_OPENCODE_RUN"]).toBe(":nightly-7")
        expect(command!.env["XDG_DATA_HOME"]).toBe(path.join(home, "nightly-7"))
      }))
  })

  describe("move", () => {
    it.scopedLive("continues a conversation from a file in another data directory", () =>
      Effect.gen(function*() {
        const home = path.join(yield* temporary, "data")
        const conversation = { info: { id: "ses_1" }, messages: [] }
        const { commands, printed } = yield* run(
          () => import("../sessions/move.js"),
          (command) => {
            if (isRun(command)) return says("Done.")
            if (command.args[0] === "import") return script(stdout("Imported session: ses_1\n"))
            if (command.args.at(-2) !== "export") return script()
            fs.writeFileSync(command.args[2]!, JSON.stringify(conversation))
            return script()
          },
          { AGENT_HOME: home }
        )
        expect(printed).toEqual(["Done."])
        expect(JSON.parse(fs.readFileSync(`${home}.json`, "utf8"))).toEqual(conversation)
        const [first, second] = commands.filter(isRun)
        expect(sessionOf(second!)).toBe("ses_1")
        expect([first!.env["XDG_DATA_HOME"] === home, second!.env["XDG_DATA_HOME"]]).toEqual([false, home])
      }))
  })
})
