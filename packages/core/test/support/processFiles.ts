/** What `/proc` tells of the processes that a test has started, wherever they have gone since. Linux only. */
import * as fs from "node:fs"
import { hasEnvironment } from "../../src/internal/process/list.js"

export const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "latin1")
  } catch {
    return ""
  }
}

export interface Program {
  /** NUL behind every argument, and behind every variable. */
  readonly command: string
  readonly environment: string
}

/** For a moment a process that executes a program has neither, and would be taken for somebody else's. */
export const programOf = (pid: string, attempts = 1000): Program => {
  const environment = read(`/proc/${pid}/environ`)
  const command = read(`/proc/${pid}/cmdline`)
  if ((environment !== "" && command !== "") || attempts <= 0) return { environment, command }
  const stat = read(`/proc/${pid}/stat`)
  if (stat === "" || !hasEnvironment(stat)) return { environment, command }
  // With a command it has arrived since, or its environment is not ours to read.
  return programOf(pid, command === "" ? attempts - 1 : attempts - 500)
}

export const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has just gone.
  }
}
