/** The demo as a process of its own, ended by a signal while its agents start and work. */
import { describe, expect, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const run = async (signal: NodeJS.Signals) => {
  const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"]
  })
  const exited = once(child, "exit")
  const lines: Array<string> = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    // twice, as from a package manager that forwards a Ctrl-C
    if (line.endsWith("asks the model")) {
      child.kill(signal)
      child.kill(signal)
    }
  }
  return { ended: await exited, last: lines.at(-1) }
}

describe("the demo", () => {
  it.each([["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "on %s exits with %i and says what it ended",
    async (signal, code) => {
      const { ended, last } = await run(signal)
      expect(ended).toEqual([code, null])
      expect(last).toMatch(
        /^Interrupted after [\d.]+ s: ended chunk, .*\. Nothing is left: no process, and none of \d+ temp/
      )
    }
  )
})
