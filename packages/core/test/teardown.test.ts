import { describe, expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"

const codeOf = (exit: Exit.Exit<unknown, unknown>): number | undefined => {
  let reported: number | undefined
  OpenCode.teardown(exit, (code) => {
    reported = code
  })
  return reported
}

const interrupted = Cause.interrupt(FiberId.none)

describe("OpenCode.teardown", () => {
  it("reports an interruption as 130 only if nothing failed as well", () => {
    expect(codeOf(Exit.succeed("done"))).toBe(0)
    expect(codeOf(Exit.fail("no"))).toBe(1)
    expect(codeOf(Exit.die("a mistake"))).toBe(1)
    expect(codeOf(Exit.failCause(interrupted))).toBe(130)
    expect(codeOf(Exit.failCause(Cause.parallel(interrupted, interrupted)))).toBe(130)
    expect(codeOf(Exit.failCause(Cause.sequential(interrupted, Cause.die("a mistake"))))).toBe(1)
  })
})
