/** Directories of a test's own, and the processes that were started in them. */
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { install } from "../../../core/test/support/home.js"
import { programOf } from "../../../core/test/support/processFiles.js"
import { isAlive } from "./processes.js"

export { version } from "../../../core/test/support/home.js"

/** Directories of its own, so that the machine's OpenCode has no say. */
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

/** Processes that were started in a sandbox, wherever they have gone since. Linux only: elsewhere nobody is seen. */
export const survivors = (root: string): ReadonlyArray<number> => {
  const pids = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return pids.filter((pid) => programOf(pid).environment.includes(root) && isAlive(Number(pid))).map(Number)
}
