import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Attempt, Job, LedgerError, Service } from "../RunLedger.js"

interface JobRow {
  readonly id: string
  readonly payload: string
  readonly version: number
  readonly state: Job["state"]
  readonly accepted_at: number | string
  readonly seen_at: number | string
  readonly cancel_reason: string | null
  readonly status: Job["status"] | null
  readonly outcome: string | null
  readonly settled_at: number | string | null
}

interface AttemptRow {
  readonly id: string
  readonly number: number
  readonly run_id: string
  readonly runner: string
  readonly state: Attempt["state"]
  readonly prompted: number
  readonly session_id: string | null
  readonly cwd: string | null
  readonly directory: string | null
  readonly claimed: string | null
  readonly begun_at: number | string
  readonly ended_at: number | string | null
}

/** PostgreSQL's driver reads a BIGINT as a text. */
const time = (value: number | string | null): number | undefined => value === null ? undefined : Number(value)

const jobOf = (row: JobRow): Job => ({
  id: row.id,
  payload: row.payload,
  version: row.version,
  state: row.state,
  acceptedAt: Number(row.accepted_at),
  seenAt: Number(row.seen_at),
  cancel: row.cancel_reason ?? undefined,
  status: row.status ?? undefined,
  outcome: row.outcome ?? undefined,
  settledAt: time(row.settled_at)
})

const attemptOf = (row: AttemptRow): Attempt => ({
  id: row.id,
  number: row.number,
  runId: row.run_id,
  runner: row.runner,
  state: row.state,
  prompted: row.prompted === 1,
  sessionId: row.session_id ?? undefined,
  cwd: row.cwd ?? undefined,
  directory: row.directory ?? undefined,
  claimed: row.claimed ?? undefined,
  begunAt: Number(row.begun_at),
  endedAt: time(row.ended_at)
})

/** In whole milliseconds, which a BIGINT can be compared with; an endless time is before every row. */
export const millisOf = (time: Duration.DurationInput): number =>
  Math.min(Math.floor(Duration.toMillis(time)), Number.MAX_SAFE_INTEGER)

/** How many ids one statement names. */
const batch = 500

/** How long a job may be out of every runner's hands before it counts as stuck. */
const stuckAfter = 60_000

export const make = <E>(
  failure: (operation: string, cause: unknown) => LedgerError,
  migrate: Effect.Effect<void, E, SqlClient.SqlClient>
): Effect.Effect<Service, LedgerError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    yield* Effect.mapError(migrate, (cause) => failure("migrate", cause))
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()

    const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })

    /** The clock of the database: runners disagree about the time. */
    const now = sql.literal(
      isPostgres
        ? "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
        : "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    )

    /** Makes concurrent statements about one job wait for each other; in SQLite they do anyway. */
    const lock = (id: string) =>
      isPostgres ? Effect.asVoid(sql`SELECT 1 FROM opencode_jobs WHERE id = ${id} FOR UPDATE`) : Effect.void

    const failing = (operation: string) =>
    <A>(
      effect: Effect.Effect<A, SqlError>
    ): Effect.Effect<A, LedgerError> =>
      Effect.withTracerEnabled(Effect.mapError(effect, (cause) => failure(operation, cause)), false)

    const job = (id: string) =>
      Effect.map(
        sql<JobRow>`SELECT * FROM opencode_jobs WHERE id = ${id}`,
        (rows) => Option.map(Arr.head(rows), jobOf)
      )

    const isCurrent = (id: string, number: number) =>
      Effect.map(
        sql<{ readonly number: number }>`
          SELECT number FROM opencode_attempts
          WHERE id = ${id} AND number = ${number} AND state IN ('begun', 'interrupted')
            AND NOT EXISTS (SELECT 1 FROM opencode_attempts later WHERE later.id = ${id} AND later.number > ${number})`,
        Arr.isNonEmptyReadonlyArray
      )

    const inBatches = <A>(
      ids: ReadonlyArray<string>,
      ask: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<A>, SqlError>
    ): Effect.Effect<ReadonlyArray<A>, SqlError> =>
      ids.length === 0
        ? Effect.succeed([])
        : Effect.map(Effect.forEach(Arr.chunksOf(ids, batch), ask), Arr.flatten)

    const accept = (
      { id, payload, version }: Parameters<Service["accept"]>[0]
    ): Effect.Effect<{ readonly isNew: boolean; readonly job: Job }, SqlError> =>
      sql<JobRow>`
          INSERT INTO opencode_jobs (id, payload, version, state, accepted_at, seen_at)
          VALUES (${id}, ${payload}, ${version}, 'accepted', ${now}, ${now})
          ON CONFLICT (id) DO NOTHING RETURNING *`.pipe(
        Effect.flatMap((rows) =>
          Option.match(Arr.head(rows), {
            onSome: (row) => Effect.succeed({ isNew: true, job: jobOf(row) }),
            onNone: () =>
              Effect.flatMap(
                job(id),
                Option.match({
                  onSome: (job) => Effect.succeed({ isNew: false, job }),
                  // The retention removed it in between.
                  onNone: () => accept({ id, payload, version })
                })
              )
          })
        )
      )

    return {
      accept: (job) => failing("accept")(accept(job)),

      job: (id) => failing("job")(job(id)),

      attempts: (id) =>
        sql<AttemptRow>`SELECT * FROM opencode_attempts WHERE id = ${id} ORDER BY number`.pipe(
          Effect.map((rows) => rows.map(attemptOf)),
          failing("attempts")
        ),

      begin: ({ id, number, runId, runner }) =>
        Effect.gen(function*() {
          yield* lock(id)
          const jobs = yield* sql`SELECT 1 FROM opencode_jobs WHERE id = ${id} AND outcome IS NULL`
          const taken = yield* sql`
            SELECT 1 FROM opencode_attempts WHERE id = ${id} AND (number >= ${number} OR claimed IS NOT NULL)`
          if (jobs.length === 0 || taken.length > 0) return false
          yield* sql`
            UPDATE opencode_attempts SET state = 'lost', ended_at = ${now}
            WHERE id = ${id} AND state IN ('begun', 'interrupted')`
          yield* sql`
            INSERT INTO opencode_attempts (id, number, run_id, runner, state, prompted, begun_at)
            VALUES (${id}, ${number}, ${runId}, ${runner}, 'begun', 0, ${now})`
          yield* sql`UPDATE opencode_jobs SET state = 'running', seen_at = ${now} WHERE id = ${id}`
          return true
        }).pipe(sql.withTransaction, failing("begin")),

      prompted: ({ cwd, directory, id, number }) =>
        Effect.gen(function*() {
          yield* lock(id)
          if (!(yield* isCurrent(id, number))) return false
          yield* sql`
            UPDATE opencode_attempts SET prompted = 1, cwd = ${cwd ?? null}, directory = ${directory ?? null}
            WHERE id = ${id} AND number = ${number}`
          return true
        }).pipe(sql.withTransaction, failing("prompted")),

      session: ({ id, number, sessionId }) =>
        sql`UPDATE opencode_attempts SET session_id = ${sessionId} WHERE id = ${id} AND number = ${number}`.pipe(
          Effect.asVoid,
          failing("session")
        ),

      claim: ({ id, number, outcome }) =>
        Effect.gen(function*() {
          yield* lock(id)
          const jobs = yield* sql`SELECT 1 FROM opencode_jobs WHERE id = ${id} AND outcome IS NULL`
          if (jobs.length === 0 || !(yield* isCurrent(id, number))) return false
          yield* sql`UPDATE opencode_attempts SET claimed = ${outcome} WHERE id = ${id} AND number = ${number}`
          return true
        }).pipe(sql.withTransaction, failing("claim")),

      interrupted: ({ id, number }) =>
        sql`
          UPDATE opencode_attempts SET state = 'interrupted', ended_at = ${now}
          WHERE id = ${id} AND number = ${number} AND state = 'begun'`.pipe(Effect.asVoid, failing("interrupted")),

      settle: ({ id, number, outcome, status }) =>
        Effect.gen(function*() {
          yield* lock(id)
          if (number !== undefined && !(yield* isCurrent(id, number))) return false
          const won = yield* sql`
            UPDATE opencode_jobs
            SET state = 'settled', status = ${status}, outcome = ${outcome}, settled_at = ${now}, seen_at = ${now}
            WHERE id = ${id} AND outcome IS NULL RETURNING id`
          if (won.length === 0) return false
          yield* sql`
            UPDATE opencode_attempts SET state = 'lost', ended_at = ${now}
            WHERE id = ${id} AND state IN ('begun', 'interrupted') AND number <> ${number ?? 0}`
          yield* sql`
            UPDATE opencode_attempts SET state = 'ended', ended_at = ${now}
            WHERE id = ${id} AND number = ${number ?? 0}`
          return true
        }).pipe(sql.withTransaction, failing("settle")),

      cancel: (id, reason) =>
        sql`
          UPDATE opencode_jobs SET cancel_reason = COALESCE(cancel_reason, ${reason})
          WHERE id = ${id} AND outcome IS NULL RETURNING id`.pipe(
          Effect.flatMap((rows) =>
            rows.length > 0 ? Effect.succeed("requested" as const) : Effect.map(
              job(id),
              Option.match({ onNone: () => "unknown" as const, onSome: () => "settled" as const })
            )
          ),
          failing("cancel")
        ),

      seen: (ids) =>
        inBatches(ids, (ids) =>
          sql<{ readonly id: string; readonly cancel_reason: string | null }>`
            UPDATE opencode_jobs SET seen_at = ${now} WHERE ${sql.in("id", ids)} RETURNING id, cancel_reason`).pipe(
            Effect.map((rows) =>
              rows.flatMap(({ cancel_reason, id }) => cancel_reason === null ? [] : [{ id, cancel: cancel_reason }])
            ),
            failing("seen")
          ),

      settledOf: (ids) =>
        inBatches(ids, (ids) =>
          sql<{ readonly id: string }>`
            SELECT id FROM opencode_jobs WHERE ${sql.in("id", ids)} AND state <> 'settled'`).pipe(
            Effect.map((rows) => {
              const open = new Set(rows.map(({ id }) => id))
              return ids.filter((id) => !open.has(id))
            }),
            failing("settledOf")
          ),

      unseen: (since) =>
        sql<{ readonly id: string }>`
          SELECT id FROM opencode_jobs
          WHERE state IN ('accepted', 'running') AND seen_at < ${now} - ${millisOf(since)}
          ORDER BY seen_at LIMIT 1000`.pipe(Effect.map((rows) => rows.map(({ id }) => id)), failing("unseen")),

      counts: Effect.gen(function*() {
        const states = yield* sql<{ readonly state: Job["state"]; readonly count: number | string }>`
          SELECT state, COUNT(*) AS count FROM opencode_jobs GROUP BY state`
        const [oldest] = yield* sql<{ readonly age: number | string | null }>`
          SELECT ${now} - MIN(accepted_at) AS age FROM opencode_jobs WHERE state = 'accepted'`
        const [stuck] = yield* sql<{ readonly count: number | string }>`
          SELECT COUNT(*) AS count FROM opencode_jobs
          WHERE state IN ('accepted', 'running') AND seen_at < ${now} - ${stuckAfter}`
        const of = (wanted: Job["state"]) => Number(states.find(({ state }) => state === wanted)?.count ?? 0)
        return {
          accepted: of("accepted"),
          running: of("running"),
          settled: of("settled"),
          stuck: Number(stuck?.count ?? 0),
          oldest: Math.max(0, Number(oldest?.age ?? 0))
        }
      }).pipe(failing("counts")),

      list: (options) =>
        sql<JobRow>`
          SELECT * FROM opencode_jobs
          WHERE ${options?.state === undefined ? sql.literal("1 = 1") : sql`state = ${options.state}`}
          ORDER BY accepted_at DESC, id LIMIT ${options?.limit ?? 100}`.pipe(
          Effect.map((rows) => rows.map(jobOf)),
          failing("list")
        ),

      retain: (time) =>
        Effect.gen(function*() {
          const rows = yield* sql<{ readonly id: string }>`
            SELECT id FROM opencode_jobs
            WHERE settled_at < ${now} - ${millisOf(time)} ORDER BY settled_at LIMIT 1000`
          const ids = rows.map(({ id }) => id)
          if (ids.length === 0) return ids
          yield* inBatches(ids, (ids) => sql`DELETE FROM opencode_attempts WHERE ${sql.in("id", ids)}`)
          yield* inBatches(ids, (ids) => sql`DELETE FROM opencode_jobs WHERE ${sql.in("id", ids)}`)
          return ids
        }).pipe(sql.withTransaction, failing("retain"))
    }
  })
