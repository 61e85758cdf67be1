import type { ApiConnection, Connection } from "../../src/internal/transport/server/connection.js"

/** The connection of a server of OpenCode 1. */
export const apiOf = (connection: Connection): ApiConnection => {
  if (connection._tag !== "Api") throw new Error("this is no server of OpenCode 1")
  return connection
}
