import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Shorter than the least time after which the jobs of a lost runner go to others, so that nobody waits because of it. */
const patience = "5s"

const bounded = (client: SqlClient.SqlClient): SqlClient.SqlClient => {
  const limit = client.unsafe(`SET LOCAL idle_in_transaction_session_timeout = '${patience}'`)
  const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
    client.withTransaction(Effect.andThen(limit, effect))
  return new Proxy(client, {
    get: (target, key) =>
      key === "withTransaction"
        ? withTransaction
        : key === "withoutTransforms"
        ? () => bounded(target.withoutTransforms())
        : Reflect.get(target, key)
  })
}

/**
 * The client of the program, in whose transactions nobody holds a row for long. PostgreSQL would keep the locks of a
 * machine that loses its network or its power in the middle of one until TCP notices, for up to two hours, and the
 * runners that have its jobs would wait.
 */
export const layer: Layer.Layer<SqlClient.SqlClient, never, SqlClient.SqlClient> = Layer.effect(
  SqlClient.SqlClient,
  Effect.map(
    SqlClient.SqlClient,
    (client) => client.onDialectOrElse({ pg: () => bounded(client), orElse: () => client })
  )
)
