import * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import type { Requests } from "../server/request.js"

/** A server fills its list of models after its start, provider by provider, in a second (2.0.14). */
const looks = 20

const isSame = (self: ReadonlyArray<string>, that: ReadonlyArray<string>): boolean => self.join() === that.join()

/** Reads the models of a server that has just started; waits a moment for a list that is complete and as it should be. */
export const read = (
  requests: Requests,
  { replies, routes }: PrivateServer,
  directory: string,
  isGood: (models: ReadonlyArray<string>) => boolean
): Effect.Effect<ReadonlyArray<string>, OpenCodeServerError> => {
  const look = (
    left: number,
    before: ReadonlyArray<string>
  ): Effect.Effect<ReadonlyArray<string>, OpenCodeServerError> =>
    Effect.flatMap(
      requests.read(routes.models(directory), replies.models),
      (models) =>
        (isGood(models) && isSame(models, before)) || left === 1
          ? Effect.succeed(models)
          : Effect.delay(look(left - 1, models), "250 millis")
    )
  // Their request loads the configuration, which names the providers.
  return Effect.andThen(requests.read(routes.agents(directory), replies.agents), look(looks, []))
}
