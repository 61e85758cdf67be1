import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as dialects from "../../src/internal/opencode/dialects.js"
import type { Connection } from "../../src/internal/transport/server/connection.js"
import * as connections from "../../src/internal/transport/server/connection.js"
import * as pools from "../../src/internal/transport/server/pool.js"
import { isDone, settle } from "../support/mock.js"

const spec = (key: string): pools.Spec => ({
  key,
  binary: "opencode",
  cwd: "/",
  args: [],
  config: {},
  isolation: "run",
  dialect: dialects.unversioned
})

/** Servers that start at once, or when the test lets them, and take a second to end. */
const makePool = (options: pools.Options, start: (key: string) => Effect.Effect<void> = () => Effect.void) =>
  Effect.gen(function*() {
    const log: Array<string> = []
    const running = new Set<string>()
    const dying = new Map<string, Deferred.Deferred<void>>()
    let most = 0
    const pool = yield* pools.make(options, (spec, enter) =>
      connections.hold(Effect.gen(function*() {
        yield* enter
        assert.isFalse(running.has(spec.key), `${spec.key} twice`)
        running.add(spec.key)
        most = Math.max(most, running.size)
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            running.delete(spec.key)
            log.push(`-${spec.key}`)
          }).pipe(Effect.delay("1 second"))
        )
        yield* start(spec.key)
        log.push(`+${spec.key}`)
        const died = yield* Deferred.make<void>()
        dying.set(spec.key, died)
        return { died: Deferred.await(died) } as unknown as Connection
      })))
    const die = (key: string) => Effect.andThen(Deferred.succeed(dying.get(key)!, undefined), settle)
    return { pool, die, log, running, most: () => most }
  })

type Made = Effect.Effect.Success<ReturnType<typeof makePool>>

/** Uses a server until the test releases it. */
const use = ({ pool }: Made, key: string) =>
  Effect.gen(function*() {
    const done = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function*() {
      const server = yield* pool.get(spec(key))
      yield* server.connect
      yield* Deferred.await(done)
    })))
    yield* settle
    return {
      fiber,
      done: Effect.andThen(Deferred.succeed(done, undefined), settle)
    }
  })

const pass = (seconds: number) => Effect.andThen(TestClock.adjust(`${seconds} seconds`), settle)

/** A test whose servers take their second to end at its end, too. */
const pooled = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.extend(body, scope)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      for (let i = 0; i < 5; i++) yield* pass(1)
      yield* Fiber.join(closing)
    }))

describe("pool", () => {
  pooled(
    "shares a server among callers of the same kind and keeps it for a while",
    Effect.gen(function*() {
      const made = yield* makePool({ idleTimeToLive: "10 seconds" })
      const one = yield* use(made, "a")
      const two = yield* use(made, "a")
      const other = yield* use(made, "b")
      assert.deepStrictEqual(made.log, ["+a", "+b"])
      yield* one.done
      yield* pass(20)
      assert.deepStrictEqual(made.log, ["+a", "+b"])
      yield* two.done
      yield* pass(9)
      const three = yield* use(made, "a")
      yield* pass(20)
      yield* three.done
      yield* pass(9)
      assert.deepStrictEqual(made.log, ["+a", "+b"])
      yield* pass(2)
      assert.deepStrictEqual(made.log, ["+a", "+b", "-a"])
      yield* use(made, "a")
      assert.deepStrictEqual(made.log, ["+a", "+b", "-a", "+a"])
      yield* other.done
    })
  )

  pooled(
    "at the limit ends the server idle longest before it starts the next one",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 3 })
      for (const key of ["a", "b", "c"]) yield* Effect.flatMap(use(made, key), ({ done }) => done)
      // Used again: b is the oldest now.
      yield* Effect.flatMap(use(made, "a"), ({ done }) => done)
      const four = yield* use(made, "d")
      assert.deepStrictEqual(made.log, ["+a", "+b", "+c"])
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "+b", "+c", "-b", "+d"])
      // c and a are idle, d is not.
      const b = yield* use(made, "b")
      const e = yield* use(made, "e")
      const f = yield* use(made, "f")
      yield* pass(1)
      assert.deepStrictEqual(made.log.slice(5).sort(), ["+b", "+e", "-a", "-c"])
      yield* pass(60)
      assert.deepStrictEqual([...made.running].sort(), ["b", "d", "e"])
      yield* four.done
      yield* pass(1)
      assert.deepStrictEqual([...made.running].sort(), ["b", "e", "f"])
      for (const { done } of [b, e, f]) yield* done
      assert.strictEqual(made.most(), 3)
    })
  )

  pooled(
    "serves waiting callers in order of arrival",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1 })
      const a = yield* use(made, "a")
      const waiting = yield* Effect.forEach(["b", "c", "d"], (key) => use(made, key))
      yield* a.done
      yield* pass(1)
      for (const one of waiting) {
        yield* one.done
        yield* pass(1)
      }
      assert.deepStrictEqual(made.log.filter((entry) => entry.startsWith("+")), ["+a", "+b", "+c", "+d"])
      assert.strictEqual(made.most(), 1)
    })
  )

  pooled(
    "does not apply the limit to callers of a running server",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1 })
      const a = yield* use(made, "a")
      const b = yield* use(made, "b")
      const again = yield* use(made, "a")
      yield* again.done
      assert.isTrue(yield* isDone(again.fiber))
      assert.isFalse(yield* isDone(b.fiber))
      yield* a.done
      yield* pass(1)
      yield* b.done
      yield* Fiber.join(b.fiber)
    })
  )

  pooled(
    "starts nothing for an interrupted caller, which delays nobody",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1 })
      const a = yield* use(made, "a")
      const b = yield* use(made, "b")
      const c = yield* use(made, "c")
      yield* Fiber.interrupt(b.fiber)
      yield* a.done
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+c"])
      yield* c.done
      yield* pass(400)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+c", "-c"])
    })
  )

  pooled(
    "cancels a start that nobody waits for, and no other",
    Effect.gen(function*() {
      const go = Effect.unsafeMakeLatch(false)
      const made = yield* makePool({}, () => go.await)
      const alone = yield* use(made, "a")
      const one = yield* use(made, "b")
      const two = yield* use(made, "b")
      assert.deepStrictEqual([...made.running], ["a", "b"])
      const interrupting = yield* Effect.fork(Fiber.interruptAll([alone.fiber, one.fiber]))
      yield* settle
      yield* pass(1)
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual([...made.running], ["b"])
      yield* go.open
      yield* settle
      yield* two.done
      yield* Fiber.join(two.fiber)
      assert.deepStrictEqual(made.log, ["-a", "+b"])
    })
  )

  pooled(
    "restarts a dead server without waiting for places that others need",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1 })
      const a = yield* use(made, "a")
      const b = yield* use(made, "b")
      yield* made.die("a")
      const again = yield* use(made, "a")
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+a"])
      yield* again.done
      yield* made.die("a")
      yield* a.done
      yield* pass(2)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+a", "-a", "+b"])
      yield* b.done
      assert.strictEqual(made.most(), 1)
    })
  )

  pooled(
    "leaves the wait of an interrupted caller to others who need the server",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1 })
      const a = yield* use(made, "a")
      const one = yield* use(made, "b")
      const two = yield* use(made, "b")
      yield* Fiber.interrupt(one.fiber)
      yield* a.done
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+b"])
      yield* two.done
    })
  )

  pooled(
    "leaves the next server alone when the idle time of the last one ends during its removal",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1, idleTimeToLive: "10 seconds" })
      yield* Effect.flatMap(use(made, "a"), ({ done }) => done)
      yield* pass(9.5)
      const b = yield* use(made, "b")
      const one = yield* use(made, "a")
      yield* pass(1)
      const two = yield* use(made, "a")
      yield* b.done
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+b", "-b", "+a"])
      yield* two.done
      assert.isTrue(yield* isDone(two.fiber))
      yield* one.done
    })
  )

  pooled(
    "ends a server with its last user when the idle time is zero",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1, idleTimeToLive: 0 })
      const a = yield* use(made, "a")
      const b = yield* use(made, "b")
      yield* a.done
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+b"])
      yield* b.done
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+b", "-b"])
    })
  )

  pooled(
    "does not restart a server before the last one of its kind is gone",
    Effect.gen(function*() {
      const made = yield* makePool({ idleTimeToLive: 0 })
      const one = yield* use(made, "a")
      yield* one.done
      const two = yield* use(made, "a")
      assert.deepStrictEqual(made.log, ["+a"])
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+a"])
      yield* two.done
    })
  )

  pooled(
    "shares one server among many concurrent callers",
    Effect.gen(function*() {
      const made = yield* makePool({})
      yield* Effect.forEach(
        Array.from({ length: 500 }),
        () => Effect.scoped(Effect.flatMap(made.pool.get(spec("a")), ({ connect }) => connect)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(made.log, ["+a"])
    })
  )

  it.effect("ends all servers with its scope, the idle ones concurrently", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const made = yield* Scope.extend(makePool({}), scope)
      for (const key of ["a", "b", "c"]) yield* Effect.flatMap(use(made, key), ({ done }) => done)
      yield* use(made, "d")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      yield* pass(1)
      assert.deepStrictEqual([...made.running], ["d"])
      yield* pass(1)
      yield* Fiber.join(closing)
      assert.deepStrictEqual([...made.running], [])
    }))

  pooled(
    "keeps a server with an endless idle time until another kind is needed",
    Effect.gen(function*() {
      const made = yield* makePool({ maxServers: 1, idleTimeToLive: Duration.infinity })
      yield* Effect.flatMap(use(made, "a"), ({ done }) => done)
      yield* pass(100_000)
      assert.deepStrictEqual(made.log, ["+a"])
      yield* Effect.flatMap(use(made, "b"), ({ done }) => done)
      yield* pass(1)
      assert.deepStrictEqual(made.log, ["+a", "-a", "+b"])
    })
  )

  it.effect(
    "never exceeds the limit, never has a server twice, and serves everybody",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.integer({ min: 1, max: 3 }),
            fc.array(
              fc.record({
                key: fc.constantFrom("a", "b", "c", "d", "e"),
                after: fc.nat(8),
                for: fc.nat(8),
                give: fc.boolean()
              }),
              { maxLength: 15 }
            ),
            fc.constantFrom(0, 5, 300),
            (maxServers, uses, idle) =>
              Effect.gen(function*() {
                const made = yield* makePool({ maxServers, idleTimeToLive: idle * 1000 })
                const fibers = yield* Effect.forEach(uses, (one) =>
                  Effect.scoped(Effect.gen(function*() {
                    yield* Effect.sleep(one.after * 1000)
                    const server = yield* made.pool.get(spec(one.key))
                    yield* server.connect
                    assert.isTrue(made.running.has(one.key))
                    yield* Effect.sleep(one.for * 1000)
                    assert.isTrue(made.running.has(one.key))
                  })).pipe(
                    one.give ? Effect.timeoutOption(`${one.after + 4} seconds`) : Effect.asVoid,
                    Effect.fork
                  ))
                for (let i = 0; i < 500; i++) {
                  yield* TestClock.adjust("1 second")
                  yield* Effect.yieldNow()
                  if (i % 20 === 0) {
                    yield* settle
                    if ((yield* Effect.forEach(fibers, isDone)).every((done) => done)) break
                  }
                }
                for (const fiber of fibers) yield* Fiber.join(fiber)
                assert.isAtMost(made.most(), maxServers)
                yield* pass(idle + 2)
                yield* pass(2)
                assert.deepStrictEqual([...made.running], [])
              }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
          ),
          {
            numRuns: 20,
            // One gives up while a server of its kind is being ended, and the next one waits for that.
            examples: [[1, [
              { key: "e", after: 3, for: 7, give: false },
              { key: "c", after: 4, for: 0, give: true },
              { key: "c", after: 7, for: 3, give: true },
              { key: "b", after: 3, for: 5, give: false },
              { key: "c", after: 0, for: 4, give: true }
            ], 5]]
          }
        )
      )
  )
})
