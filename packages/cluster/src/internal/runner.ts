import * as Entity from "@effect/cluster/Entity"
import type * as Sharding from "@effect/cluster/Sharding"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Leftovers from "effect-opencode/Leftovers"
import type * as OpenCode from "effect-opencode/OpenCode"
import { OpenCodeConfigError } from "effect-opencode/OpenCodeError"
import type { RunError } from "effect-opencode/OpenCodeError"
import type { PermissionAnswer, PermissionRequest } from "effect-opencode/OpenCodeServer"
import * as Redaction from "effect-opencode/Redaction"
import type { RunEvent } from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import type { RunResult } from "effect-opencode/RunResult"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as AgentJob from "../AgentJob.js"
import type { LiveEvent } from "../LiveEvent.js"
import type { Attempt, Service as Ledger } from "../RunLedger.js"
import type * as Workspace from "../Workspace.js"
import type { Board } from "./board.js"
import { JobEntity } from "./entity.js"
import type { Sent } from "./entity.js"
import * as feeds from "./feed.js"
import * as jobs from "./jobs.js"
import * as leavings from "./leavings.js"
import * as liveJobs from "./liveJobs.js"
import * as metrics from "./metrics.js"
import * as outcomes from "./outcome.js"
import * as policy from "./policy.js"
import type { Slots } from "./slots.js"
import * as steady from "./steady.js"
import type { Waiters } from "./waiters.js"

/** What a runner works with. */
export interface Means {
  /** Its name in results and errors. */
  readonly name: string
  readonly openCode: OpenCode.Service
  readonly ledger: Ledger
  readonly board: Board
  readonly slots: Slots
  readonly waiters: Waiters
  readonly workspace: Workspace.Service
  readonly secrets: { readonly [name: string]: Redacted.Redacted }
  /** Where the sessions of jobs are kept that may be resumed. */
  readonly dataDirectory: string
}

/** Events that are kept for readers that come late. */
const capacity = 1000

const continuing = "You were interrupted while you worked on this task. Look at what is done already, then finish it."

const freshId = Effect.sync(() => globalThis.crypto.randomUUID().replaceAll("-", ""))

/** A name for a directory, of any id. */
const directoryName = (id: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(id))),
    (digest) => [...new Uint8Array(digest).slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  )

/** How long an agent of a runner that is gone may take to end before its job is given up. */
const patience = 30

const withLeftovers = (runId: string, left = patience): Effect.Effect<
  boolean,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> =>
  Effect.flatMap(Leftovers.end(runId), (pids) =>
    pids.length === 0
      ? Effect.succeed(true)
      : left === 0
      ? Effect.succeed(false)
      : Effect.delay(withLeftovers(runId, left - 1), "1 second"))

const gapOf = (missed: number | undefined): LiveEvent => ({
  _tag: "Gap",
  ...(missed === undefined ? {} : { missed })
})

/** The agent of one attempt. */
interface Start {
  readonly job: AgentJob.AgentJob
  readonly number: number
  readonly runId: string
  readonly from: policy.Resumable | undefined
}

type Requirements = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path | Sharding.Sharding

/** The handlers of one job on this runner. */
export const make = (context: Means) =>
  Effect.gen(function*() {
    const address = yield* Entity.CurrentAddress
    const id: string = address.entityId
    const client = (yield* JobEntity.client)(id)
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // The span is the caller's, not that of whatever has made this entity.
    const services = Context.omit(Tracer.ParentSpan)(
      (yield* Effect.context<Requirements>()) as Context.Context<Requirements | Tracer.ParentSpan>
    )
    const { ledger, name, slots } = context
    const redactor = Redaction.make(Object.values(context.secrets).map(Redacted.value))

    const feed = feeds.make<LiveEvent>(yield* freshId, capacity)
    const cancelled = yield* Deferred.make<string>()
    const asks = new Map<string, Deferred.Deferred<PermissionAnswer>>()
    const ticket = { current: slots.ticket() }
    let isBusy = false
    let isLeaving = false
    let isClaimed = false
    let cancel: string | undefined

    const onCancel = (reason: string): void => {
      cancel ??= reason
      Deferred.unsafeDone(cancelled, Exit.succeed(reason))
      ticket.current.stop()
    }

    yield* context.board.add({
      id,
      shardId: address.shardId,
      isBusy: () => isBusy,
      onCancel,
      onLeaving: () => {
        isLeaving = true
        ticket.current.stop()
        if (!isBusy) feed.close()
      }
    })

    const stored = (outcome: AgentJob.Outcome, number: number | undefined) =>
      outcomes.encode(
        outcome,
        redactor,
        (detail) => new AgentJob.JobLostError({ id, reason: "defect", runner: name, attempts: number ?? 0, detail })
      )

    /** Stores the verdict, and tells everybody who waits. A verdict that comes too late changes nothing. */
    const settle = (number: number | undefined, outcome: AgentJob.Outcome) =>
      Effect.gen(function*() {
        const verdict = stored(outcome, number)
        const isVerdict = yield* steady.forever(ledger.settle({ id, number, ...verdict }))
        if (isVerdict) {
          yield* metrics.settled(verdict.status)
          feed.publish({ _tag: "Ended", status: verdict.status })
        }
        feed.close()
        context.waiters.notify(id)
        return isVerdict
      })

    /** Sends the job to the runner that has it from now on. */
    const handOver = Effect.gen(function*() {
      const delivery = yield* freshId
      yield* Effect.retry(
        Effect.timeout(client.run({ delivery }, { discard: true }), "10 seconds"),
        { times: 20 }
      )
      yield* Effect.logInfo("A waiting job goes to another runner", id)
      feed.close()
    }).pipe(
      // The message of this delivery stays unanswered then, and is delivered again.
      Effect.catchAllCause((cause) => Effect.andThen(Effect.logWarning("Handing over failed", cause), Effect.never))
    )

    const lost = (attempts: ReadonlyArray<Attempt>, last: Attempt, detail?: string) =>
      new AgentJob.JobLostError({
        id,
        reason: "runner-gone",
        runner: last.runner,
        runId: last.runId,
        ...(last.sessionId === undefined ? {} : { sessionId: last.sessionId }),
        attempts: attempts.length,
        ...(detail === undefined ? {} : { detail })
      })

    const wasCancelled = (reason: string, last: { runId: string; sessionId?: string | undefined } | undefined) =>
      new AgentJob.JobCancelledError({
        id,
        reason,
        ...(last === undefined ? {} : { runId: last.runId }),
        ...(last?.sessionId === undefined ? {} : { sessionId: last.sessionId })
      })

    const ask = (number: number) => (request: PermissionRequest): Effect.Effect<PermissionAnswer> =>
      Effect.gen(function*() {
        const key = yield* freshId
        const answer = yield* Deferred.make<PermissionAnswer>()
        asks.set(key, answer)
        feed.publish({
          _tag: "Asked",
          attempt: number,
          ask: key,
          permission: request.permission,
          patterns: request.patterns.map(redactor.known)
        })
        return yield* Effect.ensuring(Deferred.await(answer), Effect.sync(() => asks.delete(key)))
      })

    /** The agent. Its session is noted as soon as it is known. */
    const agent = ({ from, job, number, runId }: Start, cwd: string | undefined) =>
      Effect.gen(function*() {
        let session: string | undefined
        const onEvent = (event: RunEvent) =>
          Effect.suspend(() => {
            feed.publish({ _tag: "Progress", attempt: number, event: redactor.event(event) })
            const sessionId = "sessionId" in event ? event.sessionId : undefined
            if (session !== undefined || sessionId === undefined) return Effect.void
            session = sessionId
            return Effect.ignoreLogged(ledger.session({ id, number, sessionId }))
          })
        const keeps = job.afterCrash === "resume"
        const own = path.join(context.dataDirectory, yield* directoryName(id))
        // Of the attempt: an older one of the same job on this machine does not have the session of a later one elsewhere.
        const directory = from?.directory ?? path.join(own, runId)
        if (keeps) yield* Effect.provide(Effect.ignoreLogged(leavings.own(own, id)), services)
        const extraEnv = {
          ...job.options?.extraEnv,
          ...Object.fromEntries((job.secrets ?? []).map((secret) => [secret, context.secrets[secret]!]))
        }
        const turn = {
          ...job.options,
          extraEnv,
          runId,
          onEvent,
          onStart: (started: { readonly cwd: string; readonly directory: string | undefined }) =>
            Effect.flatMap(
              steady.forever(ledger.prompted({
                id,
                number,
                cwd: started.cwd,
                directory: keeps ? directory : started.directory
              })),
              // Another runner has the job: no prompt for this agent.
              (isCurrent) => isCurrent ? Effect.void : Effect.interrupt
            )
        }
        if (from === undefined) {
          return yield* context.openCode.run(
            job.prompt,
            {
              ...turn,
              ...(cwd === undefined ? {} : { cwd }),
              ...(keeps ? { isolation: { directory } } : {})
            } satisfies RunOptions
          )
        }
        const { cwd: _cwd, sessionId: _session, continueSession: _last, fork: _fork, ...rest } = turn
        return yield* Effect.scoped(Effect.flatMap(
          context.openCode.resume({ sessionId: from.sessionId, cwd: from.cwd, directory, runId: from.runId }),
          (session) => session.run(continuing, rest)
        ))
      }).pipe(
        (run: Effect.Effect<RunResult, RunError>) =>
          Effect.scoped(Effect.andThen(liveJobs.register(runId, ask(number)), run))
      )

    /** The agent in the working tree of the attempt. What it changed is published before the verdict. */
    const work = (start: Start): Effect.Effect<AgentJob.JobResult, AgentJob.JobError> =>
      Effect.gen(function*() {
        const { job, number } = start
        const of = { id, runner: name, attempt: number, resumed: start.from !== undefined }
        const tree = job.workspace
        if (tree === undefined) return outcomes.resultOf(yield* agent(start, job.options?.cwd), of, redactor)
        return yield* Effect.scoped(Effect.gen(function*() {
          const opened = yield* context.workspace.open({ id, attempt: number, ...tree })
          const result = outcomes.resultOf(yield* agent(start, opened.directory), of, redactor)
          const final = new AgentJob.JobResult({ ...result, ...yield* opened.finish(job.prompt) })
          if (final.branch === undefined) return final
          const pushed = { id, attempt: number, url: tree.url }
          // Only an attempt that has won becomes a branch. Who takes over from here publishes it, and starts no agent.
          const { outcome } = stored(Either.right(final), number)
          if (!(yield* steady.forever(ledger.claim({ id, number, outcome })))) {
            yield* context.workspace.discard(pushed)
            return yield* Effect.interrupt
          }
          isClaimed = true
          yield* context.workspace.publish(pushed)
          return final
        }))
      }).pipe(Effect.withSpan("AgentRun.attempt", {
        attributes: { job: id, attempt: start.number, runner: name, runId: start.runId }
      }))

    const removeData = (job: AgentJob.AgentJob) =>
      job.afterCrash !== "resume" ?
        Effect.void :
        Effect.flatMap(directoryName(id), (directory) => leavings.remove(path.join(context.dataDirectory, directory)))

    const start = (job: AgentJob.AgentJob, number: number, from: policy.Resumable | undefined) =>
      Effect.gen(function*() {
        const runId = yield* freshId
        if (!(yield* steady.forever(ledger.begin({ id, number, runId, runner: name })))) {
          return
        }
        feed.publish({ _tag: "Started", attempt: number, runner: name, runId, resumed: from !== undefined })
        yield* metrics.started(number)
        const exit = yield* Effect.raceFirst(
          Effect.exit(work({ job, number, runId, from })),
          Effect.flatMap(
            Deferred.await(cancelled),
            (reason) => isClaimed ? Effect.never : Effect.succeed(Exit.fail(wasCancelled(reason, { runId })))
          )
        ).pipe(
          // The agent is gone by now. The takeover reads this, and works without it.
          Effect.onInterrupt(() => steady.within(ledger.interrupted({ id, number }), 2000))
        )
        // An attempt that is not the current one ends itself: there is nothing to say about it.
        if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) return feed.close()
        const outcome = Exit.match(exit, {
          onFailure: (cause): AgentJob.Outcome =>
            Either.left(Option.getOrElse(
              Cause.failureOption(cause),
              () =>
                new AgentJob.JobLostError({
                  id,
                  reason: "defect",
                  runner: name,
                  runId,
                  attempts: number,
                  detail: outcomes.detailOf(cause)
                })
            )),
          onSuccess: (result): AgentJob.Outcome => Either.right(result)
        })
        // If another attempt has the job by now, it may work with these sessions.
        if (yield* settle(number, outcome)) yield* removeData(job)
      })

    /** With a slot in hand: what the attempts so far allow. */
    const carryOn = (job: AgentJob.AgentJob) =>
      Effect.gen(function*() {
        const attempts = yield* steady.forever(ledger.attempts(id))
        const next = policy.next(job, attempts, cancel)
        const cut = attempts.filter(policy.isCut)
        for (const { runId } of cut) {
          // A claimed attempt has ended by itself, and its outcome stands.
          if ((yield* withLeftovers(runId)) || next._tag === "Publish") continue
          return yield* settle(
            undefined,
            Either.left(lost(attempts, cut.at(-1)!, `the agent of run ${runId} does not end`))
          )
        }
        switch (next._tag) {
          case "Publish": {
            const { claimed, number } = next.attempt
            const published = job.workspace === undefined
              ? Effect.void
              : context.workspace.publish({ id, attempt: number, url: job.workspace.url })
            return yield* settle(
              number,
              yield* Effect.match(published, {
                onFailure: (error): AgentJob.Outcome => Either.left(error),
                onSuccess: () => outcomes.decode(id, claimed)
              })
            )
          }
          case "Cancel":
            yield* settle(undefined, Either.left(wasCancelled(cancel ?? "", next.last)))
            return yield* removeData(job)
          case "Lose":
            return yield* settle(undefined, Either.left(lost(attempts, next.last)))
          case "Start":
            return yield* start(job, next.number, undefined)
          case "Resume": {
            const isThere = yield* Effect.orElseSucceed(fileSystem.exists(next.from.directory), () => false)
            return yield* start(job, next.number, isThere ? next.from : undefined)
          }
        }
      })

    const missing = (job: AgentJob.AgentJob): string | undefined =>
      job.secrets?.find((secret) => context.secrets[secret] === undefined)

    const waitForSlot = (job: AgentJob.AgentJob) =>
      Effect.suspend(() => {
        const mine = slots.ticket()
        ticket.current = mine
        if (isLeaving || cancel !== undefined) mine.stop()
        return Effect.acquireUseRelease(
          Effect.succeed(mine),
          ({ wait }) =>
            Effect.flatMap(wait, (outcome) => outcome === "granted" || cancel !== undefined ? carryOn(job) : handOver),
          ({ release }) => Effect.sync(release)
        )
      })

    /** A job of a later version waits for a runner that can read it, without a slot. */
    const leaveAlone = (version: number) =>
      Effect.gen(function*() {
        yield* Effect.logWarning(
          `Job "${id}" has version ${version}, this runner reads up to ${jobs.currentVersion}: it waits for another runner`
        )
        while (!isLeaving && cancel === undefined) yield* Effect.sleep("500 millis")
        yield* cancel === undefined ? handOver : settle(undefined, Either.left(wasCancelled(cancel, undefined)))
      })

    const handle = Effect.gen(function*() {
      const found = yield* steady.forever(ledger.job(id))
      if (Option.isNone(found)) return yield* Effect.logWarning(`Job "${id}" is not in the ledger`)
      const { outcome, payload, status, version } = found.value
      if (outcome !== undefined) {
        feed.publish({ _tag: "Ended", status: status ?? "lost" })
        return feed.close()
      }
      if (found.value.cancel !== undefined) onCancel(found.value.cancel)
      if (version > jobs.currentVersion) return yield* leaveAlone(version)
      yield* Either.match(jobs.decode(AgentJob.AgentJob, payload), {
        onLeft: (error) => settle(undefined, Either.left(error)),
        onRight: (job) => {
          const secret = missing(job)
          return secret === undefined ? waitForSlot(job) : settle(
            undefined,
            Either.left(
              new OpenCodeConfigError({ path: "secrets", reason: `runner ${name} was not given "${secret}"` })
            )
          )
        }
      })
    })

    const run = Effect.suspend(() => {
      if (isBusy) return Effect.void
      isBusy = true
      return handle.pipe(
        Effect.tapErrorCause((cause) => Effect.logError(`Job "${id}"`, cause)),
        Effect.ensuring(Effect.sync(() => {
          isBusy = false
        })),
        Effect.provide(services)
      )
    })

    const events = (after: feeds.Position | undefined) =>
      Stream.unfoldChunkEffect(after, (position) =>
        Effect.map(
          feed.read(position),
          Option.map((page) => {
            const last = page.items.at(-1)
            const items = page.items.map(({ epoch, sequence, value }) => ({
              position: { epoch, sequence },
              event: value
            }))
            return [
              Chunk.unsafeFromArray<typeof Sent.Type>(
                page.missed === 0 ? items : [{ event: gapOf(page.missed) }, ...items]
              ),
              last === undefined ? position : { epoch: last.epoch, sequence: last.sequence }
            ] as const
          })
        ))

    return JobEntity.of({
      run: () => run,
      events: ({ payload }) => events(payload.after),
      cancel: ({ payload }) =>
        Effect.sync(() => {
          onCancel(payload.reason)
          return isBusy
        }),
      answer: ({ payload }) =>
        Effect.sync(() => {
          const ask = asks.get(payload.ask)
          // The first answer counts.
          if (ask === undefined || !asks.delete(payload.ask)) return false
          Deferred.unsafeDone(ask, Exit.succeed(payload.reply))
          return true
        })
    })
  })
