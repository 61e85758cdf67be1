import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { RunError, SessionOpenError } from "../../OpenCodeError.js"
import { CurrentRunConfig } from "../../RunConfig.js"
import type { RunOptions, SchemaOptions } from "../../RunOptions.js"
import type { RunResult } from "../../RunResult.js"
import type { Session, Spent, TurnOptions } from "../../Session.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as check from "../opencode/check.js"
import * as configContent from "../opencode/configContent.js"
import * as redact from "../opencode/redact.js"
import * as fairSemaphore from "../util/fairSemaphore.js"
import type { Client } from "./client.js"
import * as liveIds from "./liveIds.js"
import * as plan from "./plan.js"
import type { Progress } from "./recorder.js"
import * as runs from "./run.js"
import * as schemaRun from "./schemaRun.js"

/** Where a session begins: new, at a kept session, or at a branch of one. */
export interface Origin {
  readonly sessionId: string | undefined
  readonly fork: boolean
  /** The last message of a branch. */
  readonly after: string | undefined
}

export const make = (
  outer: Client,
  options: RunOptions,
  origin: Origin
): Effect.Effect<Session, SessionOpenError, Scope.Scope> =>
  Effect.gen(function*() {
    if (options.runId !== undefined) {
      return yield* new OpenCodeConfigError({
        path: "runId",
        reason: "every turn of a session is a run; give the id to the turn"
      })
    }
    const current = yield* CurrentRunConfig
    const lifetime = yield* outer.lifetime.inner("session")
    // Planned with the layer's own isolation, like a run: a fresh directory has no session to continue.
    const settled = yield* plan.make(outer, "any", {
      ...options,
      sessionId: origin.sessionId,
      fork: origin.fork ? true : undefined,
      forkAfter: origin.after
    })
    const { cwd, options: all } = settled
    return yield* inside(
      {
        ...outer,
        transport: yield* lifetime.run(Scope.extend(outer.transport.forSession(settled), lifetime.scope)),
        lifetime
      },
      // All turns use the configuration of the region in which the session is opened, and its data directory.
      { ...configContent.configs<RunOptions>(current, options), isolation: undefined },
      cwd,
      {
        sessionId: all.sessionId,
        last: all.continueSession === true,
        fork: all.fork === true,
        after: all.forkAfter
      }
    )
  })

interface Beginning extends Origin {
  /** True to begin at the session that was used last. */
  readonly last: boolean
}

const inside = (
  client: Client,
  settled: RunOptions,
  cwd: string,
  origin: Beginning
): Effect.Effect<Session> =>
  Effect.gen(function*() {
    const { lifetime } = client
    const all = configContent.configs<RunOptions>(client.defaults, settled)
    const turn = yield* fairSemaphore.make(1)
    const { inside: clean } = redact.make(yield* client.transport.secrets(all))
    let id = origin.fork ? undefined : origin.sessionId
    let spent: Spent = { usage: TokenUsage.empty, cost: 0, steps: 0 }

    const onProgress = (progress: Progress): void => {
      id ??= progress.sessionId
      spent = {
        usage: TokenUsage.add(spent.usage, progress.usage),
        cost: spent.cost + progress.cost,
        ...(spent.unpriced === true || progress.unpriced ? { unpriced: true } : {}),
        steps: spent.steps + progress.steps
      }
    }

    const turnOptions = (own: TurnOptions | undefined): RunOptions => ({
      ...configContent.configs<RunOptions>(settled, own ?? {}),
      cwd,
      isolation: undefined,
      continueSession: id === undefined && origin.sessionId === undefined && origin.last,
      sessionId: id ?? origin.sessionId,
      fork: id === undefined && origin.fork,
      forkAfter: id === undefined ? origin.after : undefined
    })

    const run = (prompt: string, own?: TurnOptions, heldId?: string): Effect.Effect<RunResult, RunError> =>
      Effect.suspend(() => runs.toEnd(client, prompt, turnOptions(own), { onProgress, heldId }))

    const alone = <A, E>(turns: Effect.Effect<A, E>): Effect.Effect<A, E | OpenCodeConfigError> =>
      // Inside the lifetime before the run starts: otherwise a turn could recreate a removed data directory and leave
      // it behind.
      lifetime.run(Effect.scoped(Effect.andThen(turn.enter, turns)))

    const session: Session = {
      id: Effect.sync(() => id),
      directory: client.transport.directory,
      cwd,
      run: (prompt, own) => alone(run(prompt, own)),
      stream: (prompt, own) =>
        Stream.unwrapScoped(Effect.map(
          Effect.flatMap(Effect.scope, (scope) => lifetime.run(Scope.extend(turn.enter, scope))),
          () => Stream.suspend(() => runs.make(client, prompt, turnOptions(own), { collect: false, onProgress }))
        )),
      // Holds the turn across the repairs, because "your last answer" must be the one to correct.
      runSchema: (schema, prompt, own) =>
        alone(Effect.scoped(Effect.gen(function*() {
          const options = configContent.configs<SchemaOptions>(all, own ?? {})
          const runId = options.runId ?? (yield* plan.newId)
          // Across the turns, between which no run is live.
          yield* liveIds.hold(runId)
          const turn = (text: string, left: RunOptions) => run(text, left, runId)
          return yield* schemaRun.make(schema, prompt, options, cwd, clean, turn)
        }))),
      fork: ({ after } = {}) =>
        Effect.suspend(() => {
          if (id === undefined) {
            return new OpenCodeConfigError({
              path: "fork",
              reason: "the session has no turn yet, so there is nothing to branch off"
            })
          }
          if (after !== undefined && all.attach !== undefined) return new OpenCodeConfigError(check.attachedFork)
          const origin = { sessionId: id, last: false, fork: true, after }
          return Effect.flatMap(
            lifetime.inner("session"),
            (lifetime) => inside({ ...client, lifetime }, settled, cwd, origin)
          )
        }),
      export: () =>
        lifetime.run(Effect.suspend(() =>
          id === undefined
            ? new OpenCodeConfigError({ path: "export", reason: "the session has no turn yet" })
            : client.transport.conversation({ options: all, cwd }, id)
        )),
      usage: Effect.sync(() => spent)
    }
    return session
  })
