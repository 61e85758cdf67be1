import * as Effect from "effect/Effect"
import * as HostEnvironment from "../../HostEnvironment.js"

/**
 * The variable that marks a process, after the marks around this program: a process inside another one's tools carries
 * both, so that it is found for either.
 */
export const variables = (name: string, own: string): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.map(HostEnvironment.variable(name), (above) => ({ [name]: `${above ?? ""}:${own}` }))
