/**
 * The book of all jobs and attempts: who runs what, and how it ended. It stands in the database of the cluster, is
 * written before an agent gets its prompt, and decides what happens after a crash. The engine only carries messages: a
 * verdict is stored here once and is the truth from then on.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ledgerMemory from "./internal/ledgerMemory.js"
import * as ledgerSql from "./internal/ledgerSql.js"
import * as migrations from "./internal/migrations.js"
import * as transactions from "./internal/transactions.js"

/**
 * The database of the cluster did not answer, or refused a statement. The statement can be repeated.
 *
 * @since 0.1.0
 * @category errors
 */
export class LedgerError extends Schema.TaggedError<LedgerError>("effect-opencode-cluster/LedgerError")("LedgerError", {
  /** What was to be done: `accept`, `settle`, … */
  operation: Schema.String,
  cause: Schema.Defect
}) {
  override get message(): string {
    const cause = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `The database of the cluster failed (${this.operation}): ${cause}. Check that it is reachable, then repeat.`
  }
}

/**
 * How a job ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "succeeded" | "failed" | "lost" | "cancelled"

/**
 * A job in the ledger.
 *
 * @since 0.1.0
 * @category models
 */
export interface Job {
  readonly id: string
  /** The job in JSON, fields in alphabetical order. */
  readonly payload: string
  /** The version of the payload. */
  readonly version: number
  readonly state: "accepted" | "running" | "settled"
  /** Milliseconds since 1970, by the clock of the database, as all times here. */
  readonly acceptedAt: number
  /** When a runner last had the job in hand, waiting or running. */
  readonly seenAt: number
  /** Why it is to be cancelled. */
  readonly cancel: string | undefined
  readonly status: Status | undefined
  /** The outcome in JSON. */
  readonly outcome: string | undefined
  readonly settledAt: number | undefined
}

/**
 * An agent that was started, or is about to be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  readonly id: string
  /** From 1. */
  readonly number: number
  readonly runId: string
  readonly runner: string
  /** `interrupted`: ended by its runner, which left. `lost`: another attempt, or a verdict, came after it. */
  readonly state: "begun" | "interrupted" | "lost" | "ended"
  /** True from the moment at which the agent is about to get its prompt. */
  readonly prompted: boolean
  readonly sessionId: string | undefined
  readonly cwd: string | undefined
  /** The data directory. */
  readonly directory: string | undefined
  /** The outcome in JSON of an attempt whose branch is about to be published. */
  readonly claimed: string | undefined
  readonly begunAt: number
  readonly endedAt: number | undefined
}

/**
 * How much work there is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  /** Jobs that have not begun. */
  readonly accepted: number
  readonly running: number
  readonly settled: number
  /** Jobs that no runner has had in hand for a minute. */
  readonly stuck: number
  /** Milliseconds since the oldest job that has not begun was accepted; 0 without one. */
  readonly oldest: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Enters a job, unless its id is taken. */
  readonly accept: (
    job: { readonly id: string; readonly payload: string; readonly version: number }
  ) => Effect.Effect<{ readonly isNew: boolean; readonly job: Job }, LedgerError>
  readonly job: (id: string) => Effect.Effect<Option.Option<Job>, LedgerError>
  /** The attempts of a job, oldest first. */
  readonly attempts: (id: string) => Effect.Effect<ReadonlyArray<Attempt>, LedgerError>
  /**
   * Enters an attempt, and declares earlier ones that are open `lost`. False if the job is settled or claimed, or another
   * attempt has this number.
   */
  readonly begin: (
    attempt: Pick<Attempt, "id" | "number" | "runId" | "runner">
  ) => Effect.Effect<boolean, LedgerError>
  /** Notes that the agent is about to get its prompt. False if the attempt is not the current one any more. */
  readonly prompted: (
    attempt: Pick<Attempt, "id" | "number" | "cwd" | "directory">
  ) => Effect.Effect<boolean, LedgerError>
  readonly session: (
    attempt: Pick<Attempt, "id" | "number"> & { readonly sessionId: string }
  ) => Effect.Effect<void, LedgerError>
  /**
   * Notes the outcome of an attempt before its branch is published. No other attempt begins from then on: the runner that has the
   * job publishes the branch, and settles the job with this outcome. False if the attempt is not the current one any more.
   */
  readonly claim: (
    attempt: Pick<Attempt, "id" | "number"> & { readonly outcome: string }
  ) => Effect.Effect<boolean, LedgerError>
  /** Notes that the attempt was ended by its runner, which is leaving or has lost the job. */
  readonly interrupted: (attempt: Pick<Attempt, "id" | "number">) => Effect.Effect<void, LedgerError>
  /**
   * Stores the outcome. False if there is one, or if `number` is given and not the current attempt: then nothing is
   * changed.
   */
  readonly settle: (verdict: {
    readonly id: string
    readonly number: number | undefined
    readonly status: Status
    readonly outcome: string
  }) => Effect.Effect<boolean, LedgerError>
  /** Asks for a job to be cancelled; the first reason is kept. */
  readonly cancel: (
    id: string,
    reason: string
  ) => Effect.Effect<"requested" | "settled" | "unknown", LedgerError>
  /** Notes that a runner has these jobs in hand. Returns those that are to be cancelled. */
  readonly seen: (
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<{ readonly id: string; readonly cancel: string }>, LedgerError>
  /** Those of the jobs that are settled, or gone. */
  readonly settledOf: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, LedgerError>
  /** Jobs without a verdict that no runner has had in hand for this time. */
  readonly unseen: (since: Duration.DurationInput) => Effect.Effect<ReadonlyArray<string>, LedgerError>
  readonly counts: Effect.Effect<Counts, LedgerError>
  /** Jobs in the order of their acceptance, the latest first. */
  readonly list: (options?: {
    readonly state?: Job["state"] | undefined
    /** Default: 100. */
    readonly limit?: number | undefined
  }) => Effect.Effect<ReadonlyArray<Job>, LedgerError>
  /** Removes jobs that have been settled for this time, with their attempts, at most 1000. Returns their ids. */
  readonly retain: (time: Duration.DurationInput) => Effect.Effect<ReadonlyArray<string>, LedgerError>
}

/**
 * The ledger.
 *
 * @since 0.1.0
 * @category tags
 */
export class RunLedger extends Context.Tag("effect-opencode-cluster/RunLedger")<RunLedger, Service>() {}

/**
 * The ledger in SQLite or PostgreSQL. Its tables, `opencode_jobs` and `opencode_attempts`, are made by a migration; any
 * number of programs may start at the same time on an empty database.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSql: Layer.Layer<RunLedger, LedgerError, SqlClient.SqlClient> = Layer.effect(
  RunLedger,
  ledgerSql.make(
    (operation, cause) => new LedgerError({ operation, cause }),
    migrations.underLock(migrations.run)
  )
).pipe(Layer.provide(transactions.layer))

/**
 * The ledger in memory, for tests.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<RunLedger> = Layer.effect(RunLedger, ledgerMemory.make)
