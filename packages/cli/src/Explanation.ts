/** Error output: one line that says what went wrong, and a hint that says what to do. `--verbose` shows the rest. */
import * as PlatformError from "@effect/platform/Error"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CliError, ReportedError } from "./CliError.js"
import * as ConfigOptions from "./commandLine/ConfigOptions.js"
import { plural } from "./display/plural.js"
import type { Style } from "./display/Style.js"
import { manyLines, oneLine } from "./display/terminalText.js"
import * as ExitCode from "./ExitCode.js"
import * as failures from "./failures.js"
import { CrashedError, InterruptedError } from "./host/Interrupt.js"

/** A failure, explained to the user. */
export interface Explanation {
  /** One line; empty if there is nothing more to say. */
  readonly message: string
  /** What to do; `undefined` if there is nothing to add to the message. */
  readonly hint: string | undefined
  readonly exitCode: number
  /** Everything known about the failure, for `--verbose`. */
  readonly details: string
}

const isOpenCodeError = Schema.is(Schema.typeSchema(OpenCodeError.OpenCodeError))

const hints: { readonly [Tag in OpenCodeError.OpenCodeError["_tag"]]?: string } = {
  OpenCodeBinaryNotFoundError:
    "npm install -g opencode-ai, or give its path with --binary; `effect-opencode doctor` checks the machine",
  OpenCodeVersionError: "install a supported version (npm install -g opencode-ai@1.18.33)",
  OpenCodeSpawnError: "`effect-opencode doctor` checks the binary and the directories",
  OpenCodeProcessError: "--verbose shows OpenCode's stderr",
  OpenCodeIncompleteError: "run it again if repeating it is harmless, or try --recover export",
  OpenCodeSqliteError: "--verbose shows OpenCode's stderr",
  OpenCodeOutputError:
    "describe the value in the prompt, make the schema simpler, or allow more --repairs; --verbose " +
    "shows the answer"
}

/** Replaces the library's option names by the names of the command-line options. */
const withOptions = (message: string): string =>
  message.replace(/(?:the layer's )?`([a-z]\w*(?:\.\w+)*)`/gi, (all, path: string) => {
    const option = ConfigOptions.optionOf(path)
    return option === undefined ? all : option
  })

const fromOpenCode = (error: OpenCodeError.OpenCodeError): Explanation => {
  const exitCode = ExitCode.ofOutcome(error._tag)
  const details = `${error._tag}: ${error.message}`
  if (error._tag === "OpenCodeBinaryNotFoundError") {
    return {
      message: error.reason === "not-executable"
        ? oneLine(`${error.binary} is not an executable file.`)
        : oneLine(`${error.binary} was not found; searched ${plural(error.searched.length, "place")}.`),
      hint: hints[error._tag],
      exitCode,
      details
    }
  }
  if (error._tag !== "OpenCodeConfigError") {
    const message = error._tag === "OpenCodeOutputError" ? failures.reasonOf(error) : failures.withoutPlace(error)
    return { message: oneLine(withOptions(message)), hint: hints[error._tag], exitCode, details }
  }
  const { path, reason } = error
  const option = ConfigOptions.optionOf(path)
  const deeper = option !== undefined && path.includes(".") && path !== "prompt" ? ` (${path})` : ""
  return {
    message: oneLine(`${option ?? path} cannot be used${deeper}: ${withOptions(reason)}`),
    hint: path === "sessionId" || path === "continueSession"
      ? "--isolation none uses OpenCode's own data directory, where its sessions are"
      : undefined,
    exitCode,
    details
  }
}

const defectHint = "this is a bug in effect-opencode-cli: please report it with the output of --verbose"

const explainError = (error: unknown): Explanation => {
  if (isOpenCodeError(error)) return fromOpenCode(error)
  if (error instanceof CliError) {
    return {
      message: oneLine(error.reason),
      hint: error.hint,
      exitCode: error.exitCode ?? ExitCode.usage,
      details: error.cause === undefined ? error.reason : `${error.reason}\n${String(error.cause)}`
    }
  }
  if (error instanceof ReportedError) {
    return { message: "", hint: undefined, exitCode: error.exitCode, details: "" }
  }
  if (error instanceof InterruptedError) {
    return {
      // The person who pressed Ctrl-C knows, and nobody reads a closed pipe.
      message: error.signal === "SIGINT" || error.signal === "SIGPIPE" ? "" : error.message,
      hint: undefined,
      exitCode: ExitCode.ofSignal(error.signal),
      details: error.message
    }
  }
  if (error instanceof CrashedError) {
    return { message: oneLine(error.message), hint: defectHint, exitCode: ExitCode.failure, details: error.message }
  }
  if (PlatformError.isPlatformError(error)) {
    return { message: oneLine(error.message), hint: undefined, exitCode: ExitCode.failure, details: error.message }
  }
  const text = error instanceof Error ? error.message : String(error)
  return { message: oneLine(text), hint: undefined, exitCode: ExitCode.failure, details: text }
}

/** Explains why a command has ended. Total: defects are explained as well. */
export const explain = (cause: Cause.Cause<unknown>): Explanation => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) {
    const explained = explainError(failure.value)
    return { ...explained, details: `${explained.details}\n${Cause.pretty(cause, { renderErrorCause: true })}` }
  }
  if (Cause.isInterruptedOnly(cause)) return explainError(new InterruptedError({ signal: "SIGINT" }))
  const defect = Option.getOrElse(Cause.dieOption(cause), () => new Error("The program failed for an unknown reason."))
  return {
    ...explainError(defect),
    hint: defectHint,
    exitCode: ExitCode.failure,
    details: Cause.pretty(cause, { renderErrorCause: true })
  }
}

/** The lines that a person reads; empty if there is nothing to say. */
export const render = (
  explanation: Explanation,
  options: { readonly style: Style; readonly verbose: boolean }
): string => {
  const { style, verbose } = options
  if (explanation.message === "") return ""
  return [
    `${style.red("error:")} ${explanation.message}`,
    ...(explanation.hint === undefined ? [] : [`${style.cyan("hint:")} ${oneLine(explanation.hint)}`]),
    ...(verbose ? [style.dim(manyLines(explanation.details))] : [])
  ].join("\n")
}
