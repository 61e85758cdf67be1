import { describe, expect, it } from "@effect/vitest"
import type { RunResult } from "effect-opencode"
import { RunEvent, TokenUsage } from "effect-opencode"
import { Events } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as EventView from "../src/display/EventView.js"
import * as Style from "../src/display/Style.js"
import { width } from "../src/display/terminalText.js"

const options: EventView.Options = { style: Style.plain, columns: 72, stdoutIsTerminal: true, cwd: "/home/me/repo" }

const tool = (state: object, name = "bash") => RunEvent.fromWire({ type: "tool_use", part: { tool: name, state } })

const completed = { status: "completed", input: {}, output: "" }

/** One of every event. */
const events: ReadonlyArray<RunEvent.RunEvent> = [
  ...Events.decode([Events.stepStart(), Events.reasoning("First I think.\n\nThen I act.")]),
  tool({ ...completed, title: "home/me/repo/src/a.ts" }, "read"),
  tool({ ...completed, title: "/home/me/repo/src/b.ts" }, "edit"),
  tool({ ...completed, title: "/etc/hosts" }, "read"),
  tool({ ...completed, title: "npm test", metadata: { exit: 1 }, time: { start: 1000, end: 73_400 } }),
  tool({ ...completed, title: "", input: { pattern: "TODO" } }, "grep"),
  tool({ ...completed, title: `echo ${"long ".repeat(30)}`, time: { start: 0, end: 4200 } }),
  tool({ status: "error", input: { filePath: "/home/me/repo/x.ts" }, error: "File not found:\nx.ts" }, "read"),
  { _tag: "PermissionRejected", permission: "bash", patterns: ["rm *"] },
  { _tag: "ProviderRetry", attempt: 2, kind: "rate-limit", reason: "slow down" },
  ...Events.decode([Events.error({ message: "Overloaded", statusCode: 529 })]),
  RunEvent.fromLine("not json"),
  RunEvent.fromLine(""),
  RunEvent.fromWire({ type: "party", part: { balloons: 3 } }),
  { _tag: "TextDelta", partId: "prt_1", kind: "text", text: "Do" },
  ...Events.decode([Events.text("Done.\n\n- one\n- \u001b[31mtwo\u001b[0m\n"), Events.finish({ reason: "stop" })])
]

const screen = (view: EventView.Options) =>
  events.flatMap((event) => {
    const { stderr, stdout } = EventView.event(event, view)
    return [...stderr, ...stdout.map((line) => `> ${line}`)]
  }).join("\n")

describe("the view of a run", () => {
  it("has a line for each event worth showing", async () => {
    await expect(screen(options)).toMatchFileSnapshot("./__snapshots__/events.txt")
  })

  it("is coloured when colours are allowed", async () => {
    await expect(screen({ ...options, style: Style.colored })).toMatchFileSnapshot("./__snapshots__/events.ansi")
  })

  it("prints the answer verbatim when standard output is not a terminal", () => {
    const text = "a\u001b[2Jb\u0000\r\n\nc \n"
    expect(EventView.answer(text, { ...options, stdoutIsTerminal: false })).toEqual({
      stdout: [text.slice(0, -1)],
      stderr: []
    })
  })

  it.prop("contains no terminal control sequence and no line break", {
    text: fc.fullUnicodeString(),
    columns: fc.integer({ min: 20, max: 200 })
  }, ({ columns, text }) => {
    const shown = [
      tool({ ...completed, title: text }),
      tool({ status: "error", input: { command: text }, error: text }, text),
      ...Events.decode([Events.text(text), Events.reasoning(text), Events.error({ message: text })]),
      RunEvent.fromLine(text)
    ].map((event) => EventView.event(event, { ...options, columns }))
    for (
      const line of [...shown, EventView.answer(text, options)].flatMap(({ stderr, stdout }) => [...stderr, ...stdout])
    ) {
      // eslint-disable-next-line no-control-regex -- control characters are what must not be there
      expect(line).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/)
    }
  })

  it.prop(
    "fits tool lines into the width",
    { text: fc.string(), columns: fc.integer({ min: 60, max: 200 }) },
    ({ columns, text }) => {
      const event = tool({ ...completed, title: text.repeat(20), metadata: { exit: 3 }, time: { start: 0, end: 2000 } })
      for (const line of EventView.event(event, { ...options, columns }).stderr) {
        expect(width(line)).toBeLessThanOrEqual(columns)
      }
    }
  )
})

const usage = { ...TokenUsage.empty, total: 12_345, cacheRead: 10_000 }

const base: EventView.Ending = {
  outcome: "success",
  finishReason: "stop",
  steps: 3,
  usage,
  cost: 0.0123,
  duration: Duration.seconds(72)
}

describe("the end of a run", () => {
  const said = (ending: Partial<EventView.Ending>) => EventView.ending({ ...base, ...ending }, options)

  it("says how it went", () => {
    expect(said({})).toEqual(["✔ success · 3 steps · 12,345 tokens (10,000 cached) · $0.0123 · 1 min 12 s"])
    expect(said({ outcome: "OpenCodeTimeoutError", usage: TokenUsage.empty, steps: 1, duration: undefined })).toEqual([
      "✘ OpenCodeTimeoutError · 1 step · 0 tokens · $0.0123"
    ])
    expect(said({ finishReason: "length" })[0]).toContain("✔ success, but the answer was cut: length · ")
    expect(said({ attempts: 2, recovered: true, forced: true })[0]).toMatch(
      /· 2 starts · end recovered from the session · OpenCode did not exit by itself$/
    )
    expect(said({ lostLines: 2 })[0]).toMatch(/· 2 events lost$/)
    expect(said({ lostLines: 0 })[0]).not.toContain("lost")
    expect(said({ sessionId: "ses_1" })[1]).toBe("  continue with --session-id ses_1")
  })

  it("contains no terminal control sequence from a transcript", () => {
    expect(said({ outcome: "a\u001b[2Jb\u001b]0;title\u0007\nc" })[0]).toMatch(/^✘ ab c · /)
    expect(said({ finishReason: "len\u001b[31mgth\u009b2J\r" })[0]).toContain("the answer was cut: length · ")
  })

  it("names the changed files", () => {
    const change = (path: string, kind: RunResult.FileChange["kind"], rest: object = {}) => ({ path, kind, ...rest })
    const filesChanged = [
      change("/home/me/repo/src/a.ts", "modified", { additions: 3, deletions: 1 }),
      change("/home/me/repo/b.ts", "created", { additions: 10, deletions: 0 }),
      change("/home/me/repo/d.ts", "moved", { from: "/home/me/repo/c.ts" }),
      change("/etc/motd", "deleted"),
      ...Array.from({ length: 8 }, (_, index) => change(`/home/me/repo/${index}`, "modified"))
    ]
    expect(said({ filesChanged }).slice(1)).toEqual([
      "  ~ src/a.ts (+3 -1)",
      "  + b.ts (+10 -0)",
      "  > c.ts → d.ts",
      "  - /etc/motd",
      "  ~ 0",
      "  ~ 1",
      "  ~ 2",
      "  ~ 3",
      "  ~ 4",
      "  ~ 5",
      "  … and 2 more files"
    ])
  })

  it("does not show an unknown cost as 0", () => {
    expect(said({ cost: 0, unpriced: true })[0]).toContain(" · cost unknown · ")
    expect(said({ cost: 0.0123, unpriced: true })[0]).toContain(" · at least $0.0123 · ")
  })

  it("shows the status within the width while the run works", () => {
    const status = (state: object, columns = 72) =>
      EventView.status({ steps: 0, usage, cost: 0.0123, elapsed: 4300, doing: "working", ...state }, {
        ...options,
        columns
      })
    expect(status({ usage: TokenUsage.empty })).toBe("⠸ working · 4 s")
    expect(status({ usage: TokenUsage.empty, steps: 1 })).toBe("⠸ working · 4 s")
    expect(status({ steps: 2, elapsed: 90_000 })).toBe(
      "⠋ working · 1 min 30 s · 2 steps · 12,345 tokens (10,000 cached) · $0.…"
    )
    expect(width(status({ steps: 2 }, 30))).toBeLessThan(30)
  })
})
