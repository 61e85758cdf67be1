/** The contract over a server of the real binary: one of each major. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { existsSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import * as opencode2 from "../../../core/test/support/opencode2.js"
import { contract, Other } from "../contract/contract.js"
import { sandbox, survivors } from "../support/sandbox.js"

class Box extends Context.Tag("contract/Box")<Box, Effect.Effect.Success<typeof sandbox>>() {}

const provider = ModelProvider.layer({ respond: () => ModelProvider.Reply.never }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

/** The server's process is the child of this process. */
const isServer = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === process.pid
  } catch {
    // has just ended
    return false
  }
}

/** Runs over one server of a binary, which ends with the file. */
const serving = (options: OpenCodeServer.Options) => {
  const opencode = Layer.unwrapEffect(Effect.gen(function*() {
    const { home, work } = yield* Box
    const { runConfig } = yield* ModelProvider.ModelProvider
    return OpenCodeServer.layer({
      ...options,
      environment: { PATH: process.env["PATH"] ?? "", HOME: home },
      startTimeout: "10 minutes",
      defaults: { ...runConfig, cwd: work, title: "Contract" }
    })
  })).pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]))

  const shared = opencode.pipe(Layer.provideMerge(provider), Layer.provideMerge(Layer.scoped(Box, sandbox)))

  const scope = Effect.runSync(Scope.make())
  const memo = Effect.runSync(Layer.makeMemoMap)
  const services = Layer.buildWithMemoMap(shared, memo, scope)

  /** The directory of the sandbox, once it exists. */
  let root: string | undefined
  /** The servers that were still running after runs. */
  const servers = new Set<number>()

  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    expect(servers.size).toBe(process.platform === "linux" ? 1 : 0)
    expect(survivors(root!)).toEqual([])
    expect(existsSync(root!)).toBe(false)
  })

  return (respond: ModelProvider.Respond) =>
    Layer.effectContext(Effect.gen(function*() {
      const context = yield* services
      const box = Context.get(context, Box)
      root = box.root
      const provider = Context.get(context, ModelProvider.ModelProvider)
      const arrived = yield* Deferred.make<void>()
      const earlier = (yield* provider.requests).length
      yield* provider.respond((request) => {
        Deferred.unsafeDone(arrived, Effect.void)
        return respond(request)
      })
      return Context.add(context, Other, {
        prompts: Effect.map(provider.requests, (requests) => requests.slice(earlier).map(({ prompt }) => prompt)),
        arrived: Deferred.await(arrived),
        survivors: Effect.sync(() => {
          const [own, others] = Array.partition(survivors(box.root), (pid) => !isServer(pid))
          for (const pid of own) servers.add(pid)
          return others.length
        })
      })
    }))
}

describe("OpenCode 1", () => {
  const here = serving({})

  contract({
    name: "OpenCode over a server",
    isServer: true,
    layer: (_, respond) => here(respond)
  })

  describe("a server reports more than a process:", () => {
    it.live("a model that it does not know", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(OpenCode.run("Say something", { model: "fake/nope" }))
        expect(error).toMatchObject({ _tag: "OpenCodeSessionError", kind: "model-not-found" })
        expect(error.message).toContain("Model not found: fake/nope")
      }).pipe(Effect.provide(here(() => ModelProvider.Reply.never))))
  })
})

/** With `CONTRACT=all`, as in `contract.test.ts`. */
const isWanted = process.env["CONTRACT"] === "all" && opencode2.binary !== undefined

describe.skipIf(!isWanted)(`OpenCode 2${opencode2.why}`, () => {
  const here = serving({ binary: opencode2.binary, version: opencode2.version })

  contract({
    name: "OpenCode 2 over a server",
    major: 2,
    isServer: true,
    layer: (_, respond) => here(respond)
  })
})
