import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Template from "../src/jobs/Template.js"

const render = (text: string, values: { readonly [name: string]: string } = {}) =>
  Either.flatMap(Template.parse(text), (template) => Template.render(template, new Map(Object.entries(values))))

const rendered = (text: string, values?: { readonly [name: string]: string }) => Either.getOrThrow(render(text, values))

const problems = (text: string, values?: { readonly [name: string]: string }) =>
  Either.match(render(text, values), {
    onLeft: (found) => found.map(({ offset, reason }) => `${offset} ${reason}`),
    onRight: () => []
  })

/** Texts in which braces and backslashes are common. */
const awkward = fc.array(fc.constantFrom("{", "}", "{{", "}}", "\\", "a", " ", "\n", "é😀"), { maxLength: 12 }).map((
  parts
) => parts.join(""))

describe("Template", () => {
  it.each([
    ["{{a}}", "1"],
    ["x{{ a }}y{{b}}z", "x1y2z"],
    ["{{a}}{{a}}", "11"],
    ["a}} } {", "a}} } {"],
    ["{ {{a}} }", "{ 1 }"],
    ["\\{{a}}", "{{a}}"],
    ["\\\\{{a}}", "\\1"],
    ["\\\\\\{{a}}", "\\{{a}}"],
    ["C:\\dir\\n", "C:\\dir\\n"],
    ["{{two words}}", "3"],
    ["", ""]
  ])("renders %j as %j", (text, expected) => {
    expect(rendered(text, { a: "1", b: "2", "two words": "3" })).toBe(expected)
  })

  it("treats values as data", () => {
    expect(rendered("{{a}}", { a: "{{b}} \\{{ $& $1", b: "no" })).toBe("{{b}} \\{{ $& $1")
  })

  it("finds every problem", () => {
    expect(problems("{{}} {{a{b}} {{x\ny}} {{a", { a: "1" })).toEqual([
      "0 `{{` and `}}` need a name between them; write `\\{{` for literal braces",
      "5 a column's name cannot contain braces or a line break; write `\\{{` for literal braces",
      "13 a column's name cannot contain braces or a line break; write `\\{{` for literal braces",
      "21 `{{` has no `}}`; write `\\{{` for literal braces"
    ])
    expect(problems("{{x}} {{a}} {{y}}", { a: "1", b: "2" })).toEqual([
      "0 unknown column `x`; the columns are `a`, `b`",
      "12 unknown column `y`; the columns are `a`, `b`"
    ])
    expect(problems("{{x}}")).toEqual(["0 unknown column `x`"])
  })

  it("lists the columns that it names", () => {
    expect(Either.map(Template.parse("{{b}} {{a}} {{b}}"), Template.columns)).toEqual(Either.right(["b", "a"]))
  })

  it.prop("renders an escaped text as itself", { text: awkward }, ({ text }) => {
    expect(rendered(Template.escape(text))).toBe(text)
  })

  it.prop(
    "renders a column between escaped texts as its value",
    { before: awkward, value: awkward, after: awkward },
    (given) => {
      const { after, before, value } = given
      // A backslash or a brace at the end of the text before would belong to the column's own braces.
      const left = before.replace(/[\\{]+$/, "")
      expect(rendered(`${Template.escape(left)}{{ a }}${Template.escape(after)}`, { a: value })).toBe(
        left + value + after
      )
    }
  )

  it.prop("never throws, and places problems inside the text", { text: awkward }, ({ text }) => {
    Either.match(Template.parse(text), {
      onLeft: (found) => {
        for (const { offset } of found) expect(text.slice(offset, offset + 2)).toBe("{{")
      },
      onRight: (template) => expect(template.length).toBeLessThanOrEqual(text.length)
    })
  })
})
