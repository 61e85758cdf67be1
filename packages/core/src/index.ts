/**
 * Finds the `opencode` binary.
 *
 * @since 0.1.0
 */
export * as Binary from "./Binary.js"

/**
 * What a machine has to hold the processes of a run together, so that nothing of it outlives it.
 *
 * @since 0.1.0
 */
export * as Containment from "./Containment.js"

/**
 * The facts that this library relies on about OpenCode, each with a check: a flag, how input is read, the shape of an
 * event, an exit code, the text of an error. A scenario of the real binary is recorded once, and facts are read from
 * the recording. `effect-opencode-testing/Conformance` records the scenarios of an installed OpenCode.
 *
 * @since 0.1.0
 */
export * as Contract from "./Contract.js"

/**
 * A whole session as `opencode export` prints it: messages with their parts, the model, tokens and cost of each.
 * Decoding is tolerant: only the fields named here are checked, all others stay in the raw objects. Shapes of OpenCode
 * 1.18.33.
 *
 * @since 0.1.0
 */
export * as Conversation from "./Conversation.js"

/**
 * One budget for many runs. Runs add their spending as it happens; once a limit is crossed, a new run fails with
 * `OpenCodeBudgetError` instead of starting. As for a single run, a limit may be reached but not exceeded. Running runs
 * continue: give each its own `budget` to bound it. Only `unpriced: "error"` ends a run, when it uses tokens at an
 * unknown cost.
 *
 * @since 0.1.0
 */
export * as FleetBudget from "./FleetBudget.js"

/**
 * Facts about the process that the program runs in: the variables that OpenCode inherits, and the main file. They
 * describe the machine, not the program's settings, so they do not come from its `ConfigProvider`.
 *
 * @since 0.1.0
 */
export * as HostEnvironment from "./HostEnvironment.js"

/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other at start-up
 * (1.15.13 to 1.18.33), so by default every run has its own directory, which is removed when the run ends.
 *
 * @since 0.1.0
 */
export * as Isolation from "./Isolation.js"

/**
 * Finds and ends what a dead program has left of its runs. The layer's watchdog (`leash`) does the same at once; this is
 * for programs without one, or whose watchdog was killed with them.
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
 *     NodeRuntime.runMain({ teardown: OpenCode.teardown })
 *   )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCode from "./OpenCode.js"

/**
 * The errors of this library. Each tag is a case that a caller handles differently; each run error carries what was
 * seen so far as `partial`, and a `message` that says what happened, to which run, and what to do. Secrets are masked
 * in messages and in `partial.stderr`.
 *
 * @since 0.1.0
 */
export * as OpenCodeError from "./OpenCodeError.js"

/**
 * The same service on warm servers. A run in its own process costs three to five seconds of processor time before the
 * model is asked; a prompt to a running server costs a tenth of a second. Only the layer of a program changes.
 *
 * Settings that a server has for all its runs (`extraEnv`, `configOverrides`, `mcp`, `tools`, `instructions`, `pure`,
 * logging, `extraArgs`) decide which server a run uses: there is one for each combination. Options that a server does
 * not support fail with an `OpenCodeConfigError` that names the option. Runs on one server share its process, database
 * and user, and a crash ends all of them: use `OpenCode.layer` for runs that must be kept apart.
 *
 * Measured with OpenCode 1.18.33 and 2.0.14.
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
 *     NodeRuntime.runMain({ teardown: OpenCode.teardown })
 *   )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCodeServer from "./OpenCodeServer.js"

/**
 * Permission rules for a run. Nobody can answer a question in a subprocess, so every rule is `allow` or `deny`;
 * OpenCode rejects everything else, which can end the run.
 *
 * @since 0.1.0
 */
export * as Permission from "./Permission.js"

/**
 * Recognizes and masks secrets in errors, transcripts, recordings, results and live output.
 *
 * A value is a secret if it is `Redacted`, if the name of its variable, setting or header says so (`ACME_API_KEY`,
 * `apiKey`, `Authorization`, `GH_PAT`, `NPM_CONFIG__AUTH`), or if it is the password in a URL (`DATABASE_URL`). A
 * `Redacted` value is masked at any length, unless it is blank. A value that is secret only by its name is masked from
 * six characters on, unless it is an ordinary value: a common word (`production`, `postgres`), a path, a plain URL, the
 * user's name. The forms of a secret in JSON, URLs, base64 and `Authorization: Basic` are masked, too, and so is each
 * line of a multi-line secret.
 *
 * @since 0.1.0
 */
export * as Redaction from "./Redaction.js"

/**
 * The settings that a run passes to OpenCode: agent, model, session, permissions, configuration. It is a Schema, so
 * that it can come from a file or a message, and a `Context.Reference`, so that a region of a program can set it for
 * all runs inside.
 *
 * @since 0.1.0
 */
export * as RunConfig from "./RunConfig.js"

/**
 * The events of a run: one tagged union, decoded from the JSON lines that OpenCode prints.
 *
 * Nothing is lost: every event carries the printed object as `raw`, including fields that this library does not know;
 * an unknown type becomes an {@link Unknown}. A known event is read field by field: a field with an unexpected form is
 * left out, and named in `unread` if the library needs it. Numbers may be written as strings. An event is also found on
 * a line with other text. {@link PermissionRejected} and {@link ProviderRetry} are made from OpenCode's stderr, and a
 * {@link Diagnostic} stands for a line that is not a JSON object. {@link PermissionAsked} comes from a
 * server only (`OpenCodeServer`), {@link TextDelta} from a server and from OpenCode 2.
 *
 * Shapes as printed by OpenCode 1.14.34 to 1.18.33.
 *
 * @since 0.1.0
 */
export * as RunEvent from "./RunEvent.js"

/**
 * The options of a single run.
 *
 * @since 0.1.0
 */
export * as RunOptions from "./RunOptions.js"

/**
 * The result of a run that finished, and the pure folds that build one from events.
 *
 * @since 0.1.0
 */
export * as RunResult from "./RunResult.js"

/**
 * Keeps a run, its tools included, from writing outside of its working directory and from reading the credentials of
 * other programs. Linux with bubblewrap; `docs/sandbox.md` has a table of what it holds against and what not.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Layer } from "effect"
 *
 * export const OpenCodeLive = OpenCode.layer({
 *   sandbox: { write: ["~/.cache/go-build"], network: { allow: ["api.github.com"] } }
 * }).pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 */
export * as Sandbox from "./Sandbox.js"

/**
 * A conversation: several turns that share one OpenCode session and one data directory.
 *
 * @since 0.1.0
 */
export * as Session from "./Session.js"

/**
 * Spaces out the starts of OpenCode processes, because starting needs the most resources and is fragile on a shared
 * data directory.
 *
 * @since 0.1.0
 */
export * as StartupGate from "./StartupGate.js"

/**
 * Structured answers: the instruction that describes the Schema to the agent, the search for the value in its answer,
 * and the repair prompt if the value does not decode.
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
 * Typed access to the calls of OpenCode's own tools. The reported call is kept as `event`; an unknown tool (of an MCP
 * server or a plugin), or a known one with unexpected input, is an {@link Other}.
 *
 * Only the listed fields are checked: additional fields are ignored, optional fields may be `null`, and metadata of an
 * unexpected shape is absent.
 *
 * Shapes as printed by OpenCode 1.18.33; `bash`, `read` and `task` also by 1.14.34, 1.15.13 and 1.17.19. OpenCode 2.0.14
 * names some tools and fields differently: `shell` is {@link Bash}, `subagent` is {@link Task}, `patch` is
 * {@link ApplyPatch}, `path` is `filePath`.
 *
 * @since 0.1.0
 */
export * as Tool from "./Tool.js"

/**
 * A file to which every event of a run is written as a JSON line before the program sees it, so that progress survives
 * a crash. Separate lines record the start of a run and its outcome. Every line names its run (events as
 * `effect-opencode/runId`), so that concurrent runs, also of several programs, can share a file.
 *
 * @since 0.1.0
 */
export * as Transcript from "./Transcript.js"

/**
 * OpenCode's version.
 *
 * @since 0.1.0
 */
export * as Version from "./Version.js"

/**
 * The directory in which agents work: all changes on disk, including those by shell commands and sub-agents, which a
 * run's events do not show, and its removal.
 *
 * @since 0.1.0
 */
export * as WorkingTree from "./WorkingTree.js"
