import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Either, Layer, Queue, Schema } from "effect"
import { OpenCode, OpenCodeError, RunOptions } from "effect-opencode"

// #region worker
/** What is in the queue: data, without secrets and callbacks. */
export const Task = Schema.parseJson(Schema.Struct({
  id: Schema.String,
  prompt: Schema.NonEmptyString,
  options: RunOptions.Data
}))

/** The queue: an adapter for the one that you have. A message that is not acknowledged is delivered again. */
export class Tasks extends Context.Tag("Tasks")<Tasks, {
  readonly take: Effect.Effect<{
    readonly body: string
    readonly acknowledge: (outcome: string) => Effect.Effect<void>
    readonly reject: (reason: string) => Effect.Effect<void>
    readonly giveBack: Effect.Effect<void>
  }>
}>() {}

const work = Effect.gen(function*() {
  const { acknowledge, body, giveBack, reject } = yield* (yield* Tasks).take
  const task = Schema.decodeEither(Task)(body)
  // A message that cannot be read never will be.
  if (Either.isLeft(task)) return yield* reject("not a task")
  yield* OpenCode.run(task.right.prompt, { timeout: "1 hour", ...task.right.options, runId: task.right.id }).pipe(
    Effect.retry(OpenCodeError.retrySchedule),
    Effect.matchEffect({
      onSuccess: ({ answer }) => acknowledge(answer),
      // Trouble that lasts longer than our patience, but is not the task's: another worker may have more luck.
      onFailure: (error) => OpenCodeError.isRetryable(error) ? giveBack : reject(error.message)
    }),
    // When the worker ends, its runs end, and their tasks return to the queue.
    Effect.onInterrupt(() => giveBack)
  )
})

/** Takes a task when there is room for a run, never earlier. */
export const worker = (concurrency: number) =>
  Effect.all(Array.from({ length: concurrency }, () => Effect.forever(work)), {
    concurrency: "unbounded",
    discard: true
  })
// #endregion

/** In memory, for a first try. */
const TasksLive = Layer.effect(
  Tasks,
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<string>()
    yield* queue.offer(JSON.stringify({ id: "task-1", prompt: "Explain src/index.ts", options: {} }))
    return {
      take: Effect.map(queue.take, (body) => ({
        body,
        acknowledge: (outcome: string) => Effect.logInfo(outcome),
        reject: (reason: string) => Effect.logError(reason),
        giveBack: Effect.asVoid(queue.offer(body))
      }))
    }
  })
)

worker(4).pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  Effect.provide(TasksLive),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
