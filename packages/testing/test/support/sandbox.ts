/** Directories of a test, and the processes started in them. */
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { install } from "../../../core/test/support/home.js"
import { programOf } from "../../../core/test/support/processFiles.js"
import { isAlive } from "./processes.js"

export { version } from "../../../core/test/support/home.js"

/** Private directories, so that the machine's OpenCode has no effect. */
export const sandbox = Effect.acquireRelease(
  Effect.sync(() => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "eo-contract-")))
    const inside = (name: string) => {
      const directory = join(root, name)
      mkdirSync(directory)
      return directory
    }
    const home = inside("home")
    install(home)
    return { root, home, work: inside("work") }
  }),
  ({ root }) => Effect.sync(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
)

/** Processes started in a sandbox, wherever they are now. Linux only: empty elsewhere. */
export const survivors = (root: string): ReadonlyArray<number> => {
  const pids = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return pids.filter((pid) => programOf(pid).environment.includes(root) && isAlive(Number(pid))).map(Number)
}
