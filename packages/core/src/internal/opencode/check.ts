import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Permission from "../../Permission.js"
import { RunConfig } from "../../RunConfig.js"
import type { Attachment } from "../../RunConfig.js"
import type { Budget, RunOptions } from "../../RunOptions.js"
import * as Version from "../../Version.js"
import { isObject } from "../util/object.js"
import { isRunId, rule } from "../util/runId.js"
import * as schemaText from "../util/schemaText.js"
import * as configContent from "./configContent.js"
import * as homePath from "./homePath.js"
import type { Problem } from "./problem.js"
import type { AgentFallback } from "./stderr.js"
import { variableNames } from "./variables.js"

const problem = (path: string, reason: string): Option.Option<Problem> => Option.some({ path, reason })

/**
 * The deepest issue of a failed validation. Schema's own formatters print the offending value, which can be a secret;
 * this only names its path and what was expected.
 */
const fromIssue = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey> = []): Problem => {
  switch (issue._tag) {
    case "Pointer": {
      const key = issue.path
      return fromIssue(issue.issue, Array.isArray(key) ? [...path, ...key] : [...path, key as PropertyKey])
    }
    case "Composite": {
      const problems = (Array.isArray(issue.issues) ? issue.issues : [issue.issues]).map((inner) =>
        fromIssue(inner, path)
      )
      const here = path.map(String).join(".")
      // If no member of a union matches the value better than the others, the whole union was expected.
      return issue.ast._tag === "Union" && problems.every((inner) => inner.path === here)
        ? { path: here, reason: schemaText.expected(issue.ast) }
        : problems.find((inner) => inner.path !== here) ?? problems[0]
    }
    case "Refinement":
    case "Transformation":
      return fromIssue(issue.issue, path)
    case "Unexpected":
      return { path: path.map(String).join("."), reason: "unknown option" }
    case "Missing":
      return { path: path.map(String).join("."), reason: "required" }
    default:
      return { path: path.map(String).join("."), reason: schemaText.expected(issue.ast) }
  }
}

/** Without the refusal of unknown fields: the other options of a run are checked elsewhere. */
const Config = Schema.typeSchema(Schema.Struct(RunConfig.fields))

const validate = Schema.validateEither(Config)

const isFine = Schema.is(Config)

const shape = (options: RunOptions): Option.Option<Problem> =>
  isFine(options) ? Option.none() : Either.match(validate(options), {
    onLeft: (error) => Option.some(fromIssue(error.issue)),
    onRight: () => Option.none()
  })

const permission = (options: RunOptions): Option.Option<Problem> => {
  const rules = [options.permission, options.configOverrides?.["permission"]]
  const found = rules.map((rules) => rules === undefined ? undefined : Permission.check(rules))
  return Option.map(Option.fromNullable(found[0] ?? found[1]), ({ path, reason }) => ({
    path: path === "" ? "permission" : `permission.${path}`,
    reason
  }))
}

const model = ({ model }: RunOptions): Option.Option<Problem> =>
  model === undefined || /^[^/\s]+\/\S+$/.test(model)
    ? Option.none()
    : problem("model", "must have the form `provider/model`")

/** A message to branch off after that the session does not have. */
export const unknownMessage = (sessionId: string, messageId: string): Problem => ({
  path: "forkAfter",
  reason: `the session ${sessionId} has no message ${messageId}`
})

const session = (options: RunOptions): Option.Option<Problem> => {
  if (options.fork === true && options.sessionId === undefined && options.continueSession !== true) {
    return problem("fork", "`fork` needs a session to branch off; set `sessionId` or `continueSession`")
  }
  if (options.forkAfter !== undefined && (options.fork !== true || options.sessionId === undefined)) {
    return problem("forkAfter", "it is a message of the session to branch off; set `fork` and `sessionId`")
  }
  return Option.none()
}

/** Options that OpenCode ignores if they are empty, and what it would do instead. */
const ifEmpty = {
  agent: "work with its default agent",
  command: "send the prompt unchanged",
  sessionId: "start a new session",
  forkAfter: "branch off after the last message",
  attach: "start its own server",
  dir: "work in `cwd`"
} as const

const inArguments = ["agent", "command", "sessionId", "attach", "dir", "title", "variant", "username", "model"] as const

/** Explains why no argument or variable can hold a text: both are UTF-8 without NUL. */
const unsayable = (text: string): string | undefined =>
  text.includes("\0")
    ? "it holds NUL, which ends a text between programs"
    : /\p{Surrogate}/u.test(text)
    ? "contains a lone surrogate, which UTF-8 cannot encode"
    : undefined

/** The first problem of a content, with the name of its field. */
const attachment = ({ mediaType, name }: Attachment): readonly [field: keyof Attachment, reason: string | undefined] =>
  !/^[\w.+-]+\/[\w.+-]+$/.test(mediaType)
    ? ["mediaType", "not a valid media type; use one like \"image/png\", without parameters"]
    : [
      "name",
      name === undefined
        ? undefined
        : name === "" || name === "." || name === ".." || /[/\\]/.test(name) || encoder.encode(name).length > 200
        ? "must be the name of a file, without a directory, of at most 200 bytes"
        : unsayable(name)
    ]

const values = (options: RunOptions): Option.Option<Problem> => {
  for (const path of Object.keys(ifEmpty) as ReadonlyArray<keyof typeof ifEmpty>) {
    if (options[path] === "") return problem(path, `is empty, and OpenCode would ${ifEmpty[path]}`)
  }
  for (const path of [...inArguments, "system"] as const) {
    const reason = unsayable(options[path] ?? "")
    if (reason !== undefined) return problem(path, reason)
  }
  for (const [index, file] of (options.files ?? []).entries()) {
    if (typeof file !== "string") {
      const [field, reason] = attachment(file)
      if (reason !== undefined) return problem(`files.${index}.${field}`, reason)
      continue
    }
    const reason = file === "" ? "is empty, and OpenCode would attach the directory" : unsayable(file)
    if (reason !== undefined) return problem(`files.${index}`, reason)
  }
  const reason = unsayable(options.password === undefined ? "" : Redacted.value(options.password))
  return reason === undefined ? Option.none() : problem("password", reason)
}

/** A running server does not receive our configuration. */
export const attachedFork: Problem = {
  path: "forkAfter",
  reason:
    "with `attach` the server branches off after the last message; use `OpenCodeServer.layerAttach`, which names another"
}

const attached = (options: RunOptions): Option.Option<Problem> =>
  options.attach === undefined
    ? Option.none()
    : options.system !== undefined
    ? problem(
      "system",
      "with `attach` it does not reach the server; use `OpenCodeServer.layerAttach`, which sends it with the prompt"
    )
    : options.forkAfter !== undefined
    ? Option.some(attachedFork)
    : configContent.permissionOf(options) === undefined
    ? Option.none()
    : problem(
      options.permission === undefined ? "configOverrides.permission" : "permission",
      "with `attach` no rules reach the server, so they would not apply; use `OpenCodeServer.layerAttach`, which sends them to " +
        "the session"
    )

const prompt = (text: string, options: RunOptions): Option.Option<Problem> => {
  // OpenCode accepts a single space as an argument but rejects blank lines on stdin; both are empty prompts.
  if (text.trim() === "" && options.command === undefined) {
    return problem("prompt", "must not be empty without a `command`")
  }
  if (options.promptVia === "argv") {
    const reason = unsayable(text)
    if (reason !== undefined) return problem("prompt", `${reason}; set \`promptVia\` to "stdin"`)
    if (isNumeral(text)) {
      return problem("prompt", "OpenCode cannot read an argument that is a number; set `promptVia` to \"stdin\"")
    }
    if (isLonger(text, maxArgument)) {
      return problem("prompt", "an argument cannot be longer than 128 KiB; set `promptVia` to \"stdin\"")
    }
  }
  return Option.none()
}

/** True if OpenCode's argument parser turns a text into a number, on which OpenCode then fails (1.18.33). */
const isNumeral = (text: string): boolean => /^(0x[0-9a-f]+|-?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)$/i.test(text)

/** Linux's limit for one argument or one variable (MAX_ARG_STRLEN), terminating NUL included. */
const maxArgument = 128 * 1024 - 1

const encoder = new TextEncoder()

const isLonger = (text: string, bytes: number): boolean =>
  // A UTF-16 unit takes at most three bytes in UTF-8.
  text.length * 3 > bytes && encoder.encode(text).length > bytes

/** The variables that are set by options other than `extraEnv`. */
const optionOf = new Map([
  [variableNames.configContent, "configOverrides"],
  [variableNames.serverPassword, "password"],
  ["PWD", "cwd"]
])

/** `NAME=value` in the environment and each argument must fit; NUL would be a defect in the process module. */
export const invocation = (
  input: { readonly args: ReadonlyArray<string>; readonly env: { readonly [name: string]: string } }
): Option.Option<Problem> => {
  for (const arg of input.args) {
    const reason = isLonger(arg, maxArgument) ? "an argument is longer than 128 KiB" : unsayable(arg)
    if (reason !== undefined) return problem("extraArgs", reason)
  }
  for (const [name, value] of Object.entries(input.env)) {
    const path = optionOf.get(name) ?? `extraEnv.${name}`
    if (name === "" || name.includes("=") || name.includes("\0") || value.includes("\0")) {
      return problem(path, "the name must not be empty or contain `=`, and neither name nor value may contain NUL")
    }
    if (/\p{Surrogate}/u.test(value)) return problem(path, "contains a lone surrogate, which UTF-8 cannot encode")
    if (isLonger(`${name}=${value}`, maxArgument)) {
      return problem(path, "the environment cannot hold a value of more than 128 KiB")
    }
  }
  return Option.none()
}

/** Checks a duration, which must be greater than zero. */
export const duration = (path: string, input: Duration.DurationInput | undefined): Option.Option<Problem> => {
  if (input === undefined) return Option.none()
  return Option.match(Duration.decodeUnknown(input), {
    onNone: () => problem(path, "not a valid duration; use one like \"30 seconds\", or milliseconds"),
    onSome: (duration) =>
      // `Duration` turns a negative number into zero.
      Duration.greaterThan(duration, Duration.zero) ? Option.none() : problem(path, "must be greater than zero")
  })
}

const positive = (path: string, value: number | undefined): Option.Option<Problem> =>
  value === undefined || (typeof value === "number" && value > 0)
    ? Option.none()
    : problem(path, "must be a number greater than zero")

/** Checks the limits of a budget, a run's or a fleet's. */
export const budget = (path: string, limits: Budget | undefined): Option.Option<Problem> =>
  Option.firstSomeOf([
    ...(["steps", "cost", "tokens", "toolCalls"] as const).map((name) => positive(`${path}.${name}`, limits?.[name])),
    limits?.unpriced === undefined || ["warn", "error", "allow"].includes(limits.unpriced)
      ? Option.none()
      : problem(`${path}.unpriced`, "must be \"warn\", \"error\" or \"allow\"")
  ])

const port = ({ port }: RunOptions): Option.Option<Problem> =>
  port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65535)
    ? Option.none()
    : problem("port", "must be an integer from 0 to 65535")

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0

export const concurrency = (path: string, value: number | "unbounded" | undefined): Option.Option<Problem> =>
  value === undefined || value === "unbounded" || isCount(value)
    ? Option.none()
    : problem(path, "must be a positive integer or \"unbounded\"")

/** Checks a number of things that must be bounded. */
export const count = (path: string, value: number | undefined): Option.Option<Problem> =>
  value === undefined || isCount(value) ? Option.none() : problem(path, "must be a positive integer")

const literal = (path: string, value: string | undefined, only: string): Option.Option<Problem> =>
  value === undefined || value === only ? Option.none() : problem(path, `must be "${only}" or not set`)

export const containment = (value: string | undefined): Option.Option<Problem> =>
  literal("containment", value, "namespace")

const transport = (options: RunOptions): Option.Option<Problem> =>
  options.promptVia === undefined || options.promptVia === "stdin" || options.promptVia === "argv"
    ? Option.none()
    : problem("promptVia", "must be \"stdin\" or \"argv\"")

const runId = ({ runId }: RunOptions): Option.Option<Problem> =>
  runId === undefined || isRunId(runId) ? Option.none() : problem("runId", rule)

const isolation = ({ isolation }: RunOptions): Option.Option<Problem> => {
  if (isolation === undefined || isolation === "run" || isolation === "none") return Option.none()
  const directory: unknown = isObject(isolation) ? isolation["directory"] : undefined
  if (typeof directory !== "string" || directory === "") {
    return problem("isolation", "must be \"run\", \"none\" or `{ directory }`")
  }
  const reason = unsayable(directory)
  return reason === undefined
    ? homePath.problem("isolation.directory", directory)
    : problem("isolation.directory", reason)
}

/** Finds an option that a layer cannot have for all its runs. */
export const defaults = ({ isolation, runId }: RunOptions): Option.Option<Problem> =>
  runId !== undefined
    ? problem("defaults.runId", "names one run; give it to that run")
    : isolation !== undefined
    ? problem("defaults.isolation", "is for single runs; set the layer's own `isolation`")
    : Option.none()

/** With a server, `dir` and `files` are paths of its machine. */
const paths = ({ attach, cwd, dir, files, transcript }: RunOptions): Option.Option<Problem> => {
  const ofServer: ReadonlyArray<readonly [string, unknown]> = [
    ["dir", dir],
    ...(Array.isArray(files) ? files : []).map((file, index) =>
      [`files.${index}`, typeof file === "string" ? file : undefined] as const
    )
  ]
  const all = [["cwd", cwd], ["transcript", transcript], ...(attach === undefined ? ofServer : [])] as const
  return Option.firstSomeOf(all.map(([path, file]) => homePath.problem(path, file)))
}

/** Finds the first problem of a prompt and its options without looking at the machine. */
export const run = (text: string, options: RunOptions): Option.Option<Problem> =>
  Option.orElse(Option.firstSomeOf([permission(options), shape(options)]), () => shaped(text, options))

/** The same for options of valid types. */
const shaped = (text: string, options: RunOptions): Option.Option<Problem> =>
  Option.firstSomeOf([
    model(options),
    session(options),
    values(options),
    attached(options),
    prompt(text, options),
    port(options),
    transport(options),
    paths(options),
    runId(options),
    isolation(options),
    literal("recover", options.recover, "export"),
    literal("usage", options.usage, "deep"),
    duration("timeout", options.timeout),
    duration("startupTimeout", options.startupTimeout),
    duration("idleTimeout", options.idleTimeout),
    duration("exitGrace", options.exitGrace),
    budget("budget", options.budget),
    positive("maxProviderRetries", options.maxProviderRetries)
  ])

/** Makes the error for an agent that OpenCode would replace by its default agent. */
export const agentFallback = ({ agent, reason }: AgentFallback): Problem => ({
  path: "agent",
  reason: reason === "unknown"
    ? `OpenCode does not know the agent "${agent}" and would use its default agent, which may write`
    : `"${agent}" is a sub-agent, so OpenCode would use its default agent, which may write; set a primary agent`
})

/** Checks the version of a binary that is not asked. */
export const version = (version: string | undefined): Option.Option<Problem> =>
  version === undefined || Version.parse(version) !== undefined
    ? Option.none()
    : problem("version", "not a valid version; use one like \"1.18.33\"")
