/**
 * `effect-opencode replay`: a recorded run, shown again as it went.
 *
 * @since 0.1.0
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as RunResult from "effect-opencode/RunResult"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { CliError } from "../CliError.js"
import { parsed } from "../commandLine/options.js"
import * as values from "../commandLine/values.js"
import * as liveView from "../display/runView.js"
import * as recording from "./recording.js"

/** Times faster than it was; infinite for `instant`. */
const speed = parsed(
  "speed",
  "n|instant",
  "How many times as fast as it was, or all at once. Default: 1.",
  (given) => {
    const factor = given === "instant" ? Either.right(Number.POSITIVE_INFINITY) : values.number(given)
    return Either.isRight(factor) && factor.right > 0
      ? factor
      : Either.left("it is neither a number greater than zero nor \"instant\"")
  }
).pipe(
  Options.map((factor = 1) => factor)
)

const maxPause = parsed(
  "max-pause",
  "time",
  "Cut longer silences short. Default: they are as long as they were.",
  values.duration
).pipe(Options.map((pause = Duration.infinity) => pause))

const read = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFileString(file)).pipe(
    Effect.mapError((cause) => new CliError({ reason: `The transcript ${file} cannot be read.`, cause }))
  )

const choose = (file: string, runs: ReadonlyArray<recording.Recording>, runId: string | undefined) => {
  const found = runId === undefined ? runs.at(-1) : runs.find((run) => run.runId === runId)
  if (found !== undefined) return Effect.succeed(found)
  return runs.length === 0
    ? new CliError({ reason: `No run is recorded in ${file}.`, hint: "`run --transcript file` records one" })
    : new CliError({
      reason: `The run ${runId} is not in ${file}.`,
      hint: `there are ${runs.map((run) => run.runId).join(", ")}`
    })
}

const play = (run: recording.Recording, options: { readonly speed: number; readonly maxPause: Duration.Duration }) =>
  Effect.scoped(Effect.gen(function*() {
    const view = yield* liveView.make(run.cwd)
    const pause = (millis: number) => {
      const shortened = Duration.min(Duration.millis(millis / options.speed), options.maxPause)
      return Duration.greaterThan(shortened, Duration.zero) ? Effect.sleep(shortened) : Effect.void
    }
    for (const { after, event } of run.moments) {
      yield* pause(after)
      yield* view.event(event)
    }
    yield* pause(run.rest)
    const events = run.moments.map(({ event }) => event)
    const { answer, cost, finishReason, lostLines, steps, unpriced, usage } = RunResult.fold(events)
    yield* view.end({
      outcome: run.outcome ?? "the program that recorded it did not see its end",
      steps,
      usage,
      cost,
      unpriced,
      finishReason,
      lostLines,
      duration: Duration.millis(run.duration),
      filesChanged: RunResult.filesChanged(events)
    }, run.outcome === "success" ? answer : undefined)
  }))

/**
 * @since 0.1.0
 * @category commands
 */
export const command = Command.make("replay", {
  transcript: Args.text({ name: "transcript" }).pipe(
    Args.withDescription("A file that `run --transcript` or a batch has written.")
  ),
  speed,
  maxPause,
  run: Options.text("run").pipe(
    Options.withPseudoName("id"),
    Options.withDescription("Which run of the file. Default: its last."),
    Options.optional
  )
}, ({ maxPause, run, speed, transcript }) =>
  Effect.gen(function*() {
    const runs = recording.parse(yield* read(transcript))
    yield* play(yield* choose(transcript, runs, Option.getOrUndefined(run)), { speed, maxPause })
  })).pipe(Command.withDescription("Shows a recorded run again, as fast as it went or faster."))
