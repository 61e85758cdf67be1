import { assert, describe, it } from "@effect/vitest"
import { OpenCodeError } from "effect-opencode"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as hubs from "../../src/internal/transport/server/hub.js"
import type { Delivery, Gap, Subscription } from "../../src/internal/transport/server/hub.js"
import { settle } from "../support/mock.js"
import { frame } from "./support.js"

const failure = (reason: OpenCodeError.OpenCodeServerError["reason"], detail: string) =>
  new OpenCodeError.OpenCodeServerError({ reason, detail, stderr: "" })

const utf8 = (text: string) => new TextEncoder().encode(text)

/** The source of a server's events, one connection after the other. */
const makeSource = (refuse: (attempt: number) => OpenCodeError.OpenCodeServerError | undefined = () => undefined) =>
  Effect.gen(function*() {
    const pipes: Array<Mailbox.Mailbox<Uint8Array, OpenCodeError.OpenCodeServerError>> = []
    let attempts = 0
    let open = 0
    const gone = yield* Deferred.make<OpenCodeError.OpenCodeServerError>()
    const options: hubs.Options = {
      open: Effect.gen(function*() {
        const refused = refuse(attempts++)
        if (refused !== undefined) return yield* refused
        const pipe = yield* Mailbox.make<Uint8Array, OpenCodeError.OpenCodeServerError>()
        open++
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            open--
          })
        )
        pipes.push(pipe)
        return Mailbox.toStream(pipe)
      }),
      lost: (detail) => failure("unreachable", detail),
      gone: Deferred.await(gone)
    }
    const send = (...payloads: ReadonlyArray<unknown>) =>
      Effect.suspend(() => pipes.at(-1)!.offer(utf8(payloads.map((payload) => frame(payload)).join("")))).pipe(
        Effect.andThen(settle)
      )
    return {
      options,
      send,
      sendText: (text: string) => Effect.andThen(Effect.suspend(() => pipes.at(-1)!.offer(utf8(text))), settle),
      connect: Effect.suspend(() => send({ type: "server.connected", properties: {} })),
      end: Effect.andThen(Effect.suspend(() => pipes.at(-1)!.end), settle),
      fail: (error: OpenCodeError.OpenCodeServerError) =>
        Effect.andThen(Effect.suspend(() => pipes.at(-1)!.fail(error)), settle),
      die: (error: OpenCodeError.OpenCodeServerError) => Effect.andThen(Deferred.succeed(gone, error), settle),
      attempts: () => attempts,
      open: () => open
    }
  })

const idle = (sessionID: string) => ({ type: "session.idle", properties: { sessionID } })

const created = (id: string, parentID?: string, type = "session.created") => ({
  type,
  properties: { sessionID: id, info: { id, parentID } }
})

/** The items waiting for a subscriber, as `session type` or `gap reason`. */
const told = (items: ReadonlyArray<Delivery | Gap>) =>
  items.map((item) => item.type === "gap" ? `gap ${item.reason}` : `${item.sessionId} ${item.event.type}`)

const take = (subscription: Subscription) => Effect.map(subscription.take, told)

/** The items waiting for a subscriber now, possibly none. */
const now = (subscription: Subscription) =>
  Effect.andThen(
    settle,
    Effect.raceFirst(take(subscription), Effect.andThen(settle, Effect.succeed<ReadonlyArray<string>>([])))
  )

/** A connected hub. */
const start = (more: Partial<hubs.Options> = {}, refuse?: Parameters<typeof makeSource>[0]) =>
  Effect.gen(function*() {
    const source = yield* makeSource(refuse)
    const hub = yield* hubs.make({ ...source.options, ...more })
    yield* settle
    yield* source.connect
    return { source, hub }
  })

describe("hub", () => {
  it.scoped("subscribes only when the server's events are known to arrive", () =>
    Effect.gen(function*() {
      const source = yield* makeSource()
      const hub = yield* hubs.make(source.options)
      const fiber = yield* Effect.fork(hub.subscribe("ses_1"))
      yield* settle
      assert.strictEqual(source.open(), 1)
      assert.isTrue(Option.isNone(yield* fiber.poll))
      yield* source.send(idle("ses_1"))
      assert.isTrue(Option.isNone(yield* fiber.poll))
      yield* source.connect
      const subscription = yield* Fiber.join(fiber)
      // It has missed nothing: it was not subscribed.
      assert.deepStrictEqual(yield* now(subscription), [])
      yield* source.send(idle("ses_1"))
      assert.deepStrictEqual(yield* take(subscription), ["ses_1 session.idle"])
    }))

  it.scoped("delivers each session its own events, in order, as the received objects", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start()
      const one = yield* hub.subscribe("ses_1")
      const same = yield* hub.subscribe("ses_1")
      const two = yield* hub.subscribe("ses_2")
      yield* source.send(idle("ses_1"), created("ses_2"), idle("ses_3"), { type: "plugin.added", properties: {} })
      yield* source.send(created("ses_1", undefined, "session.updated"))
      assert.deepStrictEqual(yield* take(one), ["ses_1 session.idle", "ses_1 session.updated"])
      assert.deepStrictEqual(yield* take(same), ["ses_1 session.idle", "ses_1 session.updated"])
      assert.deepStrictEqual(yield* take(two), ["ses_2 session.created"])
    }))

  it.scoped("follows children and their children, but not those of others", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start()
      const one = yield* hub.subscribe("ses_1")
      const child = yield* hub.subscribe("ses_2")
      yield* source.send(
        created("ses_2", "ses_1"),
        created("ses_3", "ses_2"),
        created("ses_8", "ses_9"),
        idle("ses_3"),
        idle("ses_8")
      )
      // Its creation was not seen.
      yield* source.send(created("ses_4", "ses_1", "session.updated"), idle("ses_4"))
      assert.deepStrictEqual(yield* take(one), [
        "ses_2 session.created",
        "ses_3 session.created",
        "ses_3 session.idle",
        "ses_4 session.updated",
        "ses_4 session.idle"
      ])
      assert.deepStrictEqual(yield* take(child), [
        "ses_2 session.created",
        "ses_3 session.created",
        "ses_3 session.idle"
      ])
      assert.deepStrictEqual([...one.sessions()], ["ses_1", "ses_2", "ses_3", "ses_4"])
      one.follow("ses_8")
      yield* source.send(idle("ses_8"))
      assert.deepStrictEqual(yield* take(one), ["ses_8 session.idle"])
    }))

  it.scoped("forgets a closed subscription and its children", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start()
      const scope = yield* Scope.make()
      const left = yield* Scope.extend(hub.subscribe("ses_1"), scope)
      yield* source.send(created("ses_2", "ses_1"))
      yield* take(left)
      yield* Scope.close(scope, Exit.void)
      left.follow("ses_3")
      yield* source.send(idle("ses_1"), idle("ses_2"), idle("ses_3"))
      assert.strictEqual((yield* Effect.flip(left.take)).detail, "the subscription was ended")
      const again = yield* hub.subscribe("ses_1")
      yield* source.send(idle("ses_2"), idle("ses_1"))
      assert.deepStrictEqual(yield* take(again), ["ses_1 session.idle"])
    }))

  it.scoped("lets a slow subscriber delay nobody, and marks its overflow as a gap", () =>
    Effect.gen(function*() {
      const size = frame(idle("ses_1")).length - "data: \n\n".length
      const { hub, source } = yield* start({ maxQueued: 3 * size })
      const slow = yield* hub.subscribe("ses_1")
      const quick = yield* hub.subscribe("ses_1")
      for (let i = 0; i < 10; i++) {
        yield* source.send(idle("ses_1"))
        assert.deepStrictEqual(yield* take(quick), ["ses_1 session.idle"])
      }
      const waiting = ["ses_1 session.idle", "ses_1 session.idle", "ses_1 session.idle", "gap overflow"]
      assert.deepStrictEqual(yield* take(slow), waiting)
      // It has taken its items: from here on it is complete again.
      yield* source.send(idle("ses_1"))
      assert.deepStrictEqual(yield* take(slow), ["ses_1 session.idle"])
    }))

  it.scoped("passes an event larger than the queue through an empty one", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start({ maxQueued: 10 })
      const subscription = yield* hub.subscribe("ses_1")
      yield* source.send(idle("ses_1"), idle("ses_1"))
      assert.deepStrictEqual(yield* take(subscription), ["ses_1 session.idle", "gap overflow"])
    }))

  it.scoped("reports an unreadable event as a gap to every subscriber", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start()
      const one = yield* hub.subscribe("ses_1")
      const two = yield* hub.subscribe("ses_2")
      yield* source.sendText("data: {\"payload\n\n")
      yield* source.send({ type: "session.idle", properties: {} }, idle("ses_2"))
      assert.deepStrictEqual(yield* take(one), ["gap unreadable"])
      assert.deepStrictEqual(yield* take(two), ["gap unreadable", "ses_2 session.idle"])
    }))

  for (
    const [how, lose] of [
      ["ends", (source: Effect.Effect.Success<ReturnType<typeof makeSource>>) => source.end],
      [
        "breaks off",
        (source: Effect.Effect.Success<ReturnType<typeof makeSource>>) =>
          source.fail(failure("unreachable", "other side closed"))
      ],
      ["is silent for 25 seconds", () => Effect.andThen(TestClock.adjust("25 seconds"), settle)]
    ] as const
  ) {
    it.scoped(`reconnects after a connection that ${how}, with a gap for earlier subscribers only`, () =>
      Effect.gen(function*() {
        const { hub, source } = yield* start({ reconnect: Schedule.spaced("1 second") })
        const there = yield* hub.subscribe("ses_1")
        yield* source.send(idle("ses_1"))
        yield* lose(source)
        assert.strictEqual(source.open(), 0)
        const late = yield* Effect.fork(hub.subscribe("ses_1"))
        yield* TestClock.adjust("999 millis")
        yield* settle
        assert.strictEqual(source.attempts(), 1)
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.strictEqual(source.attempts(), 2)
        // Events are only known to arrive once the server has said so.
        assert.deepStrictEqual(yield* now(there), ["ses_1 session.idle"])
        assert.isTrue(Option.isNone(yield* late.poll))
        yield* source.connect
        yield* source.send(idle("ses_1"))
        assert.deepStrictEqual(yield* take(there), ["gap reconnected", "ses_1 session.idle"])
        assert.deepStrictEqual(yield* take(yield* Fiber.join(late)), ["ses_1 session.idle"])
      }))
  }

  it.scoped("accepts a heartbeat as a sign of life", () =>
    Effect.gen(function*() {
      const { source } = yield* start()
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("24999 millis")
        yield* source.send({ type: "server.heartbeat", properties: {} })
      }
      assert.strictEqual(source.attempts(), 1)
      yield* TestClock.adjust("25 seconds")
      yield* settle
      assert.strictEqual(source.open(), 0)
    }))

  it.scoped("reconnects to a server that never says that it is connected", () =>
    Effect.gen(function*() {
      const source = yield* makeSource()
      yield* hubs.make({ ...source.options, reconnect: Schedule.spaced("1 second") })
      yield* settle
      yield* TestClock.adjust("25 seconds")
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(source.attempts(), 2)
    }))

  it.scoped("gives up with the schedule, which restarts with every connection", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start({
        reconnect: Schedule.intersect(Schedule.recurs(2), Schedule.spaced("1 second"))
      })
      for (let i = 0; i < 3; i++) {
        yield* source.end
        yield* TestClock.adjust("1 second")
        yield* settle
        yield* source.connect
      }
      const subscription = yield* hub.subscribe("ses_1")
      for (let i = 0; i < 2; i++) {
        yield* source.end
        yield* TestClock.adjust("1 second")
        yield* settle
      }
      const waiting = yield* Effect.fork(Effect.flip(subscription.take))
      const coming = yield* Effect.fork(Effect.flip(hub.subscribe("ses_2")))
      yield* source.end
      const error = yield* hub.failed
      assert.strictEqual(error.detail, "its events ended")
      assert.strictEqual(yield* Fiber.join(waiting), error)
      assert.strictEqual(yield* Fiber.join(coming), error)
      assert.strictEqual(yield* Effect.flip(hub.subscribe("ses_3")), error)
    }))

  it.scoped("gives up after two minutes by default", () =>
    Effect.gen(function*() {
      const refused = failure("unreachable", "connect ECONNREFUSED")
      const { hub, source } = yield* start({}, (attempt) => attempt > 0 ? refused : undefined)
      yield* source.end
      const fiber = yield* Effect.fork(hub.failed)
      yield* TestClock.adjust("119 seconds")
      yield* settle
      assert.isTrue(Option.isNone(yield* fiber.poll))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), refused)
      // Doubling from 0.2 to 5 seconds, then every 5.
      assert.isAbove(source.attempts(), 20)
      assert.isBelow(source.attempts(), 40)
    }))

  it.scoped("does not retry with a wrong password", () =>
    Effect.gen(function*() {
      const refused = failure("unauthorized", "401")
      const source = yield* makeSource(() => refused)
      const hub = yield* hubs.make(source.options)
      assert.strictEqual(yield* Effect.flip(hub.subscribe("ses_1")), refused)
      assert.strictEqual(source.attempts(), 1)
    }))

  it.scoped("delivers what arrived before the server ended, then the end", () =>
    Effect.gen(function*() {
      const { hub, source } = yield* start()
      const subscription = yield* hub.subscribe("ses_1")
      yield* source.send(idle("ses_1"))
      const error = failure("exited", "it was killed")
      yield* source.die(error)
      assert.strictEqual(source.open(), 0)
      assert.deepStrictEqual(yield* take(subscription), ["ses_1 session.idle"])
      assert.strictEqual(yield* Effect.flip(subscription.take), error)
      assert.strictEqual(yield* hub.failed, error)
    }))

  it.effect("ends all subscriptions when it is released", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { hub, source } = yield* Scope.extend(start(), scope)
      const waiting = yield* Effect.fork(
        Effect.scoped(Effect.flatMap(hub.subscribe("ses_1"), (s) => Effect.flip(s.take)))
      )
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting)).detail, "it was released")
      assert.strictEqual(source.open(), 0)
    }))

  it.effect("delivers no other session's events, and its own in order", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(fc.nat(3), fc.tuple(fc.nat(3), fc.nat(5))), { maxLength: 30 }),
          (script) =>
            Effect.gen(function*() {
              const { hub, source } = yield* start()
              const subscriptions = yield* Effect.forEach([0, 1, 2, 3], (n) => hub.subscribe(`ses_${n}`))
              const parents = new Map<string, string>()
              const expected: Array<Array<string>> = [[], [], [], []]
              const owners = (id: string): ReadonlyArray<string> => {
                const parent = parents.get(id)
                return parent === undefined ? [id] : [id, ...owners(parent)]
              }
              for (const step of script) {
                const id = typeof step === "number" ? `ses_${step}` : `child_${step[1]}`
                if (typeof step !== "number" && !parents.has(id)) parents.set(id, `ses_${step[0]}`)
                const payload = typeof step === "number" ? idle(id) : created(id, parents.get(id))
                yield* source.send(payload)
                for (const owner of owners(id)) {
                  const n = Number(/^ses_(\d)$/.exec(owner)?.[1] ?? -1)
                  expected[n]?.push(`${id} ${payload.type}`)
                }
              }
              for (const [n, subscription] of subscriptions.entries()) {
                assert.deepStrictEqual(yield* now(subscription), expected[n])
              }
            }).pipe(Effect.scoped, Effect.runPromise)
        ),
        { numRuns: 20 }
      )
    ))
})
