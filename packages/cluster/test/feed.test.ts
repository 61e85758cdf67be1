import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as feeds from "../src/internal/feed.js"

const read = <A>(feed: feeds.Feed<A>, after?: feeds.Position) =>
  Effect.map(feed.read(after), Option.map(({ items, missed }) => ({ missed, values: items.map(({ value }) => value) })))

describe("the feed of a job", () => {
  it.effect("a late reader gets what is kept, and learns how much is not", () =>
    Effect.gen(function*() {
      const feed = feeds.make<number>("one", 10)
      for (let index = 0; index < 100; index++) feed.publish(index)
      const page = Option.getOrThrow(yield* read(feed))
      assert.strictEqual((page.missed ?? 0) + page.values.length, 100)
      assert.isAtLeast(page.values.length, 10)
      assert.isAtMost(page.values.length, 20)
      assert.strictEqual(page.values.at(-1), 99)
      assert.deepStrictEqual(
        Option.getOrThrow(yield* read(feed, { epoch: "one", sequence: 97 })),
        { missed: 0, values: [98, 99] }
      )
      assert.strictEqual(Option.getOrThrow(yield* read(feed, { epoch: "another", sequence: 97 })).missed, undefined)
    }))

  it.effect("a reader waits for the next item, and for the end", () =>
    Effect.gen(function*() {
      const feed = feeds.make<number>("one", 10)
      const first = yield* Effect.fork(read(feed))
      yield* Effect.yieldNow()
      feed.publish(1)
      assert.deepStrictEqual(yield* Fiber.join(first), Option.some({ missed: 0, values: [1] }))
      const second = yield* Effect.fork(read(feed, { epoch: "one", sequence: 0 }))
      yield* Effect.yieldNow()
      feed.close()
      assert.isTrue(Option.isNone(yield* Fiber.join(second)))
      feed.publish(2)
      assert.isTrue(Option.isNone(yield* read(feed, { epoch: "one", sequence: 0 })))
    }))

  it("items are seen once and in order, and nothing is missing without a gap", () => {
    const sent = fc.array(
      fc.oneof(
        fc.record({ position: fc.record({ epoch: fc.constantFrom("a", "b"), sequence: fc.nat(6) }), event: fc.nat() }),
        fc.record({ event: fc.nat() })
      ),
      { maxLength: 20 }
    )
    fc.assert(fc.property(sent, (all) => {
      let seen = feeds.unseen
      let last: feeds.Position | undefined
      let gap = true
      for (const one of all) {
        const [next, how] = feeds.follow(seen, one)
        seen = next
        const position = "position" in one ? one.position : undefined
        if (how === "gap-before") gap = true
        if (position === undefined) {
          if (how === "pass") gap = true
        } else if (how !== "skip") {
          if (last?.epoch === position.epoch) {
            assert.isAbove(position.sequence, last.sequence)
            if (!gap) assert.strictEqual(position.sequence, last.sequence + 1)
          } else assert.isTrue(gap)
          last = position
          gap = false
        }
      }
    }))
  })
})
