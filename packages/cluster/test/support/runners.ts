/** Runners as processes of their own. */
import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { freePort } from "./postgres.js"

export interface Runner {
  readonly name: string
  readonly pid: number
  /** Ends it without warning. */
  readonly kill: () => Promise<void>
  /** Asks it to leave; resolves when it is gone. */
  readonly leave: () => Promise<void>
  readonly isAlive: () => boolean
  /** What it has printed. */
  readonly output: () => string
}

export interface Runners {
  readonly start: (options?: { readonly url?: string; readonly env?: Record<string, string> }) => Promise<Runner>
  readonly stop: () => Promise<void>
}

const program = fileURLToPath(new URL("../integration/programs/runner.ts", import.meta.url))

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()))

export const make = (options: {
  readonly directory: string
  readonly url: string
  readonly binary: string
}): Runners => {
  const children = new Set<ChildProcess>()
  return {
    start: async ({ env, url } = {}) => {
      const port = await freePort()
      const log = path.join(options.directory, `runner-${port}.log`)
      const out = fs.openSync(log, "a")
      const child = fork(program, {
        execArgv: ["--import", "tsx"],
        stdio: ["ignore", out, out, "ipc"],
        env: {
          ...process.env,
          HOST: "127.0.0.1",
          PORT: String(port),
          DATABASE_URL: url ?? options.url,
          OPENCODE_BINARY: options.binary,
          DATA: path.join(options.directory, "data"),
          ...env
        }
      })
      fs.closeSync(out)
      children.add(child)
      const output = () => fs.readFileSync(log, "utf8")
      await new Promise<void>((resolve, reject) => {
        child.once("message", () => resolve())
        child.once("exit", () => reject(new Error(`the runner has ended:\n${output()}`)))
      })
      return {
        name: `127.0.0.1:${port}`,
        pid: child.pid!,
        kill: () => {
          child.kill("SIGKILL")
          return ended(child)
        },
        leave: () => {
          child.kill("SIGTERM")
          return ended(child)
        },
        isAlive: () => child.exitCode === null && child.signalCode === null,
        output
      }
    },
    stop: async () => {
      for (const child of children) child.kill("SIGKILL")
      await Promise.all([...children].map(ended))
    }
  }
}
