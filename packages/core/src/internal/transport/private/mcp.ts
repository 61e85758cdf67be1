import * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import type { Requests } from "../server/request.js"

/** A minute, at most: the server itself gives up one that does not answer after its time-out. */
const looks = 600

/** Waits until MCP servers have connected or failed: before that the model is asked without their tools. */
export const settled = (
  requests: Requests,
  { replies, routes }: PrivateServer,
  directory: string,
  names: ReadonlyArray<string>
): Effect.Effect<void, OpenCodeServerError> => {
  const look = (left: number): Effect.Effect<void, OpenCodeServerError> =>
    Effect.flatMap(
      requests.read(routes.mcp(directory), replies.mcp),
      (servers) =>
        left === 1 || names.every((name) => servers.some((server) => server.name === name && !server.isPending))
          ? Effect.void
          : Effect.delay(look(left - 1), "100 millis")
    )
  return names.length === 0 ? Effect.void : look(looks)
}
