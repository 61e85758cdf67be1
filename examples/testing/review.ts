// #region orchestrator
import { Array, Effect, Schedule, Schema } from "effect"
import type { OpenCodeError } from "effect-opencode"
import { OpenCode, Permission } from "effect-opencode"

/** Waits as long as the provider asks, three times; every other failure is final. */
const whenTheProviderSaysSo = Schedule.recurs(3).pipe(
  Schedule.intersect(Schedule.identity<OpenCodeError.RunError>()),
  Schedule.whileInput((error: OpenCodeError.RunError) =>
    error._tag === "OpenCodeSessionError" && error.kind === "rate-limit"
  ),
  Schedule.addDelay(([, error]) => error._tag === "OpenCodeSessionError" ? error.retryAfter ?? "30 seconds" : 0)
)

/** One agent reviews one file. */
export const review = (file: string) =>
  OpenCode.run(`Review ${file}`, {
    permission: Permission.readOnly,
    timeout: "10 minutes",
    idleTimeout: "3 minutes",
    budget: { cost: 0.5 }
  }).pipe(
    Effect.map((result) => `${file}: ${result.answer}`),
    Effect.retry(whenTheProviderSaysSo)
  )

/** Four agents at a time; a failed review is reported and does not affect the others. */
export const reviewAll = (files: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(files, (file) => Effect.either(review(file)), { concurrency: 4 }),
    (results) => ({
      reviews: Array.getRights(results),
      failures: Array.getLefts(results).map((error) => error._tag)
    })
  )

const Rating = Schema.Struct({ stars: Schema.Int, reason: Schema.String })

/** A review as data. */
export const rate = (file: string) =>
  Effect.map(
    OpenCode.runSchema(Rating, `Rate ${file}`, { permission: Permission.readOnly }),
    ({ result, value }) => ({ ...value, cost: result.cost })
  )
// #endregion
