/** The contract's other party: the real binary, offline, with a scripted provider on loopback. */
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { Deferred, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { contract, Other } from "../contract/contract.js"
import { isAlive } from "../support/processes.js"

/** Directories of its own, so that the machine's OpenCode has no say. */
const sandbox = Effect.acquireRelease(
  Effect.sync(() => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "eo-contract-")))
    const inside = (name: string) => {
      const directory = join(root, name)
      mkdirSync(directory)
      return directory
    }
    return { root, home: inside("home"), work: inside("work") }
  }),
  ({ root }) => Effect.sync(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
)

/** Processes that were started in a sandbox, wherever they have gone since. Linux only: elsewhere nobody is seen. */
const survivors = (root: string): number => {
  const environment = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1")
    } catch {
      return ""
    }
  }
  const pids = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return pids.filter((pid) => environment(pid).includes(root) && isAlive(Number(pid))).length
}

contract({
  name: "OpenCode",
  timeout: 180_000,
  layer: (_, respond) =>
    Layer.unwrapScoped(Effect.gen(function*() {
      const { home, root, work } = yield* sandbox
      const arrived = yield* Deferred.make<void>()
      const provider = ModelProvider.layer({
        respond: (request) => {
          Deferred.unsafeDone(arrived, Effect.void)
          return respond(request)
        }
      }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
      const opencode = Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ runConfig }) =>
        OpenCode.layer({
          version: "1.18.33",
          environment: { PATH: process.env["PATH"] ?? "", HOME: home },
          defaults: { ...runConfig, cwd: work, title: "Contract" }
        }))).pipe(Layer.provide(NodeContext.layer))
      const other = Layer.effect(
        Other,
        Effect.map(ModelProvider.ModelProvider, ({ requests }) => ({
          prompts: Effect.map(requests, (requests) =>
            requests.filter(({ isTitle }) => !isTitle).map(({ prompt }) => prompt)),
          arrived: Deferred.await(arrived),
          survivors: Effect.sync(() =>
            survivors(root)
          )
        }))
      )
      return Layer.merge(opencode, other).pipe(Layer.provide(provider))
    }))
})
