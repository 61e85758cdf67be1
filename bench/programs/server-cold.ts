/** A process for each run: the library's own layer, as it is without options. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime, Option } from "effect"
import { OpenCode } from "effect-opencode"
import { type Answer, type Job, measure } from "../lib/batches.js"
import { job as read, report } from "../lib/meter.js"

const job = read<Job>()

const runtime = ManagedRuntime.make(
  OpenCode.layer({
    binary: job.binary,
    version: "1.18.33",
    defaults: { configOverrides: job.config, title: "Benchmark" }
  }).pipe(Layer.provide(NodeContext.layer))
)

const measured = await measure(job, (prompts) =>
  runtime.runPromise(
    Effect.forEach(prompts, ({ directory, text }) =>
      OpenCode.run(text, { cwd: directory }).pipe(
        Effect.map((result): Answer => ({ text: result.text, tokens: result.usage.total })),
        Effect.option,
        Effect.map(Option.getOrUndefined)
      ), { concurrency: "unbounded" })
  ), { watching: true })
await runtime.dispose()
report(measured)
