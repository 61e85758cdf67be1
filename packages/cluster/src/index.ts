/**
 * A job for an agent, and how it can end. A job is data: it is stored in the database of the cluster, and runs on
 * whichever runner owns it.
 *
 * @since 0.1.0
 */
export * as AgentJob from "./AgentJob.js"

/**
 * Jobs for agents that outlive their caller: submitted once, run once, by whichever runner of the cluster, with one
 * outcome that everybody gets who asks.
 *
 * @example
 * ```ts
 * import { AgentRun } from "effect-opencode-cluster"
 * import { Console, Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const { answer, runner } = yield* AgentRun.execute({ id: "notes-1.4", prompt: "Write the release notes of 1.4" })
 *   yield* Console.log(`${runner}: ${answer}`)
 * })
 * ```
 *
 * @since 0.1.0
 */
export * as AgentRun from "./AgentRun.js"

/**
 * The engine of `@effect/cluster` with settings that suit agents, as layers: one process and a file, or any number of
 * machines and PostgreSQL. The same program runs on both.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { AgentRun, Cluster } from "effect-opencode-cluster"
 * import { Effect, Layer } from "effect"
 *
 * const Agent = OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))
 *
 * export const program = AgentRun.execute({ id: "notes-1.4", prompt: "Write the release notes of 1.4" }).pipe(
 *   Effect.provide(Cluster.layerEmbedded({ filename: "agents.db" }).pipe(Layer.provide(Agent)))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as Cluster from "./Cluster.js"

/**
 * Limits that all runners of a cluster share, in its database.
 *
 * @since 0.1.0
 */
export * as FleetLimits from "./FleetLimits.js"

/**
 * What is seen of a job while it runs, on whichever runner.
 *
 * @since 0.1.0
 */
export * as LiveEvent from "./LiveEvent.js"

/**
 * The book of all jobs and attempts: who runs what, and how it ended. It stands in the database of the cluster, is
 * written before an agent gets its prompt, and decides what happens after a crash. The engine only carries messages: a
 * verdict is stored here once and is the truth from then on.
 *
 * @since 0.1.0
 */
export * as RunLedger from "./RunLedger.js"

/**
 * Working trees for jobs: a mirror of each repository per machine, and a tree per attempt. A repetition never sees what
 * an earlier attempt has left, and only the attempt whose verdict counts is published.
 *
 * @since 0.1.0
 */
export * as Workspace from "./Workspace.js"
