import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as HostEnvironment from "../../HostEnvironment.js"
import { isRunId } from "../util/runId.js"
import * as processList from "./list.js"
import * as owners from "./owner.js"
import * as processTable from "./table.js"
import type { ProcessTable, Seen } from "./table.js"

export const variable = owners.variable

interface Services {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly table: ProcessTable
  readonly forceKillAfter: Duration.Duration
}

/** True if the program that started a run is alive: a file can name any run. */
const isUnderWay = (services: Services, runId: string): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    // A run nested in this one has its own id last, and names its own program.
    const programOf = (environment: string): string | undefined =>
      processList.valueIn(environment, processTable.variable)?.split(":").at(-1) === runId
        ? owners.innermost(processList.valueIn(environment, variable))
        : undefined
    const table = yield* processList.list(services, programOf)
    const programs = new Set(table.flatMap(({ found }) => found === undefined ? [] : [found]))
    const self = programs.size === 0 ? undefined : yield* processList.self(services)
    if (self === undefined) return false
    const reader: owners.Reader = { self, above: owners.innermost(yield* HostEnvironment.variable(variable)) }
    return !(yield* Effect.every(programs, (program) => owners.isDead(services, table, reader, program)))
  })

const waitGone = (
  members: Effect.Effect<ReadonlyArray<Seen>>,
  found: ReadonlyArray<Seen>,
  patience: Duration.Duration
): Effect.Effect<boolean> => {
  const poll = (left: ReadonlyArray<Seen>): Effect.Effect<void> =>
    left.length === 0 ? Effect.void : Effect.flatMap(Effect.delay(members, 50), poll)
  return Effect.map(Effect.timeoutOption(poll(found), patience), Option.isSome)
}

/** Ends the processes that a dead program left of a run, so that nothing else writes into its session. */
export const end = (services: Services, runId: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (!isRunId(runId)) return
    const { forceKillAfter, table } = services
    const members = table.members({ pid: -1, marker: runId })
    const found = yield* members
    if (found.length === 0) return
    if (yield* isUnderWay(services, runId)) {
      return yield* Effect.logWarning(
        `Not ending the processes of run ${runId}: the program that started it is still running`
      )
    }
    yield* table.kill(found, "TERM")
    if (!(yield* waitGone(members, found, forceKillAfter))) yield* table.kill(yield* members, "KILL")
  })

/** The processes of a run that still exist after killed ones have had a second to end. */
export const remaining = (table: ProcessTable, runId: string): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    if (!isRunId(runId)) return []
    const members = table.members({ pid: -1, marker: runId })
    const found = yield* members
    if (found.length === 0 || (yield* waitGone(members, found, Duration.seconds(1)))) return []
    return (yield* members).map(({ pid }) => pid)
  })
