/** The contract over the executable that plays scripts: as either major, and as a server of OpenCode 2 that runs share. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { OpenCode } from "effect-opencode"
import { OpenCodeServer } from "effect-opencode"
import { FaultyOpenCode } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../support/processes.js"
import { contract, Other, type Wire, type World } from "./contract.js"

/** Returns when a prompt has arrived, which is when the log begins. */
const firstCall = (directory: string) =>
  Effect.sync(() => readdirSync(join(directory, "log")).some((name) => name.startsWith("process-"))).pipe(
    Effect.delay("10 millis"),
    Effect.repeat({ until: (begun) => begun }),
    Effect.asVoid
  )

const scriptOf = ({ asks, events, exitCode, hangs = false, stderr = "" }: Wire, isServer: boolean) =>
  FaultyOpenCode.script(
    FaultyOpenCode.stderr(stderr),
    FaultyOpenCode.lines(events),
    ...(asks === undefined ? [] : [FaultyOpenCode.ask(asks.permission, asks.patterns, asks)]),
    ...(hangs
      ? [FaultyOpenCode.never]
      // A server does not end with a prompt.
      : exitCode === undefined || isServer
      ? []
      : [FaultyOpenCode.exit(exitCode)])
  )

/** A server that runs share outlives them. */
const other = (isShared: boolean) =>
  Layer.effect(
    Other,
    Effect.gen(function*() {
      const { calls, directory } = yield* FaultyOpenCode.FaultyOpenCode
      const all = Effect.orDie(calls)
      return {
        prompts: Effect.map(all, (calls) => calls.map(({ prompt }) => prompt)),
        arrived: firstCall(directory),
        survivors: Effect.map(all, (calls) => isShared ? 0 : calls.filter(({ pid }) => isAlive(pid)).length)
      }
    })
  )

const byProcesses = (options: OpenCode.Options, isServer: boolean): World["layer"] => (wire) =>
  other(false).pipe(
    Layer.provideMerge(
      FaultyOpenCode.layerOpenCode([scriptOf(wire, isServer)], { forceKillAfter: "100 millis", ...options })
    ),
    Layer.provide(NodeContext.layer)
  )

contract({ name: "FaultyOpenCode", layer: byProcesses({}, false) })

const two = { version: "2.0.14", defaults: { model: "fake/m1" } }

contract({
  name: "FaultyOpenCode as OpenCode 2",
  major: 2,
  isServer: true,
  announces: false,
  layer: byProcesses(two, true)
})

contract({
  name: "FaultyOpenCode as a server of OpenCode 2",
  major: 2,
  isServer: true,
  layer: (wire) =>
    other(true).pipe(
      Layer.provideMerge(Layer.unwrapEffect(
        Effect.map(
          FaultyOpenCode.FaultyOpenCode,
          ({ binary }) => OpenCodeServer.layer({ ...two, binary, forceKillAfter: "100 millis" })
        )
      )),
      Layer.provideMerge(FaultyOpenCode.layer([scriptOf(wire, true)], { version: two.version })),
      Layer.provide([NodeContext.layer, NodeHttpClient.layer])
    )
})
