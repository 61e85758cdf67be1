import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Isolation from "../Isolation.js"
import { OpenCodeProcessError } from "../OpenCodeError.js"
import type { OpenCodeError, Partial } from "../OpenCodeError.js"
import * as TokenUsage from "../TokenUsage.js"
import type { Client } from "./client.js"
import * as invocation from "./invocation.js"
import * as process from "./process.js"
import * as redact from "./redact.js"
import * as stderrFacts from "./stderrFacts.js"
import * as tail from "./tail.js"

const kept = 64 * 1024

/** A question to the binary that takes longer than this is not going to be answered. */
const patience = Duration.minutes(1)

/** Runs `opencode` for its output: no prompt, no events. Fails unless it exits with 0. */
export const make = (
  client: Omit<Client, "version" | "running" | "gate" | "rateGate" | "retry">,
  args: ReadonlyArray<string>
): Effect.Effect<string, OpenCodeError> =>
  Effect.scoped(Effect.gen(function*() {
    const clock = yield* Effect.clock
    const before = clock.unsafeCurrentTimeMillis()
    const binary = yield* client.binary
    const cwd = client.path.resolve(".")
    const id = `query-${args.join("-")}`
    const own = { ...client.environment.variables, ...invocation.env(client.defaults) }
    const isolated = yield* Isolation.make(client.isolation, own).pipe(
      Effect.provideService(FileSystem.FileSystem, client.fileSystem),
      Effect.provideService(Path.Path, client.path)
    )
    const running = yield* process.start(client.executor, client.table, {
      binary,
      cwd,
      invocation: { args, env: { ...isolated.env, PWD: cwd, ...own }, stdin: "" },
      extendEnv: client.environment.extend,
      // Nothing that this starts outlives it, so there is nothing to mark.
      marker: `effect-opencode ${id}`,
      forceKillAfter: client.forceKillAfter
    })
    const stderr = tail.make(kept)
    const [stdout] = yield* Effect.all([
      Stream.mkString(Stream.decodeText(running.stdout)),
      Stream.runForEach(Stream.decodeText(running.stderr), (text) => Effect.sync(() => stderr.push(text)))
    ], { concurrency: "unbounded" }).pipe(
      Effect.orElseSucceed(() => [""]),
      Effect.timeoutOption(patience),
      Effect.map(Option.getOrElse(() => [""]))
    )
    const survivors = yield* running.terminate()
    const exit = yield* running.exit
    if (exit._tag === "Code" && exit.code === 0) return stdout ?? ""
    const partial: Partial = {
      runId: id,
      cwd,
      eventCount: 0,
      text: "",
      usage: TokenUsage.empty,
      cost: 0,
      turns: 0,
      stderr: redact.make(redact.secretsOf(client.defaults))(stderrFacts.stripAnsi(stderr.read())),
      attempts: 1,
      duration: clock.unsafeCurrentTimeMillis() - before,
      survivors
    }
    return yield* new OpenCodeProcessError({
      exitCode: exit._tag === "Code" ? exit.code : undefined,
      signal: exit._tag === "Signal" ? exit.signal : undefined,
      hint: undefined,
      partial
    })
  }))
