/** The command line of the runner: flags only, because everything secret comes from the environment. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"

export interface RunnerArguments {
  readonly host: string
  readonly port: number
  readonly listenHost: string
  readonly healthPort: number
  readonly agents: number
  readonly name: string | undefined
  readonly drain: Duration.Duration
  readonly data: string | undefined
  /** Names of variables whose values jobs may name as secrets. */
  readonly secrets: ReadonlyArray<string>
}

export type CommandLine =
  | { readonly _tag: "Help" }
  | { readonly _tag: "Version" }
  | ({ readonly _tag: "Runner" } & RunnerArguments)

/** The command line cannot be used. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

export const help = `effect-opencode-cluster runner --host <name> [options]

Runs agents for the jobs of a cluster. DATABASE_URL in the environment is the PostgreSQL that all runners share; the
variable is removed before anything is started. OPENCODE_BINARY is the path of OpenCode, if it is not on PATH.

  --host <name>          the name or address by which the other programs of the cluster reach this runner
  --port <number>        the port for them (34431)
  --listen-host <name>   the address to listen on, also for the health endpoint (the host)
  --health-port <number> the port of /live, /ready and /health (34432)
  --agents <number>      agents at the same time (4)
  --name <text>          the name of the runner in results (host:port)
  --drain <duration>     how long running agents may finish after SIGTERM ("2 hours")
  --data <directory>     sessions to resume, mirrors and working trees
  --secret <name>        a variable that jobs may name as a secret; can be repeated
  --help, --version

Exit codes: 1 the database or the runner failed, 2 the command line cannot be used, 3 OpenCode was not found or is not a
supported version, 4 OpenCode does not start, 130 ended by Ctrl-C, 143 ended by SIGTERM, both after the agents have ended.
`

const names = [
  "host",
  "port",
  "listen-host",
  "health-port",
  "agents",
  "name",
  "drain",
  "data",
  "secret"
] as const

type Name = typeof names[number]

const isName = (text: string): text is Name => names.some((name) => name === text)

const wrong = (message: string) => Either.left(new UsageError({ message }))

/** Values by flag. The text of an argument that is not a flag is never repeated: it can be a URL with a password. */
const flagsOf = (args: ReadonlyArray<string>): Either.Either<ReadonlyMap<Name, ReadonlyArray<string>>, UsageError> => {
  const flags = new Map<Name, ReadonlyArray<string>>()
  for (let index = 0; index < args.length; index++) {
    const [, name, attached] = /^--([a-z-]+)(?:=([^]*))?$/.exec(args[index]!) ?? []
    if (name === undefined) {
      return wrong("There is an argument that is not an option. The URL of the database is given in DATABASE_URL.")
    }
    if (!isName(name)) return wrong(`Unknown option --${name}; --help shows all.`)
    const value = attached ?? args[++index]
    if (value === undefined || value === "") return wrong(`--${name} needs a value.`)
    if (name !== "secret" && flags.has(name)) return wrong(`--${name} is given twice.`)
    flags.set(name, [...flags.get(name) ?? [], value])
  }
  return Either.right(flags)
}

const integer = (
  flags: ReadonlyMap<Name, ReadonlyArray<string>>,
  name: Name,
  otherwise: number,
  most: number
): Either.Either<number, UsageError> => {
  const text = flags.get(name)?.[0]
  if (text === undefined) return Either.right(otherwise)
  return /^[1-9]\d{0,8}$/.test(text) && Number(text) <= most
    ? Either.right(Number(text))
    : wrong(`--${name} must be an integer from 1 to ${most}.`)
}

/** A duration with a unit: "90 seconds", "2h" is not one. */
const isDuration = (text: string): text is `${number} minutes` =>
  /^\d+(\.\d+)? (millis|seconds?|minutes?|hours?|days?)$/.test(text)

const runner = (args: ReadonlyArray<string>): Either.Either<CommandLine, UsageError> =>
  Either.gen(function*() {
    const flags = yield* flagsOf(args)
    const host = flags.get("host")?.[0]
    if (host === undefined) {
      return yield* wrong("--host is needed: the name by which the other programs of the cluster reach this runner.")
    }
    const port = yield* integer(flags, "port", 34431, 65_535)
    const healthPort = yield* integer(flags, "health-port", 34432, 65_535)
    if (port === healthPort) return yield* wrong("--port and --health-port must differ.")
    const drain = flags.get("drain")?.[0] ?? "2 hours"
    if (!isDuration(drain)) return yield* wrong("--drain must be a duration like \"90 seconds\" or \"2 hours\".")
    const secrets = flags.get("secret") ?? []
    const bad = secrets.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    if (bad !== undefined) return yield* wrong("--secret takes the name of a variable, not a value.")
    return {
      _tag: "Runner" as const,
      host,
      port,
      listenHost: flags.get("listen-host")?.[0] ?? host,
      healthPort,
      agents: yield* integer(flags, "agents", 4, 10_000),
      name: flags.get("name")?.[0],
      drain: Duration.decode(drain),
      data: flags.get("data")?.[0],
      secrets
    }
  })

/** Reads the arguments after the name of the program. */
export const parse = (args: ReadonlyArray<string>): Either.Either<CommandLine, UsageError> => {
  if (args.length === 0 || args.includes("--help") || args.includes("-h")) return Either.right({ _tag: "Help" })
  if (args.length === 1 && args[0] === "--version") return Either.right({ _tag: "Version" })
  return args[0] === "runner"
    ? runner(args.slice(1))
    : wrong("The only command is \"runner\"; --help shows its options.")
}
