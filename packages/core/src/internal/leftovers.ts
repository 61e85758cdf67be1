import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ProcessTable, Seen } from "./processTable.js"

/** As `plan` makes it. A shorter text from a damaged file could stand in the environment of any process. */
const isRunId = (text: string): boolean => /^[0-9a-z]{15}$/.test(text)

const waitGone = (
  members: Effect.Effect<ReadonlyArray<Seen>>,
  found: ReadonlyArray<Seen>,
  patience: Duration.Duration
) =>
  Effect.iterate(found, {
    while: (pids) => pids.length > 0,
    body: () => Effect.delay(members, 50)
  }).pipe(Effect.timeoutOption(patience), Effect.map(Option.isSome))

/** Ends what a dead program has left of a run, so that nobody else writes into its session. */
export const end = (
  client: { readonly table: ProcessTable; readonly forceKillAfter: Duration.Duration },
  runId: string
): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (!isRunId(runId)) return
    const members = client.table.members({ pid: -1, marker: runId })
    const found = yield* members
    if (found.length === 0) return
    yield* client.table.kill(found, "TERM")
    if (!(yield* waitGone(members, found, client.forceKillAfter))) yield* client.table.kill(yield* members, "KILL")
  })

/** The processes of a run that are there, once those that were killed have had a second to go. */
export const left = (table: ProcessTable, runId: string): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    if (!isRunId(runId)) return []
    const members = table.members({ pid: -1, marker: runId })
    const found = yield* members
    if (found.length === 0 || (yield* waitGone(members, found, Duration.seconds(1)))) return []
    return (yield* members).map(({ pid }) => pid)
  })
