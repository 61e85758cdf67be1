import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Permission from "../../Permission.js"
import { RunConfig } from "../../RunConfig.js"
import type { Budget, RunOptions } from "../../RunOptions.js"
import * as schemaText from "../util/schemaText.js"
import * as configContent from "./configContent.js"
import * as homePath from "./homePath.js"
import type { Problem } from "./problem.js"
import type { AgentFallback } from "./stderr.js"
import { variableNames } from "./variables.js"

const problem = (path: string, reason: string): Option.Option<Problem> => Option.some({ path, reason })

/**
 * The deepest issue of a failed validation. Schema's own formatters print the offending value, which can be a secret;
 * this says only where it is and what was expected.
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
      // Where no member of a union comes nearer to the value, all of them are what was expected.
      return issue.ast._tag === "Union" && problems.every((inner) => inner.path === here)
        ? { path: here, reason: schemaText.expected(issue.ast) }
        : problems.find((inner) => inner.path !== here) ?? problems[0]
    }
    case "Refinement":
    case "Transformation":
      return fromIssue(issue.issue, path)
    case "Unexpected":
      return { path: path.map(String).join("."), reason: "there is no such option" }
    case "Missing":
      return { path: path.map(String).join("."), reason: "it is missing" }
    default:
      return { path: path.map(String).join("."), reason: schemaText.expected(issue.ast) }
  }
}

const validate = Schema.validateEither(Schema.typeSchema(RunConfig))

const isFine = Schema.is(RunConfig)

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
    : problem("model", "a model is named `provider/model`")

const session = (options: RunOptions): Option.Option<Problem> => {
  if (options.fork === true && options.sessionId === undefined && options.continueSession !== true) {
    return problem("fork", "there is no session to branch off; set `sessionId` or `continueSession`")
  }
  return Option.none()
}

/** Options that OpenCode passes over when they are empty, and what it would do then. */
const ifEmpty = {
  agent: "work with its default agent",
  command: "take the prompt as it is",
  sessionId: "begin a new session",
  attach: "start a process of its own",
  dir: "work in `cwd`"
} as const

const inArguments = ["agent", "command", "sessionId", "attach", "dir", "title", "variant", "username", "model"] as const

/** A text that no argument and no variable can carry: what is between the programs is bytes without NUL, in UTF-8. */
const unsayable = (text: string): string | undefined =>
  text.includes("\0")
    ? "it holds NUL, which ends a text between programs"
    : /\p{Surrogate}/u.test(text)
    ? "it holds half a character (a lone surrogate), which UTF-8 cannot carry"
    : undefined

const values = (options: RunOptions): Option.Option<Problem> => {
  for (const path of Object.keys(ifEmpty) as ReadonlyArray<keyof typeof ifEmpty>) {
    if (options[path] === "") return problem(path, `it is empty, and OpenCode would ${ifEmpty[path]}`)
  }
  for (const path of inArguments) {
    const reason = unsayable(options[path] ?? "")
    if (reason !== undefined) return problem(path, reason)
  }
  for (const [index, file] of (options.files ?? []).entries()) {
    const reason = file === "" ? "it is empty, and OpenCode would attach the directory" : unsayable(file)
    if (reason !== undefined) return problem(`files.${index}`, reason)
  }
  const reason = unsayable(options.password === undefined ? "" : Redacted.value(options.password))
  return reason === undefined ? Option.none() : problem("password", reason)
}

/** A server that runs already is not told our configuration. */
const attached = (options: RunOptions): Option.Option<Problem> =>
  options.attach === undefined || configContent.permissionOf(options) === undefined
    ? Option.none()
    : problem(
      options.permission === undefined ? "configOverrides.permission" : "permission",
      "with `attach` no rules reach the server, so they would not hold; use `OpenCodeServer.layerAttach`, which gives them to " +
        "the session"
    )

const prompt = (text: string, options: RunOptions): Option.Option<Problem> => {
  // A single space as an argument is a prompt to OpenCode, blank lines on stdin are none: neither says anything.
  if (text.trim() === "" && options.command === undefined) {
    return problem("prompt", "it is empty; only a `command` can do without one")
  }
  if (options.promptVia === "argv") {
    const reason = unsayable(text)
    if (reason !== undefined) return problem("prompt", `${reason}; let it travel by stdin`)
    if (isNumeral(text)) {
      return problem("prompt", "OpenCode cannot read an argument that is a number; let it travel by stdin")
    }
    if (isLonger(text, maxArgument)) {
      return problem("prompt", "an argument cannot be longer than 128 KiB; let it travel by stdin")
    }
  }
  return Option.none()
}

/** What OpenCode's parser of arguments makes a number of, at which OpenCode then fails (1.18.33). */
const isNumeral = (text: string): boolean => /^(0x[0-9a-f]+|-?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)$/i.test(text)

/** Linux's limit for one argument or one variable (MAX_ARG_STRLEN), terminating NUL included. */
const maxArgument = 128 * 1024 - 1

const encoder = new TextEncoder()

const isLonger = (text: string, bytes: number): boolean =>
  // No character of a string takes more than three bytes.
  text.length * 3 > bytes && encoder.encode(text).length > bytes

/** The variables that other options than `extraEnv` set. */
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
      return problem(path, "a variable's name cannot be empty or hold `=`, and neither side can hold NUL")
    }
    if (/\p{Surrogate}/u.test(value)) return problem(path, "it holds half a character, which UTF-8 cannot carry")
    if (isLonger(`${name}=${value}`, maxArgument)) {
      return problem(path, "the environment cannot carry a value of more than 128 KiB")
    }
  }
  return Option.none()
}

/** A duration of a limit: more than zero. */
export const duration = (path: string, input: Duration.DurationInput | undefined): Option.Option<Problem> => {
  if (input === undefined) return Option.none()
  return Option.match(Duration.decodeUnknown(input), {
    onNone: () => problem(path, "it is not a duration (\"30 seconds\", or milliseconds)"),
    onSome: (duration) =>
      // `Duration` turns a negative number into zero.
      Duration.greaterThan(duration, Duration.zero) ? Option.none() : problem(path, "it must be more than zero")
  })
}

const positive = (path: string, value: number | undefined): Option.Option<Problem> =>
  value === undefined || (typeof value === "number" && value > 0)
    ? Option.none()
    : problem(path, "it must be a number greater than zero")

/** The limits of a budget, a run's or a fleet's. */
export const budget = (path: string, limits: Budget | undefined): Option.Option<Problem> =>
  Option.firstSomeOf([
    ...(["steps", "cost", "tokens", "toolCalls"] as const).map((name) => positive(`${path}.${name}`, limits?.[name])),
    limits?.unpriced === undefined || ["warn", "error", "allow"].includes(limits.unpriced)
      ? Option.none()
      : problem(`${path}.unpriced`, "it is \"warn\", \"error\" or \"allow\"")
  ])

const port = ({ port }: RunOptions): Option.Option<Problem> =>
  port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65535)
    ? Option.none()
    : problem("port", "it must be a whole number from 0 to 65535")

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0

export const concurrency = (path: string, value: number | "unbounded" | undefined): Option.Option<Problem> =>
  value === undefined || value === "unbounded" || isCount(value)
    ? Option.none()
    : problem(path, "it must be a whole number greater than zero, or \"unbounded\"")

/** Of things that cost too much to have any number of them. */
export const count = (path: string, value: number | undefined): Option.Option<Problem> =>
  value === undefined || isCount(value) ? Option.none() : problem(path, "it must be a whole number greater than zero")

const literal = (path: string, value: string | undefined, only: string): Option.Option<Problem> =>
  value === undefined || value === only ? Option.none() : problem(path, `it is "${only}" or not set`)

const transport = (options: RunOptions): Option.Option<Problem> =>
  options.promptVia === undefined || options.promptVia === "stdin" || options.promptVia === "argv"
    ? Option.none()
    : problem("promptVia", "it is \"stdin\" or \"argv\"")

/** With a server, `dir` and `files` are paths of its machine. */
const paths = ({ attach, cwd, dir, files, transcript }: RunOptions): Option.Option<Problem> => {
  const ofServer: ReadonlyArray<readonly [string, unknown]> = [
    ["dir", dir],
    ...(Array.isArray(files) ? files : []).map((file, index) => [`files.${index}`, file] as const)
  ]
  const all = [["cwd", cwd], ["transcript", transcript], ...(attach === undefined ? ofServer : [])] as const
  return Option.firstSomeOf(all.map(([path, file]) => homePath.problem(path, file)))
}

/** The first problem of a prompt and its options that can be found without looking at the machine. */
export const run = (text: string, options: RunOptions): Option.Option<Problem> =>
  Option.orElse(Option.firstSomeOf([permission(options), shape(options)]), () => shaped(text, options))

/** The same where every option has the type that it should have. */
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
    literal("recover", options.recover, "export"),
    literal("usage", options.usage, "deep"),
    duration("timeout", options.timeout),
    duration("startupTimeout", options.startupTimeout),
    duration("idleTimeout", options.idleTimeout),
    duration("exitGrace", options.exitGrace),
    budget("budget", options.budget),
    positive("maxProviderRetries", options.maxProviderRetries)
  ])

/** OpenCode would take its default agent instead of the one that was asked for. */
export const agentFallback = ({ agent, reason }: AgentFallback): Problem => ({
  path: "agent",
  reason: reason === "unknown"
    ? `OpenCode does not know the agent "${agent}" and would use its default agent, which may write`
    : `"${agent}" is a sub-agent, OpenCode would use its default agent, which may write; name a primary agent`
})
