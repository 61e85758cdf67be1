import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as AgentJob from "../AgentJob.js"
import type { Health, JobState, Service } from "../AgentRun.js"
import type { LiveEvent } from "../LiveEvent.js"
import * as RunLedger from "../RunLedger.js"
import { firstDelivery, JobEntity } from "./entity.js"
import * as feeds from "./feed.js"
import * as jobs from "./jobs.js"
import * as outcomes from "./outcome.js"
import * as steady from "./steady.js"
import * as waiting from "./waiters.js"

/** How long the runner of a job may take to answer: the request is stored, and is obeyed without. */
const patience = "5 seconds"

/** What a reader is given after the verdict, if the runner that had the job says nothing any more. */
const afterwards = "2 seconds"

export const makeWith = (waiters: waiting.Waiters, runner: Effect.Effect<Health["runner"]>) =>
  Effect.gen(function*() {
    const ledger = yield* RunLedger.RunLedger
    const client = yield* JobEntity.client

    /** An id that no job can have is not asked for: a database can refuse its characters. */
    const unlessImpossible = <A, E, R>(
      id: string,
      effect: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | AgentJob.JobUnknownError, R> =>
      jobs.isId(id) ? effect : Effect.fail(new AgentJob.JobUnknownError({ id }))

    const find = (id: string) =>
      Effect.flatMap(
        unlessImpossible(id, ledger.job(id)),
        Option.match({
          onNone: () => Effect.fail(new AgentJob.JobUnknownError({ id })),
          onSome: (job) => Effect.succeed(job)
        })
      )

    /** Stores the job, then sends its first delivery. A caller that dies in between leaves it to the watchdog. */
    const enter = (job: AgentJob.AgentJob) =>
      Effect.gen(function*() {
        const payload = yield* jobs.encode(AgentJob.AgentJob, job)
        const { isNew, job: known } = yield* steady.briefly(
          ledger.accept({ id: job.id, payload, version: jobs.currentVersion })
        )
        const fields = isNew ? [] : jobs.differences(known.payload, payload)
        if (fields.length > 0) return yield* new AgentJob.JobConflictError({ id: job.id, fields })
        if (known.outcome === undefined) yield* send(job.id)
        return { isNew, known }
      })

    // The same delivery is stored once, however often it is sent. Its runner may be gone and not be replaced yet: nobody
    // has to wait for that, the engine and the watchdog find what is stored.
    const send = (id: string) =>
      client(id).run({ delivery: firstDelivery }, { discard: true }).pipe(
        Effect.retry(Schedule.intersect(Schedule.exponential("200 millis"), Schedule.recurs(5))),
        Effect.disconnect,
        Effect.timeout(patience),
        Effect.catchAllCause((cause) =>
          Effect.logDebug(`Job "${id}" is stored, but its runner does not know yet`, cause)
        )
      )

    const outcomeOf = (id: string) =>
      Effect.flatMap(find(id), ({ outcome }) =>
        outcome === undefined
          ? Effect.succeed(Option.none())
          : Effect.succeed(Option.some(outcomes.decode(id, outcome))))

    const result: Service["result"] = (id) =>
      Effect.flatMap(
        outcomeOf(id),
        Option.match({
          onSome: (outcome) => outcome,
          onNone: () =>
            Effect.flatMap(
              // Registered before the look, so that no verdict falls in between.
              Effect.raceFirst(
                waiters.settled(id),
                Effect.andThen(
                  Effect.yieldNow(),
                  Effect.flatMap(
                    steady.forever(Effect.map(ledger.settledOf([id]), (ids) => ids.length > 0)),
                    (isSettled) => isSettled ? Effect.void : Effect.never
                  )
                )
              ),
              () =>
                Effect.flatMap(
                  steady.forever(ledger.job(id)),
                  Option.match({
                    onNone: () => Effect.fail(new AgentJob.JobUnknownError({ id })),
                    onSome: ({ outcome }) => outcome === undefined ? result(id) : outcomes.decode(id, outcome)
                  })
                )
            )
        })
      )

    const execute: Service["execute"] = (job) => Effect.andThen(enter(job), () => result(job.id))

    const poll: Service["poll"] = (id) =>
      Effect.gen(function*() {
        const { acceptedAt, outcome, state, status } = yield* find(id)
        if (outcome !== undefined) {
          return { _tag: "Settled", status: status ?? "lost", outcome: outcomes.decode(id, outcome) } satisfies JobState
        }
        const last = state === "running" ? (yield* ledger.attempts(id)).at(-1) : undefined
        return (last === undefined ? { _tag: "Accepted", acceptedAt } : {
          _tag: "Running",
          attempt: last.number,
          runner: last.runner,
          runId: last.runId,
          sessionId: last.sessionId,
          begunAt: last.begunAt
        }) satisfies JobState
      })

    const cancel: Service["cancel"] = (id, given) =>
      Effect.gen(function*() {
        const reason = jobs.storable(given)
        const stored = yield* unlessImpossible(id, steady.briefly(ledger.cancel(id, reason)))
        if (stored === "unknown") return yield* new AgentJob.JobUnknownError({ id })
        if (stored === "settled") return false
        // A runner that cannot be reached reads it with its next heartbeat.
        yield* Effect.ignore(Effect.timeout(Effect.disconnect(client(id).cancel({ reason })), patience))
        return true
      })

    const endedOf = (id: string) =>
      Effect.map(
        find(id),
        ({ outcome, status }): Option.Option<LiveEvent> =>
          outcome === undefined ? Option.none() : Option.some({ _tag: "Ended", status: status ?? "lost" })
      )

    const events: Service["events"] = (id) =>
      Stream.unwrap(Effect.gen(function*() {
        const ended = yield* endedOf(id)
        if (Option.isSome(ended)) {
          return Stream.succeed(ended.value)
        }
        const seen = yield* Ref.make(feeds.unseen)

        const connection = Stream.unwrap(
          Effect.map(Ref.get(seen), ({ position }) => client(id).events({ after: position }))
        ).pipe(
          Stream.mapConcatEffect((sent) =>
            Ref.modify(seen, (before) => {
              const [after, how] = feeds.follow(before, sent)
              return [how === "skip" ? [] : how === "pass" ? [sent.event] : [gap, sent.event], after]
            })
          ),
          Stream.catchAllCause((cause) => Stream.execute(Effect.logDebug(`The events of job "${id}" broke off`, cause)))
        )

        const pause = Stream.execute(Effect.sleep("500 millis"))

        /** The verdict, after what the runner still has to say. */
        const verdict = Stream.fromEffect(
          waiters.settled(id).pipe(
            Effect.andThen(Effect.sleep(afterwards)),
            Effect.andThen(steady.forever(Effect.orElseSucceed(endedOf(id), () => Option.some<LiveEvent>(lostEnd)))),
            Effect.map(Option.getOrElse((): LiveEvent => lostEnd))
          )
        )
        return Stream.merge(Stream.forever(Stream.concat(connection, pause)), verdict).pipe(
          Stream.takeUntil(({ _tag }) => _tag === "Ended")
        )
      }))

    const answer: Service["answer"] = (id, ask, reply) =>
      Effect.andThen(
        find(id),
        ({ outcome }) =>
          outcome !== undefined ? Effect.succeed(false) : Effect.map(
            Effect.option(Effect.timeout(Effect.disconnect(client(id).answer({ ask, reply })), patience)),
            Option.getOrElse(() => false)
          )
      )

    return {
      execute: (job) => Effect.withSpan(execute(job), "AgentRun.execute", { attributes: { job: job.id } }),
      submit: (job) =>
        Effect.withSpan(Effect.map(enter(job), ({ isNew }) => isNew), "AgentRun.submit", {
          attributes: { job: job.id }
        }),
      result: (id) => Effect.withSpan(result(id), "AgentRun.result", { attributes: { job: id } }),
      poll,
      cancel: (id, reason) => Effect.withSpan(cancel(id, reason), "AgentRun.cancel", { attributes: { job: id } }),
      events,
      answer,
      health: Effect.all({ runner, cluster: ledger.counts })
    } satisfies Service as Service
  })

const gap: LiveEvent = { _tag: "Gap" }

const lostEnd: LiveEvent = { _tag: "Ended", status: "lost" }

export const make = Effect.gen(function*() {
  const ledger = yield* RunLedger.RunLedger
  return yield* makeWith(yield* waiting.make(ledger), Effect.succeed(undefined))
})
