import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError, RunConfig, RunEvent, RunResult, Transcript } from "effect-opencode"
import * as Schema from "effect/Schema"
import * as NodeFs from "node:fs"
import * as NodeUrl from "node:url"

const read = (path: string): string =>
  NodeFs.readFileSync(NodeUrl.fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8")

const reference = "docs/reference.md"

const codeIn = (text: string): ReadonlyArray<string> => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)

/**
 * The code in each cell of a table, without remarks in parentheses. The table is found by the first code in it, below a
 * heading if several begin alike.
 */
const rowsOf = (file: string, first: string, heading = ""): ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>> => {
  const [, below] = heading === "" ? ["", read(file)] : read(file).split(`\n${heading}\n`)
  const lines = below!.split("\n")
  const begin = lines.findIndex((line) => line.startsWith(`| \`${first}\``))
  const end = lines.findIndex((line, index) => index > begin && !line.startsWith("|"))
  return lines.slice(begin, end === -1 ? undefined : end).map((line) =>
    line.split("|").slice(1, -1).map((cell) => codeIn(cell.replace(/\([^)]*\)/g, "")))
  )
}

/** The names in the first column of a table. */
const namesOf = (first: string, heading = ""): ReadonlyArray<string> =>
  rowsOf(reference, first, heading).flatMap(([names]) => names!)

/** The fields that an interface declares itself. */
const fieldsOf = (path: string, name: string): ReadonlyArray<string> => {
  const body = new RegExp(`^export interface ${name}\\b[^]*?^}`, "m").exec(read(`packages/core/src/${path}.ts`))![0]
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field]) => field!)
}

/** Options of options stand under their own names. */
const heads = (names: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(names.map((name) => name.split(".")[0]!))
]

const below = (names: ReadonlyArray<string>, head: string): ReadonlyArray<string> =>
  names.flatMap((name) => name.startsWith(`${head}.`) ? [name.slice(head.length + 1)] : [])

const sorted = (names: Iterable<string>): ReadonlyArray<string> => [...names].sort()

const events = Object.entries(RunEvent).flatMap(([tag, value]) =>
  Schema.isSchema(value) && "fields" in value ? [[tag, value.fields] as const] : []
)

const errors = OpenCodeError.OpenCodeError.members.map((member) =>
  [member.identifier.replace("effect-opencode/", ""), member.fields] as const
)

describe("the tables of the reference name exactly what there is", () => {
  it("errors", () => {
    expect(sorted(namesOf("OpenCodeBinaryNotFoundError"))).toEqual(sorted(errors.map(([tag]) => tag)))
  })

  it("fields of a result", () => {
    expect(sorted(namesOf("answer"))).toEqual(sorted(Object.keys(RunResult.RunResult.fields)))
  })

  it("options of a layer", () => {
    const names = namesOf("binary")
    expect(sorted(heads(names))).toEqual(sorted(fieldsOf("OpenCode", "Options")))
    expect(sorted(below(names, "startup"))).toEqual(sorted(fieldsOf("StartupGate", "Options")))
  })

  it("options of a run", () => {
    const names = namesOf("cwd")
    expect(sorted(heads(names))).toEqual(
      sorted([...fieldsOf("RunOptions", "RunOptions"), ...fieldsOf("RunOptions", "SchemaOptions")])
    )
    expect(sorted(below(names, "budget"))).toEqual(sorted(fieldsOf("RunOptions", "Budget")))
  })

  it("configuration of a run", () => {
    expect(sorted(namesOf("agent"))).toEqual(sorted(Object.keys(RunConfig.RunConfig.fields)))
  })
})

/** The fields of a Schema as the documents write them: a question mark follows the name of an optional one. */
const written = (fields: { readonly [name: string]: unknown }): ReadonlyArray<string> =>
  sorted(
    Object.entries(fields).filter(([name]) => name !== "_tag").map(([name, field]) =>
      Schema.isPropertySignature(field) && String(field).startsWith("PropertySignature<\"?:\"") ? `${name}?` : name
    )
  )

/** The code of a sentence, which is found by its beginning. */
const sentence = (file: string, begin: string, end: string): ReadonlyArray<string> => {
  const [, rest] = read(file).split(begin)
  return codeIn(rest!.slice(0, rest!.indexOf(end)))
}

describe("the documents name exactly the fields that there are", () => {
  const tables = (first: string, heading: string) =>
    Object.fromEntries(
      rowsOf(reference, first, heading).map((cells) => [cells[0]![0], sorted(cells.at(-1)!)] as const)
    )

  it("of each event", () => {
    expect(tables("StepStart", "## Events")).toEqual(
      Object.fromEntries(events.map(([tag, fields]) => [tag, written(fields)]))
    )
  })

  it("of each error", () => {
    expect(tables("OpenCodeBinaryNotFoundError", "### Fields of the errors")).toEqual(
      Object.fromEntries(errors.map(([tag, fields]) => [tag, written(fields)]))
    )
  })

  it("of the state in an error", () => {
    expect(sorted(namesOf("runId", "### Fields of the errors"))).toEqual(written(OpenCodeError.RunSnapshot.fields))
  })

  it("of the first and the last line of a run in a transcript", () => {
    for (const { fields } of [Transcript.Start, Transcript.End]) {
      const type = fields.type.literals[0]
      const documented = rowsOf("docs/sessions.md", "effect-opencode/run_start").find(([types]) => types![0] === type)
      expect(sorted(documented!.at(-1)!)).toEqual(sorted(Object.keys(fields).filter((field) => field !== "type")))
    }
  })

  it("of a run read from a transcript", () => {
    expect(sorted(sentence("docs/sessions.md", "returns the run that began last:", "."))).toEqual(
      sorted(fieldsOf("Transcript", "Recorded"))
    )
  })
})

describe("the sentences of the reference name exactly", () => {
  it("the events", () => {
    const named = sentence(reference, "\nEvents are ", "\n\n").filter((name) => /^[A-Z]\w+$/.test(name))
    expect(sorted(new Set(named.filter((name) => name !== "OpenCodeIncompleteError")))).toEqual(
      sorted(events.map(([tag]) => tag))
    )
  })

  it("the kinds of a session error", () => {
    // An aborted session is an OpenCodeCancelledError.
    const kinds = RunEvent.SessionErrorKind.literals.filter((kind) => kind !== "aborted")
    expect(sentence(reference, "The `kind` of an `OpenCodeSessionError`: ", ".")).toEqual(kinds)
  })
})

describe("the versions in README.md are those of the repository", () => {
  const catalog = Object.fromEntries(
    [...read("pnpm-workspace.yaml").matchAll(/^ {2}"?([@\w/-]+)"?: (\d[\d.]*)$/gm)].map((match) => match.slice(1))
  )
  const versions: { readonly [name: string]: string } = {
    ...JSON.parse(read("package.json")).devDependencies,
    ...JSON.parse(read("examples/package.json")).dependencies
  }
  const versionOf = (name: string) => versions[name] === "catalog:" ? catalog[name] : versions[name]

  it("in the table", () => {
    const rows = read("README.md").split("\n").filter((line) => /^\| .*`(effect|vitest|typescript|@effect)/.test(line))
      .map((line) => line.split("|").slice(1, 3)).filter(([, cell]) => /^ \d[\d., ]*$/.test(cell!))
    const named = rows.flatMap(([names, numbers]) => {
      const all = numbers!.trim().split(", ")
      return codeIn(names!).map((name, index) => [name, all[index]] as const)
    })
    expect(named.length).toBeGreaterThanOrEqual(8)
    expect(named).toEqual(named.map(([name]) => [name, versionOf(name)]))
  })

  it.each([
    "README.md",
    "docs/first-programs.md",
    "docs/observability.md",
    "packages/core/README.md",
    "packages/testing/README.md"
  ])("in the commands of %s", (file) => {
    const named = [...read(file).matchAll(/(?<=[\s`])((?:@[\w-]+\/)?[a-z][\w-]*)@(\d+\.[\d.]*\d)/g)]
      .map((match) => match.slice(1))
    expect(named.length).toBeGreaterThan(0)
    expect(named).toEqual(named.map(([name]) => [name, versionOf(name!)]))
  })
})
