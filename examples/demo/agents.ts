/**
 * The agents: ten that work in parallel, each in a temporary copy of the sample workspace, and one more that summarises
 * their results.
 */
import { FileSystem, Path } from "@effect/platform"
import { Array, Data, Effect } from "effect"
import { OpenCode, Permission } from "effect-opencode"
import * as Progress from "./progress.js"
import type { Task } from "./tasks.js"
import { overviewTask } from "./tasks.js"
import * as Trouble from "./trouble.js"

/** An agent said that it was done, but did not change the file. */
export class FileUnchangedError extends Data.TaggedError("FileUnchangedError")<{ readonly file: string }> {
  override get message(): string {
    return `The agent finished without changing ${this.file}.`
  }
}

/** The result of an agent, which outlives its workspace. */
export interface Finding {
  readonly name: string
  readonly text: string
  readonly file: string
  /** The lines added to the file. */
  readonly added: ReadonlyArray<string>
  /** Starts of the process. */
  readonly starts: number
}

/** A copy of the sample workspace, removed with the scope. */
const workspace = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "effect-opencode-demo-" })
  yield* fs.copy(yield* path.fromFileUrl(new URL("workspace", import.meta.url)), directory)
  return directory
})

const linesOf = (file: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return (yield* fs.exists(file)) ? (yield* fs.readFileString(file)).split("\n") : []
  })

// #region agent
/** Runs one agent in its own workspace and checks what it has done to the file. */
const runAgent = (task: Task) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const progress = yield* Progress.Progress
    const cwd = yield* workspace
    const file = path.join(cwd, task.file)
    const before = yield* linesOf(file)

    const result = yield* OpenCode.run(task.prompt, {
      cwd,
      title: task.name,
      permission: Permission.make({ read: "allow", edit: "allow" }),
      timeout: "10 minutes",
      budget: { steps: 20 },
      onEvent: (event) => progress.event(task.name, event),
      // what lets four of the scripted agents go wrong
      ...Trouble.optionsOf(task, cwd)
    })

    const added = Array.difference(yield* linesOf(file), before)
    if (added.length === 0) return yield* new FileUnchangedError({ file: task.file })
    return { name: task.name, text: result.answer, file: task.file, added, starts: result.attempts }
  }).pipe(
    Effect.scoped,
    Progress.track(task.name),
    Effect.either
  )

/** All agents, five at a time, then one over the results of the successful ones. */
export const mapReduce = (tasks: ReadonlyArray<Task>) =>
  Effect.gen(function*() {
    const documented = yield* Effect.forEach(tasks, runAgent, { concurrency: 5 })
    const overview = yield* runAgent(overviewTask(Array.getRights(documented)))
    return Array.getRights([...documented, overview])
  })
// #endregion
