import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { RunEvent } from "effect-opencode"
import type { ModelProvider } from "effect-opencode-testing"
import * as Agent from "../demo/agent.js"
import { respond } from "../demo/provider.js"
import { documentTasks, overviewTask } from "../demo/tasks.js"
import { isExpected, troubles } from "../demo/trouble.js"
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
const done = Agent.finish(working, 1, 3_500)
const failed = Agent.fail(Agent.begin(Agent.waiting("clamp"), 2_000), {
  _tag: "OpenCodeTimeoutError",
  message: "did not end\nwithin 1 s, session ses_1, run r1 in /tmp/x"
}, 3_000)
const agents = [done, failed, Agent.waiting("median")]
const nothing = { processes: [], directories: [], made: 3 }

describe("agent", () => {
  it("adds up what the steps report and remembers the last tool", () => {
    expect(working).toMatchObject({ steps: 1, cost: 0.0015, usage: { total: 1090 }, activity: "edit src/chunk.js" })
  })

  it("knows the process that a command has left in the background", () => {
    const left = RunEvent.fromWire({
      type: "tool_use",
      part: {
        tool: "bash",
        state: { status: "completed", input: { command: "sleep 60 & echo pid $!" }, output: "pid 4711\n" }
      }
    })
    expect(Agent.observe(working, left).background).toEqual(Option.some(4711))
    expect(working.background).toEqual(Option.none())
  })

  it("measures elapsed time up to now, or up to its end once it has ended", () => {
    expect(Agent.elapsed(Agent.waiting("a"), 9_000)).toBe(0)
    expect(Agent.elapsed(working, 2_000)).toBe(1_000)
    expect(Agent.elapsed(done, 9_000)).toBe(2_500)
  })
})

describe("trouble", () => {
  it("is expected to end as it ends", () => {
    const overBudget = Agent.fail(begun, { _tag: "OpenCodeBudgetError", message: "" }, 2_000)
    const background = { ...done, background: Option.some(4711) }
    expect(isExpected({ trouble: undefined }, done)).toBe(true)
    expect(isExpected({ trouble: undefined }, failed)).toBe(false)
    expect(isExpected({ trouble: "hang" }, failed)).toBe(true)
    expect(isExpected({ trouble: "hang" }, done)).toBe(false)
    expect(isExpected({ trouble: "loop" }, overBudget)).toBe(true)
    expect(isExpected({ trouble: "crash" }, Agent.finish(working, 2, 3_500))).toBe(true)
    expect(isExpected({ trouble: "crash" }, done)).toBe(false)
    expect(isExpected({ trouble: "background" }, background)).toBe(true)
    expect(isExpected({ trouble: "background" }, done)).toBe(false)
  })
})

describe("view", () => {
  it("shows the agents while they work", () => {
    expect(View.live([working, failed, Agent.waiting("median")], 2_500)).toEqual([
      "  agent   state    steps  tokens   time  now",
      "▸ chunk   working      1   1,090  1.5 s  edit src/chunk.js",
      "✘ clamp   failed       0       0  1.0 s  OpenCodeTimeoutError",
      "· median  waiting      0       0"
    ])
  })

  it("shows the outcome of every run", () => {
    expect(View.summary(agents)).toEqual([
      "  run     outcome               steps  tokens     cost   time",
      "✔ chunk   success                   1   1,090  $0.0015  2.5 s",
      "✘ clamp   OpenCodeTimeoutError      0       0  $0.0000  1.0 s",
      "· median  waiting                   0       0  $0.0000"
    ])
  })

  it("reports the changes, the totals, what went wrong and what is left", () => {
    const finding = { name: "chunk", text: "Splits.", file: "src/chunk.js", added: ["/** Splits. */", ""], starts: 1 }
    const restarted = Agent.finish({ ...working, name: "range", background: Option.some(4711) }, 2, 3_500)
    const report = View.report({ agents: [...agents, restarted], findings: [finding], left: nothing, duration: 4_000 })
    expect(report).toContain("    + /** Splits. */")
    expect(report).toContain("4 runs in 4.0 s, 2,180 tokens, $0.0030")
    expect(report.slice(-6)).toEqual([
      "What went wrong:",
      "  ✘ clamp: did not end within 1 s.",
      "  ✔ range: OpenCode crashed at its start and was started again: 2 starts",
      "  ✔ range: a command left process 4711 in the background; the end of the run ended it",
      "",
      "Nothing is left: no process, and none of 3 temporary directories."
    ])
    expect(View.remains({ processes: [4711], directories: ["/tmp/x"], made: 3 })).toBe(
      "Left behind: process 4711, /tmp/x"
    )
  })

  it("says what an interruption ended", () => {
    expect(View.interrupted([working, done, Agent.begin(Agent.waiting("range"), 0)], nothing, 2_500)).toBe(
      "Interrupted after 2.5 s: ended chunk, range. Nothing is left: no process, and none of 3 temporary directories."
    )
    expect(View.interrupted(agents, nothing, 2_500)).toContain("no agent was working")
  })

  it("lets no text inject terminal control sequences", () => {
    expect(View.oneLine("a\u001b[2Jb\nc\td")).toBe("a [2Jb c d")
    expect(View.logLine("chunk", "a\u001b[31mred", 2_000)).toBe("  2.0 s  chunk        a [31mred")
  })

  it("redraws over the previous frame", () => {
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
    const tasks = documentTasks(troubles).filter(({ trouble }) => trouble === undefined || trouble === "crash")
    expect(tasks).toHaveLength(7)
    for (const { name, prompt } of tasks) {
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
