/**
 * The health endpoint of a runner.
 *
 * | path | 200 | otherwise 503 |
 * |---|---|---|
 * | `/live` | the process answers, also while it drains | – |
 * | `/ready` | it takes jobs, and its database answers | it starts, leaves, or the database does not answer in 3 seconds |
 * | `/health` | ready, and no job of the cluster is stuck | see `status` in the body |
 */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as AgentRun from "../../AgentRun.js"
import type * as RunLedger from "../../RunLedger.js"

export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Working"; readonly health: Effect.Effect<AgentRun.Health, RunLedger.LedgerError> }
  | { readonly _tag: "Draining"; readonly health: Effect.Effect<AgentRun.Health, RunLedger.LedgerError> }

/** A probe gives up sooner than those who ask it by default. */
const patience = Duration.seconds(3)

type Status = "starting" | "draining" | "no-database" | "stuck-jobs" | "ok"

interface Answer {
  readonly status: Status
  readonly runner?: AgentRun.Health["runner"]
  readonly cluster?: AgentRun.Health["cluster"]
}

const look = (state: State): Effect.Effect<Answer> => {
  if (state._tag === "Starting") return Effect.succeed({ status: "starting" })
  return state.health.pipe(
    Effect.timeoutOption(patience),
    Effect.catchAll(() => Effect.succeedNone),
    Effect.map((health): Answer => {
      if (state._tag === "Draining") return { status: "draining", ...Option.getOrUndefined(health) }
      if (Option.isNone(health)) return { status: "no-database" }
      return { status: health.value.cluster.stuck > 0 ? "stuck-jobs" : "ok", ...health.value }
    })
  )
}

const json = (answer: Answer, isWell: boolean) =>
  HttpServerResponse.unsafeJson(answer, { status: isWell ? 200 : 503, headers: { "cache-control": "no-store" } })

export const router = (state: Ref.Ref<State>) => {
  const answer = Effect.flatMap(Ref.get(state), look)
  return HttpRouter.empty.pipe(
    HttpRouter.get("/live", HttpServerResponse.text("live\n")),
    HttpRouter.get(
      "/ready",
      Effect.map(answer, (answer) => json(answer, answer.status === "ok" || answer.status === "stuck-jobs"))
    ),
    HttpRouter.get("/health", Effect.map(answer, (answer) => json(answer, answer.status === "ok")))
  )
}
