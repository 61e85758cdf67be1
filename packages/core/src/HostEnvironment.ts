/**
 * Facts about the process that the program runs in: the variables that OpenCode inherits, and the main file. They
 * describe the machine, not the program's settings, so they do not come from its `ConfigProvider`.
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
  /** The main file; `undefined` without one, as with `node --eval`. */
  readonly mainFile: string | undefined
}

interface WithProcess {
  readonly process?: {
    readonly argv?: ReadonlyArray<string>
    readonly env?: { readonly [name: string]: string | undefined }
  }
}

/**
 * The facts about the process, read on every use. A test can provide others; OpenCode still inherits the variables of
 * the real process.
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
 * The current facts.
 *
 * @since 0.1.0
 * @category getters
 */
export const facts: Effect.Effect<Facts> = Effect.flatten(HostEnvironment)

/**
 * Reads a variable of the process; an empty value counts as unset.
 *
 * @since 0.1.0
 * @category getters
 */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(facts, ({ variables }) => variables[name] === "" ? undefined : variables[name])

/**
 * Facts with these variables and without a main file, for tests.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromVariables = (variables: Facts["variables"]): Effect.Effect<Facts> =>
  Effect.succeed({ variables, mainFile: undefined })
