/**
 * Shows a run while it works: lines as its events arrive, and below them, on a terminal, one status line.
 */
import type { RunEvent } from "effect-opencode/RunEvent"
import { textOf } from "effect-opencode/RunEvent"
import * as RunResult from "effect-opencode/RunResult"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Host } from "../host/Host.js"
import * as EventView from "./EventView.js"
import { isUnpriced } from "./format.js"
import * as Style from "./Style.js"

export interface LiveView {
  readonly event: (event: RunEvent) => Effect.Effect<void>
  /** Takes the line away, shows how the run has ended, and prints the answer of one that has succeeded. */
  readonly end: (ending: EventView.Ending, answer?: string) => Effect.Effect<void>
}

const clearLine = "\r\u001b[2K"

/** The width without a terminal, where nothing has to fit. */
const unlimited = 240

interface Progress {
  readonly steps: number
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  readonly unpriced: boolean
  readonly begun: boolean
}

const advance = (progress: Progress, event: RunEvent): Progress => {
  switch (event._tag) {
    case "StepStart":
      return { ...progress, steps: progress.steps + 1, begun: true }
    case "StepFinish":
      return {
        ...progress,
        usage: TokenUsage.add(progress.usage, event.tokens),
        cost: progress.cost + event.cost,
        unpriced: progress.unpriced || isUnpriced(event.cost, event.tokens),
        begun: true
      }
    default:
      return { ...progress, begun: true }
  }
}

export const make = (cwd: string): Effect.Effect<LiveView, never, Host | Scope.Scope> =>
  Effect.gen(function*() {
    const host = yield* Host
    const style = yield* Style.stderr
    const lock = yield* Effect.makeSemaphore(1)
    const drawn = yield* Ref.make(false)
    const over = yield* Ref.make(false)
    const progress = yield* Ref.make<Progress>({
      steps: 0,
      usage: TokenUsage.empty,
      cost: 0,
      unpriced: false,
      begun: false
    })
    const startedAt = yield* Clock.currentTimeMillis
    const options = Effect.map(host.stderrColumns, (columns): EventView.Options => ({
      style,
      columns: host.stderrIsTerminal ? columns : unlimited,
      stdoutIsTerminal: host.stdoutIsTerminal,
      cwd
    }))

    const clear = Effect.whenEffect(
      host.writeError(clearLine),
      Ref.getAndSet(drawn, false)
    )
    const draw = Effect.gen(function*() {
      if (yield* Ref.get(over)) return
      const now = yield* Clock.currentTimeMillis
      const current = yield* Ref.get(progress)
      const line = EventView.status(
        { ...current, elapsed: now - startedAt, doing: current.begun ? "working" : "starting OpenCode" },
        yield* options
      )
      yield* Ref.set(drawn, true)
      yield* host.writeError(clearLine + line)
    })
    const last = yield* Ref.make<"none" | "stdout" | "stderr">("none")
    /** On a screen that shows both, a blank line separates the answer from the rest. */
    const turnTo = (stream: "stdout" | "stderr") =>
      Effect.flatMap(Ref.getAndSet(last, stream), (before) =>
        before !== "none" && before !== stream && host.stdoutIsTerminal && host.stderrIsTerminal
          ? host.writeError("\n")
          : Effect.void)
    const print = ({ stderr, stdout }: EventView.Shown) =>
      Effect.gen(function*() {
        if (stdout.length === 0 && stderr.length === 0) {
          return
        }
        yield* clear
        if (stderr.length > 0) {
          yield* turnTo("stderr")
        }
        yield* Effect.forEach(stderr, (line) =>
          Console.error(line), { discard: true })
        if (stdout.length > 0) {
          yield* turnTo("stdout")
        }
        yield* Effect.forEach(stdout, (line) =>
          Console.log(line), { discard: true })
      })

    if (host.stderrIsTerminal) {
      yield* Effect.forkScoped(
        Effect.repeat(lock.withPermits(1)(Effect.uninterruptible(draw)), Schedule.spaced("100 millis"))
      )
      yield* Effect.addFinalizer(() => lock.withPermits(1)(Effect.andThen(Ref.set(over, true), clear)))
    }

    const texts = RunResult.agentTexts()
    const narrate = (said: ReadonlyArray<string>) =>
      Effect.forEach(said, (text) => print(EventView.narration(text)), { discard: true })

    return {
      event: (event) =>
        lock.withPermits(1)(Effect.gen(function*() {
          yield* Ref.update(progress, (current) => advance(current, event))
          // What was held back came before the event.
          yield* narrate(texts.add(event))
          if (textOf(event) === "") yield* print(EventView.event(event, yield* options))
        })),
      end: (ending, answer) =>
        lock.withPermits(1)(Effect.gen(function*() {
          yield* Ref.set(over, true)
          yield* answer === undefined ? narrate(texts.end()) : print(EventView.answer(answer, yield* options))
          yield* print({ stdout: [], stderr: EventView.ending(ending, yield* options) })
        }))
    }
  })
