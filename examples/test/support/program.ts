/** What the tests of programs share: `runMain` hands the program over instead of starting it. */
import type { Runtime } from "@effect/platform"
import type * as PlatformNode from "@effect/platform-node"
import { type Console, Effect, Exit, FiberId, type Layer } from "effect"
import { expect } from "vitest"

/** Where a program is handed over to. */
export interface Handed {
  main: Effect.Effect<unknown, unknown> | undefined
}

/**
 * The module with another `runMain`, which also checks the exit code of an interrupted program, and with services instead
 * of, or in addition to, those of Node.
 */
export const replaced = <Module extends Pick<typeof PlatformNode, "NodeContext" | "NodeRuntime">>(
  original: Module,
  harness: Handed,
  services: (node: typeof PlatformNode.NodeContext.layer) => Layer.Layer<never>
) => ({
  ...original,
  NodeContext: { ...original.NodeContext, layer: services(original.NodeContext.layer) },
  NodeRuntime: {
    ...original.NodeRuntime,
    runMain: (options: { readonly teardown: Runtime.Teardown }) => (main: Effect.Effect<unknown, unknown>) => {
      harness.main = main
      options.teardown(Exit.interrupt(FiberId.none), (code) => expect(code).toBe(130))
    }
  }
})

/** The program that an example has handed over. */
export const handedOver = (harness: Handed): Effect.Effect<unknown, unknown> =>
  harness.main ?? Effect.dieMessage("the example does not call runMain")

/** A console that keeps what is printed, a line each. */
export const keeping = (printed: Array<string>): Console.Console => {
  const push = (...args: ReadonlyArray<unknown>) => Effect.sync(() => void printed.push(args.map(String).join(" ")))
  return { ...Effect.runSync(Effect.console), log: push, error: push }
}
