/** A process for each run: the library's own layer without options. */
import { NodeContext } from "@effect/platform-node"
import { Layer, ManagedRuntime } from "effect"
import { OpenCode } from "effect-opencode"
import { type Job, measure } from "../lib/batches.js"
import { job as read, report } from "../lib/meter.js"
import { runAll } from "../lib/ours.js"

const job = read<Job>()

const runtime = ManagedRuntime.make(
  OpenCode.layer({
    binary: job.binary,
    version: "1.18.33",
    defaults: { configOverrides: job.config, title: "Benchmark" }
  }).pipe(Layer.provide(NodeContext.layer))
)

const measured = await measure(job, runAll(runtime), { watching: true })
await runtime.dispose()
report(measured)
