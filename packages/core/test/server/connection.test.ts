import { assert, describe, it } from "@effect/vitest"
import { OpenCodeError } from "effect-opencode"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import * as connections from "../../src/internal/transport/server/connection.js"
import type { Connection } from "../../src/internal/transport/server/connection.js"
import { isDone, settle } from "../support/mock.js"

const failure = (detail: string) => new OpenCodeError.OpenCodeServerError({ reason: "exited", detail, stderr: "" })

/** Connections that open, die and close when the test says so. */
const makeServer = Effect.gen(function*() {
  const log: Array<string> = []
  const opened: Array<Deferred.Deferred<void, OpenCodeError.QueryError>> = []
  const died: Array<Deferred.Deferred<OpenCodeError.OpenCodeServerError>> = []
  const closed: Array<Deferred.Deferred<void>> = []
  const server = yield* connections.hold(Effect.gen(function*() {
    const n = opened.length
    const [opening, dying, closing] = [
      yield* Deferred.make<void, OpenCodeError.QueryError>(),
      yield* Deferred.make<OpenCodeError.OpenCodeServerError>(),
      yield* Deferred.make<void>()
    ]
    opened.push(opening)
    died.push(dying)
    closed.push(closing)
    log.push(`open ${n}`)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        log.push(`close ${n}`)
        return Effect.map(Deferred.await(closing), () => log.push(`closed ${n}`))
      })
    )
    yield* Deferred.await(opening)
    return { died: Deferred.await(dying), number: n } as unknown as Connection
  }))
  return {
    server,
    log,
    open: (n: number) => Effect.andThen(Deferred.succeed(opened[n]!, undefined), settle),
    refuse: (n: number, error: OpenCodeError.QueryError) => Effect.andThen(Deferred.fail(opened[n]!, error), settle),
    die: (n: number) => Effect.andThen(Deferred.succeed(died[n]!, failure("killed")), settle),
    close: (n: number) => Effect.andThen(Deferred.succeed(closed[n]!, undefined), settle)
  }
})

const numberOf = (connection: Connection) => (connection as unknown as { readonly number: number }).number

const connect = ({ server }: Effect.Effect.Success<typeof makeServer>) =>
  Effect.zipLeft(Effect.fork(Effect.map(server.connect, numberOf)), settle)

describe("hold", () => {
  it.scoped("starts nothing before the first caller, and one server for all", () =>
    Effect.gen(function*() {
      const all = yield* makeServer
      yield* settle
      assert.deepStrictEqual(all.log, [])
      const fibers = yield* Effect.replicateEffect(connect(all), 5)
      assert.deepStrictEqual(all.log, ["open 0"])
      assert.isFalse(all.server.hasOpened())
      yield* all.open(0)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [0, 0, 0, 0, 0])
      assert.isTrue(all.server.hasOpened())
      assert.strictEqual(numberOf(yield* all.server.connect), 0)
      yield* all.close(0)
    }))

  it.scoped("fails for the waiting callers only; the next caller retries after the cleanup", () =>
    Effect.gen(function*() {
      const all = yield* makeServer
      const fibers = yield* Effect.replicateEffect(connect(all), 3)
      const error = failure("no port")
      yield* all.refuse(0, error)
      const late = yield* connect(all)
      assert.deepStrictEqual(all.log, ["open 0", "close 0"])
      yield* all.close(0)
      for (const fiber of [...fibers, late]) {
        assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), error)
      }
      const next = yield* connect(all)
      yield* all.open(1)
      assert.strictEqual(yield* Fiber.join(next), 1)
      yield* all.close(1)
    }))

  it.scoped("cleans up a dead server before it starts the next one", () =>
    Effect.gen(function*() {
      const all = yield* makeServer
      yield* connect(all)
      yield* all.open(0)
      yield* all.die(0)
      assert.isTrue(all.server.hasOpened())
      const fibers = yield* Effect.replicateEffect(connect(all), 3)
      assert.deepStrictEqual(all.log, ["open 0", "close 0"])
      yield* all.close(0)
      assert.deepStrictEqual(all.log, ["open 0", "close 0", "closed 0", "open 1"])
      yield* all.open(1)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [1, 1, 1])
      yield* all.close(1)
    }))

  it.scoped("an interrupted caller stops neither the start nor the wait of others", () =>
    Effect.gen(function*() {
      const all = yield* makeServer
      const first = yield* connect(all)
      const second = yield* connect(all)
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(all.log, ["open 0"])
      yield* all.open(0)
      assert.strictEqual(yield* Fiber.join(second), 0)
      yield* all.close(0)
    }))

  it.effect("is closed with its scope in any state", () =>
    Effect.gen(function*() {
      for (const isOpen of [false, true]) {
        const scope = yield* Scope.make()
        const all = yield* Scope.extend(makeServer, scope)
        const fiber = yield* connect(all)
        if (isOpen) yield* all.open(0)
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* settle
        assert.isFalse(yield* isDone(closing))
        yield* all.close(0)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(all.log, ["open 0", "close 0", "closed 0"])
        const exit = yield* Fiber.await(fiber)
        assert.strictEqual(Exit.isSuccess(exit), isOpen)
        if (Exit.isFailure(exit)) assert.isTrue(Cause.isInterrupted(exit.cause))
        // Too late: nothing can be started any more, and nobody waits for it.
        const late = yield* Effect.exit(all.server.connect)
        assert.isTrue(Exit.isFailure(late) && Cause.isInterrupted(late.cause))
        assert.strictEqual(all.log.length, 3)
      }
    }))

  it.scoped("does not belong to the span of the first run", () =>
    Effect.gen(function*() {
      let parent: Option.Option<Tracer.AnySpan> | undefined
      const server = yield* connections.hold(
        Effect.map(Effect.option(Effect.currentParentSpan), (span) => {
          parent = span
          return { died: Effect.never } as unknown as Connection
        })
      )
      yield* Effect.withSpan(server.connect, "a run")
      assert.isTrue(parent !== undefined && Option.isNone(parent))
    }))
})
