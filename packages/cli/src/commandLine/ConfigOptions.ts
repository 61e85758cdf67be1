/**
 * The options of a run and of the layer that carries it out as options of the command line: each field under its own
 * name in kebab-case. Secrets come from environment variables or files, because everybody on the machine can read
 * arguments.
 */
import type * as OpenCode from "effect-opencode/OpenCode"
import * as Permission from "effect-opencode/Permission"
import * as Redaction from "effect-opencode/Redaction"
import type { RunConfig } from "effect-opencode/RunConfig"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as utf8 from "../host/utf8.js"
import type { Group } from "./commandLine.js"
import * as dotenv from "./dotenv.js"
import { given } from "./given.js"
import * as options from "./options.js"
import { choice, either, invalid, optional, parsed, required, text, texts, toggle } from "./options.js"
import * as values from "./values.js"

/** Not there unless it is given, so that the layer's own default stays. */
const flag = (name: string, description: string): options.Option<boolean | undefined> =>
  options.map(options.flag(name, description), (given) => given ? true : undefined)

const duration = (name: string, description: string): options.Option<Duration.Duration | undefined> =>
  parsed(name, "time", description, values.duration)

const number = (name: string, description: string): options.Option<number | undefined> =>
  parsed(name, "n", description, values.number)

const readFile = (name: string, file: string) =>
  Effect.mapError(utf8.readFile(file), ({ message }) => invalid(`--${name}: the file ${message}`))

/** JSON as it is, or `@` and the name of a file that holds it. */
const json = <A>(
  name: string,
  description: string,
  decode: (value: unknown) => Either.Either<A, string>
): options.Option<A | undefined> =>
  options.mapEffect(
    text(name, "json|@file", description),
    (given) =>
      given === undefined ? Effect.succeed(undefined) : Effect.gen(function*() {
        const fromFile = given.startsWith("@")
        const text = fromFile ? yield* readFile(name, given.slice(1)) : given
        const value = yield* Either.mapLeft(values.json(text), (reason) => invalid(`--${name}: ${reason}`))
        if (!fromFile && values.holdsSecret(value)) {
          return yield* Effect.fail(invalid(
            `--${name} holds a secret, and everybody on the machine can read arguments: put it in a file (--${name} @file)`
          ))
        }
        return yield* Either.mapLeft(decode(value), (reason) => invalid(`--${name}: ${reason}`))
      })
  )

const profiles: { readonly [name: string]: Permission.Rules } = {
  "allow": "allow",
  "deny": "deny",
  "read-only": Permission.readOnly,
  "allow-all": Permission.allowAll,
  "deny-all": Permission.denyAll
}

const permission = options.mapEffect(
  text(
    "permission",
    "profile|json|@file",
    "What the agent may do: read-only, allow-all, deny-all, or rules ('{\"*\":\"deny\",\"read\":\"allow\"}'). Default: OpenCode's, and what it would ask about is refused.",
    Object.keys(profiles)
  ),
  (given) =>
    Effect.gen(function*() {
      if (given === undefined) return undefined
      const profile = Object.hasOwn(profiles, given) ? profiles[given] : undefined
      if (profile !== undefined) return profile
      if (/^[\w-]+$/.test(given)) {
        return yield* Effect.fail(
          invalid(`--permission: there is no profile "${given}"; there are ${Object.keys(profiles).join(", ")}`)
        )
      }
      const text = given.startsWith("@") ? yield* readFile("permission", given.slice(1)) : given
      const value = yield* Either.mapLeft(values.json(text), (reason) => invalid(`--permission: ${reason}`))
      const problem = Permission.check(value)
      if (problem === undefined) return value as Permission.Rules
      const { path, reason } = problem
      return yield* Effect.fail(invalid(`--permission: ${path === "" ? "" : `${path}: `}${reason}`))
    })
)

const fromVariable = (option: string, name: string) =>
  Config.redacted(name).pipe(
    Effect.mapError(() => invalid(`--${option}: the environment variable ${name} is not set`))
  )

const password = optional(either(
  options.mapEffect(
    required("password-env", "name", "The environment variable that holds the server's password."),
    (name) => fromVariable("password-env", name)
  ),
  options.mapEffect(
    required("password-file", "file", "The file that holds the server's password."),
    (file) => Effect.map(readFile("password-file", file), (text) => Redacted.make(text.replace(/\r?\n$/, "")))
  )
))

const extraEnv = options.mapEffect(
  options.all({
    given: texts(
      "extra-env",
      "name=value",
      "A variable for OpenCode and its tools. Nothing secret. Repeat it for more."
    ),
    names: texts(
      "extra-env-from",
      "name",
      "Hands a variable of this program on as a secret: to OpenCode with --environment reviewed, and masked in transcripts and errors. Repeat it for more."
    ),
    files: texts("extra-env-file", "file", "Secret variables from a file of name=value lines. Repeat it for more.")
  }),
  ({ files, given, names }) =>
    Effect.gen(function*() {
      const variables: Record<string, string | Redacted.Redacted> = {}
      for (const file of files ?? []) {
        const lines = yield* Either.mapLeft(
          dotenv.parse(yield* readFile("extra-env-file", file)),
          (reason) => invalid(`--extra-env-file ${file}: ${reason}`)
        )
        for (const [name, value] of lines) variables[name] = Redacted.make(value)
      }
      for (const name of names ?? []) variables[name] = yield* fromVariable("extra-env-from", name)
      for (const pair of given ?? []) {
        const [name, value] = yield* Either.mapLeft(values.pair(pair), (reason) => invalid(`--extra-env: ${reason}`))
        if (Redaction.isSecretName(name) || values.holdsSecret({ [name]: value })) {
          return yield* Effect.fail(invalid(
            `--extra-env ${name}: it looks like a secret, and everybody on the machine can read arguments; ` +
              `use --extra-env-from ${name} or --extra-env-file`
          ))
        }
        variables[name] = value
      }
      return Object.keys(variables).length === 0 ? undefined : variables
    })
)

const object = (value: unknown): Either.Either<{ readonly [key: string]: unknown }, string> =>
  values.isObject(value) ? Either.right(value) : Either.left("it must be a JSON object")

/** Every field of a `RunConfig`, and the option that sets it. */
const config = {
  agent: text("agent", "name", "The primary agent. Default: OpenCode's."),
  model: text("m, model", "provider/model", "The model. Default: OpenCode's."),
  variant: text("variant", "name", "The model's variant, such as its reasoning effort."),
  thinking: flag("thinking", "Show the model's reasoning."),
  command: text("command", "name", "A slash command; the prompt is its arguments and may be left out."),
  title: text("title", "text", "The session's title. Without one the model is asked for one, an extra call."),
  files: texts("files", "file", "A file to attach. Repeat it for more."),
  instructions: texts("instructions", "file|glob", "An instruction file for the agent. Repeat it for more."),
  permission,
  auto: flag("auto", "Approve whatever would be asked; rules that deny stay. OpenCode 1.14 and later."),
  tools: json("tools", "OpenCode's `tools` configuration.", object),
  mcp: json("mcp", "OpenCode's `mcp` configuration.", object),
  configOverrides: json("config-overrides", "Any part of OpenCode's configuration.", object),
  sessionId: text("session-id", "id", "Go on in this session. Implies --isolation none."),
  continueSession: flag("continue-session", "Go on in the last session. Implies --isolation none."),
  fork: flag("fork", "Branch off the session instead of going on in it."),
  share: flag("share", "Publish the session."),
  pure: flag("pure", "No external plugins. OpenCode 1.14 and later."),
  attach: text("attach", "url", "A running OpenCode server to use."),
  username: text("username", "name", "The server's user name. Default: opencode."),
  password,
  dir: text("dir", "directory", "The directory that OpenCode changes to, on the server with --attach."),
  port: number("port", "The port of OpenCode's own server. Default: a free one."),
  extraEnv,
  disableAutoupdate: toggle(
    "disable-autoupdate",
    "Keep OpenCode from updating itself. The default.",
    "Let OpenCode update itself."
  ),
  startupProfile: choice(
    "startup-profile",
    ["full", "fast"],
    "fast: start with the part of OpenCode's model list that the run names, fetch none, ask for no title. Default: full."
  ),
  printLogs: toggle(
    "print-logs",
    "Have OpenCode log. Default: at level ERROR, which shows failing providers.",
    "Keep OpenCode from logging."
  ),
  logLevel: choice("log-level", ["DEBUG", "INFO", "WARN", "ERROR"], "The level of OpenCode's log. Default: ERROR."),
  extraArgs: texts("extra-args", "argument", "A further argument for `opencode run`. Repeat it for more.")
} satisfies { readonly [Field in keyof RunConfig]-?: options.Option<RunConfig[Field]> }

const budget = options.map(
  options.all({
    steps: number("budget-steps", "Steps at most. Default: 500."),
    cost: number("budget-cost", "US dollars at most, by OpenCode's price list."),
    tokens: number("budget-tokens", "Tokens at most, cached ones included."),
    toolCalls: number("budget-tool-calls", "Tool calls at most."),
    unpriced: choice(
      "unpriced",
      ["warn", "error", "allow"],
      "Under a limit of cost, where OpenCode has no price for the model: a warning, the end of the run, or nothing. Default: warn."
    )
  }),
  (limits) => Object.values(limits).every((limit) => limit === undefined) ? undefined : limits
)

/** Every further field of `RunOptions` that a command line can give. */
const limits = {
  cwd: text("cwd", "directory", "The working directory. Default: this one."),
  timeout: duration("timeout", "The time for everything. Default: 2 hours."),
  startupTimeout: duration("startup-timeout", "The time to the first event. Default: 4 minutes."),
  idleTimeout: duration("idle-timeout", "The time without an event, so the longest tool call. Default: 30 minutes."),
  exitGrace: duration("exit-grace", "How long OpenCode may take to exit when it has finished. Default: 30 seconds."),
  budget,
  maxProviderRetries: number(
    "max-provider-retries",
    "Failed attempts at the provider in a row, after which the run is ended. Default: 10."
  ),
  promptVia: choice("prompt-via", ["stdin", "argv"], "How the prompt reaches OpenCode. Default: stdin."),
  recover: choice("recover", ["export"], "Ask the session for the end of the conversation where OpenCode lost it."),
  usage: choice(
    "usage",
    ["deep"],
    "Add the tokens and the cost of sub-agents, which takes a start of OpenCode for each."
  )
} satisfies {
  readonly [Field in keyof Omit<RunOptions, keyof RunConfig | "onEvent" | "keepRaw" | "transcript">]-?: options.Option<
    RunOptions[Field]
  >
}

/**
 * What a run is told besides its prompt; `transcript` and `keepRaw` are up to the command. Fields that are not given are
 * not there.
 */
export const run: options.Option<RunOptions> = options.map(options.all({ ...config, ...limits }), given)

/** What a layer for single runs is told. */
export type ClientOptions = Pick<
  OpenCode.Options,
  "binary" | "version" | "isolation" | "retry" | "forceKillAfter" | "environment"
>

const isolation = options.map(
  text(
    "isolation",
    "run|none|directory",
    "Where OpenCode keeps its data: a private directory that goes with the run, its own, or one of yours. Default: run.",
    ["run", "none"]
  ),
  (given): OpenCode.Options["isolation"] =>
    given === undefined || given === "run" || given === "none" ? given : { directory: given }
)

/** How runs are carried out: binary, data directory, environment, restarts. */
export const client: options.Option<ClientOptions> = options.map(
  options.all({
    binary: text(
      "binary",
      "file",
      "OpenCode. Default: $OPENCODE_BINARY, an opencode-ai in node_modules, opencode on $PATH."
    ),
    version: parsed(
      "opencode-version",
      "x.y.z",
      "The version of the binary, which saves asking it. Default: asked.",
      values.version
    ),
    isolation,
    retry: options.map(
      parsed(
        "retries",
        "n",
        "Further starts after a crash of OpenCode's database at its start. Default: 2.",
        values.count
      ),
      (times) =>
        times === undefined ? undefined : Schedule.intersect(Schedule.recurs(times), Schedule.spaced("1 second"))
    ),
    forceKillAfter: duration(
      "force-kill-after",
      "How long OpenCode may take to end when it was asked to, before it is killed. Default: 5 seconds."
    ),
    environment: choice(
      "environment",
      ["inherit", "reviewed"],
      "What OpenCode inherits: all variables, or those without secrets. Default: inherit."
    )
  }),
  given
)

/** What a layer for many runs is told besides. */
export type FleetOptions = Pick<OpenCode.Options, "startup" | "rateLimitGate">

/** How the runs of a batch share the machine and the providers. */
export const fleet: options.Option<FleetOptions> = options.map(
  options.all({
    concurrency: parsed(
      "startup-concurrency",
      "n",
      "Runs that may be starting at once; a start takes 4 seconds of processor time. Default: 1; one for each processor where runs share no data directory and --startup-window is not given.",
      values.countOrUnbounded
    ),
    window: duration(
      "startup-window",
      "The longest time that a start keeps others waiting. Default: 300 ms; 4 s where the default is one for each processor."
    ),
    rateLimitGate: flag("rate-limit-gate", "Hold new starts back when a provider is asked too much."),
    fallback: duration(
      "rate-limit-wait",
      "How long to hold them back where the provider does not say. Implies --rate-limit-gate. Default: 30 seconds."
    )
  }),
  ({ concurrency, fallback, rateLimitGate, window }) =>
    given({
      startup: concurrency === undefined && window === undefined ? undefined : given({ concurrency, window }),
      rateLimitGate: fallback === undefined ? rateLimitGate : { fallback }
    })
)

/** A session that is gone on in is in OpenCode's own data directory, unless another one is named. */
export const settle = (client: ClientOptions, run: RunOptions): ClientOptions =>
  client.isolation === undefined && run.attach === undefined &&
    (run.sessionId !== undefined || run.continueSession === true)
    ? { ...client, isolation: "none" }
    : client

/** How the options are told apart in help texts. */
export const groups: ReadonlyArray<Group> = [
  {
    title: "Agent",
    options: ["agent", "model", "variant", "thinking", "command", "title", "files", "instructions", "cwd"]
  },
  { title: "Permissions", options: ["permission", "auto"] },
  {
    title: "Limits",
    options: [
      "timeout",
      "startup-timeout",
      "idle-timeout",
      "exit-grace",
      "budget-steps",
      "budget-cost",
      "budget-tokens",
      "budget-tool-calls",
      "unpriced",
      "max-provider-retries"
    ]
  },
  { title: "Session", options: ["session-id", "continue-session", "fork", "share"] },
  { title: "Result", options: ["recover", "usage"] },
  {
    title: "Sharing the machine",
    options: ["startup-concurrency", "startup-window", "rate-limit-gate", "rate-limit-wait"]
  },
  {
    title: "OpenCode",
    options: [
      "binary",
      "opencode-version",
      "isolation",
      "environment",
      "extra-env",
      "extra-env-from",
      "extra-env-file",
      "config-overrides",
      "tools",
      "mcp",
      "pure",
      "disable-autoupdate",
      "startup-profile",
      "retries",
      "force-kill-after",
      "prompt-via",
      "print-logs",
      "log-level",
      "extra-args"
    ]
  },
  {
    title: "Server",
    options: ["attach", "username", "password-env", "password-file", "dir", "port"]
  }
]

/** Fields whose options have other names, or several. */
const named: { readonly [path: string]: string } = {
  prompt: "the prompt",
  password: "--password-env or --password-file",
  extraEnv: "--extra-env",
  version: "--opencode-version",
  retry: "--retries",
  budget: "--budget-…",
  startup: "--startup-concurrency",
  transcript: "--transcript"
}

const known = new Set(groups.flatMap(({ options }) => options))

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * The option that sets a field of the library's options (`budget.cost`, `permission.edit.*.py`); `undefined` where
 * none does.
 */
export const optionOf = (path: string): string | undefined => {
  const [head = "", next = ""] = path.split(".")
  if (head === "budget" && known.has(next)) return `--${next}`
  const both = `${kebab(head)}-${kebab(next)}`
  if (known.has(both)) return `--${both}`
  if (Object.hasOwn(named, head)) return named[head]
  return known.has(kebab(head)) ? `--${kebab(head)}` : undefined
}
