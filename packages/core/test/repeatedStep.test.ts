import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as retryCount from "../src/internal/opencode/retryCount.js"
import * as repeatedStep from "../src/internal/opencode/v1/repeatedStep.js"
import * as fixtures from "./support/fixtures.js"

const own = "ses_1"
const count = () => retryCount.make(() => own)

const start = (messageID: string) => RunEvent.fromWire({ type: "step_start", sessionID: own, part: { messageID } })
const finish = RunEvent.fromWire({ type: "step_finish", part: { reason: "tool-calls" } })
/** A failure that the log has reported. */
const logged = (session: string) => ({ logged: session })

/** The attempts reported for a list of events. */
const told = (events: ReadonlyArray<RunEvent.RunEvent | ReturnType<typeof logged>>): ReadonlyArray<number> => {
  const retries = count()
  const repeated = repeatedStep.make(retries)
  return events.flatMap((event) => {
    if ("logged" in event) {
      retries.next(event.logged)
      return []
    }
    const retry = repeated(event)
    return retry === undefined ? [] : [retry.attempt]
  })
}

describe("repeatedStep", () => {
  it("reports a step that starts again before it has finished", () => {
    expect(told([start("a"), start("a"), start("a"), finish, start("b")])).toEqual([1, 2])
  })

  it("is silent when another step starts, or the same message after a finished step", () => {
    expect(told([start("a"), start("b"), start("c")])).toEqual([])
    expect(told([start("a"), finish, start("a"), finish])).toEqual([])
  })

  it("does not repeat what the log has reported", () => {
    expect(told([start("a"), logged(own), start("a"), start("a")])).toEqual([2])
  })

  it("reports its own step although the log has reported a sub-agent", () => {
    expect(told([start("a"), logged("ses_child"), start("a"), logged("ses_child"), start("a")])).toEqual([1, 2])
  })

  it("reports the five retries of a cut stream, and nothing in a healthy run", () => {
    const events = (name: string) => fixtures.linesOf(fixtures.get(`1.18.33/${name}`).stdout).map(RunEvent.fromLine)
    expect(told(events("stream-cut"))).toEqual([1, 2, 3, 4, 5])
    expect(told(events("many-steps"))).toEqual([])
  })
})
