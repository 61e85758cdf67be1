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
  tokens: self.tokens + that.tokens,
  toolCalls: self.toolCalls + that.toolCalls
})

const spentBy = (run: Transcript.Recorded): Spent => {
  const { cost, toolCalls, turns, usage } = RunResult.fold(run.events)
  // As the budget of a run counts them: when they begin.
  const steps = Math.max(turns, run.events.filter(RunEvent.is("StepStart")).length)
  return { steps, cost, tokens: usage.total, toolCalls: toolCalls.length }
}

/** As the library names the temporary directory of a run, which has the data in `.data`. */
const privateDirectory = /^effect-opencode-[A-Za-z0-9]{6}$/

/** Only what is one by its names is removed. What else is in it is the agent's. */
const removePrivate = (data: string): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = path.dirname(data)
    if (path.basename(data) !== ".data" || !privateDirectory.test(path.basename(directory))) return
    yield* fileSystem.remove(directory, { recursive: true, force: true })
  }).pipe(Effect.ignore)

/**
 * Ends what is left of the runs of these jobs that did not live to see their end, found by their transcripts. Only for
 * whoever has the lock of the results: nothing tells the runs of a dead batch from those of a living one.
 */
export const recover = (options: {
  readonly transcripts: string
  /** Jobs that may have been at work: those without a success. */
  readonly jobs: ReadonlySet<string>
  /** Further jobs whose runs count, and the runs that need not be counted: their results say what they spent. */
  readonly count: { readonly jobs: ReadonlySet<string>; readonly except: ReadonlySet<string> } | undefined
  /** Whether runs have data directories that go with them. */
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
      const text = yield* Effect.orElseSucceed(
        fileSystem.readFileString(path.join(options.transcripts, name)),
        () => ""
      )
      for (const run of Transcript.parse(text)) {
        if (options.count?.except.has(run.runId) === false) spent = add(spent, spentBy(run))
        if (run.outcome !== undefined || !isOpen) continue
        const left = yield* Leftovers.end(run.runId, { forceKillAfter: options.forceKillAfter })
        survivors.push(...left)
        cut++
        if (options.isIsolated && left.length === 0 && run.directory !== undefined) yield* removePrivate(run.directory)
      }
    }
    return { cut, survivors, spent }
  })
