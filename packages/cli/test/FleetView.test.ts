import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as FleetView from "../src/display/FleetView.js"
import * as Style from "../src/display/Style.js"
import * as terminalText from "../src/display/terminalText.js"
import * as Fleet from "../src/fleet/Fleet.js"
import { events, fleet, matrix } from "./support/fleets.js"
import { result, stepFinish, stepStart, text, usage } from "./support/results.js"

const { FleetEvent } = Fleet

const now = 80_000

const page = (lines: ReadonlyArray<string>): string => `${lines.join("\n")}\n`

/** Marks the end of every line. */
const framed = (lines: ReadonlyArray<string>): string => page(lines.map((line) => `${line}|`))

describe("live", () => {
  const sizes = [[120, 40], [80, 24], [60, 12], [40, 10], [20, 5], [10, 3], [80, 1]] as const

  it.each(sizes)("fits into %d columns and %d rows", async (columns, rows) => {
    const lines = FleetView.live(fleet, { now, columns, rows, style: Style.plain })
    await expect(framed(lines)).toMatchFileSnapshot(`snapshots/fleet-${columns}x${rows}.txt`)
  })

  it("has colours, and the same text without them", async () => {
    const screen = { now, columns: 80, rows: 24 }
    const coloured = FleetView.live(fleet, { ...screen, style: Style.colored })
    await expect(page(coloured)).toMatchFileSnapshot("snapshots/fleet-80x24.ansi")
    expect(coloured.map(withoutColour)).toEqual(FleetView.live(fleet, { ...screen, style: Style.plain }))
  })

  it("does not show an unknown cost as 0, at work and at the end", () => {
    const unpriced = stepFinish({ reason: "tool-calls", total: 5000 })
    const working = [
      FleetEvent.Queued({ id: "a", name: "a" }),
      FleetEvent.Started({ id: "a", at: 0 }),
      FleetEvent.Observed({ id: "a", event: stepStart, at: 0 }),
      FleetEvent.Observed({ id: "a", event: unpriced, at: 0 })
    ].reduce(Fleet.update, Fleet.empty)
    const screen = { now, columns: 100, rows: 24, style: Style.plain }
    expect(FleetView.live(working, screen).join("\n")).toMatch(
      /a +running +1 +5\.00k +\? .*\n[^]*5\.00k tokens · \? · /
    )
    const results = [
      result({ id: "a", unpriced: true, usage: usage(10), cell: { model: "local" } }),
      result({ id: "b", index: 1, cost: 0.25, usage: usage(10), cell: { model: "paid" } })
    ]
    const lines = FleetView.final(results, screen).join("\n")
    expect(lines).toMatch(/a +done +0 +10 +\? /)
    expect(lines).toMatch(/b +done +0 +10 +\$0\.2500 /)
    expect(lines).toMatch(/local +1\/1 +\? /)
    expect(lines).toContain("20 tokens · ≥$0.2500 · cost of 1 run unknown · ")
    expect(FleetView.plainLine(working, FleetEvent.Ended({ id: "a", result: results[0]!, at: 0 }))).toContain(
      "10 tokens, cost unknown, "
    )
  })

  it("shows that the batch stops instead of what comes next", async () => {
    const stopping = Fleet.update(fleet, FleetEvent.Stopping())
    const lines = FleetView.live(stopping, { now, columns: 80, rows: 24, style: Style.plain })
    await expect(framed(lines)).toMatchFileSnapshot("snapshots/fleet-stopping.txt")
  })

  it("is empty without jobs", () => {
    expect(FleetView.live(Fleet.empty, { now, columns: 80, rows: 24, style: Style.plain })).toEqual([])
  })

  it("counts jobs at work that do not fit", () => {
    const many = Array.from({ length: 30 }, (_, index) => FleetEvent.Started({ id: `job-${index}`, at: 0 }))
      .reduce(Fleet.update, Fleet.empty)
    const lines = FleetView.live(many, { now, columns: 80, rows: 10, style: Style.plain })
    expect(lines.length).toBe(10)
    expect(lines).toContain("  and 24 more active")
  })
})

describe("ending", () => {
  it("lines up with the columns of the table", () => {
    const table = FleetView.live(fleet, { now, columns: 100, rows: 24, style: Style.plain })
    const line = FleetView.ending(matrix[4] ?? result(), { columns: 100, style: Style.plain })
    expect(line).toBe(
      "✗ task 5                failed        4   4.00k   $0.4000     0:40  budget: The run reached its bud…"
    )
    expect(line.indexOf("4.00k") + 5).toBe((table[0]?.indexOf("tokens") ?? 0) + 6)
  })
})

describe("final", () => {
  it.each([120, 60, 40])("fits into %d columns", async (columns) => {
    await expect(framed(FleetView.final(matrix, { columns, style: Style.plain })))
      .toMatchFileSnapshot(`snapshots/final-${columns}.txt`)
  })

  it("lists only failures of a large batch", () => {
    const marked = FleetView.final([result({ lostLines: 2, answer: "Done." })], { columns: 120, style: Style.plain })
    expect(marked.join("\n")).toContain("(2 events lost) Done.")
    expect(marked.at(-1)).toContain("2 events lost")
    const lines = FleetView.final(matrix, { columns: 80, style: Style.plain, limit: 5 })
    expect(lines.slice(0, 5).map((line) => line.slice(0, 12).trim())).toEqual([
      "job",
      "✗ task 5",
      "✗ task 10",
      "and 10 mor",
      ""
    ])
  })

  it("lists at most as many failures as the limit", () => {
    const failures = Array.from(
      { length: 9 },
      (_, index) => result({ id: `${index}`, index, outcome: "OpenCodeBudgetError" })
    )
    const lines = FleetView.final(failures, { columns: 80, style: Style.plain, limit: 3 })
    expect(lines.filter((line) => line.startsWith("✗")).length).toBe(3)
    expect(lines).toContain("  and 6 more")
  })

  it("shows that there was nothing to do", () => {
    expect(FleetView.final([], { columns: 80, style: Style.plain })).toEqual([
      "",
      "0 runs · 0 tokens · $0.0000 · 0 ms of work"
    ])
  })
})

describe("plainLine", () => {
  it("writes a log of the batch", async () => {
    const lines: Array<string> = []
    let fleet = Fleet.empty
    for (const event of [...events, FleetEvent.Stopping()]) {
      fleet = Fleet.update(fleet, event)
      const line = FleetView.plainLine(fleet, event)
      if (line !== undefined) lines.push(line)
    }
    await expect(page(lines)).toMatchFileSnapshot("snapshots/fleet-log.txt")
  })

  it("returns one line for every kind of event", () => {
    const observed: ReadonlyArray<RunEvent.RunEvent> = [
      text("two\nlines"),
      RunEvent.fromWire({ type: "error", error: { name: "APIError", data: { message: "two\nlines" } } }),
      RunEvent.fromLine("not json\r"),
      RunEvent.fromWire({ type: "two\nlines" })
    ]
    for (const event of observed) {
      expect(FleetView.plainLine(fleet, FleetEvent.Observed({ id: "0", at: 0, event }))).not.toMatch(/[\r\n]/)
    }
  })
})

// eslint-disable-next-line no-control-regex -- the escape character is what begins a colour
const withoutColour = (line: string): string => line.replace(/\u001b\[[0-9]+m/g, "")

const hostile = FastCheck.array(
  FastCheck.oneof(
    FastCheck.string({ unit: "binary" }),
    FastCheck.string(),
    FastCheck.constantFrom(
      "\u001b[2J",
      "\u001b",
      "\u009b",
      "\u0301",
      "\u200d",
      "日本",
      "👩",
      "🇩",
      "\ud83d",
      "\r\n",
      "\t"
    )
  ),
  { maxLength: 20 }
).map((parts) => parts.join(""))

const job = FastCheck.record({
  name: hostile,
  activity: hostile,
  figure: FastCheck.oneof(FastCheck.nat(), FastCheck.double({ min: 0, max: 1e15, noNaN: true })),
  fate: FastCheck.constantFrom("waits", "starts", "works", "succeeds", "fails")
})

const fleetOf = (jobs: ReadonlyArray<typeof job extends FastCheck.Arbitrary<infer A> ? A : never>): Fleet.Fleet =>
  jobs.flatMap(({ activity, fate, figure, name }, index) => {
    const id = `${index}`
    const usage = { total: figure, input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 }
    const all = [
      FleetEvent.Queued({ id, name }),
      FleetEvent.Started({ id, at: 0 }),
      FleetEvent.Observed({ id, event: text(activity), at: figure }),
      FleetEvent.Ended({
        id,
        at: figure,
        result: result({
          id,
          name,
          answer: activity,
          message: activity,
          cost: figure,
          usage,
          outcome: fate === "succeeds" ? "success" : "OpenCodeBudgetError"
        })
      })
    ]
    return all.slice(0, { waits: 1, starts: 2, works: 3, succeeds: 4, fails: 4 }[fate])
  }).reduce(Fleet.update, Fleet.empty)

const hasRoom = (lines: ReadonlyArray<string>, columns: number): void => {
  for (const line of lines) {
    expect(withoutColour(line)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(terminalText.width(withoutColour(line))).toBeLessThanOrEqual(columns)
  }
}

describe("any batch, in any terminal", () => {
  it.prop("never leaves the screen", {
    jobs: FastCheck.array(job, { maxLength: 12 }),
    columns: FastCheck.integer({ min: 0, max: 200 }),
    rows: FastCheck.integer({ min: 0, max: 60 }),
    now: FastCheck.oneof(FastCheck.nat(), FastCheck.constant(Number.MAX_SAFE_INTEGER)),
    style: FastCheck.constantFrom(Style.plain, Style.colored),
    stopping: FastCheck.boolean()
  }, ({ jobs, stopping, ...screen }) => {
    const fleet = stopping ? Fleet.update(fleetOf(jobs), FleetEvent.Stopping()) : fleetOf(jobs)
    const lines = FleetView.live(fleet, screen)
    expect(lines.length).toBeLessThanOrEqual(screen.rows)
    hasRoom(lines, screen.columns)
  })

  it.prop("has results that fit", {
    jobs: FastCheck.array(job, { maxLength: 12 }),
    columns: FastCheck.integer({ min: 1, max: 200 }),
    style: FastCheck.constantFrom(Style.plain, Style.colored)
  }, ({ columns, jobs, style }) => {
    const results = jobs.map(({ activity, figure, name }, index) =>
      result({
        id: `${index}`,
        index,
        name,
        answer: activity,
        message: activity,
        cost: figure,
        duration: Duration.millis(figure),
        cell: { [activity]: name },
        outcome: activity
      })
    )
    hasRoom(FleetView.final(results, { columns, style }), columns)
    hasRoom(results.map((result) => FleetView.ending(result, { columns, style })), columns)
  })

  it.prop("has log lines without control characters", [hostile, hostile], ([name, activity]) => {
    const after = Fleet.update(Fleet.empty, FleetEvent.Queued({ id: "a", name }))
    const line = FleetView.plainLine(after, FleetEvent.Observed({ id: "a", event: text(activity), at: 0 }))
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  })
})
