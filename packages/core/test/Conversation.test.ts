import { assert, describe, it } from "@effect/vitest"
import { Conversation, OpenCode, RunResult, Transcript } from "effect-opencode"
import type { RunEvent } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import * as F from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"
import * as T from "./support/mock.js"

const raw: unknown = JSON.parse(
  NodeFs.readFileSync(new URL("./fixtures/opencode/1.18.33/export-session.json", import.meta.url), "utf8")
)

const decode = Schema.decodeUnknownSync(Conversation.Conversation)

const real = decode(raw)

/** Values that differ in every run: ids, times, snapshots. */
const withoutRun = (event: RunEvent.RunEvent): unknown =>
  JSON.parse(
    JSON.stringify(event),
    (key, value: unknown) =>
      ["id", "messageID", "messageId", "sessionID", "sessionId", "callID", "callId", "snapshot", "time", "timestamp"]
          .includes(key)
        ? undefined
        : value
  )

/** The lines that describe parts of a session; the session does not record when a line was printed. */
const parts = (events: ReadonlyArray<RunEvent.RunEvent>) =>
  events.map((event) => "raw" in event ? [event._tag, event.raw["type"], event.raw["part"]] : [event._tag])

const message = (role: string, ...parts: ReadonlyArray<object>) => ({ info: { id: "m", role }, parts })

const conversation = (...messages: ReadonlyArray<object>) => decode({ info: { id: "ses_1" }, messages })

const task = (metadata: object) => ({ type: "tool", tool: "task", state: { status: "completed", input: {}, metadata } })

describe("Conversation", () => {
  describe("a real export (1.18.33)", () => {
    it("decodes and keeps unknown fields", () => {
      assert.strictEqual(real.info.id, "ses_dfcd40ab8ffelCcanFW7aZeALF")
      assert.strictEqual(real.info.directory, "/workspace")
      assert.strictEqual(real.info["version"], "1.18.33")
      assert.deepStrictEqual(real.messages.map(({ info }) => [info.role, info.finish]), [
        ["user", undefined],
        ["assistant", "tool-calls"],
        ["assistant", "stop"]
      ])
      assert.deepStrictEqual(Schema.encodeSync(Conversation.Conversation)(real), raw as typeof real)
    })

    it("has the last turn that a run of the same script printed", () => {
      const printed = F.eventsOf(fixtures.get("1.18.33/tool-bash").stdout)
      assert.deepStrictEqual(Conversation.lastTurn(real).map(withoutRun), printed.map(withoutRun))
    })

    it("uses the ids of its own parts, messages and session", () => {
      const [first, tool] = Conversation.lastTurn(real)
      assert.deepStrictEqual([first?._tag, tool?._tag], ["StepStart", "ToolUse"])
      assert.strictEqual(first?._tag === "StepStart" ? first.messageId : "", "msg_2032bfb2f001qSlSVbDP7KBsoh")
      assert.strictEqual(tool?._tag === "ToolUse" ? tool.callId : "", "call_1350_0")
      assert.strictEqual(RunResult.fold(Conversation.lastTurn(real)).sessionId, real.info.id)
    })

    it("has spent what OpenCode says", () => {
      const { cost, steps, usage } = Conversation.spent(real)
      const info = real.info as unknown as {
        readonly cost: number
        readonly tokens: {
          readonly input: number
          readonly output: number
          readonly reasoning: number
          readonly cache: { readonly read: number; readonly write: number }
        }
      }
      assert.closeTo(cost, info.cost, 1e-12)
      assert.deepStrictEqual(usage, {
        total: 240,
        input: info.tokens.input,
        output: info.tokens.output,
        reasoning: info.tokens.reasoning,
        cacheRead: info.tokens.cache.read,
        cacheWrite: info.tokens.cache.write
      })
      assert.strictEqual(steps, 2)
      assert.deepStrictEqual(usage, RunResult.fold(Conversation.lastTurn(real)).usage)
    })

    it("has a last text, and no children", () => {
      assert.strictEqual(Conversation.answer(real), RunResult.fold(Conversation.lastTurn(real)).text)
      assert.deepStrictEqual(Conversation.children(real), [])
    })
  })

  it.effect("returns the last turn as the run printed it, part for part", () =>
    Effect.gen(function*() {
      const printed = [T.stepStart(), T.toolUse("bash"), T.text("Hello"), T.stepFinish("stop")]
      const run = yield* OpenCode.run("go").pipe(
        Effect.provide(T.layer([Mock.script(Mock.lines(printed), Mock.exit(0))]))
      )
      const exported = conversation(
        message("user", { type: "text", text: "earlier" }),
        message("assistant", T.text("earlier").part),
        message("user", { type: "text", text: "go" }),
        message("assistant", ...printed.map(({ part }) => part), { type: "patch", files: [] })
      )
      assert.deepStrictEqual(parts(Conversation.lastTurn(exported)), parts(run.events))
      assert.strictEqual(Conversation.answer(exported), "Hello")
    }))

  it("without a turn returns nothing", () => {
    const empty = conversation()
    assert.deepStrictEqual(Conversation.lastTurn(empty), [])
    assert.strictEqual(Conversation.answer(empty), "")
    assert.deepStrictEqual(Conversation.spent(empty).steps, 0)
    assert.deepStrictEqual(Conversation.lastTurn(conversation(message("user", { type: "text", text: "go" }))), [])
  })

  it("names each sub-agent once, and no session of another tool", () => {
    const some = conversation(message(
      "assistant",
      task({ sessionId: "ses_a" }),
      task({ sessionId: "ses_b" }),
      task({ sessionId: "ses_a" }),
      task({}),
      task({ sessionId: 7 }),
      { type: "tool", tool: "task" },
      { ...task({ sessionId: "ses_c" }), tool: "bash" }
    ))
    assert.deepStrictEqual(Conversation.children(some), ["ses_a", "ses_b"])
  })

  it("accepts unknown parts and steps without figures", () => {
    const odd = conversation(message(
      "assistant",
      { type: "step-finish" },
      { type: "step-finish", tokens: "many", cost: {} },
      { type: "hologram" },
      {}
    ))
    assert.strictEqual(Conversation.spent(odd).steps, 2)
    assert.deepStrictEqual(Conversation.lastTurn(odd).map(({ _tag }) => _tag), ["StepFinish", "StepFinish"])
  })

  it("reads an export with odd optional fields and parts", () => {
    const odd = Schema.decodeUnknownSync(Conversation.Conversation)({
      info: { id: "ses_1", title: 5, directory: {} },
      messages: [{
        info: { id: "msg_1", role: "assistant", cost: "0.5", finish: ["stop"], more: 1 },
        parts: [5, null, { type: "text", text: "hello" }]
      }]
    })
    assert.deepStrictEqual(odd.info, { id: "ses_1", title: undefined, directory: undefined })
    assert.deepStrictEqual(odd.messages[0]?.info, {
      id: "msg_1",
      role: "assistant",
      cost: 0.5,
      finish: undefined,
      more: 1
    })
    assert.strictEqual(Conversation.answer(odd), "hello")
  })
})

const start = (runId: string, attempt = 1, directory?: string) => ({
  type: "effect-opencode/run_start",
  timestamp: 1,
  runId,
  attempt,
  cwd: `/srv/${runId}`,
  directory
})

const end = (runId: string, outcome: string) => ({ type: "effect-opencode/run_end", timestamp: 2, runId, outcome })

const text = (...lines: ReadonlyArray<object | string>) =>
  lines.map((line) => typeof line === "string" ? line : `${JSON.stringify(line)}\n`).join("")

const tags = (events: ReadonlyArray<RunEvent.RunEvent>) => events.map(({ _tag }) => _tag)

describe("Transcript", () => {
  it("lists the runs of a file in order, each with its own events and outcome", () => {
    const runs = Transcript.parse(text(
      start("a"),
      ...T.answer("one"),
      end("a", "success"),
      start("b", 1, "/data"),
      { ...T.stepStart(), sessionID: "ses_2" },
      end("b", "OpenCodeTimeoutError")
    ))
    assert.deepStrictEqual(runs.map(({ events, ...run }) => ({ ...run, events: tags(events) })), [
      {
        runId: "a",
        cwd: "/srv/a",
        directory: undefined,
        sessionId: "ses_1",
        attempts: 1,
        outcome: "success",
        events: ["StepStart", "Text", "StepFinish"]
      },
      {
        runId: "b",
        cwd: "/srv/b",
        directory: "/data",
        sessionId: "ses_2",
        attempts: 1,
        outcome: "OpenCodeTimeoutError",
        events: ["StepStart"]
      }
    ])
  })

  it("groups the attempts of a run, with the directory of the last one", () => {
    const [run, ...more] = Transcript.parse(text(
      start("a", 1, "/one"),
      end("a", "OpenCodeSqliteError"),
      start("a", 2, "/two"),
      ...T.answer("yes")
    ))
    assert.deepStrictEqual(more, [])
    assert.strictEqual(run?.attempts, 2)
    assert.strictEqual(run?.directory, "/two")
    assert.strictEqual(run?.outcome, undefined)
    assert.lengthOf(run?.events ?? [], 3)
  })

  it("returns a truncated line as a Diagnostic", () => {
    const [run] = Transcript.parse(text(start("a"), T.stepStart(), `{"type":"text","sess`))
    assert.deepStrictEqual(tags(run?.events ?? []), ["StepStart", "Diagnostic"])
    assert.strictEqual(run?.sessionId, "ses_1")
  })

  it("finds a run that begins after a truncated line", () => {
    const runs = Transcript.parse(text(
      start("a"),
      T.stepStart(),
      `{"type":"text","sess`,
      start("b"),
      ...T.answer("yes"),
      end("b", "success")
    ))
    assert.deepStrictEqual(runs.map(({ events, outcome, runId }) => [runId, outcome, tags(events)]), [
      ["a", undefined, ["StepStart", "Diagnostic"]],
      ["b", "success", ["StepStart", "Text", "StepFinish"]]
    ])
  })

  it("is not misled by a text of the model", () => {
    const said = `${JSON.stringify(start("fake"))}\n${JSON.stringify(end("a", "success"))}`
    const runs = Transcript.parse(text(start("a"), T.text(said)))
    assert.deepStrictEqual(runs.map(({ outcome, runId }) => [runId, outcome]), [["a", undefined]])
  })

  it("does not apply the end of another run", () => {
    const [a] = Transcript.parse(text(start("a"), end("b", "success")))
    assert.strictEqual(a?.outcome, undefined)
  })

  it("is empty when no run is recorded", () => {
    for (const none of ["", "\n", text(...T.answer("yes")), text(end("a", "success")), "no JSON\n"]) {
      assert.deepStrictEqual(Transcript.parse(none), [])
    }
  })

  it.effect("reads back what a run wrote", () =>
    Effect.gen(function*() {
      const { root, work } = yield* T.Machine
      const file = NodePath.join(root, "runs", "run.jsonl")
      const session = yield* OpenCode.session({ transcript: file })
      const first = yield* session.run("one")
      yield* T.failsWith("OpenCodeProcessError")(session.run("two"))
      const runs = Transcript.parse(NodeFs.readFileSync(file, "utf8"))
      assert.deepStrictEqual(runs[0]?.events, [...first.events])
      assert.deepStrictEqual(runs.map(({ attempts, outcome, sessionId }) => [attempts, outcome, sessionId]), [
        [2, "success", "ses_1"],
        // It has not begun to work, but it continues the session.
        [1, "OpenCodeProcessError", "ses_1"]
      ])
      const last = yield* Transcript.read(file)
      assert.strictEqual(last.cwd, work)
      assert.strictEqual(last.directory, runs[0]?.directory)
      assert.match(last.runId, /^[0-9a-z]{15}$/)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        T.layer([T.locked, T.answering("yes"), Mock.script(Mock.stderr("no"), Mock.exit(1))], {
          retry: Schedule.recurs(1)
        })
      )
    ))

  it.effect("cannot be read when it is missing or has no run", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const missing = yield* T.failsWith("OpenCodeConfigError")(Transcript.read(NodePath.join(root, "none")))
      assert.include(missing.reason, "cannot be read")
      const empty = NodePath.join(root, "empty")
      NodeFs.writeFileSync(empty, "")
      const none = yield* T.failsWith("OpenCodeConfigError")(Transcript.read(empty))
      assert.include(none.reason, "no run")
    }).pipe(Effect.provide(T.layer([]))))
})
