/** The program of the examples, unchanged, in one process with a file: a stand-in for the binary does the work. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as agents from "../support/agent.js"

const program = fileURLToPath(new URL("../../../../examples/cluster/program.ts", import.meta.url))
const tsx = createRequire(import.meta.url).resolve("tsx")

describe("the example program with a file", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-embedded-"))
  const agent = agents.make(directory)
  const children = new Set<ReturnType<typeof spawn>>()

  afterAll(() => {
    for (const child of children) child.kill("SIGKILL")
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  const start = (sleep: string) => {
    const child = spawn(process.execPath, ["--import", tsx, program], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        DATABASE_URL: undefined,
        HOME: directory,
        OPENCODE_BINARY: agent.binary,
        AGENT_SLEEP: sleep
      }
    })
    children.add(child)
    let output = ""
    child.stdout.on("data", (data) => output += String(data))
    child.stderr.on("data", (data) => output += String(data))
    return {
      kill: () => child.kill("SIGKILL"),
      ended: new Promise<{ readonly code: number | null; readonly output: string }>((resolve) =>
        child.once("close", (code) => resolve({ code, output }))
      )
    }
  }

  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 100))
  }

  const starts = () => agent.log().filter(({ what }) => what === "start")

  it("is refused beside another one, and carries on after a kill", async () => {
    const killed = start("60")
    await until(() => starts().length === 4)
    const second = await start("0").ended
    assert.notStrictEqual(second.code, 0)
    assert.include(second.output, "agents.db cannot be opened, has hard links, or another process works with it")
    assert.lengthOf(starts(), 4)
    killed.kill()
    await killed.ended
    await until(() => starts().every(({ pid }) => !fs.existsSync(`/proc/${pid}`)))
    const third = await start("0").ended
    assert.strictEqual(third.output, "embedded: done\n".repeat(5))
    // Four were cut off and restarted, the fifth had waited.
    assert.lengthOf(starts(), 9)
  })
})
