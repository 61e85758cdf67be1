/**
 * A stand-in for the `opencode` executable that plays a script: `node faulty-opencode.mjs SCENARIO.json [arguments…]`.
 * `src/FaultyOpenCode.ts` writes the scenario, describes its shape and reads the log that this program leaves.
 */
import { spawn } from "node:child_process"
import { appendFileSync, closeSync, openSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

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

const flood = async ({ bytes, lineLength, to }) => {
  const line = `${"x".repeat(Math.max(0, lineLength - 1))}\n`
  const block = line.repeat(Math.max(1, Math.floor(65536 / line.length)))
  for (let left = bytes; left > 0; left -= block.length) {
    await write(process[to], left < block.length ? block.slice(block.length - left) : block)
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

const play = async (script, prompt, log) => {
  for (const step of script.steps) {
    switch (step._tag) {
      case "Stdout":
        await write(process.stdout, step.text)
        break
      case "Stderr":
        await write(process.stderr, step.text)
        break
      case "Echo":
        await write(
          process.stdout,
          `${JSON.stringify({ ...step.event, part: { ...step.event.part, text: prompt } })}\n`
        )
        break
      case "Flood":
        await flood(step)
        break
      case "Sleep":
        await new Promise((resolve) => setTimeout(resolve, step.millis))
        break
      case "Child":
        child(step, log)
        break
      case "CloseStdout":
        closeSync(1)
        break
      case "Exit":
        process.exit(step.code)
        break
      case "Signal":
        process.kill(process.pid, step.signal)
        await forever()
        break
      case "Never":
        await forever()
        break
    }
  }
  process.exit(0)
}

const run = async () => {
  const file = join(directory, `process-${claim("number-")}.jsonl`)
  const log = (entry) => appendFileSync(file, `${JSON.stringify(entry)}\n`)
  // As OpenCode: to the end, in any case.
  const stdin = process.stdin.isTTY ? "" : await readStdin()
  const separator = args.indexOf("--")
  const argument = separator < 0 ? "" : args.slice(separator + 1).join(" ")
  const prompt = argument !== "" && stdin !== "" ? `${argument}\n${stdin}` : argument + stdin
  log({ type: "start", pid: process.pid, args, cwd: process.cwd(), stdin })
  if (prompt.trim() === "" && !args.some((arg) => arg.startsWith("--command="))) {
    return fail("\u001b[91m\u001b[1mError: \u001b[0mYou must provide a message or a command", 1)
  }
  const index = scenario.cases.findIndex(({ contains }) => contains === undefined || prompt.includes(contains))
  if (index < 0) {
    const known = scenario.cases.map(({ contains }) => JSON.stringify(contains)).join(", ")
    return fail(
      `FaultyOpenCode has no script for the prompt ${
        JSON.stringify(prompt.slice(0, 80))
      }. Prompts that contain: ${known}.`,
      64
    )
  }
  const { scripts } = scenario.cases[index]
  const script = scripts[Math.min(claim(`case-${index}-`), scripts.length - 1)]
  for (const signal of script.ignoreSignals ?? []) process.on(signal, () => log({ type: "signal", signal }))
  return play(script, prompt, log)
}

if (args[0] === "--version") process.stdout.write(`${scenario.version}\n`)
else if (args[0] === "models") process.stdout.write(scenario.models.map((model) => `${model}\n`).join(""))
else if (args[0] === "run") await run()
else await fail(`FaultyOpenCode knows run, models and --version, not ${JSON.stringify(args[0] ?? "")}`, 64)
