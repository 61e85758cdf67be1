/**
 * Keeps the state of the agents and shows it: a table that redraws itself in a terminal, a line for each event anywhere
 * else.
 */
import { Terminal } from "@effect/platform"
import { Clock, Console, Context, Effect, Layer, Ref, Schedule } from "effect"
import type { RunEvent } from "effect-opencode"
import * as Agent from "./agent.js"
import * as View from "./view.js"

export interface Service {
  readonly begin: (name: string) => Effect.Effect<void>
  readonly event: (name: string, event: RunEvent.RunEvent) => Effect.Effect<void>
  readonly finish: (name: string) => Effect.Effect<void>
  readonly fail: (name: string, failure: Agent.Failure) => Effect.Effect<void>
  readonly agents: Effect.Effect<ReadonlyArray<Agent.Agent>>
}

export class Progress extends Context.Tag("demo/Progress")<Progress, Service>() {}

/** Reports the begin and the end of an agent's work. */
export const track = (name: string) => <A, E extends Agent.Failure, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Progress, (progress) =>
    Effect.andThen(progress.begin(name), self).pipe(
      Effect.tap(progress.finish(name)),
      Effect.tapError((error) => progress.fail(name, error))
    ))

type Listener = (agent: Agent.Agent, message: string, now: number) => Effect.Effect<void>

const make = (names: ReadonlyArray<string>, listener: Listener) =>
  Effect.gen(function*() {
    const agents = yield* Ref.make(new Map(names.map((name) => [name, Agent.waiting(name)])))
    const update = (name: string, message: string, change: (agent: Agent.Agent, now: number) => Agent.Agent) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const changed = yield* Ref.modify(agents, (all) => {
          const agent = change(all.get(name) ?? Agent.waiting(name), now)
          return [agent, new Map(all).set(name, agent)]
        })
        yield* listener(changed, message, now)
      })
    return Progress.of({
      begin: (name) => update(name, "begins", (agent, now) => Agent.begin(agent, now)),
      event: (name, event) => update(name, Agent.describe(event), (agent) => Agent.observe(agent, event)),
      finish: (name) => update(name, "finished", (agent, now) => Agent.finish(agent, now)),
      fail: (name, failure) => update(name, failure.message, (agent, now) => Agent.fail(agent, failure, now)),
      agents: Effect.map(Ref.get(agents), (all) => [...all.values()])
    })
  })

/** A line for each event. */
const log = (names: ReadonlyArray<string>) =>
  make(names, (agent, message, now) => Console.log(View.logLine(agent, message, now)))

/** A table that is redrawn ten times a second, and removed when the scope closes. */
const live = (names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const progress = yield* make(names, () => Effect.void)
    const drawn = yield* Ref.make(0)
    const show = (text: string) => Effect.ignore(terminal.display(text))
    const draw = Effect.gen(function*() {
      const rows = yield* terminal.rows
      const lines = View.live(yield* progress.agents, yield* Clock.currentTimeMillis).slice(0, Math.max(1, rows - 1))
      yield* show(View.redraw(yield* Ref.getAndSet(drawn, lines.length), lines))
    })
    yield* Effect.acquireRelease(
      show(View.enterLive),
      () => Effect.flatMap(Ref.get(drawn), (lines) => show(View.redraw(lines, []) + View.leaveLive))
    )
    yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced("100 millis")))
    return progress
  })

/** Progress of the agents with these names. */
export const layer = (names: ReadonlyArray<string>): Layer.Layer<Progress, never, Terminal.Terminal> =>
  Layer.scoped(
    Progress,
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      return yield* (yield* terminal.isTTY) ? live(names) : log(names)
    })
  )
