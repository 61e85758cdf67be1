import * as RateLimiter from "@effect/experimental/RateLimiter"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LedgerError } from "../RunLedger.js"
import * as migrations from "./migrations.js"

/** A row: for a window what was taken and when it is over, for a bucket what is left and when it was filled. */
export interface State {
  readonly tokens: number
  readonly at: number
}

/** Takes from a window: the state after it, and the count with the time until it is over. */
export const takeFromWindow = (
  state: State | undefined,
  now: number,
  options: { readonly tokens: number; readonly refillMillis: number; readonly limit: number | undefined }
): readonly [State, readonly [count: number, ttl: number]] => {
  const open = state === undefined || state.at <= now ? { tokens: 0, at: now } : state
  const count = open.tokens + options.tokens
  if (options.limit !== undefined && count > options.limit) return [open, [count, open.at - now]]
  const taken = { tokens: count, at: open.at + options.refillMillis * options.tokens }
  return [taken, [count, taken.at - now]]
}

/** Takes from a bucket: the state after it, and what is left, which is negative if it was too much. */
export const takeFromBucket = (
  state: State | undefined,
  now: number,
  options: {
    readonly tokens: number
    readonly refillMillis: number
    readonly limit: number
    readonly allowOverflow: boolean
  }
): readonly [State, number] => {
  const before = state ?? { tokens: options.limit, at: now }
  const drops = Math.max(0, Math.floor((now - before.at) / options.refillMillis))
  const filled = {
    tokens: Math.min(options.limit, before.tokens + drops),
    at: before.at + drops * options.refillMillis
  }
  const left = filled.tokens - options.tokens
  return [options.allowOverflow || left >= 0 ? { ...filled, tokens: left } : filled, left]
}

export const make = (failure: (operation: string, cause: unknown) => LedgerError) =>
  Effect.gen(function*() {
    yield* Effect.mapError(migrations.underLock(migrations.run), (cause) => failure("migrate", cause))
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
    const now = sql.literal(
      isPostgres ? "EXTRACT(EPOCH FROM clock_timestamp()) * 1000" : "(julianday('now') - 2440587.5) * 86400000"
    )
    const lock = sql.literal(isPostgres ? "FOR UPDATE" : "")

    const change = <A>(name: string, take: (state: State | undefined, now: number) => readonly [State, A]) =>
      Effect.gen(function*() {
        // A row to lock: without one, two first callers would both find nothing. A negative time says that it is new.
        yield* sql`INSERT INTO opencode_rates (name, tokens, at_millis) VALUES (${name}, 0, -1) ON CONFLICT (name) DO NOTHING`
        const [row] = yield* sql<
          { readonly tokens: number; readonly at_millis: number; readonly now: number | string }
        >`
          SELECT tokens, at_millis, ${now} AS now FROM opencode_rates WHERE name = ${name} ${lock}`
        const state = row === undefined || row.at_millis < 0 ? undefined : { tokens: row.tokens, at: row.at_millis }
        const [next, result] = take(state, Number(row?.now ?? 0))
        yield* sql`UPDATE opencode_rates SET tokens = ${next.tokens}, at_millis = ${next.at} WHERE name = ${name}`
        return result
      }).pipe(
        sql.withTransaction,
        Effect.withTracerEnabled(false),
        Effect.mapError((cause) =>
          new RateLimiter.RateLimitStoreError({ message: "the database of the cluster failed", cause })
        )
      )

    return RateLimiter.RateLimiterStore.of({
      fixedWindow: ({ key, limit, refillRate, tokens }) =>
        change(
          `window/${key}`,
          (state, now) => takeFromWindow(state, now, { tokens, limit, refillMillis: Duration.toMillis(refillRate) })
        ),
      tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
        change(
          `bucket/${key}`,
          (state, now) =>
            takeFromBucket(state, now, { tokens, limit, allowOverflow, refillMillis: Duration.toMillis(refillRate) })
        )
    })
  })
