/** Facts about the command line: options, the prompt, the version, the list of models. */
import * as Version from "../../../../Version.js"
import type { Expectation, Fact } from "../../contract.js"
import { always, changedIn, until } from "../../contract.js"
import type { OptionEntry } from "../../dialect.js"
import * as invocation from "../invocation.js"
import * as questions from "../questions.js"
import { lostEnd } from "./lostEnd.js"
import * as reading from "./reading.js"

const scenario = "command line"

const spelled = (entries: ReadonlyArray<OptionEntry>): ReadonlyArray<Expectation> =>
  entries.map(({ since, until, word }) => ({
    ...(since === undefined ? {} : { from: since }),
    ...(until === undefined ? {} : { below: until }),
    value: word
  }))

/** An option of a run, with its spelling by version: the dialect's own table. */
const option = (name: OptionEntry["name"]): Fact => {
  const entries = invocation.options.filter((entry) => entry.name === name)
  return {
    id: `option.${name}`,
    says: `\`run\` has the option of \`${name}\`.`,
    scenario,
    weight: "matters",
    expected: spelled(entries),
    observe: (recording) => {
      const help = reading.process(recording, "help")
      if (help === undefined) return undefined
      const words = new Set(`${help.stdout}\n${help.stderr}`.match(/(?<![\w-])--[a-z][\w-]*/g))
      return entries.map(({ word }) => word).reverse().find((word) => words.has(word)) ?? "missing"
    },
    usedBy: ["internal/opencode/v1/invocation.ts"],
    otherwise: `A run with \`${name}\` ends with OpenCode's help instead of an answer.`
  }
}

const options = [...new Set(invocation.options.flatMap(({ kind, name }) => kind === "variable" ? [] : [name]))]

export const facts: ReadonlyArray<Fact> = [
  {
    id: "version.text",
    says: "`--version` prints the version and nothing else.",
    scenario,
    weight: "matters",
    expected: always("the version"),
    observe: (recording, version) => {
      const found = reading.process(recording, "version")
      if (found === undefined) return undefined
      return found.stdout.trim() === Version.format(version) ? "the version" : found.stdout.trim()
    },
    usedBy: ["Version.ts", "internal/launch/launcher.ts"],
    otherwise: "The version is not recognized, and no run starts."
  },
  ...options.map(option),
  {
    id: "option.format",
    says: "`run` has `--format`.",
    scenario,
    weight: "matters",
    expected: always(true),
    observe: (recording) => {
      const help = reading.process(recording, "help")
      return help === undefined ? undefined : /(?<![\w-])--format\b/.test(`${help.stdout}\n${help.stderr}`)
    },
    usedBy: ["internal/opencode/v1/invocation.ts"],
    otherwise: "OpenCode prints no events, and every run is incomplete."
  },
  {
    id: "option.unknown",
    says: "An unknown option ends OpenCode with its help and code 1, before the model is asked.",
    scenario,
    weight: "note",
    expected: always({ ending: "exit 1", printsHelp: true }),
    observe: (recording) => {
      const found = reading.process(recording, "unknown flag")
      return found === undefined ? undefined : {
        ending: reading.ending(recording, "unknown flag"),
        printsHelp: `${found.stdout}\n${found.stderr}`.includes("--format")
      }
    },
    usedBy: ["internal/opencode/verdict.ts"],
    otherwise: "A misspelled `extraArgs` is ignored instead of refused."
  },
  {
    id: "prompt.required",
    says: "Without a prompt it ends with code 1 and says so on stderr.",
    scenario,
    weight: "note",
    expected: always({ ending: "exit 1", text: true }),
    observe: (recording) =>
      reading.process(recording, "no prompt") === undefined ? undefined : {
        ending: reading.ending(recording, "no prompt"),
        text: reading.stderrOf(recording, "no prompt").includes("You must provide a message or a command")
      },
    usedBy: ["internal/opencode/check.ts"],
    otherwise: "A run without a prompt may ask the model."
  },
  {
    id: "models.lines",
    says: "`models` prints one `provider/model` a line, also for a configured provider.",
    scenario,
    weight: "matters",
    expected: always({ configured: true, others: 0 }),
    observe: (recording) => {
      const found = reading.process(recording, "models")
      if (found === undefined) return undefined
      const models = questions.models.read(found.stdout)
      return { configured: models.includes("fake/m1"), others: models.filter((name) => /\s/.test(name)).length }
    },
    usedBy: ["internal/opencode/v1/questions.ts"],
    otherwise: "`models` and `doctor` show wrong models."
  },
  {
    id: "argument.prompt",
    says: "A prompt after `--` is a prompt even if it begins with a dash, and gets quotes if it has spaces.",
    scenario: "arguments",
    weight: "note",
    expected: always("in quotes"),
    observe: (recording) => {
      const prompt = reading.last(reading.requests(recording)[0]?.prompts ?? [])
      if (prompt === undefined) return undefined
      return prompt.includes("\"-x two words\"")
        ? "in quotes"
        : prompt.includes("-x two words")
        ? "verbatim"
        : "changed"
    },
    usedBy: ["internal/opencode/v1/invocation.ts", "RunOptions.ts"],
    otherwise: "With `promptVia: \"argv\"` the model sees another prompt."
  },
  {
    id: "argument.file",
    says: "`--file=name` attaches one file, and the words after it stay the prompt.",
    scenario: "arguments",
    weight: "matters",
    expected: always(true),
    observe: (recording) => reading.requests(recording)[0]?.prompts.some((prompt) => prompt.includes("alpha-content")),
    usedBy: ["internal/opencode/v1/invocation.ts"],
    otherwise: "`files` do not reach the model."
  },
  {
    id: "title.asked",
    says: "A session without a title costs a further request to the model.",
    scenario: "arguments",
    weight: "note",
    expected: lostEnd(until(1, 2, 2, always(1))),
    observe: (recording) =>
      reading.requests(recording).length === 0
        ? undefined
        : recording.requests.length - reading.requests(recording).length,
    usedBy: ["internal/opencode/v1/startupProfile.ts"],
    otherwise: "The fast start-up profile saves less, or more."
  },
  {
    id: "title.given",
    says: "With `--title` no title is asked for.",
    scenario: "text",
    weight: "note",
    expected: always(0),
    observe: (recording) =>
      reading.requests(recording).length === 0
        ? undefined
        : recording.requests.length - reading.requests(recording).length,
    usedBy: ["internal/opencode/v1/startupProfile.ts"],
    otherwise: "Each run costs a further request to the model."
  },
  {
    id: "stdin.verbatim",
    says: "A prompt on standard input arrives unchanged, and is read to its end.",
    scenario: "text",
    weight: "matters",
    expected: changedIn(1, 15, { before: "after a line feed", since: "verbatim" }),
    observe: (recording) => {
      const prompt = reading.requests(recording)[0]?.prompts[0]
      if (prompt === undefined) return undefined
      const sent = recording.observed["prompt"]
      return prompt === sent ? "verbatim" : prompt === `\n${String(sent)}` ? "after a line feed" : prompt
    },
    usedBy: ["internal/opencode/v1/invocation.ts", "internal/process/wholeStdin.ts"],
    otherwise: "The model sees another prompt than the program gave."
  },
  {
    id: "config.content",
    says: "The configuration in `OPENCODE_CONFIG_CONTENT` is used: the provider's key reaches the provider.",
    scenario: "text",
    weight: "matters",
    expected: always("Bearer scripted-key"),
    observe: (recording) => reading.requests(recording)[0]?.authorization,
    usedBy: ["internal/opencode/v1/invocation.ts", "internal/opencode/configContent.ts"],
    otherwise: "`configOverrides`, `permission` and `mcp` have no effect."
  }
]
