/**
 * `effect-opencode run`: one run, shown as it goes on.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Redaction from "effect-opencode/Redaction"
import * as RunEvent from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as RunResult from "effect-opencode/RunResult"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { CliError } from "../CliError.js"
import * as ConfigOptions from "../commandLine/ConfigOptions.js"
import type * as EventView from "../display/EventView.js"
import * as liveView from "../display/runView.js"
import { Host } from "../host/Host.js"
import * as utf8 from "../host/utf8.js"
import * as resultJson from "./resultJson.js"

/** Where the prompt is to come from. */
interface Source {
  readonly words: ReadonlyArray<string>
  readonly file: string | undefined
  /** Whether the run can do without one. */
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

/** The prompt: words, then the file, then standard input, with a blank line between them. */
const promptOf = ({ file, optional, words }: Source) =>
  Effect.gen(function*() {
    const { stdinIsTerminal } = yield* Host
    const spoken = words.filter((word) => word !== "-").join(" ")
    const asked = words.includes("-")
    const nothing = spoken === "" && file === undefined
    if (nothing && !asked && optional) return ""
    if (nothing && !asked && stdinIsTerminal) {
      return yield* new CliError({
        reason: "There is no prompt.",
        hint: promptHint
      })
    }
    const piped = asked || nothing ? yield* readStdin : ""
    if (nothing && !optional && piped.trim() === "") {
      return yield* new CliError({ reason: "There is no prompt: standard input is empty.", hint: promptHint })
    }
    const parts = [spoken, file === undefined ? "" : yield* readPromptFile(file), piped]
    return parts.filter((part) => part !== "").join("\n\n")
  })

/** A run that has ended, for the person who watches. */
const endingOf = (result: RunResult.RunResult, kept: boolean): EventView.Ending => ({
  ...result,
  outcome: "success",
  filesChanged: result.filesChanged,
  sessionId: kept ? result.sessionId : undefined
})

/** A run with a redactor for what is shown of it. */
interface Run {
  readonly prompt: string
  readonly options: RunOptions
  readonly redactor: Redaction.Redactor
}

const forPeople = ({ options, prompt, redactor }: Run, cwd: string, kept: boolean) =>
  Effect.scoped(Effect.gen(function*() {
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
    const result = yield* OpenCode.run(prompt, { ...options, onEvent }).pipe(
      Effect.tapError((error) => {
        const partial = OpenCodeError.partialOf(error)
        return partial === undefined || partial.attempts === 0
          ? Effect.void
          : view.end({ ...partial, outcome: error._tag, sessionId: kept ? partial.sessionId : undefined })
      }),
      Effect.onInterrupt(() => interrupted)
    )
    yield* view.end(redactor.inside(endingOf(result, kept)), redactor.text(result.answer))
  }))

const printLine = (value: unknown) => Console.log(JSON.stringify(value))

const forPrograms = ({ options, prompt, redactor }: Run) =>
  Effect.suspend(() => {
    const print = (value: unknown) => printLine(redactor.inside(value))
    const seen: Array<RunEvent.RunEvent> = []
    const onEvent = (event: RunEvent.RunEvent) =>
      Effect.suspend(() => {
        seen.push(event)
        return Console.log(RunEvent.toLine(redactor.event(event)))
      })
    return OpenCode.run(prompt, { ...options, onEvent }).pipe(
      Effect.tapError((error) => print(resultJson.ofFailure(error))),
      Effect.onInterrupt(() => print(resultJson.ofInterruption(seen))),
      Effect.flatMap((result) => print(resultJson.ofSuccess(result)))
    )
  })

/**
 * @since 0.1.0
 * @category commands
 */
export const command = Command.make("run", {
  words: Args.text({ name: "prompt" }).pipe(
    Args.withDescription(
      "What the agent is to do. - stands for standard input, which is also read where there is no prompt at all."
    ),
    Args.repeated
  ),
  file: Options.text("file").pipe(
    Options.withAlias("f"),
    Options.withPseudoName("file"),
    Options.withDescription("Read the prompt from a file; with a prompt, behind it."),
    Options.optional
  ),
  json: Options.boolean("json").pipe(
    Options.withDescription("Print events and result as JSON lines, for programs.")
  ),
  transcript: Options.text("transcript").pipe(
    Options.withPseudoName("file"),
    Options.withDescription("Append every event to a file, which `replay` shows again."),
    Options.optional
  ),
  keepRaw: Options.boolean("keep-raw").pipe(
    Options.withDescription("With --json: put the lines that OpenCode printed into the result.")
  ),
  run: ConfigOptions.run,
  client: ConfigOptions.client
}, ({ client, file, json, keepRaw, run, transcript, words }) =>
  Effect.gen(function*() {
    if (keepRaw && !json) {
      return yield* new CliError({ reason: "--keep-raw is for the result of --json.", hint: "give both, or neither" })
    }
    const path = yield* Path.Path
    const prompt = yield* promptOf({
      words,
      file: Option.getOrUndefined(file),
      optional: run.command !== undefined
    })
    const settled = ConfigOptions.settle(client, run)
    const options: RunOptions = {
      ...run,
      keepRaw,
      // From where the command was given, as its other files; the library would take it from the run's directory.
      transcript: Option.getOrUndefined(Option.map(transcript, (name) => path.resolve(name)))
    }
    const cwd = path.resolve(run.cwd ?? ".")
    const kept = settled.isolation !== undefined && settled.isolation !== "run" || run.attach !== undefined
    const secrets = yield* Redaction.ofRun(
      options,
      typeof settled.isolation === "object" ? settled.isolation : undefined
    )
    const one: Run = { prompt, options, redactor: Redaction.make(secrets) }
    yield* Effect.provide(
      json ? forPrograms(one) : forPeople(one, cwd, kept),
      OpenCode.layer(settled)
    )
  })).pipe(Command.withDescription("Runs the agent once and shows what it does."))
