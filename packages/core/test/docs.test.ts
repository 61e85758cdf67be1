import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError, RunConfig, RunResult } from "effect-opencode"
import * as NodeFs from "node:fs"
import * as NodeUrl from "node:url"

const read = (path: string): string =>
  NodeFs.readFileSync(NodeUrl.fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8")

/** The names in the first column of a table, which is found by the first of them. */
const namesOf = (first: string): ReadonlyArray<string> => {
  const lines = read("README.md").split("\n")
  const begin = lines.findIndex((line) => line.startsWith(`| \`${first}\``))
  const end = lines.findIndex((line, index) => index > begin && !line.startsWith("|"))
  return lines.slice(begin, end).flatMap((line) =>
    [...line.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  )
}

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

describe("the tables of README.md name exactly what there is", () => {
  it("errors", () => {
    const tags = OpenCodeError.OpenCodeError.members.map((member) => member.identifier.replace("effect-opencode/", ""))
    expect(sorted(namesOf("OpenCodeBinaryNotFoundError"))).toEqual(sorted(tags))
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
