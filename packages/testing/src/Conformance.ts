/**
 * Runs the real OpenCode through the scenarios of this library's contract and checks every fact that the library relies
 * on: offline, without an account, in directories of its own, against a scripted model provider on loopback.
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpServer from "@effect/platform/HttpServer"
import type * as Path from "@effect/platform/Path"
import * as Contract from "effect-opencode/Contract"
import type { Version } from "effect-opencode/Version"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as scenarios from "./internal/conformance/scenarios.js"
import * as world from "./internal/conformance/world.js"
import * as ModelProvider from "./ModelProvider.js"

/**
 * The services that a scenario needs.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

/**
 * A scenario that begins or has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly scenario: string
  /** What the scenario does, for people who wait. */
  readonly doing: string
  readonly state: "started" | "ended"
  readonly ended: number
  readonly total: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The file to start. */
  readonly binary: string
  readonly version: Version
  /** A web server on a free port of the loopback address; each scenario builds its own. */
  readonly httpServer: Layer.Layer<HttpServer.HttpServer>
  /** Facts to check. Defaults to all. */
  readonly facts?: ReadonlyArray<Contract.Fact> | undefined
  /** The scenarios to record. Defaults to those that the facts need. */
  readonly scenarios?: ReadonlyArray<string> | undefined
  /** How many scenarios run at once. Defaults to 2. */
  readonly concurrency?: number | undefined
  /** How long one process may take. Defaults to 2 minutes. */
  readonly patience?: Duration.DurationInput | undefined
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * The names of all scenarios of a version, in the order in which they start.
 *
 * @since 0.1.0
 * @category getters
 */
export const scenarioNames = (version: Version): ReadonlyArray<string> => scenarios.of(version).map(({ name }) => name)

/**
 * A scenario's recording, or why there is none.
 *
 * @since 0.1.0
 * @category models
 */
export type Recorded = Contract.Recording | Contract.Missing

/**
 * Records the scenarios that the facts need, by name.
 *
 * @since 0.1.0
 * @category constructors
 */
export const record = (
  options: Options
): Effect.Effect<{ readonly [scenario: string]: Recorded }, never, Services> =>
  Effect.gen(function*() {
    const needed = new Set(
      options.scenarios ?? (options.facts ?? Contract.facts(options.version))
        .filter((fact) => Contract.expectation(fact, options.version) !== undefined)
        .map(({ scenario }) => scenario)
    )
    const chosen = scenarios.of(options.version).filter(({ name }) => needed.has(name))
    const recorded: { [scenario: string]: Recorded } = {}
    let ended = 0
    const tell = (scenario: (typeof chosen)[number], state: Progress["state"]) =>
      options.onProgress?.({ scenario: scenario.name, doing: scenario.doing, state, ended, total: chosen.length }) ??
        Effect.void
    yield* Effect.forEach(chosen, (scenario) =>
      Effect.gen(function*() {
        yield* tell(scenario, "started")
        const provider = ModelProvider.layer({ respond: scenario.respond ?? (() => ModelProvider.Reply.text("done")) })
          .pipe(Layer.provide(Layer.fresh(options.httpServer)))
        recorded[scenario.name] = yield* Effect.flatMap(
          ModelProvider.ModelProvider,
          (service) =>
            world.record(
              {
                binary: options.binary,
                version: options.version,
                patience: Duration.decode(options.patience ?? "2 minutes")
              },
              service,
              scenario.name,
              scenario.run
            )
        ).pipe(
          Effect.provide(provider),
          Effect.scoped,
          Effect.catchAllCause((cause) =>
            Cause.isInterruptedOnly(cause)
              ? Effect.interrupt
              : Effect.succeed({ reason: `the scenario failed: ${Cause.pretty(cause).split("\n")[0] ?? ""}` })
          )
        )
        ended++
        yield* tell(scenario, "ended")
      }), { concurrency: options.concurrency ?? 2, discard: true })
    return recorded
  })

/**
 * Checks facts against recordings; a fact that does not apply to the version is left out.
 *
 * @since 0.1.0
 * @category checks
 */
export const judge = (
  facts: ReadonlyArray<Contract.Fact>,
  version: Version,
  recorded: { readonly [scenario: string]: Recorded }
): ReadonlyArray<Contract.Judgement> =>
  facts.flatMap((fact) => {
    const recording = recorded[fact.scenario] ?? { reason: `there is no scenario "${fact.scenario}"` }
    return Contract.judge(fact, version, recording) ?? []
  })

/**
 * Records the scenarios and checks the facts.
 *
 * @since 0.1.0
 * @category checks
 */
export const run = (options: Options): Effect.Effect<ReadonlyArray<Contract.Judgement>, never, Services> =>
  Effect.map(
    record(options),
    (recorded) => judge(options.facts ?? Contract.facts(options.version), options.version, recorded)
  )
