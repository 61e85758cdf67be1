import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as repeatedStep from "../src/internal/repeatedStep.js"
import * as summary from "../src/internal/summary.js"
import * as fixtures from "./support/fixtures.js"

const start = (messageID: string) => RunEvent.fromWire({ type: "step_start", part: { messageID } })
const finish = RunEvent.fromWire({ type: "step_finish", part: { reason: "tool-calls" } })
const logged = (attempt: number): RunEvent.ProviderRetry => ({
  _tag: "ProviderRetry",
  attempt,
  kind: "rate-limit",
  reason: "429"
})

/** The attempts that are told for a list of events, each added to the summary before the next one is looked at. */
const told = (events: ReadonlyArray<RunEvent.RunEvent>): ReadonlyArray<number> => {
  const state = summary.make({ keepText: 1 })
  const repeated = repeatedStep.make(state)
  return events.flatMap((event) => {
    const retry = repeated(event)
    if (retry !== undefined) state.add(retry)
    state.add(event)
    return retry === undefined ? [] : [retry.attempt]
  })
}

describe("repeatedStep", () => {
  it("tells of a step that begins again before it has finished", () => {
    expect(told([start("a"), start("a"), start("a"), finish, start("b")])).toEqual([1, 2])
  })

  it("is silent where another step begins, or the same message after a finished step", () => {
    expect(told([start("a"), start("b"), start("c")])).toEqual([])
    expect(told([start("a"), finish, start("a"), finish])).toEqual([])
  })

  it("does not tell again what the log has told", () => {
    expect(told([start("a"), logged(1), start("a"), start("a")])).toEqual([2])
  })

  it("counts the repetitions of one chunk before the summary knows of them", () => {
    const repeated = repeatedStep.make(summary.make({ keepText: 1 }))
    const attempts = [start("a"), start("a"), start("a")].map((event) => repeated(event)?.attempt)
    expect(attempts).toEqual([undefined, 1, 2])
  })

  it("tells of the five tries of a cut stream, and of nothing in a healthy run", () => {
    const events = (name: string) => fixtures.linesOf(fixtures.get(`1.18.33/${name}`).stdout).map(RunEvent.fromLine)
    expect(told(events("stream-cut"))).toEqual([1, 2, 3, 4, 5])
    expect(told(events("many-steps"))).toEqual([])
  })
})
