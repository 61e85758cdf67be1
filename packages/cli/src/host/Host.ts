/**
 * The program's environment: the standard streams, which of them are terminals, the names of the environment variables.
 * Everything that we need from Node and that the platform's services do not offer is behind this tag.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export interface Service {
  /** The arguments of the command line, without the program's own name. */
  readonly args: ReadonlyArray<string>
  /** Whether standard input is a terminal. */
  readonly stdinIsTerminal: boolean
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  /** The columns of the terminal on standard output; 80 without a terminal. */
  readonly columns: Effect.Effect<number>
  /** The columns of the terminal on standard error; 80 without a terminal. */
  readonly stderrColumns: Effect.Effect<number>
  /** Reads standard input to its end. */
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
