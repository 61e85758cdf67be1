/**
 * The command line options for runs and for the layer that executes them: each field under its name in kebab-case.
 * Secrets come from environment variables or files, because everybody on the machine can read arguments.
 */
import type * as OpenCode from "effect-opencode/OpenCode"
import * as Permission from "effect-opencode/Permission"
import * as Redaction from "effect-opencode/Redaction"
import type { RunOptions } from "effect-opencode/RunOptions"
import type * as Sandbox from "effect-opencode/Sandbox"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as AnswerSchema from "../AnswerSchema.js"
import * as dotenv from "../host/dotenv.js"
import * as utf8 from "../host/utf8.js"
import { given } from "./given.js"
import * as options from "./options.js"
import { choice, either, group, invalid, optional, parsed, required, text, texts, toggle } from "./options.js"
import * as values from "./values.js"

/** `undefined` if not given, so that the default of the layer applies. */
const flag = (name: string, description: string): options.Option<boolean | undefined> =>
  options.map(options.flag(name, description), (given) => given ? true : undefined)

const duration = (name: string, description: string): options.Option<Duration.Duration | undefined> =>
  parsed(values.duration, name, "time", description)

const number = (name: string, description: string): options.Option<number | undefined> =>
  parsed(values.number, name, "n", description)

const readFile = (name: string, file: string) =>
  Effect.mapError(utf8.readFile(file), ({ message }) => invalid(`--${name}: the file ${message}`))

/** Inline JSON, or `@` and the name of a JSON file. */
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
    "What the agent may do: read-only, allow-all, deny-all, or rules ('{\"*\":\"deny\",\"read\":\"allow\"}'). Default: OpenCode's rules; what would be asked is refused.",
    Object.keys(profiles)
  ),
  (given) =>
    Effect.gen(function*() {
      if (given === undefined) return undefined
      const profile = Object.hasOwn(profiles, given) ? profiles[given] : undefined
      if (profile !== undefined) return profile
      if (/^[\w-]+$/.test(given)) {
        return yield* Effect.fail(
          invalid(`--permission: unknown profile "${given}"; must be one of ${Object.keys(profiles).join(", ")}`)
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
      "A variable for OpenCode and its tools, not for secrets. Can be repeated."
    ),
    names: texts(
      "extra-env-from",
      "name",
      "A secret variable from this environment: passed to OpenCode also with --environment reviewed, and masked in transcripts and errors. Can be repeated."
    ),
    files: texts("extra-env-file", "file", "Secret variables from a file of name=value lines. Can be repeated.")
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
  values.isObject(value) ? Either.right(value) : Either.left("must be a JSON object")

const budget = options.map(
  options.all({
    steps: number("budget-steps", "Maximum number of steps. Default: 500."),
    cost: number("budget-cost", "Maximum cost in US dollars, by OpenCode's price list."),
    tokens: number("budget-tokens", "Maximum number of tokens, including cached ones."),
    toolCalls: number("budget-tool-calls", "Maximum number of tool calls."),
    unpriced: choice(
      "unpriced",
      ["warn", "error", "allow"],
      "What to do if cost is limited but OpenCode has no price for the model: warn, end the run with an error, or allow it. Default: warn."
    )
  }),
  (limits) => Object.values(limits).every((limit) => limit === undefined) ? undefined : limits
)

/** Options of a run that are not on the command line, because they belong to a command or to a program. */
export type NotOnCommandLine = "onEvent" | "onSession" | "onStart" | "keepRaw" | "transcript" | "runId" | "isolation"

/** The option for each field of `RunOptions`. */
const fields = {
  ...group("Agent", {
    agent: text("agent", "name", "The primary agent. Default: OpenCode's."),
    model: text("m, model", "provider/model", "The model. Default: OpenCode's."),
    variant: text("variant", "name", "The model's variant, such as its reasoning effort."),
    thinking: flag("thinking", "Show the model's reasoning."),
    command: text("command", "name", "A slash command; the prompt is its arguments and may be left out."),
    title: text("title", "text", "The session's title. Without it, OpenCode asks the model for one, an extra call."),
    files: texts("files", "file", "A file to attach. Can be repeated."),
    instructions: texts("instructions", "file|glob", "An instruction file for the agent. Can be repeated."),
    system: text("system", "text", "A system prompt, added to OpenCode's own."),
    cwd: text("cwd", "directory", "The working directory. Default: the current directory.")
  }),
  ...group("Permissions", {
    permission,
    auto: flag("auto", "Approve what would be asked; deny rules still apply. OpenCode 1.14 and later.")
  }),
  ...group("Limits", {
    timeout: duration("timeout", "Time limit for the whole run. Default: 2 hours."),
    startupTimeout: duration("startup-timeout", "Time limit for the first event. Default: 4 minutes."),
    idleTimeout: duration(
      "idle-timeout",
      "Maximum time between events, so also for a single tool call. Default: 30 minutes."
    ),
    exitGrace: duration("exit-grace", "How long OpenCode may take to exit after it has finished. Default: 30 seconds."),
    budget,
    maxProviderRetries: number(
      "max-provider-retries",
      "End the run after this many consecutive failed requests to the provider. Default: 10."
    )
  }),
  ...group("Session", {
    sessionId: text("session-id", "id", "Continue this session. Implies --isolation none."),
    continueSession: flag("continue-session", "Continue the last session. Implies --isolation none."),
    fork: flag("fork", "Continue a copy of the session; the original stays unchanged."),
    forkAfter: text(
      "fork-after",
      "message",
      "Fork the session named by --session-id after this message, not at its end."
    ),
    share: flag("share", "Publish the session.")
  }),
  ...group("Result", {
    recover: choice(
      "recover",
      ["export"],
      "Export the session to recover an end of the conversation that OpenCode lost."
    ),
    usage: choice(
      "usage",
      ["deep"],
      "Include tokens and cost of sub-agents, which starts OpenCode once more for each."
    )
  }),
  ...group("OpenCode", {
    extraEnv,
    configOverrides: json("config-overrides", "Any part of OpenCode's configuration.", object),
    tools: json("tools", "OpenCode's `tools` configuration.", object),
    mcp: json("mcp", "OpenCode's `mcp` configuration.", object),
    pure: flag("pure", "Load no external plugins. OpenCode 1.14 and later."),
    disableAutoupdate: toggle("disable-autoupdate", "Whether OpenCode is kept from updating itself. Default: yes."),
    startupProfile: choice(
      "startup-profile",
      ["full", "fast"],
      "fast: give OpenCode only the models that the run names, download no model list, ask for no title. Default: full."
    ),
    promptVia: choice("prompt-via", ["stdin", "argv"], "How the prompt reaches OpenCode. Default: stdin."),
    printLogs: toggle(
      "print-logs",
      "Whether OpenCode logs. Default: yes, at level ERROR, which reports failing providers."
    ),
    logLevel: choice("log-level", ["DEBUG", "INFO", "WARN", "ERROR"], "The level of OpenCode's log. Default: ERROR."),
    extraArgs: texts("extra-args", "argument", "A further argument for `opencode run`. Can be repeated.")
  }),
  ...group("Server", {
    attach: text("attach", "url", "Use a running OpenCode server."),
    username: text("username", "name", "The server's user name. Default: opencode."),
    password,
    dir: text("dir", "directory", "The directory that OpenCode changes to; with --attach, a directory on the server."),
    port: number("port", "The port of OpenCode's own server. Default: a free one.")
  })
} satisfies {
  readonly [Field in keyof Omit<RunOptions, NotOnCommandLine>]-?: options.Option<RunOptions[Field]>
}

/**
 * All options of a run except its prompt, `transcript` and `keepRaw`, which belong to the command. Fields that are not
 * given are absent.
 */
export const run: options.Option<RunOptions> = options.map(options.all(fields), given)

/** What the answer must be. */
export interface AnswerOptions {
  readonly schema?: AnswerSchema.AnswerSchema | undefined
  readonly repairs?: number | undefined
}

const schema = options.mapEffect(
  text(
    "schema",
    "file",
    "A JSON Schema that the answer must satisfy (draft 2020-12, 2019-09 or 7). The result is then the JSON value."
  ),
  (file) =>
    file === undefined ? Effect.succeed(undefined) : Effect.gen(function*() {
      const refused = (reason: string) => invalid(`--schema: ${reason}`, "check the file")
      const json = yield* Either.mapLeft(values.json(yield* readFile("schema", file)), refused)
      return yield* Either.mapLeft(AnswerSchema.make(json), refused)
    })
)

/** A Schema of the answer, and how often the agent may correct it. */
export const answer: options.Option<AnswerOptions> = options.map(
  options.all(group("Answer", {
    schema,
    repairs: parsed(
      values.count,
      "repairs",
      "n",
      "With --schema: how often the agent may correct an answer that does not satisfy it. Default: 2."
    )
  })),
  given
)

/** Whether runs go over servers instead of processes of their own. */
export const server: options.Option<boolean> = options.flag(
  "server",
  "Start one warm OpenCode server for all runs that can share it, instead of a process for each. OpenCode 1.18 and later, below 2."
)

/** The options of the layer for single runs. */
export type ClientOptions = Pick<
  OpenCode.Options,
  "binary" | "version" | "isolation" | "containment" | "retry" | "forceKillAfter" | "environment" | "sandbox"
>

const isolation = options.map(
  text(
    "isolation",
    "run|none|directory",
    "Where OpenCode keeps its data: run (a temporary directory for each run), none (its usual directory), or a directory. Default: run.",
    ["run", "none"]
  ),
  (given): OpenCode.Options["isolation"] =>
    given === undefined || given === "run" || given === "none" ? given : { directory: given }
)

/** Each part asks for a sandbox. */
const sandbox = options.map(
  options.all(group("Sandbox", {
    isAsked: flag(
      "sandbox",
      "Keep the agent and its tools from writing outside of the working directory and from reading credentials of other programs. Linux, with bubblewrap."
    ),
    write: texts("sandbox-write", "path", "A writable path besides the working directory. Can be repeated."),
    read: texts("sandbox-read", "path", "A path that stays visible although it would be hidden. Can be repeated."),
    hide: texts("sandbox-hide", "path", "A further path that cannot be read. Can be repeated."),
    network: options.map(
      text(
        "sandbox-network",
        "all|none|host,…",
        "What the sandbox reaches: all, none (the provider and MCP servers alone), or these hosts, too. Default: all.",
        ["all", "none"]
      ),
      (given): Sandbox.Network | undefined =>
        given === undefined || given === "all" || given === "none" ? given : { allow: given.split(",") }
    )
  })),
  ({ isAsked, ...parts }): Sandbox.Sandbox | undefined => {
    const named = given(parts)
    return isAsked === true || Object.keys(named).length > 0 ? named : undefined
  }
)

/** Options for the execution of runs: binary, data directory, environment, restarts, sandbox. */
export const client: options.Option<ClientOptions> = options.map(
  options.all({
    ...group("OpenCode", {
      binary: text(
        "binary",
        "file",
        "The OpenCode binary. Default: $OPENCODE_BINARY, opencode-ai or @opencode/cli in node_modules, or opencode on $PATH."
      ),
      version: parsed(
        values.version,
        "opencode-version",
        "x.y.z",
        "The version of the binary. Default: the binary is asked."
      ),
      isolation,
      containment: choice(
        "containment",
        ["namespace"],
        "How the processes of a run are held together: namespace (a process namespace; Linux). Default: they are searched for when the run ends."
      ),
      environment: choice(
        "environment",
        ["inherit", "reviewed"],
        "Variables passed to OpenCode: inherit (all) or reviewed (those without secrets). Default: inherit."
      ),
      retry: options.map(
        parsed(values.count, "retries", "n", "Restarts after OpenCode's database crashes at startup. Default: 2."),
        (times) =>
          times === undefined ? undefined : Schedule.intersect(Schedule.recurs(times), Schedule.spaced("1 second"))
      ),
      forceKillAfter: duration(
        "force-kill-after",
        "How long OpenCode may take to end after SIGTERM before it is killed. Default: 5 seconds."
      )
    }),
    sandbox
  }),
  given
)

/** The further options of the layer for many runs. */
export type FleetOptions = Pick<OpenCode.Options, "startup" | "rateLimitGate">

/** Options that limit how runs of a batch use the machine and the providers. */
export const fleet: options.Option<FleetOptions> = options.map(
  options.all(group("Sharing the machine", {
    concurrency: parsed(
      values.positiveOrUnbounded,
      "startup-concurrency",
      "n",
      "Runs that may start at the same time; a start takes 4 seconds of processor time. Default: one for each processor; 1 if runs share a data directory or --startup-window is given."
    ),
    window: duration(
      "startup-window",
      "How long a start can delay other starts. Default: 4 s; 300 ms if runs share a data directory or --startup-concurrency is given."
    ),
    rateLimitGate: flag("rate-limit-gate", "Delay new starts while a provider limits requests."),
    fallback: duration(
      "rate-limit-wait",
      "How long to delay new starts if the provider does not say. Implies --rate-limit-gate. Default: 30 seconds."
    )
  })),
  ({ concurrency, fallback, rateLimitGate, window }) =>
    given({
      startup: concurrency === undefined && window === undefined ? undefined : given({ concurrency, window }),
      rateLimitGate: fallback === undefined ? rateLimitGate : { fallback }
    })
)

/** Uses OpenCode's usual data directory to continue a session, unless another one is given. */
export const settle = (client: ClientOptions, run: RunOptions): ClientOptions =>
  client.isolation === undefined && run.attach === undefined &&
    (run.sessionId !== undefined || run.continueSession === true)
    ? { ...client, isolation: "none" }
    : client

/** The options of fields with another name, or with several options. */
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

const known = new Set(
  [run, answer, client, fleet].flatMap(options.termsOf).flatMap(({ names }) =>
    names.map((name) => name.replace(/^--/, ""))
  )
)

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * The option that sets a field of the library's options (`budget.cost`, `permission.edit.*.py`); `undefined` if no
 * option sets it.
 */
export const optionOf = (path: string): string | undefined => {
  const [head = "", next = ""] = path.split(".")
  if (head === "budget" && known.has(next)) return `--${next}`
  const both = `${kebab(head)}-${kebab(next)}`
  if (known.has(both)) return `--${both}`
  if (Object.hasOwn(named, head)) return named[head]
  return known.has(kebab(head)) ? `--${kebab(head)}` : undefined
}
