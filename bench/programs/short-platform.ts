/** Many short runs by the platform's executor, each with its own temporary directory, without the library. */
import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import * as Command from "@effect/platform/Command"
import { Effect, Stream } from "effect"
import { job, report, start } from "../lib/meter.js"

const { binary, concurrency, runs } = job<
  { readonly binary: string; readonly runs: number; readonly concurrency: number }
>()

const one = (prompt: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const TMPDIR = yield* fileSystem.makeTempDirectoryScoped()
    const child = yield* Command.make(binary).pipe(Command.env({ TMPDIR }), Command.feed(prompt), Command.start)
    const [text] = yield* Effect.all([
      Stream.mkString(Stream.decodeText(child.stdout)),
      Stream.runDrain(child.stderr),
      child.exitCode
    ], { concurrency: "unbounded" })
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)).length
  }).pipe(Effect.scoped)

const program = Effect.forEach(
  Array.from({ length: runs }, (_, index) => `prompt ${index}`),
  one,
  { concurrency }
).pipe(
  Effect.map((counts) => counts.filter((count) => count === 3).length),
  Effect.provide(NodeContext.layer)
)

const stop = start()
Effect.runPromise(program).then((whole) => report({ ...stop(), whole }))
