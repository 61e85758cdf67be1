/**
 * `effect-opencode doctor`: looks at the machine and says what to do.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ReportedError } from "../CliError.js"
import * as ConfigOptions from "../commandLine/ConfigOptions.js"
import * as Style from "../display/Style.js"
import * as ExitCode from "../ExitCode.js"
import { Host } from "../host/Host.js"
import * as Doctor from "./Doctor.js"

const clearLine = "\r\u001b[2K"

/** Says what goes on while a check looks, where somebody can see it go. */
const whileLooking = ({ doing, look }: Doctor.Check) =>
  Effect.gen(function*() {
    const { stderrIsTerminal, writeError } = yield* Host
    const style = yield* Style.stderr
    return stderrIsTerminal
      ? yield* Effect.ensuring(
        Effect.andThen(writeError(`${clearLine}${style.dim(`… ${doing}`)}`), look),
        writeError(clearLine)
      )
      : yield* look
  })

/**
 * @since 0.1.0
 * @category commands
 */
export const command = Command.make("doctor", {
  json: Options.boolean("json").pipe(Options.withDescription("Print the findings as one line of JSON.")),
  model: Options.text("model").pipe(
    Options.withAlias("m"),
    Options.withPseudoName("provider/model"),
    Options.withDescription("Check that OpenCode offers this model."),
    Options.optional
  ),
  client: ConfigOptions.client
}, ({ client, json, model }) =>
  Effect.gen(function*() {
    const { columns, stdoutIsTerminal } = yield* Host
    const style = yield* Style.stdout
    const screen = { style, columns: stdoutIsTerminal ? yield* columns : Number.POSITIVE_INFINITY }
    const findings: Array<Doctor.Finding> = []
    const failedIn = (name: string) => findings.some(({ check, status }) => check === name && status === "problem")
    for (const check of Doctor.checks({ client, model: Option.getOrUndefined(model) })) {
      if (check.startsOpenCode && failedIn("binary")) continue
      const found = yield* whileLooking(check)
      findings.push(...found)
      if (!json) yield* Console.log(found.flatMap((finding) => Doctor.render(finding, screen)).join("\n"))
    }
    const failed = findings.some(({ status }) => status === "problem")
    yield* Console.log(
      json ? JSON.stringify({ ok: !failed, findings }) : `\n${Doctor.conclusion(findings, style)}`
    )
    if (failed) return yield* new ReportedError({ exitCode: ExitCode.failure })
  })).pipe(Command.withDescription("Checks that OpenCode can run here, and says what to do."))
