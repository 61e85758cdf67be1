import { MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { contract, Other } from "./contract.js"

contract({
  name: "MockCommandExecutor",
  layer: ({ events, exitCode = 0, hangs = false, stderr = "" }) =>
    Layer.unwrapEffect(Effect.map(Deferred.make<void>(), (arrived) => {
      const script = MockCommandExecutor.script(
        MockCommandExecutor.awaitStdin,
        MockCommandExecutor.waitFor(Effect.asVoid(Deferred.succeed(arrived, undefined))),
        MockCommandExecutor.stderr(stderr),
        MockCommandExecutor.lines(events),
        hangs ? MockCommandExecutor.never : MockCommandExecutor.exit(exitCode)
      )
      const other = Layer.effect(
        Other,
        Effect.map(MockCommandExecutor.MockCommandExecutor, ({ commands, running }) => ({
          prompts: Effect.map(commands, (commands) => commands.map(({ stdin }) => stdin)),
          arrived: Deferred.await(arrived),
          survivors: running
        }))
      )
      return Layer.provideMerge(other, OpenCodeTest.layerProcess(() => script))
    }))
})
