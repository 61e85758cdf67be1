/**
 * Runs a group of this repository's scripts one after the other, each in its own process, and stops at the first
 * failure. The last line says how many passed and how many failed.
 *
 *   node scripts/verify.mjs [verify | check | docs]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "./lib/repository.mjs"

const script = (name) => ({ title: name, args: ["run", name] })

const check = [
  "typecheck",
  "lint",
  "lint:check",
  "circular",
  "barrels:check",
  "metadata:check",
  "doc-links",
  "language"
].map(
  script
)
const docs = ["snippets:check", "doc-tags", "doc-examples", "test:examples"].map(script)
const groups = {
  check,
  docs,
  // Without `test:faults`, because the last cases of the fault matrix take minutes.
  verify: [
    ...check,
    ...["test:unit", "test:types", "test:docs", "test:integration", "test:pack"].map(script)
  ]
}

const name = process.argv[2] ?? "verify"
const steps = groups[name]
if (steps === undefined) {
  console.error(`unknown group ${JSON.stringify(name)}: use ${Object.keys(groups).join(", ")}`)
  process.exit(2)
}

// The package manager that started this script also starts its steps, so it need not be on PATH.
const manager = process.env.npm_execpath
const run = (args) =>
  manager !== undefined && /\.[cm]?js$/.test(manager)
    ? spawnSync(process.execPath, [manager, ...args], { cwd: root, stdio: "inherit" })
    : spawnSync(manager ?? "npx", manager === undefined ? ["-y", pinned(), ...args] : args, {
      cwd: root,
      stdio: "inherit"
    })
const pinned = () => JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")).packageManager

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`
const started = performance.now()
const lines = []
let failed = 0
for (const step of steps) {
  console.log(`\n━━ ${name}: ${step.title}`)
  const from = performance.now()
  const result = run(step.args)
  const ok = result.status === 0
  if (result.error !== undefined) console.error(result.error.message)
  lines.push(`${ok ? "✔" : "✘"} ${step.title} (${seconds(from)})`)
  console.log(`━━ ${lines.at(-1)}`)
  if (!ok) {
    failed = 1
    break
  }
}
console.log(`\n${lines.join("\n")}\n${name}: ${seconds(started)}`)
if (lines.length < steps.length) {
  console.log(`not run: ${steps.slice(lines.length).map((step) => step.title).join(", ")}`)
}
console.log(`${name}: ${lines.length - failed} passed, ${failed} failed`)
process.exitCode = failed
