import { describe, expect, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as commandDoc from "../src/commandLine/commandDoc.js"
import * as BatchCommand from "../src/commands/BatchCommand.js"
import * as DoctorCommand from "../src/commands/DoctorCommand.js"
import * as ReplayCommand from "../src/commands/ReplayCommand.js"
import * as RunCommand from "../src/commands/RunCommand.js"

const read = (file: string) => fs.readFileSync(new URL(file, import.meta.url), "utf8")

const readme = read("../README.md")

const commands = [RunCommand.command, BatchCommand.command, ReplayCommand.command, DoctorCommand.command]

/** The long name that the help shows. */
const longOf = ({ names }: commandDoc.OptionDoc) => names.find((name) => name.startsWith("--"))!

describe("the readme", () => {
  it("names every option and no other", () => {
    const options = commands.flatMap((command) => commandDoc.make(command).options.map(longOf))
    const known = new Set([...options, "--help", "--version", "--verbose", "--completions"])
    // A switch that is on by default is named without its negation.
    const missing = options.filter((name) => !name.startsWith("--no-") && !new RegExp(`${name}(?![\\w-])`).test(readme))
    expect(missing).toEqual([])
    const named = readme.match(/(?<![\w-])--[a-z][\w-]*/g) ?? []
    expect(named.filter((name) => !known.has(name) && name !== "--global")).toEqual([])
  })

  it("lists the exit codes of the program", () => {
    const rows = (text: string) => text.match(/\| [\d, ]+ \| .* \|$/gm)
    expect(rows(readme)?.length).toBeGreaterThan(10)
    expect(rows(readme)).toEqual(rows(read("../src/ExitCode.ts")))
  })
})
