/** The parts of a stream, and the sessions of conversations. */
import { describe, expect, it } from "@effect/vitest"
import type { Session } from "effect-opencode"
import type { OpenCode, OpenCodeError, RunEvent } from "effect-opencode"
import { Events, OpenCodeTest } from "effect-opencode-testing"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as parts from "../src/internal/languageModel/parts.js"
import * as sessions from "../src/internal/languageModel/sessions.js"

const delta = (partId: string, text: string, kind: "text" | "reasoning" = "text"): RunEvent.TextDelta => ({
  _tag: "TextDelta",
  sessionId: "ses_1",
  messageId: "msg_1",
  partId,
  kind,
  text
})

/** A whole text with the id of its part. */
const whole = (partId: string, text: string): RunEvent.RunEvent => {
  const [event] = Events.decode([Events.text(text)])
  return { ...event, raw: { part: { id: partId, type: "text", text } } } as RunEvent.RunEvent
}

const [begin, end] = Events.decode([Events.stepStart(), Events.finish()]) as [RunEvent.RunEvent, RunEvent.RunEvent]

const streamed = (events: ReadonlyArray<RunEvent.RunEvent>) => {
  const state = parts.streaming(parts.noTools)
  return [...events.flatMap((event) => [...state.add(event, [])]), ...state.end()]
}

describe("a streamed response", () => {
  it("has each piece once, in a part that its whole text ends", () => {
    expect(streamed([
      begin,
      delta("r1", "Hm", "reasoning"),
      delta("p1", "one "),
      delta("p1", "two"),
      whole("p1", "one two"),
      end,
      begin,
      delta("p2", "three"),
      whole("p2", "three"),
      end
    ])).toEqual([
      { type: "reasoning-start", id: "r1" },
      { type: "reasoning-delta", id: "r1", delta: "Hm" },
      { type: "text-start", id: "p1" },
      { type: "text-delta", id: "p1", delta: "one " },
      { type: "text-delta", id: "p1", delta: "two" },
      { type: "text-end", id: "p1" },
      { type: "reasoning-end", id: "r1", metadata: { opencode: { discarded: true } } },
      { type: "text-start", id: "p2" },
      { type: "text-delta", id: "p2", delta: "\n\n" },
      { type: "text-delta", id: "p2", delta: "three" },
      { type: "text-end", id: "p2" }
    ])
  })

  it("marks what a cut stream had said before the agent said it again", () => {
    expect(streamed([begin, delta("p1", "he"), begin, delta("p2", "hello"), whole("p2", "hello"), end])).toEqual([
      { type: "text-start", id: "p1" },
      { type: "text-delta", id: "p1", delta: "he" },
      { type: "text-end", id: "p1", metadata: { opencode: { discarded: true } } },
      { type: "text-start", id: "p2" },
      { type: "text-delta", id: "p2", delta: "\n\n" },
      { type: "text-delta", id: "p2", delta: "hello" },
      { type: "text-end", id: "p2" }
    ])
  })

  it("has whole texts without pieces, and not what OpenCode says for itself", () => {
    const events = Events.decode(Events.session([
      Events.turn(Events.tool({ tool: "bash" })),
      Events.compaction({ summary: "THE SUMMARY" }),
      Events.turn("They pass.")
    ]))
    const said = streamed(events).flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
    expect(said).toEqual(["They pass."])
    const text = parts.content(events, parts.noTools, []).flatMap((part) => part.type === "text" ? [part.text] : [])
    expect(text).toEqual(said)
  })

  it("finishes with a reason that @effect/ai knows", () => {
    const reason = (finishReason: string | undefined) =>
      parts.finish({
        sessionId: undefined,
        runId: undefined,
        model: undefined,
        usage: { total: 0, input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
        cost: 0,
        unpriced: true,
        steps: 1,
        finishReason,
        tools: []
      })
    expect(
      ["stop", "length", "content-filter", "tool-calls", "error", "other", "odd", undefined].map((word) =>
        reason(word).reason
      )
    ).toEqual(["stop", "length", "content-filter", "tool-calls", "error", "other", "unknown", "unknown"])
    expect(reason("stop").metadata).toEqual({ opencode: { cost: 0, steps: 1, tools: [], unpriced: true } })
  })
})

/** Sessions that count themselves; a branch begins and a session closes after what is given. */
const counting = (
  { beforeClose = Effect.void, beforeFork = Effect.void }: {
    readonly beforeClose?: Effect.Effect<void>
    readonly beforeFork?: Effect.Effect<void, OpenCodeError.OpenCodeConfigError>
  } = {}
) => {
  const open = new Set<number>()
  const ids = new Map<string, string>()
  let count = 0
  const session = (from?: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        open.add(++count)
        const cwd = String(count)
        const fork: Session.Session["fork"] = (options) =>
          Effect.andThen(beforeFork, session(`${cwd} after ${options?.after}`)) as ReturnType<Session.Session["fork"]>
        return { id: Effect.sync(() => ids.get(cwd)), cwd, fork, directory: from } as Session.Session
      }),
      ({ cwd }) => Effect.sync(() => open.delete(Number(cwd)))
    ).pipe(Effect.tap(Effect.uninterruptible(Effect.addFinalizer(() => beforeClose))))
  const opencode = { session: () => session() } as unknown as OpenCode.Service
  return { opencode, open: () => [...open], began: ({ session: { cwd } }: sessions.Held) => ids.set(cwd, `ses_${cwd}`) }
}

const wanted = (base: sessions.Wanted["base"] = {}): sessions.Wanted => ({ base, options: base, tools: [] })

const patient = { capacity: 2, timeToLive: Duration.infinity }

describe("sessions of conversations", () => {
  it.scoped("are closed when they have rested longest, when their time is over, and with their scope", () =>
    Effect.gen(function*() {
      const { open, opencode } = counting()
      const scope = yield* Scope.make()
      const store = yield* Scope.extend(
        sessions.make(opencode, { capacity: 2, timeToLive: Duration.minutes(1) }),
        scope
      )
      for (const said of ["a", "b", "c"]) {
        yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep([said], undefined))
      }
      yield* TestClock.adjust(0)
      expect(open()).toEqual([2, 3])
      const held = yield* store.take(["b"], wanted())
      yield* TestClock.adjust("1 minute")
      // The one that is in use has no time limit.
      expect([held.session.cwd, open()]).toEqual(["2", [2]])
      expect((yield* store.take(["c"], wanted())).isContinued).toBe(false)
      yield* Scope.close(scope, Exit.void)
      expect(open()).toEqual([])
    }))

  it.scoped("are not closed by their time if a call has taken them in the same moment", () =>
    Effect.gen(function*() {
      const { open, opencode } = counting()
      const store = yield* sessions.make(opencode, { capacity: 2, timeToLive: Duration.minutes(1) })
      const moment = yield* Deferred.make<void>()
      const again = yield* Effect.fork(Effect.andThen(Deferred.await(moment), store.take(["a"], wanted())))
      yield* Effect.yieldNow()
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["a"], "msg_a")).pipe(
        // The time of the session is over when the moment has come, after the call that waits for it longer.
        Effect.withClock({ ...Clock.make(), sleep: () => Deferred.await(moment) })
      )
      yield* Effect.yieldNow()
      yield* Deferred.succeed(moment, undefined)
      const held = yield* Fiber.join(again)
      yield* TestClock.adjust(0)
      expect([held.isContinued, held.session.cwd, open()]).toEqual([true, "1", [1]])
      yield* held.keep(["b"], "msg_b")
      expect((yield* store.take(["b"], wanted())).session).toBe(held.session)
    }))

  it.scoped("stay open while a branch of them begins", () =>
    Effect.gen(function*() {
      const begins = yield* Deferred.make<void>()
      const { open, opencode } = counting({ beforeFork: Deferred.await(begins) })
      const store = yield* sessions.make(opencode, { capacity: 2, timeToLive: Duration.minutes(1) })
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["a"], "msg_a"))
      const trunk = yield* store.take(["a"], wanted())
      const branches = yield* Effect.forEach([1, 2], () => Effect.fork(store.take(["a"], wanted())))
      yield* Effect.yieldNow()
      yield* trunk.drop
      yield* TestClock.adjust("1 minute")
      expect(open()).toEqual([1])
      yield* Fiber.interrupt(branches[0]!)
      yield* Deferred.succeed(begins, undefined)
      const branch = yield* Fiber.join(branches[1]!)
      expect([branch.session.directory, open()]).toEqual(["1 after msg_a", [1, 2]])
      yield* branch.drop
      yield* TestClock.adjust(0)
      expect(open()).toEqual([])
    }))

  it.scoped("have ended when their scope has, also if it closes while their time ends them", () =>
    Effect.gen(function*() {
      const ends = yield* Deferred.make<void>()
      const { open, opencode } = counting({ beforeClose: Deferred.await(ends) })
      const scope = yield* Scope.make()
      const store = yield* Scope.extend(
        sessions.make(opencode, { capacity: 2, timeToLive: Duration.minutes(1) }),
        scope
      )
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["a"], "msg_a"))
      yield* TestClock.adjust("1 minute")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(0)
      yield* Deferred.succeed(ends, undefined)
      yield* Fiber.join(closing)
      expect(open()).toEqual([])
    }))

  it.scoped("branch off for every other continuation, and end after their branches", () =>
    Effect.gen(function*() {
      const { open, opencode } = counting()
      const store = yield* sessions.make(opencode, { ...patient, capacity: 1 })
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["a"], "msg_a"))
      const trunk = yield* store.take(["a"], wanted())
      const branch = yield* store.take(["a"], wanted())
      expect([branch.isContinued, branch.session.directory]).toEqual([true, "1 after msg_a"])
      yield* trunk.keep(["a", "b"], "msg_b")
      yield* branch.keep(["a", "c"], "msg_c")
      yield* TestClock.adjust(0)
      // There is a place for one, so the trunk is forgotten, but its branch needs its data.
      expect(open()).toEqual([1, 2])
      expect((yield* store.take(["a", "b"], wanted())).isContinued).toBe(false)
      const last = yield* store.take(["a", "c"], wanted())
      expect(last.session).toBe(branch.session)
      // A branch from before what has failed.
      yield* last.drop
      const again = yield* store.take(["a", "c"], wanted())
      expect([again.isContinued, again.session.directory]).toEqual([true, "2 after msg_c"])
      yield* again.drop
      yield* TestClock.adjust(0)
      expect(open()).toEqual([1, 2, 3])
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["d"], "msg_d"))
      yield* TestClock.adjust(0)
      expect(open()).toEqual([3, 5])
    }))

  it.scoped("are not branched off again where a branch has failed before it began", () =>
    Effect.gen(function*() {
      const { began, open, opencode } = counting()
      const store = yield* sessions.make(opencode, patient)
      const first = yield* store.take([], wanted())
      began(first)
      yield* first.keep(["a"], "msg_a")
      // It has the session, so no branch was needed.
      const failed = yield* store.take(["a"], wanted())
      yield* failed.fail
      const begun = yield* store.take(["a"], wanted())
      began(begun)
      yield* begun.fail
      const abandoned = yield* store.take(["a"], wanted())
      yield* abandoned.drop
      const refused = yield* store.take(["a"], wanted())
      expect(
        [failed, begun, abandoned, refused].map(({ isContinued, session }) => [isContinued, session.directory])
      ).toEqual([[true, undefined], [true, "1 after msg_a"], [true, "1 after msg_a"], [true, "1 after msg_a"]])
      yield* refused.fail
      const told = yield* store.take(["a"], wanted())
      expect(told.isContinued).toBe(false)
      yield* TestClock.adjust(0)
      // Nothing can be continued in the first one any more.
      expect(open()).toEqual([Number(told.session.cwd)])
    }))

  it.scoped("keep their other messages if a branch after one of them has failed", () =>
    Effect.gen(function*() {
      const { began, opencode } = counting()
      const store = yield* sessions.make(opencode, patient)
      const first = yield* store.take([], wanted())
      began(first)
      yield* first.keep(["a"], "msg_a")
      yield* Effect.flatMap(store.take(["a"], wanted()), ({ keep }) => keep(["a", "b"], "msg_b"))
      yield* Effect.flatMap(store.take(["a"], wanted()), ({ fail }) => fail)
      expect((yield* store.take(["a"], wanted())).isContinued).toBe(false)
      expect((yield* store.take(["a", "b"], wanted())).session).toBe(first.session)
    }))

  it.scoped("are given to one call each, and only with the same options", () =>
    Effect.gen(function*() {
      const { open, opencode } = counting()
      const store = yield* sessions.make(opencode, patient)
      const secret = (value: string) => wanted({ extraEnv: { KEY: Redacted.make(value) }, cwd: "/a" })
      const first = yield* store.take([], secret("one"))
      yield* first.keep(["a"], "msg_a")
      const other = yield* store.take(["a"], secret("two"))
      const again = yield* store.take(["a"], secret("one"))
      const twice = yield* store.take(["a"], secret("one"))
      expect([other, again, twice].map(({ isContinued }) => isContinued)).toEqual([false, true, true])
      expect(again.session).toBe(first.session)
      yield* other.drop
      yield* Effect.yieldNow()
      expect(open()).toEqual([1, 3])
      expect(twice.session.directory).toBe("1 after msg_a")
    }))

  it.scoped("are continued without the tools that they have, but not with tools that they lack", () =>
    Effect.gen(function*() {
      const { opencode } = counting()
      const store = yield* sessions.make(opencode, patient)
      const base = { cwd: "/a" }
      const tooled = { base, options: { ...base, mcp: { host: {} } }, tools: ["host_a"] }
      yield* Effect.flatMap(store.take([], tooled), ({ keep }) => keep(["a"], "msg_a"))
      const plain = yield* store.take(["a"], { base, options: base, tools: [] })
      expect([plain.isContinued, plain.hidden]).toEqual([true, ["host_a"]])
      yield* plain.keep(["b"], "msg_b")
      expect((yield* store.take(["b"], tooled)).hidden).toEqual([])
      yield* Effect.flatMap(store.take([], { base, options: base, tools: [] }), ({ keep }) => keep(["c"], "msg_c"))
      expect((yield* store.take(["c"], tooled)).isContinued).toBe(false)
    }))

  it.scoped("are new ones where no branch is possible", () =>
    Effect.gen(function*() {
      const { open, opencode } = counting({ beforeFork: OpenCodeTest.Failure.config({ path: "forkAfter" }) })
      const store = yield* sessions.make(opencode, patient)
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["a"], "msg_a"))
      yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep(["b"], undefined))
      const trunks = yield* Effect.forEach(["a", "b"], (said) => store.take([said], wanted()))
      const others = yield* Effect.forEach(["a", "b"], (said) => store.take([said], wanted()))
      expect([...trunks, ...others].map(({ isContinued }) => isContinued)).toEqual([true, true, false, false])
      yield* Effect.forEach([...trunks, ...others], ({ drop }) => drop)
      yield* TestClock.adjust(0)
      expect(open()).toEqual([1, 2])
    }))

  it.scoped("can rest without limits", () =>
    Effect.gen(function*() {
      const unlimited = yield* sessions.settings({ capacity: Infinity, timeToLive: Infinity })
      const { open, opencode } = counting()
      const store = yield* sessions.make(opencode, unlimited)
      const conversations = Array.from({ length: 20 }, (_, index) => String(index))
      for (const said of conversations) {
        yield* Effect.flatMap(store.take([], wanted()), ({ keep }) => keep([said], undefined))
      }
      yield* TestClock.adjust("1000 days")
      expect(open()).toHaveLength(20)
      expect((yield* store.take(["0"], wanted())).isContinued).toBe(true)
    }))

  it("separate the options of a turn from their own", () => {
    expect(sessions.split({ model: "a/b", timeout: 1, cwd: "/a", permission: "deny" })).toEqual({
      ofTurn: { model: "a/b", timeout: 1 },
      ofSession: { cwd: "/a", permission: "deny" }
    })
  })
})
