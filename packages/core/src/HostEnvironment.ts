/**
 * What is known of the process that the program runs in: the variables that OpenCode inherits, and the file that was
 * started. They are facts of the machine and not settings of the program, so they do not come from its `ConfigProvider`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * @since 0.1.0
 * @category models
 */
export interface Facts {
  /** The environment variables. */
  readonly variables: { readonly [name: string]: string | undefined }
  /** The file that was started; `undefined` if there is none, as with `node --eval`. */
  readonly mainFile: string | undefined
}

interface WithProcess {
  readonly process?: {
    readonly argv?: ReadonlyArray<string>
    readonly env?: { readonly [name: string]: string | undefined }
  }
}

/**
 * The facts of the process, read whenever they are asked for. A test can provide other ones; OpenCode still inherits the
 * variables of the real process.
 *
 * @since 0.1.0
 * @category references
 */
export class HostEnvironment extends Context.Reference<HostEnvironment>()("effect-opencode/HostEnvironment", {
  defaultValue: (): Effect.Effect<Facts> =>
    Effect.sync(() => {
      const { process } = globalThis as WithProcess
      return { variables: process?.env ?? {}, mainFile: process?.argv?.[1] }
    })
}) {}

/**
 * The facts in force.
 *
 * @since 0.1.0
 * @category getters
 */
export const facts: Effect.Effect<Facts> = Effect.flatten(HostEnvironment)

/**
 * A variable of the process. An empty one counts as unset.
 *
 * @since 0.1.0
 * @category getters
 */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(facts, ({ variables }) => variables[name] === "" ? undefined : variables[name])

/**
 * The facts of a process with these variables and no main file, for tests.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromVariables = (variables: Facts["variables"]): Effect.Effect<Facts> =>
  Effect.succeed({ variables, mainFile: undefined })
