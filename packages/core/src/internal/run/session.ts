import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { OpenCodeError } from "../../OpenCodeError.js"
import { CurrentRunConfig } from "../../RunConfig.js"
import type { RunOptions, SchemaOptions } from "../../RunOptions.js"
import type { RunResult } from "../../RunResult.js"
import type { Session, Spent, TurnOptions } from "../../Session.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as configContent from "../opencode/configContent.js"
import * as redact from "../opencode/redact.js"
import * as fairSemaphore from "../util/fairSemaphore.js"
import type { Client } from "./client.js"
import * as plan from "./plan.js"
import type { Progress } from "./recorder.js"
import * as runs from "./run.js"
import * as schemaRun from "./schemaRun.js"

/** Where a session begins: at nothing, at a kept session, or at a branch of one. */
export interface Origin {
  readonly sessionId: string | undefined
  readonly fork: boolean
}

export const make = (
  outer: Client,
  options: RunOptions,
  origin: Origin
): Effect.Effect<Session, OpenCodeError, Scope.Scope> =>
  Effect.gen(function*() {
    const current = yield* CurrentRunConfig
    const lifetime = yield* outer.lifetime.inner("session")
    // Against the layer's own isolation, as for a run: in a fresh directory there is no session to go on in.
    const settled = yield* plan.make(outer, "any", {
      ...options,
      sessionId: origin.sessionId,
      fork: origin.fork ? true : undefined
    })
    const { cwd, options: all } = settled
    return yield* inside(
      {
        ...outer,
        transport: yield* lifetime.run(Scope.extend(outer.transport.forSession(settled), lifetime.scope)),
        lifetime
      },
      // The region in which the session is opened is that of all its turns.
      configContent.configs<RunOptions>(current, options),
      cwd,
      { sessionId: all.sessionId, last: all.continueSession === true, fork: all.fork === true }
    )
  })

interface Beginning extends Origin {
  /** Begin at the session that was used last. */
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
    let spent: Spent = { usage: TokenUsage.empty, cost: 0, turns: 0 }

    const onProgress = (progress: Progress): void => {
      id ??= progress.sessionId
      spent = {
        usage: TokenUsage.add(spent.usage, progress.usage),
        cost: spent.cost + progress.cost,
        ...(spent.unpriced === true || progress.unpriced ? { unpriced: true } : {}),
        turns: spent.turns + progress.turns
      }
    }

    const turnOptions = (own: TurnOptions | undefined): RunOptions => ({
      ...configContent.configs<RunOptions>(settled, own ?? {}),
      cwd,
      continueSession: id === undefined && origin.sessionId === undefined && origin.last,
      sessionId: id ?? origin.sessionId,
      fork: id === undefined && origin.fork
    })

    const run = (prompt: string, own?: TurnOptions): Effect.Effect<RunResult, OpenCodeError> =>
      Effect.suspend(() => runs.toEnd(client, prompt, turnOptions(own), { onProgress }))

    const alone = <A>(turns: Effect.Effect<A, OpenCodeError>): Effect.Effect<A, OpenCodeError> =>
      // In the lifetime before there is a run: a turn would make a removed data directory anew, and leave it.
      lifetime.run(Effect.scoped(Effect.zipRight(turn.enter, turns)))

    const session: Session = {
      id: Effect.sync(() => Option.fromNullable(id)),
      directory: client.transport.directory,
      cwd,
      run: (prompt, own) => alone(run(prompt, own)),
      stream: (prompt, own) =>
        Stream.unwrapScoped(Effect.map(
          Effect.flatMap(Effect.scope, (scope) => lifetime.run(Scope.extend(turn.enter, scope))),
          () => Stream.suspend(() => runs.make(client, prompt, turnOptions(own), { collect: false, onProgress }))
        )),
      // Nobody comes between an answer and its correction: "your last answer" must be that one.
      runSchema: (schema, prompt, own) =>
        alone(schemaRun.make(schema, prompt, configContent.configs<SchemaOptions>(all, own ?? {}), cwd, clean, run)),
      fork: Effect.flatMap(
        Effect.suspend(() =>
          id !== undefined ? Effect.succeed(id) : new OpenCodeConfigError({
            path: "fork",
            reason: "the session has had no turn yet, there is nothing to branch off"
          })
        ),
        (sessionId) =>
          Effect.flatMap(
            lifetime.inner("session"),
            (lifetime) => inside({ ...client, lifetime }, settled, cwd, { sessionId, last: false, fork: true })
          )
      ),
      export: lifetime.run(Effect.gen(function*() {
        if (id === undefined) {
          return yield* new OpenCodeConfigError({ path: "export", reason: "the session has had no turn yet" })
        }
        return yield* client.transport.conversation({ options: all, cwd }, id)
      })),
      usage: Effect.sync(() => spent)
    }
    return session
  })
