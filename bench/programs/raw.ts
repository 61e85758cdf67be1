/**
 * The lower bound: a child process, a hand-written splitter that copies nothing twice, `JSON.parse`, and a loop.
 * Nothing is checked or limited, and stderr is dropped.
 */
import { spawn } from "node:child_process"
import { job, report, start } from "../lib/meter.js"

const { binary, keep } = job<{ readonly binary: string; readonly keep: boolean }>()

interface Event {
  readonly type: string
  readonly part: { readonly text?: string; readonly cost?: number; readonly tokens?: { readonly total: number } }
}

const stop = start()

const kept: Array<Event> = []
const pieces: Array<string> = []
let count = 0
let text = 0
let cost = 0
let tokens = 0

const seen = (event: Event) => {
  count++
  if (event.type === "text") {
    text += event.part.text!.length
    if (keep) pieces.push(event.part.text!)
  } else if (event.type === "step_finish") {
    cost += event.part.cost!
    tokens += event.part.tokens!.total
  }
  if (keep) kept.push(event)
}

let pending: Array<Buffer> = []

const lines = (bytes: Buffer) => {
  const last = bytes.lastIndexOf(10)
  if (last === -1) {
    pending.push(bytes)
    return
  }
  let from = 0
  if (pending.length > 0) {
    const end = bytes.indexOf(10)
    pending.push(bytes.subarray(0, end))
    seen(JSON.parse(Buffer.concat(pending).toString("utf8")))
    pending = []
    from = end + 1
  }
  if (from <= last) {
    const whole = bytes.toString("utf8", from, last)
    let at = 0
    for (let end = whole.indexOf("\n"); end !== -1; end = whole.indexOf("\n", at)) {
      seen(JSON.parse(whole.slice(at, end)))
      at = end + 1
    }
    seen(JSON.parse(whole.slice(at)))
  }
  if (last + 1 < bytes.length) pending.push(bytes.subarray(last + 1))
}

const child = spawn(binary, [], { stdio: ["ignore", "pipe", "ignore"] })
child.stdout.on("data", lines)
child.on("close", () => {
  const whole = pieces.join("")
  report({ ...stop(), count, text: keep ? whole.length : text, cost, tokens, kept: kept.length })
})
