import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as HostEnvironment from "../../HostEnvironment.js"
import * as processList from "./list.js"
import type { Services } from "./list.js"
import * as orphans from "./orphans.js"
import * as owners from "./owner.js"
import type { Owner } from "./owner.js"
import type { ProcessTable, Seen } from "./table.js"
import * as processTable from "./table.js"

/** The processes of one run or server, with the program that has started it. */
export interface Run {
  readonly runId: string
  readonly program: Owner
  /** False only if that program, and every program around it, is certain to be gone. */
  readonly isAlive: boolean
  readonly processes: ReadonlyArray<Seen>
}

const split = (value: string | undefined): ReadonlyArray<string> =>
  value?.split(":").filter((part) => part !== "") ?? []

const marksOf = (environment: string) => ({
  runIds: split(processList.valueIn(environment, processTable.variable)),
  programs: split(processList.valueIn(environment, orphans.variable))
})

/** The runs and servers of this machine whose processes say which program has started them. */
export const list = (services: Services): Effect.Effect<ReadonlyArray<Run>> =>
  Effect.gen(function*() {
    const self = yield* processList.self(services)
    if (self === undefined) return []
    const table = yield* processList.list(services, marksOf)
    const above = split(yield* HostEnvironment.variable(orphans.variable))
    const isDead = (program: string) =>
      above.includes(program)
        ? Effect.succeed(false)
        : owners.isDead(services, table, { self, above: undefined }, program)
    const runs = new Map<string, Run & { readonly processes: Array<Seen> }>()
    for (const { found: { programs, runIds }, identity, pid, zombie } of table) {
      const runId = runIds.at(-1)
      const program = owners.parse(programs.at(-1) ?? "")
      if (runId === undefined || program === undefined || zombie || pid <= 1 || pid === self.pid) continue
      const key = `${runId} ${programs.join(":")}`
      const run = runs.get(key) ??
        { runId, program, isAlive: !(yield* Effect.every(programs, isDead)), processes: [] }
      run.processes.push({ identity, pid })
      runs.set(key, run)
    }
    return [...runs.values()]
  })

/** How long the kernel gets to carry out a SIGKILL. */
const killPatience = Duration.seconds(2)

/** Ends the processes of runs whose programs are dead; those that are left are returned. */
export const end = (
  services: Services,
  table: ProcessTable,
  forceKillAfter: Duration.Duration
): Effect.Effect<ReadonlyArray<Seen>> => {
  const left = Effect.map(list(services), (runs) => runs.flatMap((run) => run.isAlive ? [] : run.processes))
  const waitGone = (patience: Duration.Duration) =>
    left.pipe(
      Effect.delay(Duration.millis(50)),
      Effect.repeat({ until: (processes) => processes.length === 0 }),
      Effect.timeoutOption(patience),
      Effect.map(Option.isSome)
    )
  return Effect.gen(function*() {
    const found = yield* left
    if (found.length === 0) return []
    yield* table.kill(found, "TERM")
    if (yield* waitGone(forceKillAfter)) return []
    yield* table.kill(yield* left, "KILL")
    return (yield* waitGone(killPatience)) ? [] : yield* left
  })
}
