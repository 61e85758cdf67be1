import { readFileSync } from "node:fs"

/** Whether a process lives: a zombie does not. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2))
  } catch {
    // no /proc, or has just ended
    return process.platform !== "linux"
  }
}
