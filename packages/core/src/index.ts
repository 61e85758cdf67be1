/**
 * Where the `opencode` binary is.
 *
 * @since 0.1.0
 */
export * as Binary from "./Binary.js"

/**
 * A whole session as `opencode export` gives it: messages with their parts, the model, tokens and cost of each.
 * Tolerant: only what is named here is checked, everything else is in the raw objects. Shapes of OpenCode 1.18.33.
 *
 * @since 0.1.0
 */
export * as Conversation from "./Conversation.js"

/**
 * One budget for many runs. Runs add what they spend as they spend it; a run that would start when a limit is crossed
 * fails with `OpenCodeBudgetError` instead. A limit means what it means for one run: it may be reached, and what is more
 * crosses it. Runs under way go on: give each a `budget` of its own to bound them. Only with `unpriced: "error"` a run that
 * uses tokens at an unknown cost is ended.
 *
 * @since 0.1.0
 */
export * as FleetBudget from "./FleetBudget.js"

/**
 * What is known of the process that the program runs in: the variables that OpenCode inherits, and the file that was
 * started. They are facts of the machine and not settings of the program, so they do not come from its `ConfigProvider`.
 *
 * @since 0.1.0
 */
export * as HostEnvironment from "./HostEnvironment.js"

/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other's start
 * (1.15.13 to 1.18.33), so by default every run has a directory of its own, which goes with the run.
 *
 * @since 0.1.0
 */
export * as Isolation from "./Isolation.js"

/**
 * Finds and ends what a dead program has left of its runs. The layer's watchdog (`leash`) leaves nothing; this is for
 * programs without one, or whose watchdog was killed with them.
 *
 * @since 0.1.0
 */
export * as Leftovers from "./Leftovers.js"

/**
 * The OpenCode coding agent as a service: a run is an `Effect`, its events are a `Stream`, and it always ends with
 * exactly one typed outcome.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const result = yield* OpenCode.run("Explain this repository in three sentences", {
 *     permission: { edit: "deny", bash: "deny" },
 *     timeout: "5 minutes"
 *   })
 *   yield* Console.log(result.answer, result.usage.total, result.cost)
 * })
 *
 * export const main = () =>
 *   program.pipe(
 *     Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
 *     NodeRuntime.runMain
 *   )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCode from "./OpenCode.js"

/**
 * Everything that can end a run other than success. Each tag is something that a caller treats differently; each run
 * error carries what was seen so far as `partial`, and a `message` that says what happened, to which run, and what
 * to do. Messages and `partial.stderr` are cleaned of secrets.
 *
 * @since 0.1.0
 */
export * as OpenCodeError from "./OpenCodeError.js"

/**
 * The same service over warm servers. A run of its own process costs three to five seconds of a processor before the
 * model is asked; a prompt to a server that runs costs a tenth of a second. A program changes its layer and nothing
 * else.
 *
 * What one server has for all its runs (`extraEnv`, `configOverrides`, `mcp`, `tools`, `instructions`, `pure`, logging,
 * `extraArgs`) decides on which server a run is: there is one for each kind. What no server can do is an
 * `OpenCodeConfigError` that names the option. Through a server runs share a process, its database and its user, and
 * one that crashes takes all of them: runs that must be kept apart belong to `OpenCode.layer`.
 *
 * Measured with OpenCode 1.18.33.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode, OpenCodeServer } from "effect-opencode"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.forEach(
 *   ["src/a.ts", "src/b.ts", "src/c.ts"],
 *   (file) => OpenCode.run(`Review ${file}`, { permission: { edit: "deny", bash: "deny" } }),
 *   { concurrency: "unbounded" }
 * ).pipe(Effect.flatMap(Effect.forEach((result) => Console.log(result.answer))))
 *
 * export const main = () =>
 *   program.pipe(
 *     Effect.provide(OpenCodeServer.layer().pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
 *     NodeRuntime.runMain
 *   )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCodeServer from "./OpenCodeServer.js"

/**
 * Permission rules for a run. Nobody can answer a question in a subprocess, so every rule is `allow` or `deny`;
 * whatever would ask is rejected by OpenCode and can end the run.
 *
 * @since 0.1.0
 */
export * as Permission from "./Permission.js"

/**
 * What is secret, and how it is masked: the one redaction of errors, transcripts, recordings, results and live output.
 *
 * A value is a secret if it is `Redacted`, or if the variable, setting or header that holds it says so by its name
 * (`ACME_API_KEY`, `apiKey`, `Authorization`, `GH_PAT`, `NPM_CONFIG__AUTH`), or if it is the password of an address
 * (`DATABASE_URL`). What is `Redacted` is masked however short it is, unless it is blank. What only a name calls secret
 * is masked from six characters on and unless it is an ordinary value: a common word (`production`, `postgres`), a path,
 * a plain address, the name of the user. Masked are also the forms that a secret has in JSON, in an address, in base64
 * and in what `Authorization: Basic` sends, and each line of a secret that has several.
 *
 * @since 0.1.0
 */
export * as Redaction from "./Redaction.js"

/**
 * What a run asks of OpenCode: agent, model, session, permissions, configuration. A Schema, so that it can come from
 * a file or a message; a `Context.Reference`, so that a region of a program can set it for all runs inside.
 *
 * @since 0.1.0
 */
export * as RunConfig from "./RunConfig.js"

/**
 * What a run reports while it works: one tagged union, decoded from the JSON lines that OpenCode prints.
 *
 * Nothing is lost on the way: every event carries the object that was printed as `raw`, fields that this library
 * does not know included; a type that it does not know is an {@link Unknown}. An event of a known type is read field by
 * field: one that has an unexpected form is left out, and named in `unread` if the library needs it. Numbers can be
 * written as texts. An event is found on a line that has other words on it, too. {@link PermissionRejected} and {@link ProviderRetry} are made from OpenCode's stderr, and
 * {@link Diagnostic} stands for a line that is no JSON object. {@link TextDelta} and {@link PermissionAsked} are seen
 * through a server only (`OpenCodeServer`).
 *
 * Shapes as printed by OpenCode 1.14.34 to 1.18.33.
 *
 * @since 0.1.0
 */
export * as RunEvent from "./RunEvent.js"

/**
 * What a single run can be told besides its prompt.
 *
 * @since 0.1.0
 */
export * as RunOptions from "./RunOptions.js"

/**
 * The result of a run that finished, and the pure folds that make one from events.
 *
 * @since 0.1.0
 */
export * as RunResult from "./RunResult.js"

/**
 * A conversation: several turns that share one OpenCode session and one data directory.
 *
 * @since 0.1.0
 */
export * as Session from "./Session.js"

/**
 * Spaces out the starts of OpenCode processes: they are at their heaviest, and on one data directory at their most
 * fragile, while they start.
 *
 * @since 0.1.0
 */
export * as StartupGate from "./StartupGate.js"

/**
 * Answers that are data: what the agent is told about the Schema of its answer, how the answer is found in what it
 * wrote, and how it is asked again when the answer does not decode.
 *
 * @since 0.1.0
 */
export * as StructuredOutput from "./StructuredOutput.js"

/**
 * Token counts of a step or of a whole run, and their sum.
 *
 * @since 0.1.0
 */
export * as TokenUsage from "./TokenUsage.js"

/**
 * Typed access to the calls of OpenCode's own tools. The call as it was reported stays beside it as `event`; a tool
 * that is not known here (of an MCP server, of a plugin), and a known one with an unexpected input, is an
 * {@link Other}.
 *
 * Only what is listed is checked: fields that OpenCode adds are passed over, optional fields may be `null`, and
 * metadata of an unexpected shape is absent.
 *
 * Shapes as printed by OpenCode 1.18.33; `bash`, `read` and `task` also by 1.14.34, 1.15.13 and 1.17.19.
 *
 * @since 0.1.0
 */
export * as Tool from "./Tool.js"

/**
 * A file that receives every event of a run as a JSON line before anybody else sees it, so that progress survives a
 * crash of the program. A line of its own says which run begins, and another one how it ended. Every line names its run
 * (events as `effect-opencode/runId`), so that runs can share a file, also at the same time and from several programs.
 *
 * @since 0.1.0
 */
export * as Transcript from "./Transcript.js"

/**
 * OpenCode's version, and which options it understands.
 *
 * @since 0.1.0
 */
export * as Version from "./Version.js"

/**
 * What changed on disk, whoever changed it: shell commands and sub-agents too, which a run's events do not show.
 *
 * @since 0.1.0
 */
export * as WorkingTree from "./WorkingTree.js"
