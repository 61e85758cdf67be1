/** What a batch that was killed has left: processes, data directories, and what its runs had spent. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type { Spent } from "effect-opencode/FleetBudget"
import * as Leftovers from "effect-opencode/Leftovers"
import * as RunEvent from "effect-opencode/RunEvent"
import * as RunResult from "effect-opencode/RunResult"
import * as Transcript from "effect-opencode/Transcript"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Recovered {
  /** The runs that were cut off. */
  readonly cut: number
  /** Processes that could not be ended. */
  readonly survivors: ReadonlyArray<number>
  /** By the runs that count. */
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
  const { cost, toolCalls, turns, unpriced, usage } = RunResult.fold(run.events)
  // As the budget of a run counts them: when they begin.
  const steps = Math.max(turns, run.events.filter(RunEvent.is("StepStart")).length)
  return { steps, cost, unpriced, tokens: usage.total, toolCalls: toolCalls.length }
}

/** As the library names the temporary directory of a run, which has private data in `.data`; the middle part is the program. */
const privateDirectory = /^effect-opencode-(?:[0-9a-f]{12}-)?[A-Za-z0-9]{6}$/

/**
 * The temporary directory of a run. Transcripts of earlier versions name the data directory alone, which is in it where
 * it goes with the run.
 */
const temporaryOf = (path: Path.Path, run: Transcript.Recorded, isIsolated: boolean): string | undefined => {
  if (run.temporary !== undefined) return run.temporary
  return isIsolated && run.directory !== undefined && path.basename(run.directory) === ".data"
    ? path.dirname(run.directory)
    : undefined
}

/** Only what is one by its name, and of this user, is removed. What else is in it is the agent's. */
const removePrivate = (directory: string): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    if (!privateDirectory.test(path.basename(directory))) return
    yield* Leftovers.remove(directory)
  })

/**
 * Ends what is left of the runs of these jobs that did not live to see their end, found by their transcripts. Only for
 * whoever has the lock of the results. A run whose program is alive is left alone, its directory, too.
 */
export const recover = (options: {
  readonly transcripts: string
  /** Jobs that may have been at work: those without a success. */
  readonly jobs: ReadonlySet<string>
  /** Further jobs whose runs count, and the runs that need not be counted: their results say what they spent. */
  readonly count: { readonly jobs: ReadonlySet<string>; readonly except: ReadonlySet<string> } | undefined
  /** Whether runs have data directories that go with them, which transcripts of earlier versions do not say. */
  readonly isIsolated: boolean
  readonly forceKillAfter?: Duration.DurationInput | undefined
}): Effect.Effect<Recovered, never, FileSystem.FileSystem | Path.Path | CommandExecutor.CommandExecutor> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(options.transcripts), () => [])
    let [cut, spent] = [0, nothing]
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
        const left = yield* Leftovers.end(run.runId, { forceKillAfter: options.forceKillAfter })
        survivors.push(...left)
        cut++
        const temporary = temporaryOf(path, run, options.isIsolated)
        if (left.length === 0 && temporary !== undefined) yield* removePrivate(temporary)
      }
    }
    return { cut, survivors, spent }
  })
