/**
 * What the program finds around itself: the standard streams, which of them a person is watching, the names of the
 * environment variables. Everything of Node that the platform's services do not offer is behind this tag.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export interface Service {
  /** The arguments of the command line, the program's own name left out. */
  readonly args: ReadonlyArray<string>
  /** Whether standard input is a terminal. */
  readonly stdinIsTerminal: boolean
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  /** The columns of the terminal behind standard output; 80 where there is none. */
  readonly columns: Effect.Effect<number>
  /** The columns of the terminal behind standard error; 80 where there is none. */
  readonly stderrColumns: Effect.Effect<number>
  /** Standard input to its end. */
  readonly stdin: Effect.Effect<Uint8Array>
  /** Writes to standard error without a line break. */
  readonly writeError: (text: string) => Effect.Effect<void>
  readonly environmentNames: ReadonlyArray<string>
  readonly temporaryDirectory: string
  /** `linux`, `darwin`, `win32`, … */
  readonly platform: string
  /** The version of Node. */
  readonly nodeVersion: string
}

export class Host extends Context.Tag("effect-opencode-cli/Host")<Host, Service>() {}
