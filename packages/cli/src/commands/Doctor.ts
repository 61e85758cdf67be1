/**
 * Checks for what can be wrong on a machine that runs OpenCode. A check changes only its own temporary directories,
 * prints no secret, and needs no internet.
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Binary from "effect-opencode/Binary"
import * as Contract from "effect-opencode/Contract"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import * as Isolation from "effect-opencode/Isolation"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Sandbox from "effect-opencode/Sandbox"
import * as Version from "effect-opencode/Version"
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import wrapAnsi from "wrap-ansi"
import type { ClientOptions } from "../commandLine/ConfigOptions.js"
import * as values from "../commandLine/values.js"
import { plural } from "../display/plural.js"
import type { Style } from "../display/Style.js"
import { padEnd } from "../display/terminalText.js"
import * as Explanation from "../Explanation.js"
import { Host } from "../host/Host.js"
import * as node from "../host/node.js"
import * as containment from "./containment.js"
import * as processes from "./orphans.js"
import * as smoke from "./smoke.js"

export type Status = typeof Status.Type

/**
 * - `ok`: nothing to do
 * - `warning`: runs can work, but something is wrong
 * - `problem`: runs fail, or an earlier run has left something
 */
export const Status = Schema.Literal("ok", "warning", "problem")

/** The result of a check. */
export class Finding extends Schema.Class<Finding>("effect-opencode-cli/Finding")({
  /** The name of the check. */
  check: Schema.String,
  status: Status,
  message: Schema.String,
  /** What to do. */
  advice: Schema.optional(Schema.String)
}) {}

/** The services that the checks need. */
export type Services = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path | Host

/** One check. */
export interface Check {
  readonly name: string
  /** What the check is doing, shown while it runs. */
  readonly doing: string
  /** Whether it starts OpenCode; such a check is skipped without a binary. */
  readonly startsOpenCode: boolean
  readonly look: Effect.Effect<ReadonlyArray<Finding>, never, Services>
}

/** What to check. */
export interface Options {
  readonly client: ClientOptions
  /** A model that OpenCode has to offer. */
  readonly model?: string | undefined
}

type Found = Omit<typeof Finding.Type, "check" | "advice"> & { readonly advice?: string | undefined }

const check = (
  name: string,
  doing: string,
  look: Effect.Effect<ReadonlyArray<Found>, unknown, Services>,
  options?: { readonly startsOpenCode: boolean }
): Check => ({
  name,
  doing,
  startsOpenCode: options?.startsOpenCode ?? false,
  look: look.pipe(
    Effect.catchAllCause((cause) => Effect.succeed([ofFailure(cause)])),
    Effect.map((found) => found.map((finding) => new Finding({ check: name, ...finding })))
  )
})

const ok = (message: string): Found => ({ status: "ok", message })

const warning = (message: string, advice: string): Found => ({ status: "warning", message, advice })

const problem = (message: string, advice: string | undefined): Found => ({ status: "problem", message, advice })

const ofFailure = (cause: Cause.Cause<unknown>): Found => {
  const { hint, message } = Explanation.explain(cause)
  return problem(message, hint)
}

/** Known defects of versions that mostly work. */
const defectOf = (version: Version.Version): string | undefined => {
  if (!Version.isAtLeast(version, Version.make(1, 14, 0))) return "it has no --pure, --username or --auto"
  if (version.major === 1 && version.minor === 15) {
    return "it loses the end of every conversation, so each run starts it twice to fetch the end"
  }
  if (!Version.isAtLeast(version, Version.make(1, 18, 0))) {
    return "it can lose the end of a conversation (--recover export fetches it)"
  }
  return undefined
}

const versionOf = (client: ClientOptions) =>
  Effect.provide(Effect.flatMap(OpenCode.OpenCode, (service) => service.version), OpenCode.layer(client))

const binary = (options: Options) =>
  Effect.matchEffect(Binary.resolve(options.client.binary), {
    onFailure: (error) =>
      Effect.succeed([problem(
        error.message.replace(/ Install it .*$/, ""),
        "npm install -g opencode-ai@1.18.33, or give its path with --binary or OPENCODE_BINARY"
      )]),
    onSuccess: (file) => installed(file, options)
  })

const installed = (file: string, { client }: Options) =>
  Effect.gen(function*() {
    const version = yield* versionOf(client)
    const defect = defectOf(version)
    const what = `OpenCode ${Version.format(version)} at ${file}`
    return [defect === undefined ? ok(what) : warning(`${what}: ${defect}`, "npm install -g opencode-ai@1.18.33")]
  })

/** OpenCode's directories, the same on every platform (1.18.33). */
const home = (name: string, below: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const set = yield* HostEnvironment.variable(name)
    if (set !== undefined) return path.join(set, "opencode")
    const user = yield* Isolation.home
    return user === undefined ? undefined : path.join(user, ...below, "opencode")
  })

const dataHome = home("XDG_DATA_HOME", [".local", "share"])

/** Variables that providers' own tools read credentials from, besides those that end in `_API_KEY`. */
const wellKnown = new Set([
  "AWS_ACCESS_KEY_ID",
  "AWS_BEARER_TOKEN_BEDROCK",
  "AWS_PROFILE",
  "CLOUDFLARE_API_TOKEN",
  "GITHUB_TOKEN",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "HF_TOKEN"
])

const namesCredentials = (name: string): boolean => /_API_KEY$/.test(name) || wellKnown.has(name)

/** The names of the providers, without their values. */
const providersOf = (text: string): Either.Either<ReadonlyArray<string>, string> =>
  Either.flatMap(
    values.json(text),
    (value) => values.isObject(value) ? Either.right(Object.keys(value)) : Either.left("it is not a JSON object")
  )

const credentials = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { environmentNames, platform } = yield* Host
  const directory = yield* dataHome
  const file = directory === undefined ? undefined : path.join(directory, "auth.json")
  const findings: Array<Found> = []
  let count = 0
  if (file !== undefined && (yield* Effect.orElseSucceed(fileSystem.exists(file), () => false))) {
    yield* fileSystem.readFileString(file).pipe(
      Effect.mapError(() => "it cannot be read"),
      Effect.flatMap(providersOf),
      Effect.match({
        onFailure: (reason) => {
          findings.push(problem(`The stored credentials in ${file} cannot be used: ${reason}.`, "opencode auth login"))
        },
        onSuccess: (providers) => {
          count += providers.length
          if (providers.length > 0) findings.push(ok(`stored for ${providers.join(", ")}`))
        }
      })
    )
    const info = yield* Effect.option(fileSystem.stat(file))
    if (platform !== "win32" && Option.exists(info, ({ mode }) => (mode & 0o077) !== 0)) {
      findings.push(warning(`Others can read ${file}.`, `chmod 600 ${file}`))
    }
  }
  const inherited = yield* HostEnvironment.variable("OPENCODE_AUTH_CONTENT")
  if (inherited !== undefined) {
    Either.match(providersOf(inherited), {
      onLeft: (reason) => {
        findings.push(problem(`$OPENCODE_AUTH_CONTENT cannot be used: ${reason}.`, "correct it or unset it"))
      },
      onRight: (providers) => {
        count += providers.length
        findings.push(ok(`in $OPENCODE_AUTH_CONTENT for ${providers.join(", ")}`))
      }
    })
  }
  const names = yield* Effect.filter(
    environmentNames.filter(namesCredentials),
    (name) => Effect.map(HostEnvironment.variable(name), (value) => value !== undefined)
  )
  if (names.length > 0) {
    count += names.length
    findings.push(ok(`in the environment: ${[...names].sort().join(", ")}`))
  }
  return count > 0 ? findings : [
    ...findings,
    warning(
      "No credentials found: only models that need none will work.",
      "opencode auth login, or set the provider's variable, for example ANTHROPIC_API_KEY"
    )
  ]
})

/** Whether a directory can be written to, or created. */
const canWrite = (directory: string): Effect.Effect<boolean, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const info = yield* Effect.option(fileSystem.stat(directory))
    const parent = path.dirname(directory)
    if (Option.isNone(info)) return parent === directory ? false : yield* canWrite(parent)
    if (info.value.type !== "Directory") return false
    return yield* Effect.isSuccess(fileSystem.access(directory, { writable: true }))
  })

const directories = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { temporaryDirectory } = yield* Host
  const findings: Array<Found> = []
  // Only a write shows whether there is space.
  const written = yield* Effect.isSuccess(Effect.scoped(Effect.flatMap(
    fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-doctor-" }),
    (directory) => fileSystem.writeFileString(path.join(directory, "file"), "x")
  )))
  if (!written) {
    findings.push(problem(
      `The temporary directory ${temporaryDirectory}, which holds every run's data, cannot be written to.`,
      "free some space there, or set TMPDIR to another directory"
    ))
  }
  const own = {
    data: yield* dataHome,
    config: yield* home("XDG_CONFIG_HOME", [".config"]),
    cache: yield* home("XDG_CACHE_HOME", [".cache"]),
    state: yield* home("XDG_STATE_HOME", [".local", "state"])
  }
  let writable = 0
  for (const [name, directory] of Object.entries(own)) {
    if (directory === undefined || !(yield* canWrite(directory))) {
      findings.push(problem(
        directory === undefined
          ? `OpenCode's ${name} directory is unknown because HOME is not set.`
          : `OpenCode's ${name} directory ${directory} cannot be written to.`,
        directory === undefined ? "set HOME" : `correct its owner or mode, or set XDG_${name.toUpperCase()}_HOME`
      ))
    } else writable++
  }
  const here = path.resolve(".")
  if (!(yield* canWrite(here))) {
    findings.push(warning(`The working directory ${here} cannot be written to.`, "an agent can only read files here"))
  }
  return findings.length > 0
    ? findings
    : [
      ok(
        `${temporaryDirectory}, ${plural(writable, "directory", "directories")} of OpenCode, the working directory`
      )
    ]
})

/** An hour, because a program that keeps a session open has no process between its turns. */
const oldEnough = Duration.hours(1)

const leftovers = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { platform, temporaryDirectory } = yield* Host
  if (platform === "win32") return [ok("not checked on Windows")]
  const table = yield* processes.list
  const { runs, underWay } = processes.leftovers(table)
  const findings = runs.map(({ pids, runId }) =>
    problem(
      `The run ${runId} has ended, but left ${plural(pids.length, "process", "processes")} running: ${
        pids.join(", ")
      }.`,
      `kill ${pids.join(" ")}`
    )
  )
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(temporaryDirectory), (): Array<string> => [])
  const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  const abandoned = yield* Effect.filter(
    names.filter((name) => name.startsWith("effect-opencode-")).map((name) => path.join(temporaryDirectory, name)),
    (directory) =>
      Effect.map(Effect.option(fileSystem.stat(directory)), (info) =>
        Option.exists(
          Option.flatMap(info, ({ mtime }) => mtime),
          (changed) => now - changed.getTime() > Duration.toMillis(oldEnough)
        ) && !table.some(({ environment }) => environment.includes(directory)))
  )
  if (abandoned.length > 0) {
    findings.push(warning(
      `${plural(abandoned.length, "directory", "directories")} left by ended runs: ${abandoned.join(", ")}.`,
      `rm -r ${
        path.join(temporaryDirectory, "effect-opencode-")
      }…, unless one of your programs keeps a session open there`
    ))
  }
  return findings.length > 0
    ? findings
    : [
      ok(
        underWay === 0
          ? "no process or directory left by an earlier run"
          : `none; ${plural(underWay, "run")} in progress`
      )
    ]
})

const toolsAreFound: { readonly [K in containment.Found["limit"]]: string } = {
  used: "its tools are found by their environment or by a limit that they inherit",
  taken: "its tools are found by their environment; those that empty it at the end of the run around this program",
  none: "its tools are found by their environment"
}

const namespaceText = (namespace: containment.Found["namespace"]): string =>
  typeof namespace === "object"
    ? `\`--containment namespace\` is not possible: ${namespace.refused}`
    : `\`--containment namespace\` is possible${namespace === "user" ? ", in user namespaces" : ""}`

const kept = Effect.gen(function*() {
  if ((yield* Host).platform === "win32") return [ok("on Windows the platform ends the tree of a run")]
  const { limit, missing, namespace } = yield* containment.look
  return [
    missing.length > 0
      ? warning(
        `No watchdog can be started, because there is no ${missing.join(", ")}: runs go on if their program is killed.`,
        "install coreutils and grep"
      )
      : ok(
        `a run ends with its program; ${toolsAreFound[limit]}; ${namespaceText(namespace)}`
      )
  ]
})

const boxes = Effect.gen(function*() {
  const { missing, missingForNetwork } = yield* Sandbox.support
  return [
    ok(
      missing !== undefined
        ? `runs cannot be kept in one: ${missing}`
        : missingForNetwork !== undefined
        ? `runs can be kept from writing elsewhere (--sandbox), but not without a network: ${missingForNetwork}`
        : "runs can be kept from writing elsewhere (--sandbox), and from the network (--sandbox-network)"
    )
  ]
})

const models = ({ client, model }: Options) =>
  Effect.gen(function*() {
    const listed = yield* Effect.provide(
      Effect.flatMap(OpenCode.OpenCode, (service) => service.models),
      OpenCode.layer({ ...client, defaults: { extraEnv: smoke.offline } })
    )
    const providers = [...new Set(listed.map((name) => name.split("/")[0] ?? ""))]
    if (listed.length === 0) {
      return [problem("OpenCode offers no models.", "opencode auth login, or configure a provider")]
    }
    const offered = `${plural(listed.length, "model")} of ${providers.join(", ")}`
    return model === undefined || listed.includes(model)
      ? [ok(model === undefined ? offered : `${model}, one of ${offered}`)]
      : [problem(`${model} is not one of the ${offered}.`, "`opencode models` lists them")]
  })

/** The ten facts that matter most, in directories of their own: a plugin or a setting of the user plays no part. */
const contract = ({ client }: Options) =>
  Effect.gen(function*() {
    const file = yield* Binary.resolve(client.binary)
    const version = yield* versionOf(client)
    // Loaded on use: nothing else needs the scenarios.
    const Conformance = yield* Effect.promise(() => import("effect-opencode-testing/Conformance"))
    const facts = Contract.mostImportant(version)
    const judgements = yield* Conformance.run({ binary: file, version, facts, httpServer: node.httpServer })
    const having = (status: Contract.Status) => judgements.filter((judgement) => judgement.status === status)
    const [differing, untried] = [having("differs"), having("untried")]
    const advice = "`effect-opencode conformance` checks everything and shows what it saw"
    const words = (found: ReadonlyArray<Contract.Judgement>) =>
      found.map(({ fact }) => `${fact.says.replace(/\.$/, "")} (${fact.id})`).join("; ")
    const holding = `${judgements.length - differing.length - untried.length} of ${
      plural(judgements.length, "fact")
    } that this library relies on are as expected`
    return [
      ...(differing.length + untried.length === 0 ? [ok(holding)] : []),
      ...(differing.length === 0
        ? []
        : [
          problem(
            `Only ${holding}. This is otherwise in OpenCode ${Version.format(version)}: ${words(differing)}.`,
            advice
          )
        ]),
      ...(untried.length === 0 ? [] : [warning(`This could not be tried: ${words(untried)}.`, advice)])
    ]
  })

/** The checks, most useful first. The last three start OpenCode, which takes 4 seconds of processor time each. */
export const checks = (options: Options): ReadonlyArray<Check> => [
  check("binary", "asking OpenCode for its version", binary(options)),
  check("credentials", "looking for credentials", credentials),
  check("directories", "writing to directories", directories),
  check("leftovers", "looking for leftovers of earlier runs", leftovers),
  check("containment", "checking what ends the processes of a run", kept),
  check("sandbox", "trying a sandbox", boxes),
  check("models", "asking OpenCode for its models", models(options), { startsOpenCode: true }),
  check(
    "smoke",
    "running OpenCode with a scripted model",
    Effect.map(smoke.run(options.client), (said) => [ok(said)]),
    { startsOpenCode: true }
  ),
  check("contract", "checking the facts that matter most", contract(options), { startsOpenCode: true })
]

const marks: { readonly [S in Status]: (style: Style) => string } = {
  ok: (style) => style.green("✔"),
  warning: (style) => style.yellow("!"),
  problem: (style) => style.red("✘")
}

const nameWidth = 12

const wrap = (text: string, columns: number): ReadonlyArray<string> =>
  wrapAnsi(text.replace(/\s+/g, " "), columns).split("\n")

/** A finding for a person, wrapped to the given number of columns. */
export const render = (
  finding: Finding,
  options: { readonly style: Style; readonly columns: number }
): ReadonlyArray<string> => {
  const { columns, style } = options
  const indent = " ".repeat(nameWidth + 3)
  const [first = "", ...more] = wrap(finding.message, columns - indent.length)
  const [advice, ...rest] = finding.advice === undefined ? [] : wrap(finding.advice, columns - indent.length - 2)
  return [
    `${marks[finding.status](style)} ${style.bold(padEnd(finding.check, nameWidth))} ${first}`,
    ...more.map((line) => indent + line),
    ...(advice === undefined ? [] : [`${indent}${style.cyan("→")} ${advice}`]),
    ...rest.map((line) => `${indent}  ${line}`)
  ]
}

/** The last line: how many problems and warnings. */
export const conclusion = (findings: ReadonlyArray<Finding>, style: Style): string => {
  const number = (status: Status): number => findings.filter((finding) => finding.status === status).length
  const [problems, warnings] = [number("problem"), number("warning")]
  if (problems > 0) return style.red(`${plural(problems, "problem")}, ${plural(warnings, "warning")}`)
  return warnings > 0 ? style.yellow(`no problems, ${plural(warnings, "warning")}`) : style.green("no problems")
}
