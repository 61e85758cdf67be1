import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Of PostgreSQL's advisory locks, the one that this package takes while it makes tables. */
const lockKey = 7_264_509_131

/** `CREATE TABLE IF NOT EXISTS` by two sessions at once fails in one of them. */
export const underLock = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R | SqlClient.SqlClient> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql.onDialectOrElse({
      pg: () =>
        Effect.scoped(Effect.gen(function*() {
          const connection = yield* sql.reserve
          const take = Effect.flatMap(
            connection.executeValues(`SELECT pg_try_advisory_lock(${lockKey})`, []),
            ([row]) => row?.[0] === true ? Effect.void : Effect.fail("taken" as const)
          )
          yield* Effect.acquireRelease(
            take.pipe(
              Effect.retry({
                while: (error) => error === "taken",
                schedule: Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(600))
              }),
              Effect.catchIf(
                (error) => error === "taken",
                () =>
                  new SqlError({
                    cause: "taken",
                    message: "another program has been making the tables of the cluster for a minute"
                  })
              )
            ),
            () => Effect.ignore(connection.executeValues(`SELECT pg_advisory_unlock(${lockKey})`, []))
          )
          return yield* effect
        })),
      orElse: () => effect
    }))

const tables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE IF NOT EXISTS opencode_jobs (
      id VARCHAR(200) PRIMARY KEY,
      payload TEXT NOT NULL,
      version INTEGER NOT NULL,
      state VARCHAR(16) NOT NULL,
      accepted_at BIGINT NOT NULL,
      seen_at BIGINT NOT NULL,
      cancel_reason TEXT,
      status VARCHAR(16),
      outcome TEXT,
      settled_at BIGINT
    )`
  yield* sql`CREATE INDEX IF NOT EXISTS opencode_jobs_state ON opencode_jobs (state, seen_at)`
  yield* sql`CREATE INDEX IF NOT EXISTS opencode_jobs_settled ON opencode_jobs (settled_at)`
  yield* sql`
    CREATE TABLE IF NOT EXISTS opencode_attempts (
      id VARCHAR(200) NOT NULL,
      number INTEGER NOT NULL,
      run_id VARCHAR(64) NOT NULL,
      runner VARCHAR(255) NOT NULL,
      state VARCHAR(16) NOT NULL,
      prompted INTEGER NOT NULL,
      session_id TEXT,
      cwd TEXT,
      directory TEXT,
      begun_at BIGINT NOT NULL,
      ended_at BIGINT,
      PRIMARY KEY (id, number)
    )`
})

const limits = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE IF NOT EXISTS opencode_budgets (
      name VARCHAR(200) PRIMARY KEY,
      steps BIGINT NOT NULL,
      cost DOUBLE PRECISION NOT NULL,
      tokens BIGINT NOT NULL,
      tool_calls BIGINT NOT NULL,
      unpriced INTEGER NOT NULL
    )`
  yield* sql`
    CREATE TABLE IF NOT EXISTS opencode_rates (
      name VARCHAR(200) PRIMARY KEY,
      tokens DOUBLE PRECISION NOT NULL,
      at_millis DOUBLE PRECISION NOT NULL
    )`
})

/** The outcome of an attempt whose branch is being published. */
const claims = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`ALTER TABLE opencode_attempts ADD COLUMN claimed TEXT`
)

export const run = Effect.asVoid(Effect.withTracerEnabled(
  Migrator.make({})({
    loader: Migrator.fromRecord({ "0001_jobs": tables, "0002_limits": limits, "0003_claims": claims }),
    table: "opencode_migrations"
  }),
  false
))
