/** `effect-opencode replay`: replays a recorded run. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as RunResult from "effect-opencode/RunResult"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { CliError } from "../CliError.js"
import * as commandLine from "../commandLine/commandLine.js"
import * as options from "../commandLine/options.js"
import * as values from "../commandLine/values.js"
import * as liveView from "../display/runView.js"
import * as failures from "../failures.js"
import * as recording from "./recording.js"

/** How many times faster than the original; infinite for `instant`. */
const speed = options.parsed(
  (given) => {
    const factor = given === "instant" ? Either.right(Number.POSITIVE_INFINITY) : values.number(given)
    return Either.mapLeft(
      Either.filterOrLeft(factor, (factor) => factor > 0, () => ""),
      () => "must be a number greater than zero or \"instant\""
    )
  },
  "speed",
  "n|instant",
  "Speed relative to the original run, or instant. Default: 1."
)

const maxPause = options.parsed(
  values.duration,
  "max-pause",
  "time",
  "Shorten longer pauses to this. Default: pauses keep their length."
)

const read = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFileString(file)).pipe(
    Effect.mapError((cause) => new CliError({ reason: `The transcript ${file} cannot be read.`, cause }))
  )

const choose = (file: string, runs: ReadonlyArray<recording.Recording>, runId: string | undefined) => {
  const found = runId === undefined ? runs.at(-1) : runs.find((run) => run.runId === runId)
  if (found !== undefined) return Effect.succeed(found)
  return runs.length === 0
    ? new CliError({ reason: `${file} has no recorded run.`, hint: "`run --transcript file` records one" })
    : new CliError({
      reason: `The run ${runId} is not in ${file}.`,
      hint: `it has ${runs.map((run) => run.runId).join(", ")}`
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
      outcome: run.outcome === undefined
        ? "no outcome recorded: the recording program ended first"
        : failures.kindOfRecorded(run.outcome, events),
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

export const command = commandLine.make(
  {
    name: "replay",
    description: "Replays a recorded run at its own speed or faster.",
    usage: "replay <transcript> [options]",
    examples: [
      ["effect-opencode run \"Fix the test\" --transcript run.jsonl", "records a run"],
      ["effect-opencode replay run.jsonl --speed 10 --max-pause 2s", "shows it again, ten times as fast"]
    ],
    notes: []
  },
  options.all({
    transcript: options.argument("transcript", "A file written by `run --transcript` or by a batch."),
    ...options.group("Options", {
      speed,
      maxPause,
      run: options.text("run", "id", "Which run of the file to replay. Default: the last.")
    })
  }),
  ({ maxPause = Duration.infinity, run, speed = 1, transcript }) =>
    Effect.gen(function*() {
      const runs = recording.parse(yield* read(transcript))
      yield* play(yield* choose(transcript, runs, run), { speed, maxPause })
    })
)
