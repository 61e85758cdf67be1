/**
 * Records what a command shows on a terminal, the screen of each second in which it changes:
 *
 *   node scripts/record.mjs docs/assets/demo.json "npm run demo" node --import tsx examples/demo/main.ts
 *
 * The title is what the picture shows as the command.
 *
 * It needs `script` of util-linux. `pnpm recorded` makes the picture from the recording.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { StringDecoder } from "node:string_decoder"
import { makeTerminal } from "./lib/terminal.mjs"

const width = 108
const height = 23

const [file, title, ...command] = process.argv.slice(2)
if (title === undefined || command.length === 0) {
  console.error("usage: node scripts/record.mjs <file.json> <title> <command> …")
  process.exit(2)
}

const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")
const child = spawn("script", ["-qefc", `stty cols ${width} rows ${height}; exec ${quoted}`, "/dev/null"], {
  env: { ...process.env, TERM: "xterm-256color", COLUMNS: String(width), LINES: String(height) },
  stdio: ["ignore", "pipe", "inherit"]
})

const terminal = makeTerminal(width)
const decoder = new StringDecoder("utf8")
const screens = []
let began
const look = () => {
  const lines = terminal.lines()
  while (lines.at(-1) === "") lines.pop()
  const screen = lines.slice(-height)
  if (screen.length > 0 && JSON.stringify(screen) !== JSON.stringify(screens.at(-1)?.lines)) {
    screens.push({ at: Math.round(performance.now() - began), lines: screen })
  }
}
const timer = setInterval(look, 1000)
child.stdout.on("data", (bytes) => {
  // time begins with the first output: before it only modules are loaded
  began ??= performance.now()
  terminal.write(decoder.write(bytes))
})
child.on("close", (code) => {
  clearInterval(timer)
  if (code !== 0) {
    console.error(`the command ended with ${code}: nothing is written`)
    process.exitCode = 1
    return
  }
  look()
  const header = { command: title, width, height, duration: Math.round(performance.now() - began) }
  fs.writeFileSync(
    file,
    `${JSON.stringify(header).slice(0, -1)},"screens":[\n${screens.map((s) => JSON.stringify(s)).join(",\n")}\n]}\n`
  )
  console.log(`${screens.length} screens in ${file}`)
})
