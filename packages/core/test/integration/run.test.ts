import { describe, expect } from "@effect/vitest"
import { OpenCode, RunEvent, Version } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { asked, bash, real, Reply, respond, run, steps, tags, tools, version } from "./support.js"

const awkward = `--help "quoted" 'single' \`tick\` $(touch pwned) $HOME \\n %s\n\n  -x\ttab Grüße, 世界: 🦀 {"a":1}`

const unicode = "Grüße, 世界: 🦀 👩‍💻 é é \u2028 ﷽"

describe("a run with the real binary", () => {
  real(
    "takes the prompt as it is, and ends with the answer, its cost, and every event in the transcript",
    (box) =>
      Effect.gen(function*() {
        const transcript = path.join(box.root, "logs", "run.jsonl")
        const result = yield* run(awkward, { transcript, keepRaw: true })
        expect((yield* asked).map(({ prompt }) => prompt)).toEqual([awkward])
        expect(result).toMatchObject({
          text: unicode,
          finishReason: "stop",
          exitCode: 0,
          forced: false,
          steps: 1,
          attempts: 1,
          usage: { total: 120, output: 20 }
        })
        expect(result.sessionId).toMatch(/^ses_/)
        expect(result.cost).toBeGreaterThan(0)
        expect(tags(result.events)).toEqual(["StepStart", "Text", "StepFinish"])
        const wire = result.events.map(RunEvent.toWire)
        expect(result.rawLines?.map((line) => JSON.parse(line))).toEqual(wire)
        const lines = fs.readFileSync(transcript, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))
        expect(lines.slice(1, -1)).toEqual(wire.map((line) => ({ "effect-opencode/runId": result.runId, ...line })))
        expect(lines[0]).toMatchObject({ type: "effect-opencode/run_start", runId: result.runId, cwd: box.work })
        expect(lines.at(-1)).toMatchObject({ type: "effect-opencode/run_end", runId: result.runId, outcome: "success" })
      }),
    { respond: steps([Reply.text(unicode, { deltas: [...unicode] })]) }
  )

  real(
    "takes a prompt of 1 MB, edits a file, and calls the shell with a temporary directory of its own",
    (box) => {
      const file = path.join(box.work, "greeting.txt")
      fs.writeFileSync(file, "hello world\n")
      const prompt = "0123456789abcde\n".repeat(64 * 1024) + "end"
      return Effect.gen(function*() {
        yield* respond(steps([
          bash(`pwd; echo "$TMPDIR"; echo '${unicode}'; ls -A "$TMPDIR"; exit 3`),
          Reply.toolCalls([{ name: "read", arguments: { filePath: file } }]),
          Reply.toolCalls([{ name: "edit", arguments: { filePath: file, oldString: "world", newString: unicode } }]),
          Reply.text("listed and edited")
        ]))
        const result = yield* run(prompt)
        const [request] = yield* asked
        expect(request?.prompt.length).toBe(prompt.length)
        expect(request?.prompt === prompt).toBe(true)
        expect(result.steps).toBe(4)
        expect(result.text).toBe("listed and edited")
        expect(tools(result.events).map(({ status, tool }) => `${tool} ${status}`)).toEqual([
          "bash completed",
          "read completed",
          "edit completed"
        ])
        expect(fs.readFileSync(file, "utf8")).toBe(`hello ${unicode}\n`)
        const [call] = tools(result.events)
        expect(call).toMatchObject({ tool: "bash", status: "completed", metadata: { exit: 3 } })
        const [directory, temporary, said, ...unpacked] = call!.output!.trimEnd().split("\n")
        expect(directory).toBe(box.work)
        expect(path.relative(box.tmp, temporary!)).toMatch(/^effect-opencode-/)
        expect(said).toBe(unicode)
        // OpenCode unpacks a library there and leaves it; the check after every test shows that it is gone.
        expect(unpacked.filter((name) => !name.startsWith(".")).length).toBeGreaterThan(0)
      })
    }
  )

  real(
    "passes a prompt as an argument: verbatim without a space, in double quotes with one",
    () =>
      Effect.gen(function*() {
        yield* run("--version", { promptVia: "argv" })
        yield* run("-f \"a\" $(b)", { promptVia: "argv" })
        const prompts = (yield* asked).map(({ prompt }) => prompt)
        expect(prompts).toEqual(["--version", "\"-f \\\"a\\\" $(b)\""])
      })
  )

  real("lists the version and the models", () =>
    Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      expect(Version.format(yield* opencode.version)).toBe(version)
      expect(yield* opencode.models).toContain("fake/m1")
      expect(yield* asked).toEqual([])
    }), { client: { version: undefined } })

  real("does not pass on the environment when it is reviewed", () =>
    Effect.gen(function*() {
      process.env["EO_CANARY"] = "inherited-canary"
      process.env["OPENAI_API_KEY"] = "inherited-key"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["EO_CANARY"]
          delete process.env["OPENAI_API_KEY"]
        })
      )
      const result = yield* run("Show the environment", { extraEnv: { ON_PURPOSE: "yes" } })
      const output = tools(result.events)[0]?.output ?? ""
      expect(output).not.toMatch(/inherited-(canary|key)/)
      expect(output).toContain(`PATH=${process.env["PATH"]}`)
      expect(output).toContain("ON_PURPOSE=yes")
    }), { client: { environment: "reviewed" }, respond: steps([bash("env"), Reply.text("shown")]) })
})
