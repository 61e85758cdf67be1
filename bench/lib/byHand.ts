/** Many short runs by hand: a temporary directory, a child, its lines parsed, the directory removed. */
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"

export interface Job {
  readonly binary: string
  readonly runs: number
  readonly concurrency: number
}

const events = (binary: string, directory: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(binary, [], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, TMPDIR: directory }
    })
    const pieces: Array<Buffer> = []
    child.stdout.on("data", (bytes: Buffer) => pieces.push(bytes))
    child.on("error", reject)
    child.on("close", () =>
      resolve(
        Buffer.concat(pieces).toString("utf8").split("\n").filter((line) => line !== "")
          .map((line) => JSON.parse(line)).length
      ))
  })

/** Returns how many runs were complete. */
export const runAll = async ({ binary, concurrency, runs }: Job): Promise<number> => {
  let left = runs
  let whole = 0
  const one = async (): Promise<void> => {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), "bench-raw-"))
    try {
      if (await events(binary, directory) === 3) whole++
    } finally {
      await fs.rm(directory, { recursive: true, force: true })
    }
  }
  const worker = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return whole
}
