import { assert, describe, it } from "@effect/vitest"
import type { Attempt } from "effect-opencode-cluster/RunLedger"
import * as fc from "effect/FastCheck"
import * as policy from "../src/internal/policy.js"

const attempt = (number: number, more: Partial<Attempt> = {}): Attempt => ({
  id: "a",
  number,
  runId: `r${number}`,
  runner: "one",
  state: "begun",
  prompted: true,
  sessionId: undefined,
  cwd: undefined,
  directory: undefined,
  claimed: undefined,
  begunAt: number,
  endedAt: undefined,
  ...more
})

const attempts = fc.array(
  fc.record({
    state: fc.constantFrom("begun" as const, "interrupted" as const, "lost" as const, "ended" as const),
    prompted: fc.boolean(),
    sessionId: fc.option(fc.constant("ses_1"), { nil: undefined }),
    cwd: fc.constant("/w"),
    directory: fc.option(fc.constant("/d"), { nil: undefined })
  }),
  { maxLength: 8 }
).map((all) => all.map((more, index) => attempt(index + 1, more)))

const isStart = (next: policy.Next) => next._tag === "Start" || next._tag === "Resume"

describe("what a runner does with a job", () => {
  it("under fail no agent starts after one that may have got its prompt", () => {
    fc.assert(fc.property(attempts, fc.option(fc.nat(5), { nil: undefined }), (attempts, maxCrashes) => {
      const next = policy.next({ afterCrash: "fail", maxCrashes }, attempts, undefined)
      if (attempts.some((attempt) => policy.isCut(attempt) && attempt.prompted)) assert.isFalse(isStart(next))
    }))
  })

  it("no policy starts more often than maxCrashes allows, and five times without a prompt", () => {
    fc.assert(fc.property(attempts, fc.constantFrom("restart" as const, "resume" as const), fc.nat(5), (
      attempts,
      afterCrash,
      maxCrashes
    ) => {
      const next = policy.next({ afterCrash, maxCrashes }, attempts, undefined)
      const cut = attempts.filter(policy.isCut)
      const crashes = cut.filter(({ prompted }) => prompted).length
      assert.strictEqual(isStart(next), crashes <= maxCrashes && cut.length - crashes <= 5)
    }))
  })

  it("a new attempt has the next number, and a cancelled job never starts", () => {
    fc.assert(fc.property(attempts, (attempts) => {
      const next = policy.next({ afterCrash: "restart", maxCrashes: 100 }, attempts, undefined)
      assert.strictEqual("number" in next ? next.number : 0, attempts.length + 1)
      assert.strictEqual(policy.next({ afterCrash: "restart" }, attempts, "enough")._tag, "Cancel")
    }))
  })

  it("fails by default, after one crash at most one start by restart, and without a prompt it starts again", () => {
    assert.strictEqual(policy.next({}, [attempt(1)], undefined)._tag, "Lose")
    assert.strictEqual(policy.next({}, [attempt(1, { prompted: false })], undefined)._tag, "Start")
    const poison = Array.from({ length: 6 }, (_, index) => attempt(index + 1, { prompted: false }))
    assert.strictEqual(policy.next({}, poison, undefined)._tag, "Lose")
    assert.strictEqual(policy.next({ afterCrash: "restart" }, [attempt(1)], undefined)._tag, "Start")
    assert.strictEqual(policy.next({ afterCrash: "restart" }, [attempt(1), attempt(2)], undefined)._tag, "Lose")
  })

  it("publishes what an attempt has claimed, also if the job is cancelled", () => {
    const attempts = [attempt(1, { state: "lost" }), attempt(2, { claimed: "{}" })]
    for (const cancel of [undefined, "enough"]) {
      const next = policy.next({}, attempts, cancel)
      assert.strictEqual(next._tag === "Publish" ? next.attempt.number : next._tag, 2)
    }
  })

  it("resumes the latest session whose place is known", () => {
    const known = { sessionId: "ses_1", cwd: "/w", directory: "/d" }
    const next = policy.next({ afterCrash: "resume", maxCrashes: 3 }, [
      attempt(1, known),
      attempt(2, { ...known, sessionId: "ses_2" }),
      attempt(3, { prompted: false })
    ], undefined)
    assert.strictEqual(next._tag === "Resume" ? next.from.sessionId : undefined, "ses_2")
    assert.strictEqual(policy.next({ afterCrash: "resume" }, [attempt(1)], undefined)._tag, "Start")
  })
})
