import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as commandDoc from "../src/commandLine/commandDoc.js"
import * as commandLine from "../src/commandLine/commandLine.js"
import * as ReplayCommand from "../src/commands/ReplayCommand.js"
import * as RunCommand from "../src/commands/RunCommand.js"

const docs = [commandDoc.make(RunCommand.command), commandDoc.make(ReplayCommand.command)]

const parse = (...words: ReadonlyArray<string>) => commandLine.parse(words, docs)

const words = (...given: ReadonlyArray<string>) =>
  Either.match(parse(...given), {
    onLeft: ({ hint, reason }) => `${reason} ${hint}`,
    onRight: ({ commandLine }) => commandLine._tag === "Run" ? commandLine.words : commandLine
  })

describe("a command line", () => {
  it("puts options first and arguments after --", () => {
    expect(words("run", "fix it", "-m", "a/b", "now", "--json", "--title=a=b", "--", "--json", "-x")).toEqual(
      ["run", "--model", "a/b", "--json", "--title", "a=b", "--", "fix it", "now", "--json", "-x"]
    )
  })

  it("keeps values unchanged: empty, of several lines, with a dash", () => {
    expect(words("run", "--title=", "--agent=a\nb", "--variant", "-high", "-")).toEqual(
      ["run", "--title", "", "--agent", "a\nb", "--variant", "-high", "--", "-"]
    )
  })

  it("passes --log-level under a name that the program's own option does not have", () => {
    expect(words("run", "--log-level", "DEBUG", "x")).toEqual(["run", "--opencode-log-level", "DEBUG", "--", "x"])
  })

  it("refuses an unknown option instead of taking it for the prompt", () => {
    expect(words("run", "--dry-run")).toBe(
      "There is no option --dry-run. effect-opencode run --help shows the options; what begins with a dash and is no option goes behind --"
    )
    expect(words("run", "--modle", "a/b", "x")).toBe("There is no option --modle. did you mean --model?")
    expect(words("run", "-q")).toContain("There is no option -q.")
  })

  it("reports a missing value", () => {
    expect(words("run", "x", "--model")).toBe("--model needs a value: provider/model. effect-opencode run --help")
    expect(words("run", "--model", "--json", "x")).toContain("--model needs a value")
    expect(words("run", "--json=yes", "x")).toContain("--json takes no value")
  })

  it("refuses an option given twice unless it may be repeated", () => {
    expect(words("run", "x", "--title", "a", "--title", "b")).toContain("--title is given more than once.")
    expect(words("run", "x", "--json", "--json")).toContain("--json is given more than once.")
    expect(words("run", "x", "--files", "a", "--files", "b")).toEqual(
      ["run", "--files", "a", "--files", "b", "--", "x"]
    )
  })

  it("refuses an unexpected argument and an invalid choice", () => {
    expect(words("replay", "a.jsonl", "b.jsonl")).toContain("\"b.jsonl\" is an argument too many.")
    expect(words("run", "x", "--log-level", "LOUD")).toContain("--log-level is one of DEBUG, INFO, WARN, ERROR.")
  })

  it("reports an unknown command", () => {
    expect(words("rn")).toBe("There is no command \"rn\". did you mean run?")
    expect(words("explain this")).toBe(
      "There is no command \"explain this\". there are run, replay; effect-opencode --help"
    )
    expect(words("--model", "a/b", "run")).toBe(
      "There is no option --model. options stand behind the command: effect-opencode run --model …"
    )
  })

  it("recognises help, version and completions", () => {
    const help = { _tag: "Help", command: undefined }
    expect(words()).toEqual(help)
    expect(words("-h")).toEqual(help)
    expect(words("help")).toEqual(help)
    expect(words("help", "run")).toEqual({ _tag: "Help", command: "run" })
    expect(words("help", "walk")).toContain("There is no command \"walk\".")
    expect(words("run", "x", "--help", "--bogus")).toEqual({ _tag: "Help", command: "run" })
    expect(words("run", "--version")).toEqual({ _tag: "Version" })
    expect(words("--completions", "fish")).toEqual({ _tag: "Completions", shell: "fish" })
    expect(words("--completions=tcsh")).toBe("--completions needs the name of a shell. bash, zsh or fish")
  })

  it("finds --verbose anywhere before --", () => {
    const verbose = (...given: ReadonlyArray<string>) => Either.map(parse(...given), ({ verbose }) => verbose)
    expect(verbose("run", "x", "--verbose")).toEqual(Either.right(true))
    expect(verbose("--verbose", "run", "x")).toEqual(Either.right(true))
    expect(verbose("run", "--", "--verbose")).toEqual(Either.right(false))
  })

  it.prop("passes on every word after --", { rest: fc.array(fc.fullUnicodeString()) }, ({ rest }) => {
    const expected = rest.length === 0 ? ["run"] : ["run", "--", ...rest]
    expect(words("run", "--", ...rest)).toEqual(expected)
  })
})

describe("a suggestion", () => {
  it.prop("differs from the word by at most a third", {
    word: fc.stringMatching(/^--[a-z-]{2,12}$/),
    candidates: fc.array(fc.stringMatching(/^--[a-z-]{2,12}$/))
  }, ({ candidates, word }) => {
    const meant = commandLine.nearest(word, candidates)
    if (meant === undefined || meant.startsWith(word)) return
    expect(commandLine.distance(word, meant)).toBeLessThanOrEqual(Math.max(1, Math.floor((word.length - 2) / 3)))
  })

  it("counts two swapped letters as one change", () => {
    expect(commandLine.distance("modle", "model")).toBe(1)
    expect(commandLine.distance("", "abc")).toBe(3)
    expect(commandLine.distance("kitten", "sitting")).toBe(3)
  })
})
