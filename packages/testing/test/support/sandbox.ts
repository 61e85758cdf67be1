/** Directories of a test's own, and the processes that were started in them. */
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isAlive } from "./processes.js"

/** The version that the repository installs. */
export const version = "1.18.33"

/**
 * 1.18.33 installs this at every start that does not find it, for some two seconds in which the first SIGTERM does not
 * end it.
 */
const install = (home: string): void => {
  const directory = join(home, ".config", "opencode")
  mkdirSync(join(directory, "node_modules"), { recursive: true })
  const dependencies = { "@opencode-ai/plugin": version }
  writeFileSync(join(directory, "package-lock.json"), JSON.stringify({ packages: { "": { dependencies } } }))
}

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

const read = (file: string): string => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    return ""
  }
}

/** The kernel's own threads have none, and one that exits has it no more (`PF_KTHREAD`, `PF_EXITING`). */
const hasEnvironment = (stat: string): boolean =>
  stat !== "" && (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[6]) & 0x200004) === 0

/** For a moment a process that executes a program has no environment, and would be taken for somebody else's. */
const environmentOf = (pid: string, attempts = 1000): string => {
  const environment = read(`/proc/${pid}/environ`)
  if (environment !== "" || attempts <= 0 || !hasEnvironment(read(`/proc/${pid}/stat`))) return environment
  // With a command it has arrived since, or its environment is not ours to read.
  return environmentOf(pid, read(`/proc/${pid}/cmdline`) === "" ? attempts - 1 : attempts - 500)
}

/** Processes that were started in a sandbox, wherever they have gone since. Linux only: elsewhere nobody is seen. */
export const survivors = (root: string): ReadonlyArray<number> => {
  const pids = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return pids.filter((pid) => environmentOf(pid).includes(root) && isAlive(Number(pid))).map(Number)
}
