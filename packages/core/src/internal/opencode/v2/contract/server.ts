/** Facts about the start and the end of a server, and about what it refuses. */
import * as Option from "effect/Option"
import * as Version from "../../../../Version.js"
import type { Fact } from "../../contract.js"
import { always, at } from "../../contract.js"
import * as crashTexts from "../crashTexts.js"
import * as invocation from "../invocation.js"
import * as questions from "../questions.js"
import * as server from "../server.js"
import * as facts from "./fact.js"
import * as reading from "./reading.js"

const lines = facts.of("command line", { usedBy: ["internal/opencode/v2/invocation.ts"] })

const text = facts.of("text", {
  usedBy: ["internal/opencode/v2/dialect.ts", "internal/transport/private/process.ts"]
})

const ends = facts.of("ends", { usedBy: ["internal/transport/private/process.ts", "internal/process/spawn.ts"] })

const configuration = facts.of("configuration", {
  usedBy: ["internal/opencode/v2/diagnostics.ts", "internal/transport/private/attempt.ts"]
})

const refusals = facts.of("refusals", {
  usedBy: ["internal/opencode/v2/crashTexts.ts", "internal/opencode/sqliteCrash.ts"]
})

const starts = "No run starts."

/** The options with which the library starts a server. */
const flags = invocation.args.filter((word) => word.startsWith("--"))

const flag = (word: string): Fact =>
  lines(`serve.${word.slice(2)}`, `\`serve\` has the option \`${word}\`.`, true, (recording) => {
    const help = reading.process(recording, "help")
    return help === undefined ? undefined : new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(help.stdout)
  }, starts)

/** What a server that cannot open its database leaves, and what the library makes of it. */
const refusal = (
  id: string,
  says: string,
  process: string,
  value: { readonly hint: boolean; readonly isTransient: boolean },
  otherwise: string,
  weight: Fact["weight"] = "matters"
): Fact =>
  refusals(
    id,
    says,
    { ...value, listens: false, ending: "exit 1" },
    (recording) => {
      const found = reading.process(recording, process)
      if (found === undefined) return undefined
      const stderr = reading.stderrOf(recording, process)
      return {
        hint: crashTexts.hint(stderr) !== undefined,
        isTransient: crashTexts.sqlite(stderr) !== undefined,
        listens: found.stdout.includes("\"url\""),
        ending: reading.ending(recording, process)
      }
    },
    otherwise,
    { weight }
  )

const survivor = (id: string, says: string, name: string, value: boolean, otherwise: string): Fact =>
  ends(id, says, value, (recording) => recording.observed[`${name}Survives`], otherwise, {
    usedBy: ["internal/process/table.ts", "internal/process/leash.ts"],
    weight: value ? "note" : "matters"
  })

const dropped = (id: string, says: string, process: string, value: ReadonlyArray<string>): Fact =>
  configuration(
    id,
    says,
    value,
    (recording) => reading.dropped(recording, process),
    value.length === 0
      ? "Runs are refused for settings that OpenCode only ignores."
      : "A run goes on without a part of its configuration, such as a rule that denies something."
  )

/** What a plugin of the project has noted. */
const plugins = (
  id: string,
  says: string,
  name: string,
  value: ReadonlyArray<string>,
  otherwise: string,
  weight: Fact["weight"] = "matters"
): Fact =>
  configuration(
    id,
    says,
    value,
    (recording) => {
      const notes = recording.observed[`${name}Notes`]
      return typeof notes === "string" ? [...new Set(notes.split("\n"))].filter((note) => note !== "") : undefined
    },
    otherwise,
    { usedBy: ["internal/opencode/v2/invocation.ts"], weight }
  )

export const all: ReadonlyArray<Fact> = [
  {
    ...lines("version.text", "`--version` prints a name and the version.", "", () => undefined, starts),
    expected: always("opencode v"),
    observe: (recording, version) => {
      const found = reading.process(recording, "version")
      return found === undefined ? undefined : found.stdout.trim().replace(Version.format(version), "")
    },
    usedBy: ["Version.ts", "internal/launch/launcher.ts"]
  },
  ...flags.map(flag),
  lines(
    "option.unknown",
    "An unknown option ends it with code 1 and a line on stderr, which is explained.",
    { ending: "exit 1", hint: true },
    (recording) =>
      reading.process(recording, "unknown flag") === undefined ? undefined : {
        ending: reading.ending(recording, "unknown flag"),
        hint: crashTexts.hint(reading.stderrOf(recording, "unknown flag")) !== undefined
      },
    "An option that a version lacks is ignored, or its refusal is not explained.",
    { usedBy: ["internal/opencode/v2/crashTexts.ts"], weight: "note" }
  ),
  lines(
    "models.command",
    "`models` prints nothing right after its start, so the server is asked.",
    { ending: "exit 0", lines: 0 },
    (recording) => {
      const found = reading.process(recording, "models")
      return found === undefined ? undefined : {
        ending: reading.ending(recording, "models"),
        lines: found.stdout.split("\n").filter((line) => line !== "").length
      }
    },
    "Nothing: the command could be used.",
    { usedBy: ["internal/opencode/v2/questions.ts", "internal/transport/private/catalog.ts"], weight: "note" }
  ),
  lines(
    "export.unknown",
    "The export of an unknown session ends with code 1 and no session.",
    { ending: "exit 1", text: true, isSession: false },
    (recording) => {
      const found = reading.process(recording, "export of nothing")
      return found === undefined ? undefined : {
        ending: reading.ending(recording, "export of nothing"),
        text: found.stderr.includes("Session not found"),
        isSession: questions.session("ses_nonesuch").read(found.stdout)._tag === "Some"
      }
    },
    "A session that does not exist looks empty.",
    { usedBy: ["internal/opencode/v2/questions.ts", "internal/run/sessionExport.ts"], weight: "note" }
  ),
  text(
    "server.ready",
    "A server that listens prints a line of JSON with its address on loopback.",
    "http://127.0.0.1",
    (recording) =>
      reading.process(recording)?.stdout.split("\n").map(invocation.address).find((one) => one !== undefined)
        ?.replace(/:\d+$/, "") ?? (reading.process(recording) === undefined ? undefined : "no address"),
    starts
  ),
  text(
    "server.password",
    "Without the password in `OPENCODE_PASSWORD` every request is answered with 401.",
    401,
    (recording) => reading.observed(recording, "withoutPassword", "status"),
    "Other users of the machine can use the server of a run.",
    { usedBy: ["internal/transport/server/credentials.ts"] }
  ),
  text(
    "server.stderr",
    "A server of a good configuration reports nothing that was dropped.",
    [],
    (recording) => reading.dropped(recording, reading.main),
    "Every run ends as a configuration error.",
    { usedBy: ["internal/opencode/v2/diagnostics.ts"] }
  ),
  text(
    "data.variable",
    "`OPENCODE_DB` moves the database, so that two majors have two.",
    { there: true, default: false },
    (recording) =>
      reading.process(recording) === undefined
        ? undefined
        : { there: recording.observed["database"], default: recording.observed["defaultDatabase"] },
    "A database of OpenCode 1 is opened, and lost for it.",
    { usedBy: ["internal/opencode/variables.ts", "internal/transport/private/transport.ts"] }
  ),
  text(
    "server.lease",
    "A server ends with code 0 when its standard input ends.",
    "exit 0",
    (recording) => reading.ending(recording),
    "Servers stay when their program was killed."
  ),
  ends(
    "signal.term",
    "SIGTERM ends a server with code 130.",
    "exit 130",
    (recording) => reading.ending(recording, "terminate"),
    "A run that was cancelled from outside is reported as a crash."
  ),
  survivor(
    "signal.term-tools",
    "SIGTERM ends the commands of a server as well.",
    "terminate",
    false,
    "Commands survive a run until the library has found them."
  ),
  survivor(
    "server.lease-tools",
    "The end of its standard input ends the commands of a server as well.",
    "lease",
    false,
    "Commands survive a program that was killed."
  ),
  survivor(
    "signal.kill-tools",
    "Commands survive a server that was killed: the library has to find and end them.",
    "kill",
    true,
    "Nothing: fewer processes have to be ended."
  ),
  dropped(
    "config.value",
    "A value that it cannot read is dropped, and its path is on stderr before the model is asked.",
    "bad value",
    ["$.permissions.0"]
  ),
  dropped("config.json", "A configuration that is not JSON is dropped, and stderr says so.", "bad JSON", ["$"]),
  dropped("config.unknown", "An unknown setting is not reported as dropped.", "unknown key", []),
  configuration(
    "config.model",
    "The documents of the configuration are listed, the weakest first, with the model that they name.",
    { provider: "fake", id: "m1" },
    (recording) => {
      if (recording.observed["pluginsConfiguration"] === undefined) return undefined
      const found = server.replies.configuredModel(at(recording.observed["pluginsConfiguration"], "body"))
      return found === undefined ? "unreadable" : Option.getOrElse(found, () => "none")
    },
    "A run that names no model has another one than OpenCode is configured with, or is refused.",
    { usedBy: ["internal/opencode/v2/server.ts", "internal/transport/private/attempt.ts"] }
  ),
  plugins(
    "plugins.project",
    "The plugins of a project are loaded and set up.",
    "plugins",
    ["loaded", "set up"],
    "Nothing: plugins of projects do not run.",
    "note"
  ),
  plugins(
    "plugins.pure",
    "The words `-*` and `opencode.*`, after those of all other documents, leave them without their set-up.",
    "pure",
    ["loaded"],
    "`pure` has no effect: plugins of a project run with every prompt."
  ),
  configuration(
    "plugins.own",
    "They leave OpenCode's own plugins on, without which there are no agents.",
    true,
    (recording) => {
      if (recording.observed["pureAgents"] === undefined) return undefined
      return server.replies.agents(at(recording.observed["pureAgents"], "body"))?.some(({ id }) => id === "build") ??
        "unreadable"
    },
    "A run with `pure` finds no agent.",
    { usedBy: ["internal/opencode/v2/invocation.ts"] }
  ),
  configuration(
    "logins.file",
    "`auth.json` is not read with a fresh database.",
    "none",
    (recording) =>
      reading.requests(recording).length === 0 ? undefined : reading.requests(recording)[0]?.authorization ?? "none",
    "Nothing: stored logins could be used.",
    { usedBy: ["internal/transport/private/transport.ts", "internal/transport/private/attempt.ts"], weight: "note" }
  ),
  configuration(
    "models.path",
    "`OPENCODE_MODELS_PATH` names the list of models; a provider with its key in a variable is listed.",
    true,
    (recording) => {
      const { data } = reading.reply(recording, "models")
      return Array.isArray(data) ? data.some((model) => at(model, "providerID") === "listed") : undefined
    },
    "A list of models of your own has no effect.",
    { usedBy: ["internal/opencode/variables.ts"], weight: "note" }
  ),
  refusal(
    "refused.database",
    "A damaged database ends it before it listens, which is explained and not tried again.",
    "damaged database",
    { hint: true, isTransient: false },
    "A damaged database is not recognized, or tried again in vain."
  ),
  refusal(
    "refused.directory",
    "A database that cannot be created ends it before it listens, which is explained and not tried again.",
    "data directory is a file",
    { hint: true, isTransient: false },
    "The error does not say what to do, or is tried again in vain.",
    "note"
  ),
  refusal(
    "crash.migration",
    "A migration that fails, as one run twice does, ends it before it listens, and is tried again.",
    "failed migration",
    { hint: false, isTransient: true },
    "Crashes of concurrent starts fail runs instead of being tried again."
  )
]
