import * as Effect from "effect/Effect"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import * as processList from "./list.js"
import type { ProcessInfo, Services } from "./list.js"
import * as processTable from "./table.js"

const marked = (services: Services, runId: string): Effect.Effect<ReadonlyArray<ProcessInfo>> =>
  Effect.map(
    processList.list(services, (environment) => processTable.isMarked(environment, runId)),
    (table) => table.filter(({ found, zombie }) => found && !zombie)
  )

const refused = (runId: string, processes: ReadonlyArray<ProcessInfo>): OpenCodeConfigError =>
  new OpenCodeConfigError({
    path: "runId",
    reason: `a run with the id ${runId} is live on this machine (pid ${
      processes.map(({ pid }) => pid).join(", ")
    }); if its program is dead, end it with \`Leftovers.end\``
  })

/** Fails if a process of this machine belongs to a run with this id. */
export const refuse = (services: Services, runId: string): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.flatMap(marked(services, runId), (found) => found.length === 0 ? Effect.void : refused(runId, found))

/** True if a process began before another one. Without start times nobody is the first, and both are refused. */
const precedes = (self: ProcessInfo, that: ProcessInfo): boolean => {
  const [own, other] = [Number(self.identity), Number(that.identity)]
  return Number.isNaN(own) || Number.isNaN(other) || own < other || (own === other && self.pid < that.pid)
}

/** The processes that do not descend from one process. */
const outside = (processes: ReadonlyArray<ProcessInfo>, pid: number): ReadonlyArray<ProcessInfo> => {
  const own = new Set([pid])
  let size = 0
  while (size !== own.size) {
    size = own.size
    for (const p of processes) {
      if (own.has(p.ppid)) own.add(p.pid)
    }
  }
  return processes.filter((p) => !own.has(p.pid))
}

/**
 * Fails if another program has started a run with the same id at the same moment, before this one could be seen. Called
 * once the own process is visible and before it has its prompt: of two processes at least one sees the other, and the
 * later one gives way.
 */
export const giveWay = (services: Services, runId: string, pid: number): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.flatMap(marked(services, runId), (found) => {
    const own = found.find((p) => p.pid === pid)
    const earlier = outside(found, pid).filter((other) => own === undefined || precedes(other, own))
    return earlier.length === 0 ? Effect.void : refused(runId, earlier)
  })
