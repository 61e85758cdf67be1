import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Service } from "../../OpenCode.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { Problem } from "../opencode/problem.js"
import type { Client } from "./client.js"
import * as plan from "./plan.js"
import * as runs from "./run.js"
import * as sessions from "./session.js"

/** Makes the service for any transport. */
export const make = (client: Client): Service => ({
  carrier: client.transport.carrier,
  run: (prompt, options) => runs.toEnd(client, prompt, options ?? {}),
  stream: (prompt, options) => runs.make(client, prompt, options ?? {}, { collect: false }),
  runSchema: (schema, prompt, options) =>
    Effect.scoped(Effect.flatMap(
      sessions.make(client, { ...options, runId: undefined }, {
        sessionId: options?.sessionId,
        fork: options?.fork === true,
        after: options?.forkAfter
      }),
      (session) => session.runSchema(schema, prompt, options)
    )),
  session: (options) =>
    sessions.make(client, options ?? {}, {
      sessionId: options?.sessionId,
      fork: options?.fork === true,
      after: options?.forkAfter
    }),
  resume: (location, options) =>
    Effect.gen(function*() {
      if (location.sessionId === undefined) {
        return yield* new OpenCodeConfigError({ path: "sessionId", reason: "there is no session to continue" })
      }
      if (options !== undefined && "isolation" in options && options.isolation !== undefined) {
        return yield* new OpenCodeConfigError({
          path: "isolation",
          reason: "the location names the data directory of the session"
        })
      }
      return yield* sessions.make(
        { ...client, transport: yield* client.lifetime.run(client.transport.forLocation(location)) },
        { ...options, cwd: options?.cwd ?? location.cwd },
        { sessionId: location.sessionId, fork: options?.fork === true, after: options?.forkAfter }
      )
    }),
  importSession: (conversation, options) =>
    client.lifetime.run(
      plan.make(client, "any", options ?? {}).pipe(
        Effect.flatMap((settled) => {
          const { isolation } = settled.options
          // Like a start, because several imports can make the same database.
          const enter = isolation === undefined
            ? client.gate.enter
            : client.gate.enterIn(typeof isolation === "object" ? isolation.directory : "")
          return Effect.scoped(Effect.andThen(enter, client.transport.importing(settled, conversation)))
        }),
        Effect.withSpan("OpenCode.importSession")
      )
    ),
  version: client.lifetime.run(client.transport.version),
  models: client.lifetime.run(Effect.withSpan(client.transport.models, "OpenCode.models"))
})

/** A service whose every method fails with this OpenCodeConfigError. */
export const refused = (problem: Problem): Service => {
  const error = new OpenCodeConfigError(problem)
  return {
    run: () => Effect.fail(error),
    stream: () => Stream.fail(error),
    runSchema: () => Effect.fail(error),
    session: () => Effect.fail(error),
    resume: () => Effect.fail(error),
    importSession: () => Effect.fail(error),
    version: Effect.fail(error),
    models: Effect.fail(error)
  }
}
