import * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { Agent, PrivateServer } from "../../opencode/privateServer.js"
import type { Requests } from "../server/request.js"

/** A server fills its lists after its first request about a directory, part by part, in a second (2.0.14). */
const looks = 20

const isSame = (self: ReadonlyArray<string>, that: ReadonlyArray<string>): boolean => self.join() === that.join()

/** Asks for a list until it is as it should be, or stays the same for two looks although it is not empty. */
const settled = <A, E>(
  ask: Effect.Effect<ReadonlyArray<A>, E>,
  nameOf: (item: A) => string,
  isGood: (list: ReadonlyArray<A>, isSteady: boolean) => boolean
): Effect.Effect<ReadonlyArray<A>, E> => {
  const look = (left: number, before: ReadonlyArray<A>): Effect.Effect<ReadonlyArray<A>, E> =>
    Effect.flatMap(
      ask,
      (list) =>
        left === 1 || isGood(list, isSame(list.map(nameOf), before.map(nameOf)))
          ? Effect.succeed(list)
          : Effect.delay(look(left - 1, list), "250 millis")
    )
  return look(looks, [])
}

/**
 * Reads the agents in a directory. The first list of a server is empty (2.0.14), and without the default agent a run
 * would lack its rules. One that is named is waited for as long as a list may take, because the agents of the configuration
 * follow those of OpenCode, on a busy machine after a while.
 */
export const agents = (
  requests: Requests,
  { replies, routes }: PrivateServer,
  directory: string,
  named: string | undefined
): Effect.Effect<ReadonlyArray<Agent>, OpenCodeServerError> =>
  settled(
    requests.read(routes.agents(directory), replies.agents),
    ({ id }) => id,
    (list) => list.length > 0 && (named === undefined || list.some(({ id }) => id === named))
  )

/** Reads the models of a server that has just started; waits a moment for a list that is complete and as it should be. */
export const models = (
  requests: Requests,
  { replies, routes }: PrivateServer,
  directory: string,
  isGood: (models: ReadonlyArray<string>) => boolean
): Effect.Effect<ReadonlyArray<string>, OpenCodeServerError> =>
  // Their request loads the configuration, which names the providers.
  Effect.andThen(
    requests.read(routes.agents(directory), replies.agents),
    settled(requests.read(routes.models(directory), replies.models), (model) =>
      model, (list, isSteady) =>
      isSteady && isGood(list))
  )
