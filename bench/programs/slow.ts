/**
 * Measures how far a child gets ahead of a slow consumer: the bytes written by the child according to the kernel, minus
 * the bytes that the consumer has received.
 */
import { NodeContext } from "@effect/platform-node"
import { Chunk, Effect, Layer, Stream } from "effect"
import { OpenCode } from "effect-opencode"
import type { RunEvent } from "effect-opencode"
import * as fs from "node:fs"
import { job, report, start } from "../lib/meter.js"

const { binary, chunks } = job<{ readonly binary: string; readonly chunks: number }>()

const layer = OpenCode.layer({ binary, version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))

const parentOf = (pid: string): number => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
  } catch {
    return 0
  }
}

let child: string | undefined

const written = (): number => {
  child ??= fs.readdirSync("/proc").find((name) => /^\d+$/.test(name) && parentOf(name) === process.pid)
  return Number(/wchar: (\d+)/.exec(fs.readFileSync(`/proc/${child}/io`, "latin1"))?.[1])
}

const bytes = (event: RunEvent.RunEvent): number =>
  "raw" in event ? Buffer.byteLength(JSON.stringify(event.raw)) + 1 : 0

let consumed = 0
let ahead = 0

const program = OpenCode.stream("x", { budget: { steps: Infinity } }).pipe(
  Stream.chunks,
  Stream.take(chunks),
  Stream.runForEach((events) =>
    Effect.andThen(
      Effect.sleep("20 millis"),
      Effect.sync(() => {
        ahead = Math.max(ahead, written() - consumed)
        consumed += Chunk.reduce(events, 0, (sum, event) => sum + bytes(event))
      })
    )
  ),
  Effect.provide(layer)
)

const stop = start()
Effect.runPromise(program).then(() => report({ ...stop(), ahead: ahead / 1024 }))
