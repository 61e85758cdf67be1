/** `effect-opencode doctor`: checks the machine and says what to do. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ReportedError } from "../CliError.js"
import * as commandLine from "../commandLine/commandLine.js"
import * as ConfigOptions from "../commandLine/ConfigOptions.js"
import * as options from "../commandLine/options.js"
import * as Style from "../display/Style.js"
import * as ExitCode from "../ExitCode.js"
import { Host } from "../host/Host.js"
import * as Doctor from "./Doctor.js"

const clearLine = "\r\u001b[2K"

/** Shows what a check is doing while it runs, on a terminal only. */
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

export const command = commandLine.make(
  {
    name: "doctor",
    description: "Checks that OpenCode can run here, and says what to do if not.",
    usage: "doctor [options]",
    examples: [],
    notes: [
      "Nothing leaves the machine: a scripted provider on the loopback address answers the runs.",
      "The last check tries the ten facts that this library needs most; `conformance` tries all of them.",
      "Exit codes: 0 no problem was found; 1 there is one."
    ]
  },
  options.all({
    ...options.group("Options", {
      json: options.flag("json", "Print the findings as one line of JSON."),
      model: options.text("m, model", "provider/model", "Check that OpenCode offers this model.")
    }),
    client: ConfigOptions.client
  }),
  ({ client, json, model }) =>
    Effect.gen(function*() {
      const { columns, stdoutIsTerminal } = yield* Host
      const style = yield* Style.stdout
      const screen = { style, columns: stdoutIsTerminal ? yield* columns : Number.POSITIVE_INFINITY }
      const findings: Array<Doctor.Finding> = []
      const failedIn = (name: string) => findings.some(({ check, status }) => check === name && status === "problem")
      for (const check of Doctor.checks({ client, model })) {
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
    })
)
