/**
 * The program: its commands, its help, its errors and its exit code.
 *
 * @since 0.1.0
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import type * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Redaction from "effect-opencode/Redaction"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as CliError from "./CliError.js"
import * as commandDoc from "./commandLine/commandDoc.js"
import * as commandLine from "./commandLine/commandLine.js"
import * as completions from "./commandLine/completions.js"
import * as ConfigOptions from "./commandLine/ConfigOptions.js"
import * as help from "./commandLine/help.js"
import * as pages from "./commandLine/pages.js"
import * as BatchCommand from "./commands/BatchCommand.js"
import * as DoctorCommand from "./commands/DoctorCommand.js"
import * as ReplayCommand from "./commands/ReplayCommand.js"
import * as RunCommand from "./commands/RunCommand.js"
import * as log from "./display/log.js"
import * as Style from "./display/Style.js"
import { manyLines } from "./display/terminalText.js"
import * as ExitCode from "./ExitCode.js"
import { Host } from "./host/Host.js"
import * as Interrupt from "./host/Interrupt.js"

const name = "effect-opencode"

const commands = [RunCommand.command, BatchCommand.command, ReplayCommand.command, DoctorCommand.command] as const

const docs: ReadonlyArray<commandDoc.CommandDoc> = commands.map((command) => commandDoc.make(command))

/** The version of this package, read on demand. */
const version: Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const manifest = yield* path.fromFileUrl(new URL("../package.json", import.meta.url))
  return String(JSON.parse(yield* fileSystem.readFileString(manifest)).version)
}).pipe(Effect.orDie)

/** Silences `@effect/cli`, which prints its own long, coloured errors; we print each error once. */
const parseQuietly = (words: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const printed = yield* version
    return yield* Console.consoleWith((console) => {
      const quiet: Console.Console = { ...console, error: () => Effect.void }
      const loud = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.withConsole(effect, console)
      const root = Command.make(name).pipe(
        Command.withSubcommands([
          RunCommand.command.pipe(Command.transformHandler(loud)),
          BatchCommand.command.pipe(Command.transformHandler(loud)),
          ReplayCommand.command.pipe(Command.transformHandler(loud)),
          DoctorCommand.command.pipe(Command.transformHandler(loud))
        ])
      )
      const run = Command.run(root, { name, version: printed, executable: name })
      return run(["node", name, ...words]).pipe(
        Effect.provide(CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false })),
        Effect.withConsole(quiet)
      )
    })
  })

const showHelp = (asked: string | undefined) =>
  Effect.gen(function*() {
    const { columns } = yield* Host
    const layout = { style: yield* Style.stdout, columns: yield* columns }
    const doc = docs.find(({ name }) => name === asked)
    yield* Console.log(
      doc === undefined
        ? help.ofProgram(docs, { ...pages.program, version: yield* version }, layout)
        : help.ofCommand(doc, pages.ofCommand(doc.name), ConfigOptions.groups, layout)
    )
  })

const execute = (line: commandLine.CommandLine) => {
  switch (line._tag) {
    case "Help":
      return showHelp(line.command)
    case "Version":
      return Effect.flatMap(version, (printed) => Console.log(printed))
    case "Completions":
      return Console.log(completions.script(line.shell, docs))
    case "Run":
      return parseQuietly(line.words)
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
 *
 * @since 0.1.0
 * @category running
 */
export const run: Effect.Effect<number, never, NodeContext.NodeContext | Host | Interrupt.Interrupt> = Effect.gen(
  function*() {
    const { args } = yield* Host
    const style = yield* Style.stderr
    const read = commandLine.parse(args, docs)
    const verbose = Either.match(read, { onLeft: () => false, onRight: ({ verbose }) => verbose })
    const redactor = Redaction.make(yield* Redaction.inherited)
    const [logs, level] = logger(verbose, style, redactor)
    const line = Either.match(read, {
      onLeft: (problem) => new CliError.CliError(problem),
      onRight: ({ commandLine }) => execute(commandLine)
    })
    return yield* Interrupt.guard(line).pipe(
      Effect.as(ExitCode.success),
      Effect.catchAllCause((cause) => {
        const explanation = CliError.explain(cause)
        const text = redactor.known(CliError.render(explanation, { style, verbose }))
        return Effect.as(text === "" ? Effect.void : Console.error(text), explanation.exitCode)
      }),
      Effect.provide(logs),
      Logger.withMinimumLogLevel(level),
      // We report the error that ends the program.
      Effect.withUnhandledErrorLogLevel(Option.none())
    )
  }
)
