/** The library with its own server. */
import { FetchHttpClient } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Layer, ManagedRuntime } from "effect"
import { OpenCodeServer } from "effect-opencode"
import { type Job, measure } from "../lib/batches.js"
import { job as read, report } from "../lib/meter.js"
import { runAll } from "../lib/ours.js"

const job = read<Job & { readonly concurrency: number | "unbounded" }>()

const runtime = ManagedRuntime.make(
  OpenCodeServer.layer({
    binary: job.binary,
    concurrency: job.concurrency,
    defaults: { configOverrides: job.config, title: "Benchmark" }
  }).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
)

process.on("SIGTERM", () => void runtime.dispose().finally(() => process.exit(143)))

const measured = await measure(job, runAll(runtime))
await runtime.dispose()
report(measured)
