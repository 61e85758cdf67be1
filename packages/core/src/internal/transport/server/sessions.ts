import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { OpenCodeConfigError } from "../../../OpenCodeError.js"
import type * as plans from "../../run/plan.js"
import type { Prepared } from "../../run/transport.js"
import * as attempts from "../private/attempt.js"
import * as leases from "../private/lease.js"
import { isLoggedIn } from "../private/transport.js"
import type { SessionsConnection } from "./connection.js"
import * as promptParts from "./promptParts.js"
import type { Services } from "./services.js"

/** Prepares a run on a server of OpenCode 2, in the session that it takes its turn in. */
export const prepare = (
  services: Services,
  { conversation, dialect, directory: data, server }: SessionsConnection,
  plan: plans.Plan,
  options: {
    readonly turn: string | undefined
    readonly directory: string
    /** The data directory, if others can use it. */
    readonly data: string | undefined
  }
): Effect.Effect<Prepared, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const { protocol } = server
    const rules = protocol.rules(plan.options, services.rules.home, services.rules.ask)
    if (Either.isLeft(rules)) return yield* new OpenCodeConfigError(Either.getOrThrow(Either.flip(rules)))
    const model = protocol.model(plan.options)
    const files = promptParts.filesOf(yield* promptParts.make(services, plan, services.isLocal))
    return {
      dialect,
      losesEnd: false,
      directory: options.data,
      start: (sink) =>
        attempts.start({
          fileSystem: services.fileSystem,
          plan,
          lease: () =>
            Effect.succeed(leases.shared(
              server,
              Effect.logWarning("A prompt could not be interrupted on its server: it took too long")
            )),
          introduce: ({ onStart }, pid) => onStart(services.introduce(pid)),
          last: options.turn,
          directory: options.directory,
          rules: Either.getOrThrow(rules),
          model,
          hasLogin: isLoggedIn(services, data),
          files,
          decide: (request, sessionId) =>
            plan.options.auto === true
              ? Effect.succeed("once" as const)
              : services.decide({
                plan,
                sessionId,
                request: { ...request, permission: protocol.permissionOf(request.permission) }
              }),
          announces: true,
          patience: services.patience
        }, sink),
      conversation
    }
  })
