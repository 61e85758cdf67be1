/** Recovers from a killed batch: ends its processes, removes its data directories, counts what its runs had spent. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type { Spent } from "effect-opencode/FleetBudget"
import * as Leftovers from "effect-opencode/Leftovers"
import * as RunResult from "effect-opencode/RunResult"
import * as Transcript from "effect-opencode/Transcript"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Recovered {
  /** How many runs were cut off. */
  readonly cut: number
  /** Processes that could not be killed. */
  readonly survivors: ReadonlyArray<number>
  /** The amount spent by the runs that count. */
  readonly spent: Spent
}

export const nothing: Spent = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

export const add = (self: Spent, that: Spent): Spent => ({
  steps: self.steps + that.steps,
  cost: self.cost + that.cost,
  ...(self.unpriced === true || that.unpriced === true ? { unpriced: true } : {}),
  tokens: self.tokens + that.tokens,
  toolCalls: self.toolCalls + that.toolCalls
})

const spentBy = (run: Transcript.Recorded): Spent => {
  const { cost, steps, toolCalls, unpriced, usage } = RunResult.fold(run.events)
  return { steps, cost, unpriced, tokens: usage.total, toolCalls: toolCalls.length }
}

/**
 * The library's name for the temporary directory of a run, which has private data in `.data`; the middle part names the
 * program.
 */
const privateDirectory = /^effect-opencode-(?:[0-9a-f]{12}-)?[A-Za-z0-9]{6}$/

/** Removes only a directory of such a name and of this user. Other paths in a transcript may come from the agent. */
const removePrivate = (directory: string): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    if (!privateDirectory.test(path.basename(directory))) return
    yield* Leftovers.remove(directory)
  })

/**
 * Ends the remains of these jobs' unfinished runs, which it finds by their transcripts. Only the holder of the results
 * lock may call it. A run whose program is alive is left alone, and so is its directory. If a run went over a server, all
 * servers and runs of dead programs are ended, because a transcript does not name its server.
 */
export const recover = (options: {
  readonly transcripts: string
  /** Jobs that may have been running: those without a success. */
  readonly jobs: ReadonlySet<string>
  /** Further jobs whose runs count, and runs that are not counted because their results already say what they spent. */
  readonly count: { readonly jobs: ReadonlySet<string>; readonly except: ReadonlySet<string> } | undefined
  readonly forceKillAfter?: Duration.DurationInput | undefined
}): Effect.Effect<Recovered, never, FileSystem.FileSystem | Path.Path | CommandExecutor.CommandExecutor> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(options.transcripts), () => [])
    let [cut, spent, overServer] = [0, nothing, false]
    const survivors: Array<number> = []
    for (const name of names) {
      const id = name.replace(/\.jsonl$/, "")
      const isOpen = options.jobs.has(id)
      if (!name.endsWith(".jsonl") || !(isOpen || options.count?.jobs.has(id) === true)) continue
      const file = path.join(options.transcripts, name)
      const text = yield* Effect.orElseSucceed(fileSystem.readFileString(file), () => "")
      for (const run of Transcript.parse(text)) {
        if (options.count?.except.has(run.runId) === false) spent = add(spent, spentBy(run))
        if (run.outcome !== undefined || !isOpen) continue
        // The processes of a run over a server carry the id of the server, which no transcript has.
        if (run.temporary === undefined) overServer = true
        const left = yield* Leftovers.end(run.runId, { forceKillAfter: options.forceKillAfter })
        survivors.push(...left)
        cut++
        if (left.length === 0 && run.temporary !== undefined) yield* removePrivate(run.temporary)
      }
    }
    if (overServer) {
      const left = yield* Leftovers.endAll({ forceKillAfter: options.forceKillAfter })
      survivors.push(...left)
    }
    return { cut, survivors, spent }
  })
