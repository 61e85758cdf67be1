/** The events of the workloads, in the shapes that OpenCode 1.18.33 prints. */
import * as fs from "node:fs"
import * as path from "node:path"

const sessionID = "ses_dfc8ec2f8ffeEPXHEtOOS3UwFD"
const snapshot = "d13494702b687093c02d862759a200c1ee529273"
const now = 1_795_354_084_461

const words = (
  "the function returns a value that is never used so it can be removed after checking every caller in the module and " +
  "running the tests again before the change is committed \"quoted\" with a line feed\n and a path like src/index.ts "
).split(" ")

const prose = (seed: number, length: number): string => {
  let text = ""
  for (let i = seed; text.length < length; i++) text += `${words[(i * 7) % words.length]} `
  return text.slice(0, length)
}

const id = (prefix: string, n: number): string => `${prefix}_2037143e4001${String(n).padStart(14, "0")}`

const envelope = (type: string, n: number, part: object) => ({
  type,
  timestamp: now + n,
  sessionID,
  part: { id: id("prt", n), messageID: id("msg", Math.floor(n / 10)), sessionID, ...part }
})

const time = (n: number) => ({ start: now + n - 40, end: now + n })

const text = (n: number, length: number) => envelope("text", n, { type: "text", text: prose(n, length), time: time(n) })

const toolUse = (n: number) =>
  envelope("tool_use", n, {
    type: "tool",
    tool: "bash",
    callID: `call_${n}_0`,
    state: {
      status: "completed",
      input: { command: "npm test", description: "Run the tests" },
      output: prose(n, 220),
      metadata: { output: prose(n, 60), exit: 0, description: "Run the tests", truncated: false },
      title: "Run the tests",
      time: time(n)
    }
  })

const stepStart = (n: number) => envelope("step_start", n, { type: "step-start", snapshot })

/** A step that does not end the conversation; only the last one does. */
const stepFinish = (n: number, reason: "tool-calls" | "stop") =>
  envelope("step_finish", n, {
    type: "step-finish",
    reason,
    snapshot,
    tokens: { total: 120, input: 60, output: 20, reasoning: 0, cache: { write: 0, read: 40 } },
    cost: 0.0001
  })

/** Of ten events five are texts, three are tool calls, one begins a step and one ends it: about 500 bytes each. */
const small = (n: number, last: boolean) => {
  switch (n % 10) {
    case 0:
      return stepStart(n)
    case 9:
      return stepFinish(n, last ? "stop" : "tool-calls")
    case 2:
    case 5:
    case 8:
      return toolUse(n)
    default:
      return text(n, 260)
  }
}

const write = (file: string, lines: Iterable<object>): void => {
  const handle = fs.openSync(file, "w")
  let pieces: Array<string> = []
  let size = 0
  const flush = () => {
    fs.writeSync(handle, pieces.join(""))
    pieces = []
    size = 0
  }
  for (const line of lines) {
    const piece = `${JSON.stringify(line)}\n`
    pieces.push(piece)
    size += piece.length
    if (size > 4_000_000) flush()
  }
  flush()
  fs.closeSync(handle)
}

/** A conversation of `count` small events; `count` is a multiple of ten. */
export const smallEvents = (file: string, count: number): void =>
  write(
    file,
    (function*() {
      for (let n = 0; n < count; n++) yield small(n, n === count - 1)
    })()
  )

/** A conversation with `count` texts of `length` characters. */
export const largeTexts = (file: string, count: number, length: number): void =>
  write(
    file,
    (function*() {
      yield stepStart(0)
      for (let n = 0; n < count; n++) yield text(n, length)
      yield stepFinish(count, "stop")
    })()
  )

/** One step with one word. */
export const turn: ReadonlyArray<object> = [stepStart(0), text(1, 40), stepFinish(2, "stop")]

/** An executable that replaces the binary: a shell script. */
export const executable = (file: string, body: string): string => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  return file
}

/** Quotes a path for the shell. */
export const quoted = (file: string): string => `'${file.replaceAll("'", "'\\''")}'`
