/**
 * `@opencode-ai/sdk` has no `run`; the comparable part is a server's events, a stream of parsed objects. The server
 * here is a loopback HTTP server of the benchmark that sends the same events.
 */
import { createOpencodeClient } from "@opencode-ai/sdk"
import { job, report, start } from "../lib/meter.js"

const { url } = job<{ readonly url: string }>()

const stop = start()

const sum = { count: 0, text: 0, cost: 0, tokens: 0 }

/** The benchmark's server sends the events of a run; the SDK does not check their type. */
interface Printed {
  readonly type: string
  readonly part: { readonly text?: string; readonly cost?: number; readonly tokens?: { readonly total: number } }
}

const { stream } = await createOpencodeClient({ baseUrl: url }).event.subscribe({ sseMaxRetryAttempts: 1 })
for await (const received of stream) {
  const event = received as unknown as Printed
  sum.count++
  if (event.type === "text") sum.text += event.part.text!.length
  else if (event.type === "step_finish") {
    sum.cost += event.part.cost!
    sum.tokens += event.part.tokens!.total
  }
}
report({ ...stop(), ...sum })
