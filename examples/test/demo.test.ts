import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { RunEvent } from "effect-opencode"
import type { ModelProvider } from "effect-opencode-testing"
import * as Agent from "../demo/agent.js"
import { respond } from "../demo/provider.js"
import { documentTasks, overviewTask } from "../demo/tasks.js"
import * as View from "../demo/view.js"

const events = [
  { type: "step_start", part: {} },
  {
    type: "tool_use",
    part: {
      tool: "edit",
      state: { status: "completed", input: {}, title: "tmp/effect-opencode-demo-a1B2/src/chunk.js" }
    }
  },
  {
    type: "step_finish",
    part: { reason: "tool-calls", cost: 0.0015, tokens: { input: 1000, output: 90, total: 1090 } }
  }
].map(RunEvent.fromWire)

const begun = Agent.begin(Agent.waiting("chunk"), 1_000)
const working = events.reduce(Agent.observe, begun)
const done = Agent.finish(working, 3_500)
const failed = Agent.fail(Agent.begin(Agent.waiting("clamp"), 2_000), {
  _tag: "OpenCodeTimeoutError",
  message: "did not end\nwithin 1 s"
}, 3_000)
const agents = [done, failed, Agent.waiting("median")]

describe("agent", () => {
  it("adds up what the steps report and remembers the last tool", () => {
    expect(working).toMatchObject({ turns: 1, cost: 0.0015, usage: { total: 1090 }, activity: "edit src/chunk.js" })
  })

  it("measures its time to now, and to its end once it has one", () => {
    expect(Agent.elapsed(Agent.waiting("a"), 9_000)).toBe(0)
    expect(Agent.elapsed(working, 2_000)).toBe(1_000)
    expect(Agent.elapsed(done, 9_000)).toBe(2_500)
  })
})

describe("view", () => {
  it("shows the agents while they work", () => {
    expect(View.live([working, failed, Agent.waiting("median")], 2_500)).toEqual([
      "  agent   state    turns  tokens   time  now",
      "▸ chunk   working      1   1,090  1.5 s  edit src/chunk.js",
      "✘ clamp   failed       0       0  1.0 s  OpenCodeTimeoutError",
      "· median  waiting      0       0"
    ])
  })

  it("shows the outcome of every run", () => {
    expect(View.summary(agents)).toEqual([
      "  run     outcome               turns  tokens     cost   time",
      "✔ chunk   success                   1   1,090  $0.0015  2.5 s",
      "✘ clamp   OpenCodeTimeoutError      0       0  $0.0000  1.0 s",
      "· median  waiting                   0       0  $0.0000"
    ])
  })

  it("reports the changes, the totals and the failures", () => {
    const finding = { name: "chunk", text: "Splits.", file: "src/chunk.js", added: ["/** Splits. */", ""] }
    const report = View.report({ agents, findings: [finding], duration: 4_000 })
    expect(report).toContain("    + /** Splits. */")
    expect(report).toContain("3 runs in 4.0 s, 1,090 tokens, $0.0015")
    expect(report.at(-1)).toBe("  clamp: did not end within 1 s")
  })

  it("lets no text control the terminal", () => {
    expect(View.oneLine("a\u001b[2Jb\nc\td")).toBe("a [2Jb c d")
    expect(View.logLine(working, "a\u001b[31mred", 2_000)).toBe("chunk          1.0 s  a [31mred")
  })

  it("draws over the previous lines", () => {
    expect(View.redraw(0, ["a"])).toBe("\u001b[2Ka\n\u001b[J")
    expect(View.redraw(2, [])).toBe("\u001b[2A\u001b[J")
  })

  it("names the model", () => {
    expect(View.heading(10, Option.some("acme/large"))).toContain("acme/large")
    expect(View.heading(10, Option.none())).toContain("OPENCODE_MODEL")
  })
})

describe("provider", () => {
  const request: ModelProvider.ProviderRequest = {
    index: 0,
    step: 0,
    prompt: "",
    isTitle: false,
    model: "m1",
    messages: [],
    tools: [],
    stream: true,
    authorization: undefined,
    headers: {},
    body: {},
    time: 0
  }

  it("reads, edits and answers for every task", () => {
    for (const { name, prompt } of documentTasks) {
      const replies = [0, 1, 2].map((step) => respond({ ...request, prompt, step }))
      expect(JSON.stringify(replies[0])).toContain(`src/${name}.js`)
      expect(JSON.stringify(replies[1])).toContain("\"edit\"")
      expect(JSON.stringify(replies[2])).not.toContain("Nobody knows")
    }
  })

  it("writes the overview from what the agents said", () => {
    const { prompt } = overviewTask([{ name: "chunk", text: "Splits\nan array." }])
    expect(JSON.stringify(respond({ ...request, prompt }))).toContain("- chunk: Splits an array.")
  })
})
