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
  it("has its options first and its arguments behind --", () => {
    expect(words("run", "fix it", "-m", "a/b", "now", "--json", "--title=a=b", "--", "--json", "-x")).toEqual(
      ["run", "--model", "a/b", "--json", "--title", "a=b", "--", "fix it", "now", "--json", "-x"]
    )
  })

  it("keeps values as they are: empty ones, of several lines, with a dash", () => {
    expect(words("run", "--title=", "--agent=a\nb", "--variant", "-high", "-")).toEqual(
      ["run", "--title", "", "--agent", "a\nb", "--variant", "-high", "--", "-"]
    )
  })

  it("gives --log-level a name that the program's own has not", () => {
    expect(words("run", "--log-level", "DEBUG", "x")).toEqual(["run", "--opencode-log-level", "DEBUG", "--", "x"])
  })

  it("takes no option that it does not know for a prompt", () => {
    expect(words("run", "--dry-run")).toBe(
      "There is no option --dry-run. effect-opencode run --help shows the options; what begins with a dash and is no option goes behind --"
    )
    expect(words("run", "--modle", "a/b", "x")).toBe("There is no option --modle. did you mean --model?")
    expect(words("run", "-q")).toContain("There is no option -q.")
  })

  it("misses a value", () => {
    expect(words("run", "x", "--model")).toBe("--model needs a value: provider/model. effect-opencode run --help")
    expect(words("run", "--model", "--json", "x")).toContain("--model needs a value")
    expect(words("run", "--json=yes", "x")).toContain("--json takes no value")
  })

  it("gives an option once, unless it may be repeated", () => {
    expect(words("run", "x", "--title", "a", "--title", "b")).toContain("--title is given more than once.")
    expect(words("run", "x", "--json", "--json")).toContain("--json is given more than once.")
    expect(words("run", "x", "--files", "a", "--files", "b")).toEqual(
      ["run", "--files", "a", "--files", "b", "--", "x"]
    )
  })

  it("gives no argument too many, and one of the choices", () => {
    expect(words("replay", "a.jsonl", "b.jsonl")).toContain("\"b.jsonl\" is an argument too many.")
    expect(words("run", "x", "--log-level", "LOUD")).toContain("--log-level is one of DEBUG, INFO, WARN, ERROR.")
  })

  it("names a command", () => {
    expect(words("rn")).toBe("There is no command \"rn\". did you mean run?")
    expect(words("explain this")).toBe(
      "There is no command \"explain this\". there are run, replay; effect-opencode --help"
    )
    expect(words("--model", "a/b", "run")).toBe(
      "There is no option --model. options stand behind the command: effect-opencode run --model …"
    )
  })

  it("asks for help, the version or completions", () => {
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

  it("is verbose wherever it says so, but for behind --", () => {
    const verbose = (...given: ReadonlyArray<string>) => Either.map(parse(...given), ({ verbose }) => verbose)
    expect(verbose("run", "x", "--verbose")).toEqual(Either.right(true))
    expect(verbose("--verbose", "run", "x")).toEqual(Either.right(true))
    expect(verbose("run", "--", "--verbose")).toEqual(Either.right(false))
  })

  it.prop("hands every word behind -- on", { rest: fc.array(fc.fullUnicodeString()) }, ({ rest }) => {
    const expected = rest.length === 0 ? ["run"] : ["run", "--", ...rest]
    expect(words("run", "--", ...rest)).toEqual(expected)
  })
})

describe("what was probably meant", () => {
  it.prop("is never farther away than a third of the word", {
    word: fc.stringMatching(/^--[a-z-]{2,12}$/),
    candidates: fc.array(fc.stringMatching(/^--[a-z-]{2,12}$/))
  }, ({ candidates, word }) => {
    const meant = commandLine.nearest(word, candidates)
    if (meant === undefined || meant.startsWith(word)) return
    expect(commandLine.distance(word, meant)).toBeLessThanOrEqual(Math.max(1, Math.floor((word.length - 2) / 3)))
  })

  it("is one change away where two letters changed places", () => {
    expect(commandLine.distance("modle", "model")).toBe(1)
    expect(commandLine.distance("", "abc")).toBe(3)
    expect(commandLine.distance("kitten", "sitting")).toBe(3)
  })
})
