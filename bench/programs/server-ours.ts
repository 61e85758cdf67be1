/** The library over a server of its own. */
import { FetchHttpClient } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime, Option } from "effect"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { type Answer, type Job, measure } from "../lib/batches.js"
import { job as read, report } from "../lib/meter.js"

const job = read<Job & { readonly concurrency: number | "unbounded" }>()

const runtime = ManagedRuntime.make(
  OpenCodeServer.layer({
    binary: job.binary,
    concurrency: job.concurrency,
    defaults: { configOverrides: job.config, title: "Benchmark" }
  }).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
)

process.on("SIGTERM", () => void runtime.dispose().finally(() => process.exit(143)))

const measured = await measure(job, (prompts) =>
  runtime.runPromise(
    Effect.forEach(prompts, ({ directory, text }) =>
      OpenCode.run(text, { cwd: directory }).pipe(
        Effect.map((result): Answer => ({ text: result.text, tokens: result.usage.total })),
        Effect.option,
        Effect.map(Option.getOrUndefined)
      ), { concurrency: "unbounded" })
  ))
await runtime.dispose()
report(measured)
