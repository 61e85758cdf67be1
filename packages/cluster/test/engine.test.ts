import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as engine from "../src/internal/engine.js"

describe("the locks of a runner", () => {
  it("leave seven seconds to end agents after a lost database is noticed", () => {
    const least = Duration.toMillis(engine.defaults.lockExpiration)
    fc.assert(fc.property(fc.integer({ min: least, max: 3_600_000 }), (millis) => {
      // A renewal begins one interval after the last one that counts, and is given up after another one.
      const noticed = 2 * Duration.toMillis(engine.refreshOf(Duration.millis(millis)))
      assert.isAtMost(noticed, millis - 7000)
      // The engine shortens a longer one without a word.
      assert.isAtMost(noticed / 2, millis / 3 + 1e-6)
    }))
    assert.strictEqual(Duration.toMillis(engine.refreshOf(engine.defaults.lockExpiration)), 2500)
  })
})
