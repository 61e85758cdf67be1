/**
 * The program: its commands, its help, its errors and its exit code.
 */
import type * as NodeContext from "@effect/platform-node/NodeContext"
import * as Redaction from "effect-opencode/Redaction"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as commandLine from "./commandLine/commandLine.js"
import * as BatchCommand from "./commands/BatchCommand.js"
import * as ConformanceCommand from "./commands/ConformanceCommand.js"
import * as DoctorCommand from "./commands/DoctorCommand.js"
import * as ReplayCommand from "./commands/ReplayCommand.js"
import * as RunCommand from "./commands/RunCommand.js"
import * as log from "./display/log.js"
import * as Style from "./display/Style.js"
import { manyLines } from "./display/terminalText.js"
import * as ExitCode from "./ExitCode.js"
import * as Explanation from "./Explanation.js"
import { Host } from "./host/Host.js"
import * as Interrupt from "./host/Interrupt.js"
import { packageVersion } from "./packageVersion.js"

const name = "effect-opencode"

const each = [
  RunCommand.command,
  BatchCommand.command,
  ReplayCommand.command,
  DoctorCommand.command,
  ConformanceCommand.command
] as const

type EffectOf<C> = C extends commandLine.Command<infer E, infer R> ? Effect.Effect<void, E, R> : never

type Run = EffectOf<(typeof each)[number]>

const commands: ReadonlyArray<commandLine.Command<Effect.Effect.Error<Run>, Effect.Effect.Context<Run>>> = each

/** What help says about the program. */
const page: commandLine.Page = {
  name,
  description: "Runs the OpenCode coding agent: one prompt or a batch, with exit codes that tell the outcome, and " +
    "nothing left behind.",
  usage: "<command> [options]",
  examples: [
    [`${name} run "Explain this repository" --permission read-only`, "one run; the answer is on standard output"],
    [`git diff | ${name} run "Review this change:" - > review.md`, "with standard input in the prompt"],
    [`${name} batch files.csv --prompt "Review {{file}}" --jobs 4`, "a run for each row of a table"],
    [`${name} doctor`, "when something does not work"]
  ],
  notes: [`${name} <command> --help shows the options of a command.`]
}

const showHelp = (command: commandLine.Command | undefined) =>
  Effect.gen(function*() {
    const columns = yield* (yield* Host).columns
    const shown = command ?? { ...page, parser: commandLine.parserOf(commands) }
    const text = commandLine.help(shown, columns, (yield* Style.stdout) === Style.colored)
    yield* Console.log(command === undefined ? `${name} ${yield* packageVersion}\n\n${text}` : text)
  })

const execute = <E, R>(line: commandLine.CommandLine<E, R>) => {
  switch (line._tag) {
    case "Help":
      return showHelp(line.command)
    case "Version":
      return Effect.flatMap(packageVersion, (printed) => Console.log(printed))
    case "Completions":
      return Console.log(line.text)
    case "Run":
      return line.effect
  }
}

/** The library's log, formatted for people, on standard error. */
const logger = (verbose: boolean, style: Style.Style, redactor: Redaction.Redactor) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.withConsoleError(
      Logger.make((entry) =>
        style.dim(`${entry.logLevel.label.toLowerCase()}: ${manyLines(redactor.text(log.text(entry)))}`)
      )
    )
  ).pipe((layer) => verbose ? [layer, LogLevel.Debug] as const : [layer, LogLevel.Warning] as const)

/**
 * Runs the program with the arguments of its host and returns its exit code. Never fails: errors are printed to
 * standard error.
 */
export const run: Effect.Effect<number, never, NodeContext.NodeContext | Host | Interrupt.Interrupt> = Effect.gen(
  function*() {
    const { args } = yield* Host
    const style = yield* Style.stderr
    const verbose = commandLine.isVerbose(args)
    const redactor = Redaction.make(yield* Redaction.inherited)
    const [logs, level] = logger(verbose, style, redactor)
    const line = Effect.suspend(() => Effect.flatMap(commandLine.parse(args, commands), execute))
    return yield* Interrupt.guard(line).pipe(
      Effect.as(ExitCode.success),
      Effect.catchAllCause((cause) => {
        const explanation = Explanation.explain(cause)
        const text = redactor.known(Explanation.render(explanation, { style, verbose }))
        return Effect.as(text === "" ? Effect.void : Console.error(text), explanation.exitCode)
      }),
      Effect.provide(logs),
      Logger.withMinimumLogLevel(level),
      // We report the error that ends the program.
      Effect.withUnhandledErrorLogLevel(Option.none())
    )
  }
)
