import { describe, expect, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"

const program = bundle(fileURLToPath(new URL("./programs/ended.ts", import.meta.url)))

/** How the program ended; with a signal, it is sent once the program has begun. */
const end = async (ending: string, signal?: NodeJS.Signals): Promise<ReadonlyArray<unknown>> => {
  const child: ChildProcess = spawn(process.execPath, [program], {
    env: { ...process.env, ENDING: ending },
    stdio: ["ignore", "pipe", "ignore"]
  })
  const exited = once(child, "exit")
  if (signal !== undefined && child.stdout !== null) {
    await Promise.race([once(child.stdout, "data"), exited])
    child.kill(signal)
  }
  return exited
}

describe("OpenCode.teardown under NodeRuntime.runMain", () => {
  it.each(
    [
      ["success", undefined, 0],
      ["failure", undefined, 1],
      ["defect", undefined, 1],
      ["signal", "SIGINT", 130],
      ["signal", "SIGTERM", 130],
      ["signalAndDefect", "SIGINT", 1]
    ] as const
  )("%s, %s: exit code %i", async (ending, signal, code) => {
    expect(await end(ending, signal)).toEqual([code, null])
  })
})
