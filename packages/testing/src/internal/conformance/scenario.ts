/** What the scenarios of all majors share. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as ModelProvider from "../../ModelProvider.js"
import type { World } from "./world.js"

export interface Scenario {
  readonly name: string
  /** One line for people who wait. */
  readonly doing: string
  readonly respond?: ModelProvider.Respond | undefined
  readonly run: (world: World) => Effect.Effect<unknown, never, Scope.Scope>
}

export const one = (
  name: string,
  doing: string,
  respond: ModelProvider.Respond,
  run: Scenario["run"]
): Scenario => ({ name, doing, respond, run })

/** Every character that a shell, a parser or a pipe could change. */
export const awkward = "-dash \"quoted\" 'single' `tick` $HOME \\n\n\n  second line é 🦋 --auto\t%s\n"

/** A session's title that looks like an option. */
export const dashTitle = "--auto \"title\""

/** A run with the usual title, so that no title is asked for. */
export const titled = { title: "Scripted" } as const
