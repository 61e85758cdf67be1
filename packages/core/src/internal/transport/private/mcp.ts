import * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import type { Requests } from "../server/request.js"

/** A minute, at most: the server itself gives up one that does not answer after its time-out. */
const looks = 600

/**
 * How often they must be found so in a row: a server counts as connected shortly before its tools are offered, and
 * nothing tells when they are (2.0.14).
 */
const settledLooks = 3

/** Waits until MCP servers have connected or failed: before that the model is asked without their tools. */
export const settled = (
  requests: Requests,
  { replies, routes }: PrivateServer,
  directory: string,
  names: ReadonlyArray<string>
): Effect.Effect<void, OpenCodeServerError> => {
  const look = (left: number, found: number): Effect.Effect<void, OpenCodeServerError> =>
    Effect.flatMap(
      requests.read(routes.mcp(directory), replies.mcp),
      (servers) => {
        const isSettled = names.every((name) => servers.some((server) => server.name === name && !server.isPending))
        const now = isSettled ? found + 1 : 0
        return left === 1 || now === settledLooks
          ? Effect.void
          : Effect.delay(look(left - 1, now), "100 millis")
      }
    )
  return names.length === 0 ? Effect.void : look(looks, 0)
}
