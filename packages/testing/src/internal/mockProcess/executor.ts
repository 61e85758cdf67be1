/** Starts scripted processes for commands and pipelines of commands. */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as MockCommandExecutor from "../../MockCommandExecutor.js"
import { isTrial, isWatchdog, nothingToWatch, started, unshare } from "../started.js"
import * as contents from "./content.js"
import * as processes from "./process.js"

/** Smaller numbers can be ids of real processes (Linux ends at 2^22). */
const firstPid = 2 ** 30

const printing = (text: string): MockCommandExecutor.Script => ({
  steps: [{ _tag: "Stdout", chunks: contents.toChunks(text) }]
})

/** The scripts of the library's own helpers, which tests do not see. */
const helper = (command: Command.StandardCommand): MockCommandExecutor.Script | undefined =>
  isWatchdog(command) ? printing(nothingToWatch) : isTrial(command) ? printing(unshare) : undefined

/** Which script the n-th command plays. */
export type Select = (
  command: MockCommandExecutor.RecordedCommand,
  index: number
) => Effect.Effect<MockCommandExecutor.Script, PlatformError.PlatformError>

/** Makes an executor, and the records of the commands that it has started. */
export const make = (select: Select): Effect.Effect<
  { readonly executor: CommandExecutor.CommandExecutor; readonly records: MockCommandExecutor.Service },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const entries: Array<processes.Entry> = []

    const start = (
      command: Command.StandardCommand,
      input: Command.Command.Input
    ): Effect.Effect<CommandExecutor.Process, PlatformError.PlatformError, Scope.Scope> =>
      Effect.suspend(() => {
        const entry = new processes.Entry(command)
        const hidden = helper(command)
        const index = hidden === undefined ? entries.push(entry) - 1 : -1
        const pid = firstPid + index
        if (input === "inherit") {
          entry.endStdin()
        }
        if (command.stdout === "inherit") {
          entry.stdout.detach()
        }
        if (command.stderr === "inherit") {
          entry.stderr.detach()
        }
        const selected = hidden === undefined ? select(entry.record, index) : Effect.succeed(hidden)
        const acquire = selected.pipe(
          Effect.flatMap((script) => {
            entry.script = script
            return processes.spawn(entry, pid)
          }),
          Effect.tapErrorCause((cause) =>
            Either.match(Cause.failureOrCause(cause), {
              onLeft: (error) =>
                Effect.sync(() => {
                  entry.state = processes.ProcessState.NotStarted({ error })
                }),
              onRight: (defect) => processes.crash(entry, defect)
            })
          )
        )
        const release = Effect.suspend(() =>
          entry.isRunning
            ? Effect.ignore(Effect.andThen(processes.deliver(entry, "SIGTERM"), Deferred.await(entry.ended)))
            : Effect.void
        )
        return Effect.acquireRelease(acquire, () => release).pipe(
          Effect.as(processes.toProcess(entry, pid)),
          Effect.tap((process) =>
            typeof input === "string"
              ? Effect.void
              : Effect.forkDaemon(Effect.interruptible(Stream.run(input, process.stdin)))
          )
        )
      })

    const executor = CommandExecutor.makeExecutor((command) => {
      const [head, ...tail] = Command.flatten(command)
      return tail.reduce(
        (previous, next) =>
          start(started(next), Stream.unwrapScoped(Effect.map(previous, (process) => process.stdout))),
        start(started(head), head.stdin)
      )
    })

    yield* Effect.addFinalizer(() =>
      Effect.forEach(entries, (entry) => Effect.ignore(processes.deliver(entry, "SIGKILL")), { discard: true })
    )

    return {
      executor,
      records: {
        commands: Effect.sync(() => entries.map((entry) => entry.record)),
        running: Effect.sync(() => entries.filter((entry) => entry.isRunning).length)
      }
    }
  })
