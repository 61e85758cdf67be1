import { RunEvent, TokenUsage } from "effect-opencode"
import * as Duration from "effect/Duration"
import { JobResult } from "../../src/jobs/JobResult.js"

/** A job's result of which only the interesting part is given. */
export const result = (given: Partial<typeof JobResult.Type> = {}): JobResult =>
  new JobResult({
    id: "job",
    index: 0,
    name: given.id ?? "job",
    prompt: "Fix the test.",
    cwd: "/repo",
    cell: {},
    repeat: 1,
    outcome: "success",
    answer: "Done.",
    usage: TokenUsage.empty,
    cost: 0,
    steps: 0,
    toolCalls: 0,
    attempts: 1,
    startedAt: 0,
    duration: Duration.seconds(1),
    ...given
  })

export const usage = (total: number): TokenUsage.TokenUsage => ({ ...TokenUsage.empty, total, input: total })

export const text = (content: string): RunEvent.RunEvent =>
  RunEvent.fromWire({ type: "text", sessionID: "ses_1", part: { text: content } })

export const tool = (name: string, title: string): RunEvent.RunEvent =>
  RunEvent.fromWire({
    type: "tool_use",
    part: { tool: name, callID: "call_1", state: { status: "completed", input: {}, output: "", title } }
  })

export const stepStart: RunEvent.RunEvent = RunEvent.fromWire({ type: "step_start", part: { messageID: "msg_1" } })

export const stepFinish = (given: { reason: string; total?: number; cost?: number }): RunEvent.RunEvent =>
  RunEvent.fromWire({
    type: "step_finish",
    part: {
      reason: given.reason,
      cost: given.cost ?? 0,
      tokens: {
        total: given.total ?? 0,
        input: given.total ?? 0,
        output: 0,
        reasoning: 0,
        cache: { read: 0, write: 0 }
      }
    }
  })
