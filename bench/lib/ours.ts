/** Prompts run by the library, with any layer. */
import { Effect, type ManagedRuntime, Option } from "effect"
import { OpenCode } from "effect-opencode"
import type { Answer, RunAll } from "./batches.js"

export const runAll = <E>(runtime: ManagedRuntime.ManagedRuntime<OpenCode.OpenCode, E>): RunAll => (prompts) =>
  runtime.runPromise(
    Effect.forEach(prompts, ({ directory, text }) =>
      OpenCode.run(text, { cwd: directory }).pipe(
        Effect.map((result): Answer => ({ text: result.answer, tokens: result.usage.total })),
        Effect.option,
        Effect.map(Option.getOrUndefined)
      ), { concurrency: "unbounded" })
  )
