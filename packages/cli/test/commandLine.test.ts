import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as commandLine from "../src/commandLine/commandLine.js"
import * as options from "../src/commandLine/options.js"
import * as ReplayCommand from "../src/commands/ReplayCommand.js"
import * as RunCommand from "../src/commands/RunCommand.js"

const commands = [RunCommand.command, ReplayCommand.command]

const problem = (...given: ReadonlyArray<string>) =>
  Either.match(commandLine.parse<unknown, unknown>(given, commands), {
    onLeft: ({ hint, reason }) => `${reason} ${hint}`,
    onRight: ({ _tag }) => _tag
  })

const page = { name: "run", description: "Runs.", usage: "", examples: [], notes: [] }

/** What the options of a command are, with one option of each kind. */
const values = (...given: ReadonlyArray<string>) => {
  const found: Array<unknown> = []
  const kinds = options.all({
    words: options.args("prompt", "Words."),
    model: options.text("m, model", "provider/model", "A text."),
    title: options.text("title", "text", "A text."),
    files: options.texts("files", "file", "Repeated."),
    level: options.choice("level", ["DEBUG", "INFO"], "A choice."),
    json: options.flag("json", "A flag."),
    update: options.toggle("update", "On or off.")
  })
  const command = commandLine.make(page, kinds, (given) => Effect.sync(() => found.push(given)))
  return Effect.gen(function*() {
    const line = yield* commandLine.parse(given, [command])
    if (line._tag === "Run") yield* line.effect
    return found[0] as { readonly words: ReadonlyArray<string> }
  }).pipe(Effect.provide(NodeContext.layer))
}

const none = {
  words: [],
  model: undefined,
  title: undefined,
  files: undefined,
  level: undefined,
  json: false,
  update: undefined
}

describe("a command line", () => {
  it.effect("has its options anywhere, and arguments only after --", () =>
    Effect.gen(function*() {
      expect(yield* values("run")).toEqual(none)
      expect(
        yield* values("run", "fix it", "-m", "a/b", "now", "--json", "--title=a=b", "--no-update", "--", "--json", "-x")
      ).toEqual({
        ...none,
        words: ["fix it", "now", "--json", "-x"],
        model: "a/b",
        json: true,
        title: "a=b",
        update: false
      })
    }))

  it.effect("keeps values as they are: empty ones, of several lines, with a dash", () =>
    Effect.gen(function*() {
      expect(yield* values("run", "--title=", "--model=a\nb", "--files", "-high", "--files", "--new", "-")).toEqual({
        ...none,
        words: ["-"],
        title: "",
        model: "a\nb",
        files: ["-high", "--new"]
      })
      expect(yield* values("run", "- one\n- two")).toEqual({ ...none, words: ["- one\n- two"] })
    }))

  it("takes no option that it does not know for a prompt", () => {
    expect(problem("run", "--dry-run")).toBe(
      "Unexpected option or argument: --dry-run. effect-opencode run --help shows the options; put text that begins with a dash after --"
    )
    expect(problem("run", "--modle", "a/b", "x")).toBe("Unexpected option or argument: --modle. did you mean --model?")
    expect(problem("run", "x", "--modle=a/b")).toBe("Unexpected option or argument: --modle. did you mean --model?")
    expect(problem("run", "--modle a/b")).toBe(
      "Unexpected option or argument: --modle. did you mean --model?"
    )
    expect(problem("run", "-q")).toContain("Unexpected option or argument: -q. effect-opencode run --help")
  })

  it("misses a value", () => {
    expect(problem("run", "x", "--model")).toBe(
      "--model requires <provider/model>. effect-opencode run --help shows the options"
    )
    expect(problem("run", "--model", "--json", "x")).toContain("--model requires <provider/model>.")
    expect(problem("run", "-m", "--no-print-logs", "x")).toContain("-m requires <provider/model>.")
    expect(problem("run", "--json=yes", "x")).toContain("Flag --json does not accept a value.")
  })

  it("shows no value that was refused", () => {
    const refused = ["--json=canary", "--api-key=canary", "--jsno=canary", "--jsno canary", "--no-print-logs=canary"]
    for (const words of [...refused.map((word) => ["x", word]), ["--api-key=canary", "--title", "--json"]]) {
      expect(problem("run", ...words)).not.toContain("canary")
      expect(problem("run", ...words)).toMatch(/--/)
    }
    expect(problem("--api-key=canary", "run")).not.toContain("canary")
  })

  it("gives an option once, unless it may be repeated", () => {
    expect(problem("run", "x", "--title", "a", "--title", "b")).toContain("--title cannot be used multiple times.")
    expect(problem("run", "x", "--json", "--json")).toContain("--json cannot be used multiple times.")
    expect(problem("run", "x", "--files", "a", "--files", "b")).toBe("Run")
    expect(problem("run", "x", "--print-logs", "--no-print-logs")).toContain("cannot be used together")
  })

  it.effect("gives no argument too many, and one of the choices", () =>
    Effect.gen(function*() {
      expect(problem("replay", "a.jsonl", "b.jsonl")).toContain("Unexpected option or argument: b.jsonl.")
      expect(problem("replay")).toBe("Missing required argument. effect-opencode replay <transcript> [options]")
      const { reason } = yield* Effect.flip(values("run", "--level", "canary"))
      expect(reason).toBe("--level: must be one of DEBUG, INFO")
    }))

  it("names a command", () => {
    expect(problem("rn")).toBe("Unknown command \"rn\". did you mean run?")
    expect(problem("rnu")).toBe("Unknown command \"rnu\". did you mean run?")
    expect(problem("explain this")).toBe(
      "Unknown command \"explain this\". the commands are run, replay"
    )
    expect(problem("--model", "a/b", "run")).toBe(
      "Unknown option --model. options follow the command; --help lists commands"
    )
  })

  it("asks for help, the version or completions", () => {
    const read = (...given: ReadonlyArray<string>) =>
      Either.getOrThrow(commandLine.parse<unknown, unknown>(given, commands))
    const help = { _tag: "Help", command: undefined }
    expect(read()).toEqual(help)
    expect(read("-h")).toEqual(help)
    expect(read("help")).toEqual(help)
    expect(read("help", "run")).toEqual({ _tag: "Help", command: RunCommand.command })
    expect(problem("help", "walk")).toContain("Unknown command \"walk\".")
    expect(read("run", "x", "--help", "--bogus")).toEqual({ _tag: "Help", command: RunCommand.command })
    expect(problem("run", "--", "--help")).toBe("Run")
    expect(read("--version")).toEqual({ _tag: "Version" })
    expect(read("run", "--version")).toEqual({ _tag: "Version" })
    expect(read("--completions", "fish")).toMatchObject({ _tag: "Completions" })
    expect(read("--completions=fish")).toEqual(read("--completions", "fish"))
    expect(problem("--completions=tcsh")).toBe("--completions requires a shell. bash, zsh, fish")
    expect(problem("--completions")).toBe("--completions requires a shell. bash, zsh, fish")
  })

  it("is verbose wherever it says so, but for after --", () => {
    expect(commandLine.isVerbose(["run", "x", "--verbose"])).toBe(true)
    expect(commandLine.isVerbose(["--verbose", "run", "x"])).toBe(true)
    expect(commandLine.isVerbose(["run", "--", "--verbose"])).toBe(false)
    expect([problem("run", "x", "--verbose"), problem("--verbose", "run", "x")]).toEqual(["Run", "Run"])
  })

  it.effect.prop(
    "hands every word after -- on",
    { rest: fc.array(fc.fullUnicodeString()) },
    ({ rest }) =>
      Effect.gen(function*() {
        expect((yield* values("run", "--", ...rest)).words).toEqual(rest)
      })
  )
})
