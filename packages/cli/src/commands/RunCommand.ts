/** `effect-opencode run`: one run, shown while it works. */
import * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Redaction from "effect-opencode/Redaction"
import * as RunEvent from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as RunResult from "effect-opencode/RunResult"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { CliError } from "../CliError.js"
import * as commandLine from "../commandLine/commandLine.js"
import * as ConfigOptions from "../commandLine/ConfigOptions.js"
import * as options from "../commandLine/options.js"
import type * as EventView from "../display/EventView.js"
import * as liveView from "../display/runView.js"
import * as failures from "../failures.js"
import { Host } from "../host/Host.js"
import * as utf8 from "../host/utf8.js"
import { serverProblem } from "../jobs/serverProblem.js"
import * as layer from "./layer.js"
import * as resultJson from "./resultJson.js"

/** The sources of the prompt. */
interface Source {
  readonly words: ReadonlyArray<string>
  readonly file: string | undefined
  /** Whether the run needs no prompt. */
  readonly optional: boolean
}

const readPromptFile = (file: string) =>
  Effect.mapError(
    utf8.readFile(file),
    ({ cause, message }) => new CliError({ reason: `The prompt file ${message}.`, hint: "check --file", cause })
  )

const readStdin = Effect.gen(function*() {
  const bytes = yield* (yield* Host).stdin
  return yield* Either.mapLeft(
    utf8.decode("Standard input", bytes),
    ({ message }) => new CliError({ reason: `${message}.` })
  )
})

const promptHint = "effect-opencode run \"Fix the failing test\", or --file prompt.md, or pipe it in"

/** The prompt: words, then the file, then standard input, separated by blank lines. */
const promptOf = ({ file, optional, words }: Source) =>
  Effect.gen(function*() {
    const { stdinIsTerminal } = yield* Host
    const spoken = words.filter((word) => word !== "-").join(" ")
    const asked = words.includes("-")
    const nothing = spoken === "" && file === undefined
    if (nothing && !asked && optional) return ""
    if (nothing && !asked && stdinIsTerminal) {
      return yield* new CliError({
        reason: "No prompt given.",
        hint: promptHint
      })
    }
    const piped = asked || nothing ? yield* readStdin : ""
    if (nothing && !optional && piped.trim() === "") {
      return yield* new CliError({ reason: "No prompt given: standard input is empty.", hint: promptHint })
    }
    const parts = [spoken, file === undefined ? "" : yield* readPromptFile(file), piped]
    return parts.filter((part) => part !== "").join("\n\n")
  })

/** How a run has ended, for the person who watches. */
const endingOf = (result: RunResult.RunResult, kept: boolean): EventView.Ending => ({
  ...result,
  outcome: "success",
  filesChanged: result.filesChanged,
  sessionId: kept ? result.sessionId : undefined
})

/** A run, and the redactor for everything shown of it. */
interface Run extends ConfigOptions.AnswerOptions {
  readonly prompt: string
  readonly options: RunOptions
  readonly redactor: Redaction.Redactor
}

interface Answered {
  readonly result: RunResult.RunResult
  /** `undefined` without a schema. */
  readonly value?: unknown
}

const ask = (
  { options, prompt, repairs, schema }: Run,
  onEvent: NonNullable<RunOptions["onEvent"]>
): Effect.Effect<Answered, OpenCodeError.OpenCodeError, OpenCode.OpenCode> =>
  schema === undefined
    ? Effect.map(OpenCode.run(prompt, { ...options, onEvent }), (result) => ({ result }))
    : OpenCode.runSchema(schema.schema, prompt, { ...options, repairs, onEvent })

/** What a failed run had done, if it had begun. */
const endingOfFailure = (error: OpenCodeError.OpenCodeError, kept: boolean): EventView.Ending | undefined => {
  const outcome = failures.kindOf(error)
  if (error._tag === "OpenCodeOutputError") {
    const { cost, duration, sessionId, steps, unpriced, usage } = error
    return { outcome, cost, duration, steps, unpriced, usage, sessionId: kept ? sessionId : undefined }
  }
  const partial = OpenCodeError.partialOf(error)
  return partial === undefined || partial.attempts === 0
    ? undefined
    : { ...partial, outcome, sessionId: kept ? partial.sessionId : undefined }
}

const forPeople = (one: Run, cwd: string, kept: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const { redactor } = one
    const view = yield* liveView.make(cwd)
    const startedAt = yield* Clock.currentTimeMillis
    const seen: Array<RunEvent.RunEvent> = []
    const onEvent = (event: RunEvent.RunEvent) =>
      Effect.suspend(() => {
        seen.push(event)
        return view.event(redactor.event(event))
      })
    const interrupted = Effect.gen(function*() {
      const duration = Duration.millis((yield* Clock.currentTimeMillis) - startedAt)
      yield* view.end({
        ...RunResult.fold(seen),
        finishReason: undefined,
        sessionId: undefined,
        outcome: "interrupted",
        duration
      })
    })
    const { result, value } = yield* ask(one, onEvent).pipe(
      Effect.tapError((error) => {
        const ending = endingOfFailure(error, kept)
        return ending === undefined ? Effect.void : view.end(ending)
      }),
      Effect.onInterrupt(() => interrupted)
    )
    const answer = one.schema === undefined
      ? redactor.text(result.answer)
      : JSON.stringify(redactor.inside(value), undefined, (yield* Host).stdoutIsTerminal ? 2 : undefined)
    yield* view.end(redactor.inside(endingOf(result, kept)), answer)
  }))

const printLine = (value: unknown) => Console.log(JSON.stringify(value))

const forPrograms = (one: Run) =>
  Effect.suspend(() => {
    const { redactor } = one
    const print = (value: unknown) => printLine(redactor.inside(value))
    const seen: Array<RunEvent.RunEvent> = []
    const onEvent = (event: RunEvent.RunEvent) =>
      Effect.suspend(() => {
        seen.push(event)
        return Console.log(RunEvent.toLine(redactor.event(event)))
      })
    return ask(one, onEvent).pipe(
      Effect.tapError((error) => print(resultJson.ofFailure(error))),
      Effect.onInterrupt(() => print(resultJson.ofInterruption(seen))),
      Effect.flatMap(({ result, value }) => print(resultJson.ofSuccess(result, value)))
    )
  })

export const command = commandLine.make(
  {
    name: "run",
    description: "Runs the agent once and shows what it does.",
    usage: "run [prompt...] [options]",
    examples: [
      ["effect-opencode run \"Explain this repository\" --permission read-only", "read, but change nothing"],
      [
        "effect-opencode run --file task.md --model anthropic/claude-sonnet-4-5 --budget-cost 0.5",
        "a long prompt, half a dollar"
      ],
      ["git diff | effect-opencode run \"Review this change:\" - > review.md", "the answer alone goes to the file"],
      [
        "effect-opencode run \"Which bugs does src have?\" --schema bugs.schema.json | jq '.bugs[].file'",
        "an answer in the shape of a JSON Schema"
      ],
      ["effect-opencode run \"List the files\" --json | jq -r 'select(.type == \"text\").part.text'", "for programs"]
    ],
    notes: [
      "The answer goes to standard output, everything else to standard error.",
      "Exit codes: 0 success; 1 the program failed; 2 a wrong option or argument; 3 OpenCode is not there, not " +
      "supported or cannot be started; 4 its process failed; 5 it reported an error (provider, model, context); 6 a " +
      "permission was asked for; 7 the conversation did not finish; 8 a time limit; 9 a budget; 10 ended by somebody " +
      "else; 11 the answer does not satisfy --schema; 12 a server of OpenCode failed; 129, 130, 131, 141, 143 ended by SIGHUP, Ctrl-C, SIGQUIT, a closed pipe, SIGTERM."
    ]
  },
  options.all({
    words: options.args(
      "prompt",
      "What the agent should do. - stands for standard input, which is also read if there is no prompt at all."
    ),
    ...options.group("Options", {
      file: options.text(
        "f, file",
        "file",
        "Read the prompt from a file; appended to the prompt argument if there is one."
      ),
      json: options.flag("json", "Print events and the result as JSON lines, for programs."),
      transcript: options.text("transcript", "file", "Append every event to a file that `replay` can play back."),
      keepRaw: options.flag("keep-raw", "With --json: include the lines that OpenCode printed in the result."),
      server: ConfigOptions.server
    }),
    answer: ConfigOptions.answer,
    run: ConfigOptions.run,
    client: ConfigOptions.client
  }),
  ({ answer, client, file, json, keepRaw, run, server, transcript, words }) =>
    Effect.gen(function*() {
      if (keepRaw && !json) {
        return yield* new CliError({ reason: "--keep-raw needs --json.", hint: "give both, or neither" })
      }
      if (answer.repairs !== undefined && answer.schema === undefined) {
        return yield* new CliError({ reason: "--repairs needs --schema.", hint: "give both, or neither" })
      }
      const problem = server ? serverProblem(run) : undefined
      if (problem !== undefined) return yield* new OpenCodeError.OpenCodeConfigError(problem)
      const path = yield* Path.Path
      const prompt = yield* promptOf({
        words,
        file,
        optional: run.command !== undefined
      })
      const settled = ConfigOptions.settle(client, run)
      const carryOut = yield* layer.make(settled, server ? { concurrency: 1, run } : undefined)
      const runOptions: RunOptions = {
        ...run,
        keepRaw,
        // Relative to our working directory, like the other files; the library would resolve it in the run's directory.
        transcript: transcript === undefined ? undefined : path.resolve(transcript)
      }
      const cwd = path.resolve(run.cwd ?? ".")
      const kept = settled.isolation !== undefined && settled.isolation !== "run" || run.attach !== undefined
      const secrets = yield* Redaction.ofRun(
        runOptions,
        typeof settled.isolation === "object" ? settled.isolation : undefined
      )
      const one: Run = { ...answer, prompt, options: runOptions, redactor: Redaction.make(secrets) }
      yield* Effect.provide(json ? forPrograms(one) : forPeople(one, cwd, kept), carryOut)
    })
)
