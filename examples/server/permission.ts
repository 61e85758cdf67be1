import { FetchHttpClient, Terminal } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, OpenCodeServer } from "effect-opencode"

// #region permission
/** Whether a request can be granted without asking. */
const isHarmless = ({ patterns, permission }: OpenCodeServer.PermissionRequest): boolean =>
  permission === "bash" && patterns.every((command) => command === "npm test")

const OpenCodeLive = Layer.unwrapEffect(Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  // agents ask at the same time, but a person reads one question at a time
  const person = yield* Effect.makeSemaphore(1)

  const ask = (request: OpenCodeServer.PermissionRequest) =>
    Effect.gen(function*() {
      yield* Effect.orDie(terminal.display(
        `${request.permission}: ${request.patterns.join(", ")}\nEnter y to allow it, or say why not: `
      ))
      const line = (yield* terminal.readLine).trim()
      return line === "y" ? "once" as const : { reject: line === "" ? "No." : line }
    }).pipe(
      Effect.catchTag("QuitException", () => Effect.succeed("reject" as const)),
      person.withPermits(1)
    )

  return OpenCodeServer.layer({
    ask: ["bash", "edit"],
    onPermission: (request) => isHarmless(request) ? Effect.succeed("once") : ask(request)
  })
}))
// #endregion

OpenCode.run("Make the tests pass", { timeout: "1 hour" }).pipe(
  Effect.flatMap(({ text }) => Console.log(text)),
  Effect.provide(OpenCodeLive),
  Effect.provide([NodeContext.layer, FetchHttpClient.layer]),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
