import * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import type * as verdicts from "../../opencode/verdict.js"
import type { Connection } from "./connection.js"

/** A server that carries prompts. */
export interface Server {
  readonly protocol: PrivateServer
  /** The process; `undefined` if this program has not started it. */
  readonly pid: number | undefined
  /** Returns when the server answers. */
  readonly connection: Effect.Effect<Connection, OpenCodeServerError>
  /** Returns when the server has ended. */
  readonly exit: Effect.Effect<verdicts.Exit>
  readonly hasExited: Effect.Effect<boolean>
  /** The path of a part of our configuration that the server has dropped. */
  readonly dropped: () => string | undefined
  /** Returns that path when the server drops one. */
  readonly onDropped: Effect.Effect<string>
}

/** The use of a server by one prompt. */
export interface Lease {
  readonly server: Server
  /** Gives the server back. `isResting` is false if the prompt may still be worked on. Called once. */
  readonly end: (options: { readonly force: boolean; readonly isResting: boolean }) => Effect.Effect<Ended>
}

export interface Ended {
  /** Processes that could not be ended. */
  readonly survivors: ReadonlyArray<number>
  /** The end of stderr without text of the model, if there is a stderr. */
  readonly ownStderr?: string | undefined
}

/** The use of a server that others use, too. */
export const shared = (
  server: Server,
  /** Called if the prompt may still be worked on. */
  onRestless: Effect.Effect<void>
): Lease => ({
  server,
  end: ({ isResting }) =>
    Effect.map(
      // A prompt ends with its server.
      Effect.flatMap(server.hasExited, (hasExited) => isResting || hasExited ? Effect.void : onRestless),
      () => ({ survivors: [] })
    )
})
