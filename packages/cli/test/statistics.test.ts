import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as statistics from "../src/report/statistics.js"
import { matrix } from "./support/fleets.js"
import { result } from "./support/results.js"

describe("distribution", () => {
  it.each([
    [[], { count: 0, sum: 0, mean: 0, median: 0, min: 0, max: 0 }],
    [[3], { count: 1, sum: 3, mean: 3, median: 3, min: 3, max: 3 }],
    [[10, 1, 4], { count: 3, sum: 15, mean: 5, median: 4, min: 1, max: 10 }],
    [[10, 1, 4, 5], { count: 4, sum: 20, mean: 5, median: 4.5, min: 1, max: 10 }]
  ])("summarises %j", (values, expected) => {
    expect(statistics.distribution(values)).toEqual(expected)
  })

  it.prop("does not depend on the order", [FastCheck.array(FastCheck.nat(), { minLength: 1 })], ([values]) => {
    const made = statistics.distribution(values)
    expect(statistics.distribution([...values].reverse())).toEqual(made)
    expect(made.median).toBeGreaterThanOrEqual(made.min)
    expect(made.median).toBeLessThanOrEqual(made.max)
  })
})

describe("cells", () => {
  it("lists the cells in the order of the input, with their sums", () => {
    const cells = statistics.cells([...matrix].reverse())
    expect(cells.map(({ cell, results, succeeded }) => [statistics.valuesOf(cell), results.length, succeeded])).toEqual(
      [
        ["openai/gpt-5 · build", 2, 2],
        ["openai/gpt-5 · plan", 2, 1],
        ["openai/gpt-5 · review", 2, 2],
        ["anthropic/claude-sonnet · build", 2, 1],
        ["anthropic/claude-sonnet · plan", 2, 2],
        ["anthropic/claude-sonnet · review", 2, 2]
      ]
    )
    expect(cells[0]?.duration).toMatchObject({ mean: 15_000, median: 15_000 })
    expect(statistics.axes(cells)).toEqual(["model", "agent"])
  })

  it("finds a cell in any order of its axes", () => {
    const cells = statistics.cells([
      result({ id: "a", index: 0, cell: { model: "m", agent: "x" } }),
      result({ id: "b", index: 1, cell: { agent: "x", model: "m" } })
    ])
    expect(cells.length).toBe(1)
  })

  it("is empty without a matrix", () => {
    expect(statistics.cells([result()])).toEqual([])
  })
})

describe("groups", () => {
  it("are the repeated jobs if there is no matrix, and empty without repetitions", () => {
    const jobs = [1, 2].map((repeat) => result({ id: `${repeat}`, index: repeat, name: `job #${repeat}`, repeat }))
    expect(statistics.groups(jobs).map(({ cell, results }) => [cell, results.length])).toEqual([[{ job: "job" }, 2]])
    expect(statistics.groups(jobs.slice(0, 1))).toEqual([])
    expect(statistics.groups(matrix).length).toBe(6)
  })
})

describe("repeated jobs", () => {
  const run = (index: number, repeat: number, name: string) =>
    result({ id: `${index}`, index, repeat, name: `${name} #${repeat}` })

  it("are told apart when they have the same name", () => {
    const results = [run(0, 1, "same"), run(1, 2, "same"), run(2, 1, "same"), run(3, 2, "same"), run(4, 1, "other")]
    expect(
      statistics.groups([...results].reverse()).map(({ cell, results }) => [cell["job"], results.map(({ id }) => id)])
    ).toEqual([["same (1)", ["0", "1"]], ["same (2)", ["2", "3"]], ["other", ["4"]]])
  })

  it("keep a number that belongs to their name", () => {
    expect(statistics.jobName(result({ name: "Fix #12 #2", repeat: 2 }))).toBe("Fix #12")
    expect(statistics.jobName(result({ name: "Fix #12", repeat: 1 }))).toBe("Fix #12")
  })
})

describe("label", () => {
  it("names the axes", () => {
    expect(statistics.label({ model: "a/large", agent: "plan" })).toBe("model a/large · agent plan")
    expect(statistics.label({ job: "fix it" })).toBe("fix it")
  })
})

describe("outcomes", () => {
  it("counts OpenCode's own errors by their kind", () => {
    const results = ["quota", "rate-limit", "quota"].map((kind, index) =>
      result({ id: `${index}`, outcome: "OpenCodeSessionError", failure: { kind, reason: "no" } })
    )
    expect(statistics.outcomes(results).map(({ count, kind }) => [kind, count])).toEqual([
      ["quota", 2],
      ["rate-limit", 1]
    ])
  })

  it("lists success first, then the most frequent failure", () => {
    const results = ["B", "A", "C", "success", "C"].map((outcome, index) => result({ id: `${index}`, outcome }))
    expect(statistics.outcomes(results)).toEqual([
      { outcome: "success", kind: "success", count: 1 },
      { outcome: "C", kind: "c", count: 2 },
      { outcome: "A", kind: "a", count: 1 },
      { outcome: "B", kind: "b", count: 1 }
    ])
  })
})
