/**
 * Runs a group of this repository's scripts, each in its own process: those that use one processor two at a time, the
 * others alone. No further one is started after a failure. The last line says how many passed and how many failed.
 *
 *   node scripts/verify.mjs [verify | check | docs]
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "./lib/repository.mjs"

/** Steps that share two processors: the next one starts as soon as one of them is free. */
const together = (...titles) => titles.map((title) => ({ title, processors: 1 }))
const alone = (title) => ({ title, processors: 2 })

const check = together(
  "typecheck",
  "lint",
  "lint:check",
  "circular",
  "barrels:check",
  "metadata:check",
  "doc-links",
  "recorded:check",
  "language"
)
const docs = ["snippets:check", "doc-tags", "doc-examples", "test:examples"].map(alone)
const groups = {
  check,
  docs,
  // Without `test:faults`, because the last cases of the fault matrix take minutes.
  verify: [
    ...check,
    alone("test:unit"),
    ...together("test:pack", "test:docs", "test:types"),
    alone("test:integration")
  ]
}

const name = process.argv[2] ?? "verify"
const steps = groups[name]
if (steps === undefined) {
  console.error(`unknown group ${JSON.stringify(name)}: use ${Object.keys(groups).join(", ")}`)
  process.exit(2)
}

const pinned = () => JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")).packageManager

// The package manager that started this script also starts its steps, so it need not be on PATH.
const manager = process.env.npm_execpath
const [command, before] = manager === undefined
  ? ["npx", ["-y", pinned()]]
  : /\.[cm]?js$/.test(manager)
  ? [process.execPath, [manager]]
  : [manager, []]

/** Runs a step and resolves to true if it passed. The output of one that is not alone is printed when it has ended. */
const run = ({ processors, title }) =>
  new Promise((resolve) => {
    const isAlone = processors === 2
    const child = spawn(command, [...before, "run", title], {
      cwd: root,
      stdio: isAlone ? "inherit" : ["ignore", "pipe", "pipe"]
    })
    const output = []
    for (const pipe of isAlone ? [] : [child.stdout, child.stderr]) pipe.on("data", (bytes) => output.push(bytes))
    child.on("error", (error) => output.push(Buffer.from(`${error.message}\n`)))
    child.on("close", (code) => {
      if (!isAlone) process.stdout.write(`\n━━ ${name}: ${title}\n${Buffer.concat(output).toString()}`)
      resolve(code === 0)
    })
  })

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`
const started = performance.now()
const lines = []
const waiting = [...steps]
const running = new Set()
let free = 2
let failed = 0
while (running.size > 0 || (failed === 0 && waiting.length > 0)) {
  if (failed === 0 && waiting.length > 0 && waiting[0].processors <= free) {
    const step = waiting.shift()
    free -= step.processors
    if (step.processors === 2) console.log(`\n━━ ${name}: ${step.title}`)
    const from = performance.now()
    const ended = run(step).then((passed) => {
      running.delete(ended)
      free += step.processors
      if (!passed) failed++
      lines.push(`${passed ? "✔" : "✘"} ${step.title} (${seconds(from)})`)
      console.log(`━━ ${lines.at(-1)}`)
    })
    running.add(ended)
  } else {
    await Promise.race(running)
  }
}
console.log(`\n${lines.join("\n")}\n${name}: ${seconds(started)}`)
if (waiting.length > 0) console.log(`not run: ${waiting.map(({ title }) => title).join(", ")}`)
console.log(`${name}: ${lines.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
