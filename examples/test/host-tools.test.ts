/** Runs the program of examples/host-tools unchanged, with the real OpenCode and a scripted provider. */
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { type Console, Effect, Layer } from "effect"
import { RunConfig } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { vi } from "vitest"

const { Reply, steps } = ModelProvider

const harness: { main: Effect.Effect<unknown> | undefined } = vi.hoisted(() => ({ main: undefined }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const runMain = () => (main: Effect.Effect<unknown>) => void (harness.main = main)
  return { ...original, NodeRuntime: { ...original.NodeRuntime, runMain } }
})

process.env["OPENCODE_BINARY"] = createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe")

const provider = ModelProvider.layer({ respond: () => Reply.never }).pipe(
  Layer.provide(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
)

it.scopedLive("letter.ts writes the letter, or says that there is no customer", () =>
  Effect.gen(function*() {
    yield* Effect.promise(() => import("../host-tools/letter.js"))
    const directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-letter-")))
    yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(directory, { recursive: true })))
    const { respond, runConfig } = yield* ModelProvider.ModelProvider
    const lines: Array<string> = []
    const log = (...args: ReadonlyArray<unknown>) => Effect.sync(() => void lines.push(args.map(String).join(" ")))
    const letter = path.join(directory, "letter.md")
    const printed = (id: number) =>
      Effect.andThen(
        respond(steps([
          Reply.toolCalls([{ name: "host_find_customer", arguments: { id } }]),
          Reply.toolCalls([{ name: "write", arguments: { filePath: letter, content: "Dear Ada" } }]),
          Reply.text("Written.")
        ])),
        harness.main!.pipe(
          RunConfig.withRunConfig({ ...runConfig, dir: directory, title: "Letter" }),
          Effect.withConsole({ log, error: log } as unknown as Console.Console)
        )
      )
    yield* printed(7)
    expect(fs.readFileSync(letter, "utf8")).toBe("Dear Ada")
    yield* printed(8)
    expect(lines).toEqual([
      expect.stringMatching(/^Written\. 0\.\d+$/),
      "there is no customer 8, the run was ended"
    ])
  }).pipe(Effect.provide(provider)))
