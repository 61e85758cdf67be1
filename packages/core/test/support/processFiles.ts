/** What `/proc` reports about the processes that a test has started, wherever they are now. Linux only. */
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
  /** NUL after every argument and every variable. */
  readonly command: string
  readonly environment: string
}

/** While a process executes a program it briefly has neither, and would be taken for a foreign one. */
export const programOf = (pid: string, attempts = 1000): Program => {
  const environment = read(`/proc/${pid}/environ`)
  const command = read(`/proc/${pid}/cmdline`)
  if ((environment !== "" && command !== "") || attempts <= 0) return { environment, command }
  const stat = read(`/proc/${pid}/stat`)
  if (stat === "" || !hasEnvironment(stat)) return { environment, command }
  // With a command it has arrived, or its environment is unreadable for us.
  return programOf(pid, command === "" ? attempts - 1 : attempts - 500)
}

export const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has just ended.
  }
}

/** The port on which a process listens, as Linux shows it. */
export const portOf = (pid: number): number => {
  const sockets = fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  const isListening = "0A"
  const fields = fs.readFileSync("/proc/net/tcp", "latin1").split("\n").map((line) => line.trim().split(/\s+/)).find(
    (fields) => fields[3] === isListening && sockets.includes(`socket:[${fields[9]}]`)
  )
  return Number.parseInt(fields![1]!.split(":")[1]!, 16)
}
