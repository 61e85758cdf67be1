import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as FleetView from "../src/display/FleetView.js"
import * as Fleet from "../src/fleet/Fleet.js"
import { result, stepFinish, stepStart, text, tool, usage } from "./support/results.js"

const { FleetEvent } = Fleet

const fleetOf = (events: ReadonlyArray<Fleet.FleetEvent>): Fleet.Fleet => events.reduce(Fleet.update, Fleet.empty)

const queued = (id: string) => FleetEvent.Queued({ id, name: `job ${id}` })
const started = (id: string, at = 0) => FleetEvent.Started({ id, at })
const observed = (id: string, event = text("works"), at = 0) => FleetEvent.Observed({ id, event, at })
const ended = (id: string, given: Parameters<typeof result>[0] = {}) =>
  FleetEvent.Ended({ id, result: result({ id, ...given }), at: 0 })

const job = (fleet: Fleet.Fleet, id: string) => Option.getOrThrow(Fleet.get(fleet, id))

describe("update", () => {
  it("takes a job from the queue to its end", () => {
    const steps = [
      queued("a"),
      started("a", 5),
      observed("a", stepStart),
      observed("a", tool("read", "src/main.ts")),
      observed("a", stepFinish({ reason: "tool-calls" })),
      observed("a", text("All done")),
      observed("a", stepFinish({ reason: "stop" })),
      ended("a")
    ]
    const states = steps.map((_, index) => job(fleetOf(steps.slice(0, index + 1)), "a").state)
    expect(states).toEqual(["waiting", "starting", "running", "running", "running", "running", "ending", "done"])
  })

  it("shows the last tool call or text of a job", () => {
    const before = [queued("a"), started("a")]
    const activity = (...events: ReadonlyArray<Fleet.FleetEvent>) => job(fleetOf([...before, ...events]), "a").activity
    expect(activity()).toBe("")
    expect(activity(observed("a", tool("read", "src/main.ts")))).toBe("read src/main.ts")
    expect(activity(observed("a", tool("read", "src/main.ts")), observed("a", stepStart))).toBe("read src/main.ts")
    expect(activity(observed("a", text("  hello\n")))).toBe("hello")
    expect(activity(observed("a", text("x".repeat(100_000)))).length).toBe(200)
    expect(activity(ended("a", { outcome: "OpenCodeTimeoutError" }))).toBe("timeout")
  })

  it("starts a new answer after the end of a conversation", () => {
    const finished = [started("a"), observed("a", stepFinish({ reason: "stop" }))]
    expect(job(fleetOf([...finished, observed("a", text("late"))]), "a").state).toBe("ending")
    expect(job(fleetOf([...finished, observed("a", stepStart)]), "a").state).toBe("running")
  })

  it("adds figures up while a job works, and takes the result's figures at its end", () => {
    const working = fleetOf([
      queued("a"),
      started("a", 5),
      observed("a", stepStart),
      observed("a", stepFinish({ reason: "tool-calls", total: 100, cost: 0.5 })),
      observed("a", stepStart),
      observed("a", stepFinish({ reason: "tool-calls", total: 50, cost: 0.25 }))
    ])
    expect(Fleet.totals(working)).toMatchObject({ steps: 2, cost: 0.75, usage: { total: 150 } })
    const done = Fleet.update(working, ended("a", { steps: 3, cost: 1, usage: usage(200) }))
    expect(Fleet.totals(done)).toMatchObject({ steps: 3, cost: 1, usage: { total: 200 } })
    expect(job(done, "a")).toMatchObject({ steps: 3, cost: 1 })
  })

  it("counts outcomes", () => {
    const fleet = fleetOf([
      ended("a"),
      ended("b", { outcome: "OpenCodeTimeoutError" }),
      ended("c", { outcome: "OpenCodeTimeoutError" }),
      queued("d"),
      FleetEvent.Skipped({ id: "d" })
    ])
    expect(fleet.outcomes).toEqual({ success: 1, OpenCodeTimeoutError: 2 })
    expect([fleet.done, fleet.failed, fleet.skipped, Fleet.size(fleet)]).toEqual([1, 2, 1, 4])
  })

  it("keeps the order of the queue whichever job starts first", () => {
    const fleet = fleetOf([queued("a"), queued("b"), queued("c"), queued("d"), started("c"), started("a")])
    expect(Fleet.active(fleet).map(({ id }) => id)).toEqual(["a", "c"])
    expect(Fleet.next(fleet, 1).map(({ id }) => id)).toEqual(["b"])
    expect(Fleet.next(fleet, 10).map(({ id }) => id)).toEqual(["b", "d"])
  })

  it("queues a job again that has not started, but not one at work", () => {
    const returned = FleetEvent.Returned({ id: "a", at: 3 })
    const fleet = fleetOf([queued("a"), queued("b"), started("a"), started("b"), returned])
    expect(Fleet.active(fleet).map(({ id }) => id)).toEqual(["b"])
    expect(Fleet.next(fleet, 10)).toMatchObject([{ id: "a", state: "waiting", startedAt: undefined }])
    expect(FleetView.plainLine(fleet, returned)).toMatch(/ {2}job a +was not started$/)
    expect(job(fleetOf([started("a"), observed("a", text("hi")), returned]), "a").state).toBe("running")
  })

  it("remembers that the batch stops", () => {
    expect(fleetOf([FleetEvent.Stopping(), queued("a")]).stopping).toBe(true)
  })

  it("finds an unannounced job by its id or by what its result says", () => {
    expect(job(fleetOf([observed("a", text("hi"), 7)]), "a")).toMatchObject({ name: "a", startedAt: 7 })
    expect(job(fleetOf([ended("a", { name: "job a" })]), "a").name).toBe("job a")
  })

  it("counts elapsed time from the start and never backwards", () => {
    const fleet = fleetOf([queued("a"), queued("b"), started("b", 1000)])
    expect(Fleet.elapsed(job(fleet, "a"), 5000)).toBe(0)
    expect(Fleet.elapsed(job(fleet, "b"), 5000)).toBe(4000)
    expect(Fleet.elapsed(job(fleet, "b"), 500)).toBe(0)
    expect(fleet.startedAt).toBe(1000)
  })
})

const id = FastCheck.constantFrom("a", "b", "c", "d", "e")
const anyEvent = FastCheck.oneof(
  FastCheck.record({ id }).map(({ id }) => queued(id)),
  FastCheck.record({ id, at: FastCheck.nat() }).map(({ at, id }) => started(id, at)),
  FastCheck.record({
    id,
    event: FastCheck.constantFrom(
      stepStart,
      text("hello"),
      stepFinish({ reason: "tool-calls", total: 7, cost: 2 }),
      stepFinish({ reason: "stop", total: 3, cost: 1 })
    )
  }).map(({ event, id }) => observed(id, event)),
  FastCheck.record({ id, outcome: FastCheck.constantFrom("success", "OpenCodeTimeoutError"), cost: FastCheck.nat() })
    .map(({ cost, id, outcome }) => ended(id, { cost, outcome, usage: usage(cost), steps: 1 })),
  FastCheck.record({ id }).map(FleetEvent.Skipped),
  FastCheck.record({ id, at: FastCheck.nat() }).map(FleetEvent.Returned),
  FastCheck.constant(FleetEvent.Stopping())
)

describe("any sequence of events", () => {
  it.prop("leaves every job in exactly one group, with consistent sums", [FastCheck.array(anyEvent)], ([events]) => {
    const fleet = fleetOf(events)
    const jobs = [...HashMap.values(fleet.jobs)]
    const among = (...states: ReadonlyArray<Fleet.State>) =>
      jobs.filter(({ state }) => states.includes(state)).sort((a, b) => a.place - b.place).map((job) => job.id)
    expect(Fleet.next(fleet, 10).map((job) => job.id)).toEqual(among("waiting"))
    expect(Fleet.active(fleet).map((job) => job.id)).toEqual(among("starting", "running", "ending"))
    expect([fleet.done, fleet.failed, fleet.skipped])
      .toEqual([among("done").length, among("failed").length, among("skipped").length])
    expect(Object.values(fleet.outcomes).reduce((a, b) => a + b, 0)).toBe(fleet.done + fleet.failed)
    expect(new Set(jobs.map(({ place }) => place)).size).toBe(jobs.length)
    expect(Fleet.totals(fleet).cost).toBe(jobs.reduce((sum, { cost }) => sum + cost, 0))
    expect(Fleet.totals(fleet).usage.total).toBe(jobs.reduce((sum, job) => sum + job.usage.total, 0))
  })
})

describe("a long batch", () => {
  it("keeps no more after a hundred thousand events than after one", () => {
    const working = fleetOf([queued("a"), started("a"), observed("a", text("x"))])
    let fleet = working
    for (let index = 0; index < 100_000; index++) fleet = Fleet.update(fleet, observed("a", text(`text ${index}`)))
    expect(JSON.stringify(fleet).length).toBeLessThan(JSON.stringify(working).length + 20)
  })
})
