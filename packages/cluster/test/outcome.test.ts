/** What is stored of a job, and what a database takes. */
import { assert, describe, it } from "@effect/vitest"
import * as AgentJob from "effect-opencode-cluster/AgentJob"
import * as Redaction from "effect-opencode/Redaction"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as jobs from "../src/internal/jobs.js"
import { millisOf } from "../src/internal/ledgerSql.js"
import * as outcomes from "../src/internal/outcome.js"

describe("a stored outcome", () => {
  it("has no part of a secret at the place where a text was cut", () => {
    const secret = "canary-8c1f0b7d-5a2e"
    const reason = `${secret}${"x".repeat(outcomes.maxText - 8)}`
    const { outcome, status } = outcomes.encode(
      Either.left(new AgentJob.JobCancelledError({ id: "a", reason })),
      Redaction.make([secret]),
      () => assert.fail("it can be stored")
    )
    assert.strictEqual(status, "cancelled")
    assert.isBelow(outcome.length, outcomes.maxText + 200)
    assert.notInclude(outcome, secret.slice(-8))
  })
})

describe("what a database takes", () => {
  it("is a text without NUL and halves of characters, and a time in whole milliseconds", () => {
    assert.strictEqual(jobs.storable("a\0b\uD800c\u{1F600}"), "a\uFFFDb\uFFFDc\u{1F600}")
    assert.strictEqual(millisOf("1500 micros"), 1)
    assert.strictEqual(millisOf(Duration.infinity), Number.MAX_SAFE_INTEGER)
  })
})
