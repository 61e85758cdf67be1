import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { stringify as toYaml } from "yaml"
import * as JobFile from "../src/jobs/JobFile.js"
import * as located from "../src/jobs/located.js"

const parse = (format: JobFile.Format, text: string) => JobFile.parse({ name: `jobs.${format}`, text, format })

const values = (format: JobFile.Format, text: string) => {
  const { problems, rows } = parse(format, text)
  expect(problems).toEqual([])
  return rows.map(({ fields }) => located.plain(fields))
}

/** The names of the fields, and the part of the file that each value occupies. */
const parts = (format: JobFile.Format, text: string) =>
  parse(format, text).rows.map(({ fields }) =>
    fields.members.map((
      { key, name, value }
    ) => [name, text.slice(key.start, key.end), text.slice(value.start, value.end)])
  )

const quoted = (text: string) => `"${text.replaceAll("\"", "\"\"")}"`

/** Text as people have it in tables, awkward characters included. */
const cell = fc.array(fc.constantFrom("a", "é😀", " ", ",", "\"", "\n", "\r\n", "{{x}}", "1"), { maxLength: 5 }).map((
  parts
) => parts.join(""))

const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/)

const table = fc.uniqueArray(name, { minLength: 1, maxLength: 4 }).chain((names) =>
  fc.array(fc.tuple(...names.map(() => cell)), { minLength: 1, maxLength: 5 }).map((rows) => ({ names, rows }))
)

describe("JobFile", () => {
  it.each([
    ["jobs.jsonl", "jsonl"],
    ["a/b.ndjson", "jsonl"],
    ["jobs.JSON", "json"],
    ["x.csv", "csv"],
    ["x.yml", "yaml"],
    ["x.yaml", "yaml"],
    ["x.txt", undefined],
    ["json", undefined]
  ])("detects the format of %s as %s", (file, format) => {
    expect(JobFile.formatOf(file)).toBe(format)
  })

  describe("reads the same jobs from every format:", () => {
    it.each<[JobFile.Format, string]>([
      ["jsonl", "{\"prompt\":\"go\",\"n\":1}\n\n  \n{\"prompt\":\"a\\nb\",\"n\":null}"],
      ["json", "[{\"prompt\":\"go\",\"n\":1},\n {\"prompt\":\"a\\nb\",\"n\":null}]\n"],
      ["yaml", "- &a\n  prompt: go\n  n: 1\n- <<: *a\n  prompt: |-\n    a\n    b\n  n:\n"]
    ])("%s", (format, text) => {
      expect(values(format, text)).toEqual([{ prompt: "go", n: 1 }, { prompt: "a\nb", n: null }])
    })

    it("csv, with every value as text", () => {
      const text = "\uFEFFprompt, n\r\ngo,1\r\n\r\n\"a\nb\",\r\n"
      expect(values("csv", text)).toEqual([{ prompt: "go", n: "1" }, { prompt: "a\nb", n: "" }])
      expect(parse("csv", text).rows.every(({ textual }) => textual)).toBe(true)
    })
  })

  it.prop("finds the cells of csv and the place of each", {
    table,
    quote: fc.boolean(),
    lineBreak: fc.constantFrom("\n", "\r\n"),
    last: fc.boolean()
  }, ({ last, lineBreak, quote, table: { names, rows } }) => {
    const written = (text: string) => quote || /[",\r\n]/.test(text) || text === "" ? quoted(text) : text
    const lines = [names, ...rows].map((cells) => cells.map(written).join(","))
    const text = lines.join(lineBreak) + (last ? lineBreak : "")
    expect(values("csv", text)).toEqual(
      rows.map((cells) => Object.fromEntries(cells.map((value, i) => [names[i], value])))
    )
    expect(parts("csv", text)).toEqual(
      rows.map((cells) => cells.map((value, i) => [names[i], written(names[i]!), written(value)]))
    )
  })

  it.prop("returns the values of json, jsonl and yaml", {
    rows: fc.array(fc.dictionary(name, fc.jsonValue({ maxDepth: 2 }), { minKeys: 1, noNullPrototype: true }), {
      minLength: 1,
      maxLength: 4
    })
  }, ({ rows }) => {
    const expected = JSON.parse(JSON.stringify(rows)) as unknown
    expect(values("json", JSON.stringify(rows, undefined, 2))).toEqual(expected)
    expect(values("jsonl", rows.map((row) => JSON.stringify(row)).join("\n"))).toEqual(expected)
    // toYaml does not quote this key, and so writes a merge
    fc.pre(!JSON.stringify(rows).includes("\"<<\":"))
    expect(values("yaml", toYaml(expected))).toEqual(expected)
  })

  it("merges `<<` keys, but not quoted ones", () => {
    expect(values("yaml", "- &a {x: 1, y: 1}\n- {<<: *a, y: 2}\n- {\"<<\": 3}\n- {<<: [*a, {z: 9}], x: 0}\n")).toEqual([
      { x: 1, y: 1 },
      { x: 1, y: 2 },
      { "<<": 3 },
      { y: 1, z: 9, x: 0 }
    ])
  })

  it("finds the places of yaml and jsonl values", () => {
    expect(parts("yaml", "- prompt: \"a {{b}}\"\n  deep: {x: [1]}\n")).toEqual([[
      ["prompt", "prompt", "\"a {{b}}\""],
      ["deep", "deep", "{x: [1]}"]
    ]])
    expect(parts("jsonl", "{}\n{\"a\": 1, \"b\":\"\\u00e9\"}")).toEqual([[], [
      ["a", "\"a\"", "1"],
      ["b", "\"b\"", "\"\\u00e9\""]
    ]])
  })

  describe("reports every mistake with line and column", () => {
    const cases: ReadonlyArray<readonly [format: JobFile.Format, text: string, ...problems: Array<string>]> = [
      // nothing there
      ["jsonl", "\n \n", "1:1: the file has no jobs"],
      ["json", "[]", "1:1: the file has no jobs"],
      ["yaml", "[]", "1:1: the file has no jobs"],
      ["csv", "prompt\n", "1:1: the file has no jobs"],
      ...["prompt;model\nFix a, b and c;x\n", "\"prompt\";\"model\"\r\n\"a\";\"b\"\r\n", "sep=;\nprompt;model\na;b\n"]
        .map((text) =>
          [
            "csv",
            text,
            "1:1: the columns are separated by semicolons, as Excel writes them in some countries; save the file with commas between the columns"
          ] as const
        ),
      [
        "csv",
        "prompt\tmodel\na\tb\n",
        "1:1: the columns are separated by tabs, as Excel writes them in some countries; save the file with commas between the columns"
      ],
      ["csv", "", "1:1: the file has no jobs"],
      ["yaml", "", "1:1: expected a list of jobs"],
      // not what was expected
      ["json", "{\"prompt\":\"x\"}", "1:1: expected an array of jobs"],
      [
        "json",
        "[1,\n  {\"a\":1}, []]",
        "1:2: a job must be an object with fields",
        "2:12: a job must be an object with fields"
      ],
      ["jsonl", "{\"a\":1}\n  [1]", "2:3: a job must be an object with fields"],
      ["yaml", "prompt: x", "1:1: expected a list of jobs"],
      ["yaml", "- a: 1\n- x", "2:3: a job must be an object with fields"],
      // broken in the middle: the lines around it are read
      [
        "jsonl",
        "{\"a\":1}\n{\"a\" 1}\n{\"a\":1}\n{\"b\":1,\"b\":2}\n{\"a\":\"x",
        "2:6: expected `:`, found `1`",
        "4:8: duplicate name \"b\"",
        "5:6: the string that begins here is never closed"
      ],
      [
        "jsonl",
        "{\"a\":\n1}",
        "1:6: expected a value, found the end of the text",
        "2:2: expected nothing after the value, found `}`"
      ],
      ["json", "[{\"a\":1,}]", "1:9: expected a name in double quotes, found `}`"],
      ["json", "[\n\t{\"é\":1 \"b\":2}]", "2:9: expected `,` or `}`, found `\"`"],
      ["yaml", "- a: 1\n  a: 2\n", "2:3: Map keys must be unique"],
      ["yaml", "- a: *nope\n", "1:6: no anchor \"&nope\" before this"],
      ["yaml", "- &x\n  a: *x\n", "2:6: \"*x\" contains itself"],
      ["yaml", "- a: \"x\n", "2:1: Missing closing \"quote"],
      ["yaml", "- a: !foo 3\n", "1:6: Unresolved tag: !foo"],
      ["yaml", "- <<: 1\n", "1:7: `<<` takes a mapping, or a list of mappings"],
      ["yaml", "- ? [1]\n  : x\n", "1:5: expected a name"],
      ["yaml", "- a: !!binary aGk=\n", "1:15: expected a text, a number, true, false or null"],
      ["csv", "a,b\n1,\"x", "2:3: the quote that opens this field is never closed"],
      [
        "csv",
        "a,b\n1,2\n3,\"x\"y\n4,5",
        "3:3: a quote in this field is followed by something other than a comma; double it for a literal quote"
      ],
      [
        "csv",
        "a,b\né\"x\",2\n",
        "2:1: a quote in the middle of this field; put the whole field in quotes and double the quote"
      ],
      [
        "csv",
        "a,,a,b\n1,2,3,4",
        "1:3: a column without a name",
        "1:4: duplicate column \"a\""
      ],
      [
        "csv",
        "a,b\n\n\"é\n\",2,3,4\n5\n\n6,7",
        "4:5: the header has 2 columns, this row has 4",
        "5:1: the header has 2 columns, this row has 1"
      ]
    ]
    for (const [format, text, ...expected] of cases) {
      it(`${format} ${JSON.stringify(text)}`, () => {
        expect(parse(format, text).problems.map(JobFile.format)).toEqual(
          expected.map((problem) => `jobs.${format}:${problem}`)
        )
      })
    }
  })

  it("reads the rows around broken ones", () => {
    expect(parse("jsonl", "{\"a\":1}\n{\"a\" 1}\n{\"a\":2}").rows.map(({ fields }) => located.plain(fields))).toEqual([
      { a: 1 },
      { a: 2 }
    ])
    expect(parse("csv", "a,b\n1,2\n3,\"x").rows.length).toBe(1)
  })

  it("limits the expansion of nested aliases", () => {
    const levels = ["- &a0 [x]"]
    for (let level = 1; level < 12; level++) {
      levels.push(`- &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(", ")}]`)
    }
    const { problems } = parse("yaml", levels.join("\n"))
    expect(problems.map(({ reason }) => reason)).toEqual([
      "Excessive alias count indicates a resource exhaustion attack"
    ])
  })

  it.prop("gives every problem a place inside the text", {
    format: fc.constantFrom(...JobFile.formats),
    text: fc.array(
      fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\n",
        "- ",
        "a",
        ": ",
        ",",
        "&x",
        "*x",
        "<<: ",
        "#",
        "|",
        "  ",
        "é",
        "\\"
      ),
      { maxLength: 20 }
    ).map((parts) => parts.join(""))
  }, ({ format, text }) => {
    const lines = text.split("\n")
    for (const { column = 0, line = 0, reason, source } of parse(format, text).problems) {
      expect(source).toBe(`jobs.${format}`)
      expect(reason).not.toBe("")
      expect(line).toBeGreaterThanOrEqual(1)
      expect(line).toBeLessThanOrEqual(lines.length)
      expect(column).toBeGreaterThanOrEqual(1)
      expect(column).toBeLessThanOrEqual(lines[line - 1]!.length + 1)
    }
  })
})
