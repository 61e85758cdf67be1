import { describe, expect, it } from "@effect/vitest"
import type { RunOptions } from "effect-opencode"
import { Version } from "effect-opencode"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Launcher } from "../../src/internal/launch/launcher.js"
import { v2 } from "../../src/internal/opencode/v2/dialect.js"
import * as helds from "../../src/internal/transport/private/held.js"
import type { Process } from "../../src/internal/transport/private/process.js"
import * as transport from "../../src/internal/transport/private/transport.js"

type Sink = Parameters<helds.Held["lease"]>[1]

const sink = (): Sink => ({ stderr: { push: () => {} } }) as unknown as Sink

interface Fake {
  readonly start: Effect.Effect<Process, never, Scope.Scope>
  hasEnded: boolean
}

/** A server whose end waits for an effect. */
const server = (untilEnded: Effect.Effect<void> = Effect.void): Fake => {
  const self: Fake = {
    hasEnded: false,
    start: Effect.acquireRelease(
      Effect.succeed({
        isConnected: () => true,
        dropped: () => undefined,
        hasExited: Effect.succeed(false),
        ownStderr: () => "",
        end: () => Effect.succeed({ survivors: [] })
      } as unknown as Process),
      () =>
        Effect.andThen(
          untilEnded,
          Effect.sync(() => {
            self.hasEnded = true
          })
        )
    )
  }
  return self
}

const resting = { force: false, isResting: true }

describe("the key of a server of a conversation", () => {
  const found = { binary: "/opencode", version: Version.make(2, 0, 14), dialect: v2 }
  const client = { isolation: { directory: "/data" }, sandboxing: {} as unknown as NonNullable<Launcher["sandboxing"]> }
  const key = (options: RunOptions.RunOptions) => transport.keyOf({ client }, found, { cwd: "/workspace", options })
  const content = (text: string) => ({ mediaType: "text/plain", data: new TextEncoder().encode(text) })

  it("depends on the files that a sandbox must let in, and not on contents, which are sent", () => {
    expect(key({ files: [content("a")] })).toBe(key({ files: [content("b")] }))
    expect(key({ files: ["a.txt", content("a")] })).not.toBe(key({ files: ["b.txt", content("a")] }))
  })

  it("depends on `pure` and the level of the log, which are variables", () => {
    expect(key({ pure: true })).not.toBe(key({}))
    expect(key({ pure: false })).toBe(key({}))
    expect(key({ logLevel: "DEBUG" })).not.toBe(key({}))
  })
})

describe("the servers of a conversation", () => {
  it.scoped("are not lost to an interruption while the one before ends, and end when they are unused", () =>
    Effect.gen(function*() {
      const held = yield* helds.make
      const ends = yield* Deferred.make<void>()
      const [first, second] = [server(Deferred.await(ends)), server()]
      const lease = yield* held.lease("a", sink(), () => first.start)
      yield* lease.end(resting)
      // As an attempt uses it: what it gets it gives back.
      const using = yield* Effect.fork(
        Effect.uninterruptible(Effect.flatMap(held.lease("b", sink(), () => second.start), ({ end }) => end(resting)))
      )
      yield* Effect.yieldNow()
      yield* Fiber.interruptFork(using)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(ends, undefined)
      yield* Fiber.await(using)
      expect(first.hasEnded).toBe(true)
      expect(held.isRunning("b")).toBe(true)
      yield* TestClock.adjust("5 minutes")
      expect(held.isRunning("b")).toBe(false)
      expect(second.hasEnded).toBe(true)
    }))

  it.scoped("are not waited for by an interrupted turn while they start", () =>
    Effect.gen(function*() {
      const held = yield* helds.make
      const begun = yield* Deferred.make<void>()
      const slow = server()
      const using = yield* Effect.fork(Effect.uninterruptible(
        held.lease("a", sink(), () =>
          Effect.andThen(slow.start, Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
      ))
      yield* Deferred.await(begun)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(using))).toBe(true)
      expect(slow.hasEnded).toBe(true)
      expect(held.isRunning("a")).toBe(false)
      const next = server()
      yield* (yield* held.lease("a", sink(), () =>
        next.start)).end(resting)
      expect(held.isRunning("a")).toBe(true)
    }))
})
