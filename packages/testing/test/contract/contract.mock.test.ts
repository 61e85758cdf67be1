import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { contract, Other } from "./contract.js"

contract({
  name: "MockCommandExecutor",
  layer: ({ asks, events, exitCode = 0, hangs = false, stderr = "" }) =>
    Layer.unwrapEffect(Effect.map(Deferred.make<void>(), (arrived) => {
      const script = MockCommandExecutor.script(
        MockCommandExecutor.awaitStdin,
        MockCommandExecutor.waitFor(Effect.asVoid(Deferred.succeed(arrived, undefined))),
        MockCommandExecutor.stderr(stderr),
        MockCommandExecutor.lines(events),
        ...(asks === undefined ? [] : [
          MockCommandExecutor.stderr(Events.stderr.permissionRejected(asks.permission, asks.patterns)),
          MockCommandExecutor.lines([Events.toolRejected(asks), Events.finish({ reason: "tool-calls" })])
        ]),
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

contract({
  name: "OpenCodeTest as OpenCode 2",
  major: 2,
  isServer: true,
  announces: false,
  layer: ({ asks, events, hangs = false }) =>
    Layer.unwrapEffect(Effect.map(Deferred.make<void>(), (arrived) => {
      const { Reply } = OpenCodeTest
      const reply = asks !== undefined
        ? Reply.permissionRejected(asks.permission, asks.patterns)
        : Reply.events([
          MockCommandExecutor.waitFor(Effect.asVoid(Deferred.succeed(arrived, undefined))),
          ...events,
          ...(hangs ? [MockCommandExecutor.never] : [])
        ])
      const other = Layer.effect(
        Other,
        Effect.map(OpenCodeTest.OpenCodeTest, ({ calls, running }) => ({
          prompts: Effect.map(calls, (calls) => calls.map(({ prompt }) => prompt)),
          arrived: Deferred.await(arrived),
          survivors: running
        }))
      )
      return Layer.provideMerge(
        other,
        OpenCodeTest.layer(() => reply, { version: "2.0.14", defaults: { model: "fake/m1" } })
      )
    }))
})
