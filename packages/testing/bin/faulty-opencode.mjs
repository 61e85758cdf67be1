/**
 * A stand-in for the `opencode` executable that plays a script: `node faulty-opencode.mjs SCENARIO.json [arguments…]`.
 * `src/FaultyOpenCode.ts` writes the scenario, describes its shape and reads the log that this program leaves.
 */
import { spawn } from "node:child_process"
import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { dirname, join } from "node:path"
import { Readable } from "node:stream"
import * as opencode2 from "./opencode2.js"

const [, , scenarioFile, ...args] = process.argv
const scenario = JSON.parse(readFileSync(scenarioFile, "utf8"))
const directory = dirname(scenarioFile)

// Whatever a test forgets, this process is not for ever.
setTimeout(() => process.exit(87), scenario.lifetime).unref()

// Nobody reads any more.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(1))

const write = (stream, data) => new Promise((resolve) => stream.write(data, resolve))

/** The first number whose file nobody has made, also among processes that start at the same time. */
const claim = (prefix) => {
  for (let number = 0;; number++) {
    try {
      closeSync(openSync(join(directory, `${prefix}${number}`), "wx"))
      return number
    } catch (error) {
      if (error.code !== "EEXIST") throw error
    }
  }
}

const fail = async (text, code) => {
  await write(process.stderr, `${text}\n`)
  process.exit(code)
}

const readStdin = async () => {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

const flood = async ({ bytes, lineLength }, print) => {
  const line = `${"x".repeat(Math.max(0, lineLength - 1))}\n`
  const block = line.repeat(Math.max(1, Math.floor(65536 / line.length)))
  for (let left = bytes; left > 0; left -= block.length) {
    await print(left < block.length ? block.slice(block.length - left) : block)
  }
}

const child = ({ detached, holdsStdout, ignoresSignals, lifetime }, log) => {
  const command = `${ignoresSignals ? "trap '' TERM INT HUP; " : ""}exec sleep ${lifetime / 1000}`
  const started = spawn("sh", ["-c", command], {
    detached,
    stdio: ["ignore", holdsStdout ? "inherit" : "ignore", "ignore"]
  })
  started.unref()
  log({ type: "child", pid: started.pid })
}

const forever = () => new Promise(() => setInterval(() => {}, 1 << 30))

/** Plays a script; what it prints goes to `out`, which also plays the steps that differ between the majors. */
const play = async (script, prompt, log, out) => {
  for (const step of script.steps) {
    if (out.isOver()) return
    switch (step._tag) {
      case "Stdout":
        await out.print(step.text)
        break
      case "Stderr":
        await write(process.stderr, step.text)
        break
      case "Echo":
        await out.print(`${JSON.stringify({ ...step.event, part: { ...step.event.part, text: prompt } })}\n`)
        break
      case "Flood":
        await flood(step, step.to === "stdout" ? out.print : (data) => write(process.stderr, data))
        break
      case "Sleep":
        await out.wait(new Promise((resolve) => setTimeout(resolve, step.millis)))
        break
      case "Child":
        child(step, log)
        break
      case "CloseStdout":
        out.close()
        break
      case "Exit":
        process.exit(step.code)
        break
      case "Signal":
        process.kill(process.pid, step.signal)
        await forever()
        break
      case "Never":
        await out.wait(forever())
        break
      case "Ask":
        await out.ask(step)
        break
      case "Event":
      case "Rest":
        await out.only(step)
        break
      case "Refuse":
        await misplaced("refuses a prompt that has begun; `refuse` is the first step of a script")
    }
  }
  return out.end()
}

const misplaced = (why) => fail(`FaultyOpenCode ${why}`, 64)

/** The number of a case for a prompt; a prompt without one ends the process. */
const caseOf = async (prompt) => {
  const index = scenario.cases.findIndex(({ contains }) => contains === undefined || prompt.includes(contains))
  if (index >= 0) return index
  const known = scenario.cases.map(({ contains }) => JSON.stringify(contains)).join(", ")
  return misplaced(
    `has no script for the prompt ${JSON.stringify(prompt.slice(0, 80))}. Prompts that contain: ${known}.`
  )
}

const scriptOf = (index, number) => {
  const { scripts } = scenario.cases[index]
  return scripts[Math.min(number, scripts.length - 1)]
}

const next = (index) => scriptOf(index, claim(`case-${index}-`))

const makeLog = () => {
  let file = undefined
  return (entry) => {
    file ??= join(directory, `process-${claim("number-")}.jsonl`)
    appendFileSync(file, `${JSON.stringify(entry)}\n`)
  }
}

const ignoreSignals = (script, log) => {
  for (const signal of script.ignoreSignals ?? []) {
    process.removeAllListeners(signal)
    process.on(signal, () => log({ type: "signal", signal }))
  }
}

/** A run of OpenCode 1. */
const run = async () => {
  const log = makeLog()
  // As OpenCode: to the end, in any case.
  const stdin = process.stdin.isTTY ? "" : await readStdin()
  const separator = args.indexOf("--")
  const argument = separator < 0 ? "" : args.slice(separator + 1).join(" ")
  const prompt = argument !== "" && stdin !== "" ? `${argument}\n${stdin}` : argument + stdin
  log({ type: "start", pid: process.pid, args, cwd: process.cwd(), stdin, prompt })
  if (prompt.trim() === "" && !args.some((arg) => arg.startsWith("--command="))) {
    return fail("\u001b[91m\u001b[1mError: \u001b[0mYou must provide a message or a command", 1)
  }
  const script = next(await caseOf(prompt))
  ignoreSignals(script, log)
  const print = (data) => write(process.stdout, data)
  return play(script, prompt, log, {
    print,
    isOver: () => false,
    wait: (waiting) => waiting,
    close: () => closeSync(1),
    ask: async ({ rejected }) => {
      await write(process.stderr, rejected.stderr)
      await print(rejected.stdout)
      process.exit(0)
    },
    only: ({ _tag }) => misplaced(`plays the step ${_tag} only as OpenCode 2; set a version of it`),
    end: () => process.exit(0)
  })
}

/** True if a script ends its process and says nothing before. */
const failsToStart = ({ steps }) => {
  const end = steps.findIndex(({ _tag }) => _tag !== "Stderr" && _tag !== "Sleep")
  return end >= 0 && (steps[end]._tag === "Exit" || steps[end]._tag === "Signal")
}

/** A server of OpenCode 2, which ends with its input. */
const serve = async () => {
  const log = makeLog()
  const anyPrompt = scenario.cases.findIndex(({ contains }) => contains === undefined)
  /** A script that was taken to start with, but is for a prompt. */
  let reserved = undefined
  if (anyPrompt >= 0) {
    let started = 0
    while (existsSync(join(directory, `case-${anyPrompt}-${started}`))) started++
    if (failsToStart(scriptOf(anyPrompt, started))) {
      reserved = next(anyPrompt)
      if (failsToStart(reserved)) {
        log({ type: "start", pid: process.pid, args, cwd: process.cwd(), stdin: "", prompt: "" })
        return play(reserved, "", log, { isOver: () => false, wait: (waiting) => waiting })
      }
    }
  }
  let isStubborn = false
  let sessions = 0
  const server = opencode2.make({
    version: scenario.version,
    models: scenario.models,
    password: process.env.OPENCODE_PASSWORD,
    newSession: () => `ses_${String(process.pid).padStart(13, "0")}${String(++sessions).padStart(13, "0")}`,
    onPrompt: async (turn, admit) => {
      const { prompt } = turn
      log({ type: "start", pid: process.pid, args, cwd: process.cwd(), stdin: "", prompt })
      const index = await caseOf(prompt)
      const script = index === anyPrompt && reserved !== undefined ? reserved : next(index)
      if (script === reserved) reserved = undefined
      ignoreSignals(script, log)
      isStubborn ||= script.ignoreSignals?.includes("SIGTERM") === true
      const [first] = script.steps
      if (first?._tag === "Refuse") return first
      admit()
      const wait = (waiting) => Promise.race([waiting, turn.over])
      setImmediate(() => {
        void play(script, prompt, log, {
          print: (data) => {
            for (const line of data.split("\n")) {
              if (line !== "") turn.print(line)
            }
            // Others are served meanwhile.
            return new Promise((resolve) => setImmediate(resolve))
          },
          isOver: turn.isOver,
          wait,
          close: server.cut,
          ask: turn.ask,
          only: (step) => step._tag === "Event" ? turn.event(step.type, step.data) : turn.rest(),
          end: turn.end
        })
      })
    }
  })
  const listener = createServer(async (incoming, outgoing) => {
    const aborter = new AbortController()
    outgoing.on("close", () => aborter.abort())
    const { headers, method, url } = incoming
    const hasBody = method !== "GET" && method !== "DELETE"
    const response = await server.handle(
      new Request(`http://127.0.0.1${url}`, {
        method,
        headers,
        signal: aborter.signal,
        ...(hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {})
      })
    )
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.flushHeaders()
    if (response.body === null) return outgoing.end()
    try {
      for await (const chunk of response.body) outgoing.write(chunk)
    } catch {
      // the reader has gone
    }
    outgoing.end()
  })
  // 2.0.14 exits with this code after a signal.
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(130))
  listener.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${listener.address().port}` })}\n`)
  })
  await readStdin()
  if (!isStubborn) process.exit(0)
}

const isOpenCode2 = Number(scenario.version.split(".")[0]) >= 2

if (args[0] === "--version") process.stdout.write(`${isOpenCode2 ? "opencode v" : ""}${scenario.version}\n`)
else if (isOpenCode2 && args[0] === "serve" && args.includes("--stdio")) await serve()
else if (!isOpenCode2 && args[0] === "models") {
  process.stdout.write(scenario.models.map((model) => `${model}\n`).join(""))
} else if (!isOpenCode2 && args[0] === "run") await run()
else {
  await fail(
    `FaultyOpenCode ${scenario.version} knows ${isOpenCode2 ? "serve --stdio" : "run, models"} and --version, not ${
      JSON.stringify(args[0] ?? "")
    }`,
    64
  )
}
