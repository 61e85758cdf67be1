import { RunEvent } from "effect-opencode"
import * as Duration from "effect/Duration"
import type { JobResult } from "../../src/jobs/JobResult.js"
import * as Report from "../../src/report/Report.js"
import { result, text } from "./results.js"

/** The same numbers every time: a linear congruential generator. */
const dice = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  }
}

const tool = (given: {
  readonly name: string
  readonly title: string
  readonly input: object
  readonly output?: string
  readonly error?: string
  readonly exit?: number
  readonly time: number
}): RunEvent.RunEvent =>
  RunEvent.fromWire({
    type: "tool_use",
    timestamp: given.time,
    part: {
      tool: given.name,
      callID: "call_1",
      state: {
        status: given.error === undefined ? "completed" : "error",
        input: given.input,
        output: given.output,
        error: given.error,
        title: given.title,
        metadata: { exit: given.exit },
        time: { start: given.time, end: given.time + 340 }
      }
    }
  })

const finish = (reason: string, total: number, cost: number): RunEvent.RunEvent =>
  RunEvent.fromWire({
    type: "step_finish",
    part: { reason, cost, tokens: { total, input: total - 90, output: 90, reasoning: 0, cache: { read: 0, write: 0 } } }
  })

/** A run that reads, edits and tests. */
export const conversation = (file: string, steps = 1): ReadonlyArray<RunEvent.RunEvent> => [
  RunEvent.fromWire({ type: "step_start", part: {} }),
  RunEvent.fromWire({ type: "reasoning", part: { text: "The redirect is decided before the session is there." } }),
  text(`I read \`${file}\` first, then the tests that cover it.`),
  ...Array.from({ length: steps }, () => [
    tool({
      name: "read",
      title: file,
      input: { filePath: `/repo/${file}` },
      output: "1: export const redirect = (to: string) =>\n2:   to.startsWith(\"/\") ? to : \"/\"\n",
      time: 1000
    }),
    finish("tool-calls", 4200, 0.0123),
    tool({
      name: "edit",
      title: file,
      input: {
        filePath: `/repo/${file}`,
        oldString: "to.startsWith(\"/\")",
        newString: "to.startsWith(\"/\") &&\n  !to.startsWith(\"//\")"
      },
      output: "Edit applied successfully.",
      time: 2000
    }),
    tool({
      name: "bash",
      title: "npm test",
      input: { command: "npm test", description: "Run the tests" },
      output: "\u001b[32m✓\u001b[39m 41 passed\n\u001b[31m✗\u001b[39m 1 failed: redirects to // are refused\n",
      exit: 1,
      time: 3000
    }),
    finish("tool-calls", 5300, 0.0141)
  ]).flat(),
  tool({
    name: "webfetch",
    title: "https://example.com",
    input: { url: "https://example.com" },
    error: "not permitted",
    time: 4000
  }),
  RunEvent.fromWire({
    type: "error",
    error: { name: "APIError", data: { message: "Overloaded", statusCode: 529, isRetryable: true } }
  }),
  RunEvent.fromLine("Warning: something on stdout"),
  text("The redirect no longer leaves the site.\n\n- `//` is refused\n- the test that was red is green"),
  finish("stop", 5600, 0.015)
]

const failures = [
  ["OpenCodeTimeoutError", "The run was ended after 10 minutes without an event."],
  ["OpenCodeBudgetError", "The run reached its budget: 20 steps."],
  ["OpenCodeSessionError", "The provider refused the request: context length exceeded (400)."],
  ["OpenCodeProcessError", "OpenCode exited with code 1.\nstderr: TypeError: undefined is not a function"],
  ["OpenCodePermissionError", "The run ended because `bash` was not permitted."]
] as const

const models = ["anthropic/claude-sonnet-4-5", "openai/gpt-5-codex"]
const agents = ["build", "plan", "review"]
const tasks = [
  "fix the redirect after login",
  "document the public functions",
  "upgrade the linter",
  "remove dead code"
]

/** This many runs, in a matrix of two by three if wanted. */
export const results = (count: number, options: { readonly matrix: boolean }): ReadonlyArray<JobResult> => {
  const roll = dice(count)
  return Array.from({ length: count }, (_, index) => {
    const model = models[index % 2] ?? ""
    const agent = agents[(index >> 1) % 3] ?? ""
    const repeat = 1 + Math.floor(index / 6)
    const task = tasks[index % tasks.length] ?? ""
    const weight = (index % 2 === 0 ? 1.6 : 1) * (agent === "build" ? 1.5 : 1) * (0.35 + roll() + roll() * roll())
    const failure = roll() < 0.18 ? failures[Math.floor(roll() * failures.length)] : undefined
    const total = Math.round(42_000 * weight)
    return result({
      id: (0x1a2b3c00 + index).toString(16),
      index,
      name: options.matrix ? `${task} [${model} ${agent}] #${repeat}` : count === 1 ? task : `${task} ${index + 1}`,
      prompt: `Please ${task}. Read the code first, change as little as possible, and run the tests.`,
      cwd: "/repo",
      model,
      agent,
      cell: options.matrix ? { model, agent } : {},
      repeat: options.matrix ? repeat : 1,
      outcome: failure?.[0] ?? "success",
      message: failure?.[1],
      finishReason: failure === undefined ? "stop" : undefined,
      answer: "The redirect no longer leaves the site: `//` is refused.\nAll tests pass.",
      sessionId: `ses_${index}`,
      runId: `run${index}`,
      usage: {
        total,
        input: Math.round(total * 0.3),
        output: Math.round(total * 0.06),
        reasoning: 0,
        cacheRead: Math.round(total * 0.64),
        cacheWrite: 0
      },
      cost: 0.062 * weight,
      steps: 2 + Math.floor(weight * 5),
      toolCalls: 1 + Math.floor(weight * 9),
      startedAt: Date.UTC(2026, 0, 15, 9, 30) + index * 7000,
      duration: Duration.millis(Math.round(48_000 * weight * (0.7 + roll()))),
      transcript: `transcripts/${index}.jsonl`
    })
  })
}

export const report = (
  count: number,
  options: { readonly matrix: boolean; readonly steps?: number }
): Report.Input => ({
  title: "nightly.jsonl",
  source: "results/nightly.results.jsonl",
  at: Date.UTC(2026, 0, 15, 10, 42),
  runs: results(count, options).map((result) =>
    Report.run(result, conversation("src/auth/redirect.ts", options.steps), { runs: count })
  )
})
