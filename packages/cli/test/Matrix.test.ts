import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Matrix from "../src/jobs/Matrix.js"

// No name of a secret consists of these letters.
const axes = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-j]{1,4}$/),
    values: fc.uniqueArray(fc.stringMatching(/^[a-z,/]{1,4}$/), { minLength: 1, maxLength: 4 })
  }),
  { maxLength: 3, selector: ({ name }) => name }
)

const written = ({ name, values }: Matrix.Axis) =>
  [name, values.map((value) => value.replaceAll(",", "\\,")).join(",")] as const

describe("Matrix", () => {
  it("reads names and values", () => {
    expect(Matrix.parse([["model", "a/x, b/y"], ["agent", "p\\,q"]])).toEqual(Either.right([
      { name: "agent", values: ["p,q"] },
      { name: "model", values: ["a/x", "b/y"] }
    ]))
  })

  it.prop("reads back what was written, in any order", { axes }, ({ axes }) => {
    const sorted = [...axes].sort((a, b) => a.name < b.name ? -1 : 1)
    expect(Matrix.parse(axes.map(written))).toEqual(Either.right(sorted))
    expect(Matrix.parse([...axes].reverse().map(written))).toEqual(Either.right(sorted))
  })

  it("refuses secrets as an axis, which names, results and reports would show", () => {
    for (const name of ["config.password", "config.extraEnv.API_KEY", "token"]) {
      expect(Matrix.parse([[name, "a,b"]])).toEqual(Either.left([
        `\`${name}\` cannot be an axis: its values would be secrets, and names, results and reports show axis values`
      ]))
    }
  })

  it.prop("has a cell for each combination, and none twice", { axes }, ({ axes }) => {
    const cells = Matrix.cells(axes)
    expect(cells.length).toBe(axes.reduce((product, { values }) => product * values.length, 1))
    expect(new Set(cells.map((cell) => JSON.stringify(cell))).size).toBe(cells.length)
    for (const { name, values } of axes) {
      for (const value of values) {
        expect(cells.filter((cell) => cell[name] === value).length).toBe(cells.length / values.length)
      }
    }
  })

  it("is one empty cell without axes", () => {
    expect(Matrix.cells([])).toEqual([{}])
    expect(Matrix.label({})).toBe("")
    expect(Matrix.label({ agent: "x", model: "a" })).toBe("x a")
  })

  it.each([
    [["model", "a,,b"], "the axis `model` has an empty value"],
    [["model", "a,b,a"], "the axis `model` has `a` twice; --repeat runs everything several times"],
    [["--jobs", "4"], "`--jobs` is not an axis: after --matrix, write options with a space (`--jobs value`)"],
    [[" ", "4"], "an axis needs a name (`model=a,b`)"]
  ])("refuses %j", ([name, values], problem) => {
    expect(Matrix.parse([[name!, values!]])).toEqual(Either.left([problem]))
  })

  it("refuses a repeated axis", () => {
    expect(Matrix.parse([["a", "x"], ["a ", "y"]])).toEqual(Either.left(["the axis `a` is given twice"]))
  })
})
