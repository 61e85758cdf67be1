/** `effect-opencode conformance`: checks what this library relies on against the OpenCode that is installed. */
import * as Binary from "effect-opencode/Binary"
import * as Contract from "effect-opencode/Contract"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Version from "effect-opencode/Version"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ReportedError } from "../CliError.js"
import * as commandLine from "../commandLine/commandLine.js"
import * as options from "../commandLine/options.js"
import * as conformanceTable from "../display/conformanceTable.js"
import * as Style from "../display/Style.js"
import * as ExitCode from "../ExitCode.js"
import { Host } from "../host/Host.js"
import * as node from "../host/node.js"
import { packageVersion } from "../packageVersion.js"

const clearLine = "\r\u001b[2K"

/** The facts with one of these names: whole, or its subject. */
const chosen = (facts: ReadonlyArray<Contract.Fact>, names: ReadonlyArray<string> | undefined) => {
  if (names === undefined) return Effect.succeed(facts)
  const wanted = names.flatMap((name) => name.split(",")).map((name) => name.trim()).filter((name) => name !== "")
  const matches = (id: string, name: string): boolean => id === name || id.startsWith(`${name}.`)
  const unknown = wanted.find((name) => !facts.some(({ id }) => matches(id, name)))
  if (unknown !== undefined) {
    const subjects = [...new Set(facts.map(({ id }) => id.split(".")[0]))].sort()
    return options.invalid(
      `--only: there is no fact "${unknown}".`,
      `subjects are ${subjects.join(", ")}; a fact is named as in the table`
    )
  }
  return Effect.succeed(facts.filter(({ id }) => wanted.some((name) => matches(id, name))))
}

/** Shows on standard error what is being tried: one line on a terminal, else a line for each scenario. */
const progress = (isQuiet: boolean) =>
  Effect.map(Host, ({ stderrIsTerminal, writeError }) => ({
    show: ({ doing, ended, state, total }: { doing: string; ended: number; state: string; total: number }) => {
      if (stderrIsTerminal) return writeError(`${clearLine}${ended} of ${total} … ${doing}`)
      return isQuiet || state === "started" ? Effect.void : writeError(`${ended} of ${total}: ${doing}\n`)
    },
    clear: stderrIsTerminal ? writeError(clearLine) : Effect.void
  }))

export const command = commandLine.make(
  {
    name: "conformance",
    description: "Checks everything that this library relies on against the OpenCode that is installed.",
    usage: "conformance [options]",
    examples: [
      ["effect-opencode conformance", "after an update of OpenCode"],
      ["effect-opencode conformance --json > report.json", "a report to attach to an issue"],
      ["effect-opencode conformance --only ask,permission", "only what concerns permissions"]
    ],
    notes: [
      "It runs offline and without an account, in directories of its own, and takes some minutes.",
      "The report has no paths and no secrets.",
      "Exit codes: 0 everything that matters is as expected; 1 something is not."
    ]
  },
  options.all(options.group("Options", {
    binary: options.text(
      "binary",
      "file",
      "The OpenCode binary. Default: $OPENCODE_BINARY, opencode-ai or @opencode/cli in node_modules, or opencode on $PATH."
    ),
    json: options.flag("json", "Print the report as one line of JSON."),
    only: options.texts("only", "subject|fact", "Check only these facts, or subjects such as stdin. Can be repeated.")
  })),
  ({ binary, json, only }) =>
    Effect.gen(function*() {
      const { columns, nodeVersion, platform, stdoutIsTerminal } = yield* Host
      const file = yield* Binary.resolve(binary)
      const version = yield* Effect.provide(
        Effect.flatMap(OpenCode.OpenCode, (service) => service.version),
        OpenCode.layer({ binary: file, allowUntested: true })
      )
      const facts = yield* chosen(Contract.facts(version), only)
      // Loaded on use: nothing else needs the scenarios.
      const Conformance = yield* Effect.promise(() => import("effect-opencode-testing/Conformance"))
      const { clear, show } = yield* progress(json)
      const clock = yield* Effect.clock
      const before = clock.unsafeCurrentTimeMillis()
      const judgements = yield* Effect.ensuring(
        Conformance.run({ binary: file, version, facts, httpServer: node.httpServer, onProgress: show }),
        clear
      )
      const report: conformanceTable.Report = {
        library: yield* packageVersion,
        opencode: Version.format(version),
        platform,
        node: nodeVersion,
        duration: clock.unsafeCurrentTimeMillis() - before,
        judgements
      }
      const style = yield* Style.stdout
      const screen = { style, columns: stdoutIsTerminal ? yield* columns : 120 }
      yield* Console.log(
        json ? JSON.stringify(conformanceTable.json(report)) : conformanceTable.table(report, screen).join("\n")
      )
      if (conformanceTable.hasFailed(report)) return yield* new ReportedError({ exitCode: ExitCode.failure })
    })
)
