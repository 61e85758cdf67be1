import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Attempt, Job, Service } from "../RunLedger.js"

const isOpen = ({ state }: Attempt): boolean => state === "begun" || state === "interrupted"

const stuckAfter = 60_000

export const make: Effect.Effect<Service> = Effect.sync(() => {
  const jobs = new Map<string, Job>()
  const attempts = new Map<string, ReadonlyArray<Attempt>>()

  const of = (id: string): ReadonlyArray<Attempt> => attempts.get(id) ?? []

  const edit = (id: string, change: (attempt: Attempt) => Attempt) => {
    attempts.set(id, of(id).map(change))
  }

  const atTime = <A>(run: (now: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, run)

  const isCurrent = (id: string, number: number): boolean => {
    const last = of(id).at(-1)
    return last !== undefined && last.number === number && isOpen(last)
  }

  const isTaken = (id: string, number: number): boolean =>
    of(id).some((one) => one.number >= number || one.claimed !== undefined)

  const service: Service = {
    accept: ({ id, payload, version }) =>
      atTime((now) => {
        const known = jobs.get(id)
        if (known !== undefined) return { isNew: false, job: known }
        const job: Job = {
          id,
          payload,
          version,
          state: "accepted",
          acceptedAt: now,
          seenAt: now,
          cancel: undefined,
          status: undefined,
          outcome: undefined,
          settledAt: undefined
        }
        jobs.set(id, job)
        return { isNew: true, job }
      }),

    job: (id) => Effect.sync(() => Option.fromNullable(jobs.get(id))),

    attempts: (id) => Effect.sync(() => of(id)),

    begin: ({ id, number, runId, runner }) =>
      atTime((now) => {
        const job = jobs.get(id)
        if (job === undefined || job.outcome !== undefined || isTaken(id, number)) return false
        edit(id, (attempt) => isOpen(attempt) ? { ...attempt, state: "lost", endedAt: now } : attempt)
        attempts.set(id, [...of(id), {
          id,
          number,
          runId,
          runner,
          state: "begun",
          prompted: false,
          sessionId: undefined,
          cwd: undefined,
          directory: undefined,
          claimed: undefined,
          begunAt: now,
          endedAt: undefined
        }])
        jobs.set(id, { ...job, state: "running", seenAt: now })
        return true
      }),

    prompted: ({ cwd, directory, id, number }) =>
      Effect.sync(() => {
        if (!isCurrent(id, number)) return false
        edit(id, (attempt) => attempt.number === number ? { ...attempt, prompted: true, cwd, directory } : attempt)
        return true
      }),

    session: ({ id, number, sessionId }) =>
      Effect.sync(() => edit(id, (attempt) => attempt.number === number ? { ...attempt, sessionId } : attempt)),

    claim: ({ id, number, outcome }) =>
      Effect.sync(() => {
        if (jobs.get(id)?.outcome !== undefined || !isCurrent(id, number)) return false
        edit(id, (attempt) => attempt.number === number ? { ...attempt, claimed: outcome } : attempt)
        return true
      }),

    interrupted: ({ id, number }) =>
      atTime((now) =>
        edit(id, (attempt) =>
          attempt.number === number && attempt.state === "begun"
            ? { ...attempt, state: "interrupted", endedAt: now }
            : attempt)
      ),

    settle: ({ id, number, outcome, status }) =>
      atTime((now) => {
        const job = jobs.get(id)
        if (job === undefined || job.outcome !== undefined) return false
        if (number !== undefined && !isCurrent(id, number)) return false
        jobs.set(id, { ...job, state: "settled", status, outcome, settledAt: now, seenAt: now })
        edit(id, (attempt) =>
          attempt.number === number
            ? { ...attempt, state: "ended", endedAt: now }
            : isOpen(attempt)
            ? { ...attempt, state: "lost", endedAt: now }
            : attempt)
        return true
      }),

    cancel: (id, reason) =>
      Effect.sync(() => {
        const job = jobs.get(id)
        if (job === undefined) return "unknown"
        if (job.outcome !== undefined) return "settled"
        jobs.set(id, { ...job, cancel: job.cancel ?? reason })
        return "requested"
      }),

    seen: (ids) =>
      atTime((now) =>
        ids.flatMap((id) => {
          const job = jobs.get(id)
          if (job === undefined) return []
          jobs.set(id, { ...job, seenAt: now })
          return job.cancel === undefined ? [] : [{ id, cancel: job.cancel }]
        })
      ),

    settledOf: (ids) => Effect.sync(() => ids.filter((id) => (jobs.get(id)?.state ?? "settled") === "settled")),

    unseen: (since) =>
      atTime((now) =>
        [...jobs.values()]
          .filter(({ seenAt, state }) => state !== "settled" && seenAt < now - Duration.toMillis(since))
          .sort((a, b) => a.seenAt - b.seenAt)
          .slice(0, 1000)
          .map(({ id }) => id)
      ),

    counts: atTime((now) => {
      const all = [...jobs.values()]
      const accepted = all.filter(({ state }) => state === "accepted")
      return {
        accepted: accepted.length,
        running: all.filter(({ state }) => state === "running").length,
        settled: all.filter(({ state }) => state === "settled").length,
        stuck: all.filter(({ seenAt, state }) => state !== "settled" && seenAt < now - stuckAfter).length,
        oldest: accepted.reduce((oldest, { acceptedAt }) => Math.max(oldest, now - acceptedAt), 0)
      }
    }),

    list: (options) =>
      Effect.sync(() =>
        [...jobs.values()]
          .filter(({ state }) => options?.state === undefined || state === options.state)
          .sort((a, b) => b.acceptedAt - a.acceptedAt || (a.id < b.id ? -1 : 1))
          .slice(0, options?.limit ?? 100)
      ),

    retain: (time) =>
      atTime((now) => {
        const ids = [...jobs.values()]
          .filter(({ settledAt }) => settledAt !== undefined && settledAt < now - Duration.toMillis(time))
          .sort((a, b) => (a.settledAt ?? 0) - (b.settledAt ?? 0))
          .slice(0, 1000)
          .map(({ id }) => id)
        for (const id of ids) {
          jobs.delete(id)
          attempts.delete(id)
        }
        return ids
      })
  }
  return service
})
