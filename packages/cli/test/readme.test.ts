import { describe, expect, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as options from "../src/commandLine/options.js"
import * as BatchCommand from "../src/commands/BatchCommand.js"
import * as ConformanceCommand from "../src/commands/ConformanceCommand.js"
import * as DoctorCommand from "../src/commands/DoctorCommand.js"
import * as ReplayCommand from "../src/commands/ReplayCommand.js"
import * as RunCommand from "../src/commands/RunCommand.js"

const read = (file: string) => fs.readFileSync(new URL(file, import.meta.url), "utf8")

const readme = read("../README.md")

const commands = [
  RunCommand.command,
  BatchCommand.command,
  ReplayCommand.command,
  DoctorCommand.command,
  ConformanceCommand.command
]

describe("the readme", () => {
  it("names no option that is not there", () => {
    const known = new Set([
      ...commands.flatMap((command) => options.termsOf(command.parser).flatMap(({ names }) => names.map(String))),
      "--version",
      "--completions"
    ])
    const named = readme.match(/(?<![\w-])--[a-z][\w-]*/g) ?? []
    expect(named.filter((name) => !known.has(name) && name !== "--global")).toEqual([])
  })

  const section = readme.slice(readme.indexOf("\n## Options"))
  const [shared = "", own = ""] = section.split("Options of single commands:")
  const namesIn = (text: string) => [...text.matchAll(/(?<=`)-{1,2}[a-z][\w-]*/g)].map(([name]) => name)
  const inRows = (table: string, title: string) =>
    namesIn(
      table.split("\n").filter((line) => line.startsWith(`| ${title}`)).map((line) => line.slice(title.length + 2))
        .join()
    )

  it.each(commands)("has the options of $name in its tables, each of them", (command) => {
    const names = options.termsOf(command.parser).flatMap(({ names }) => names)
    const documented = [
      ...(command.name === "run" || command.name === "batch" ? inRows(shared, "") : []),
      ...inRows(own, `\`${command.name}\``),
      ...inRows(own, "every command")
    ]
    expect(documented.sort()).toEqual([...names].sort())
  })

  it("has the options of the program in its tables", () => {
    expect(inRows(own, "no command")).toEqual(["--version", "--completions"])
  })

  it("has the exit codes of the program", () => {
    const rows = (text: string) => text.match(/\| [\d, ]+ \| .* \|$/gm)
    expect(rows(readme)?.length).toBeGreaterThan(10)
    expect(rows(readme)).toEqual(rows(read("../src/ExitCode.ts")))
  })
})
