import { Command } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Layer, Stream } from "effect"
import { OpenCode, Permission } from "effect-opencode"

// #region review
class NotCompilingError extends Data.TaggedError("NotCompilingError")<{
  readonly rounds: number
  readonly problems: string
}> {
  override get message(): string {
    return `It does not compile after ${this.rounds} rounds:\n${this.problems}`
  }
}

/** The compiler's output, and whether it succeeded. */
const compile = Effect.scoped(Effect.gen(function*() {
  const compiler = yield* Command.start(
    Command.make("npx", "tsc", "--noEmit", "--pretty", "false").pipe(Command.feed(""), Command.stderr("inherit"))
  )
  const [problems, exitCode] = yield* Effect.all([
    Stream.mkString(Stream.decodeText(compiler.stdout)),
    compiler.exitCode
  ], { concurrency: "unbounded" })
  return { problems, ok: exitCode === 0 }
}))

/** Asks for changes, compiles, and sends the compiler's output back to the same conversation. */
const review = (task: string, maxRounds: number) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* OpenCode.session({
      permission: Permission.make({ read: "allow", glob: "allow", grep: "allow", edit: "allow" }),
      timeout: "15 minutes"
    })
    let prompt = task
    let problems = ""
    for (let round = 1; round <= maxRounds; round++) {
      const { filesChanged } = yield* session.run(prompt)
      yield* Console.log(`round ${round}: ${filesChanged.map(({ path }) => path).join(", ") || "no file changed"}`)
      const checked = yield* compile
      if (checked.ok) return yield* session.usage
      problems = checked.problems
      prompt = `It does not compile. Correct this:\n\n${problems}`
    }
    return yield* new NotCompilingError({ rounds: maxRounds, problems })
  }))
// #endregion

review("Give every function in src/ an explicit return type", 3).pipe(
  Effect.flatMap(({ cost, usage }) => Console.log(`It compiles: ${usage.total} tokens, $${cost}`)),
  Effect.provide(OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
