/** The library as a program uses it: `OpenCode.layer` over the platform, then `stream` or `run`. */
import { NodeContext } from "@effect/platform-node"
import { Chunk, Effect, Layer, Sink, Stream } from "effect"
import { OpenCode, RunEvent } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { job, report, start } from "../lib/meter.js"

const { binary, mode } = job<{ readonly binary: string; readonly mode: "fold" | "forEach" | "run" }>()

const layer = OpenCode.layer({ binary, version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))

/** The workloads have more steps than a run may have by default. */
const options: RunOptions.RunOptions = { budget: { steps: Infinity } }

interface Sum {
  count: number
  text: number
  cost: number
  tokens: number
}

const empty = (): Sum => ({ count: 0, text: 0, cost: 0, tokens: 0 })

const add = (sum: Sum, event: RunEvent.RunEvent): void => {
  sum.count++
  if (event._tag === "Text") sum.text += event.text.length
  else if (event._tag === "StepFinish") {
    sum.cost += event.cost
    sum.tokens += event.tokens.total
  }
}

const fold = Stream.run(
  OpenCode.stream("x", options),
  Sink.foldLeftChunks(empty(), (sum, events: Chunk.Chunk<RunEvent.RunEvent>) => {
    for (const event of Chunk.toReadonlyArray(events)) add(sum, event)
    return sum
  })
)

const forEach = Effect.suspend(() => {
  const sum = empty()
  return Effect.as(
    Stream.runForEach(OpenCode.stream("x", options), (event) => Effect.sync(() => add(sum, event))),
    sum
  )
})

const run = Effect.map(OpenCode.run("x", options), (result) => ({
  count: result.events.length,
  text: result.events.reduce((length, event) => length + RunEvent.textOf(event).length, 0),
  cost: result.cost,
  tokens: result.usage.total
}))

const program = Effect.provide({ fold, forEach, run }[mode], layer)

const stop = start()
Effect.runPromise(program).then((sum) => report({ ...stop(), ...sum }))
