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
  readonly finish: (name: string, starts: number) => Effect.Effect<void>
  readonly fail: (name: string, failure: Agent.Failure) => Effect.Effect<void>
}

/** The agents by name; outlives the display, so that a report can follow it. */
export type Agents = Ref.Ref<ReadonlyMap<string, Agent.Agent>>

export const makeAgents = (names: ReadonlyArray<string>): Effect.Effect<Agents> =>
  Ref.make<ReadonlyMap<string, Agent.Agent>>(new Map(names.map((name) => [name, Agent.waiting(name)])))

export class Progress extends Context.Tag("demo/Progress")<Progress, Service>() {}

/** Reports the begin and the end of an agent's work. */
export const track =
  (name: string) => <A extends { readonly starts: number }, E extends Agent.Failure, R>(self: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Progress, (progress) =>
      Effect.andThen(progress.begin(name), self).pipe(
        Effect.tap(({ starts }) => progress.finish(name, starts)),
        Effect.tapError((error) => progress.fail(name, error))
      ))

type Listener = (name: string, message: string, now: number) => Effect.Effect<void>

const make = (agents: Agents, listener: Listener): Service => {
  const update = (name: string, message: string, change: (agent: Agent.Agent, now: number) => Agent.Agent) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* Ref.update(agents, (all) => new Map(all).set(name, change(all.get(name) ?? Agent.waiting(name), now)))
      yield* listener(name, message, now)
    })
  return {
    begin: (name) => update(name, "begins", (agent, now) => Agent.begin(agent, now)),
    event: (name, event) => update(name, Agent.describe(event), (agent) => Agent.observe(agent, event)),
    finish: (name, starts) =>
      update(
        name,
        starts === 1 ? "finished" : `finished at start ${starts}: OpenCode crashed at the one before`,
        (agent, now) => Agent.finish(agent, starts, now)
      ),
    fail: (name, failure) =>
      update(name, View.briefly(failure.message), (agent, now) => Agent.fail(agent, failure, now))
  }
}

/** A line for each event, with the time since the begin of the demo. */
const log = (agents: Agents) =>
  Effect.map(
    Clock.currentTimeMillis,
    (startedAt) => make(agents, (name, message, now) => Console.log(View.logLine(name, message, now - startedAt)))
  )

/** A table that is redrawn ten times a second, and removed when the scope closes. */
const live = (agents: Agents) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const progress = make(agents, () => Effect.void)
    const drawn = yield* Ref.make(0)
    const show = (text: string) => Effect.ignore(terminal.display(text))
    const draw = Effect.gen(function*() {
      const rows = yield* terminal.rows
      const lines = View.live([...(yield* Ref.get(agents)).values()], yield* Clock.currentTimeMillis).slice(
        0,
        Math.max(1, rows - 1)
      )
      yield* show(View.redraw(yield* Ref.getAndSet(drawn, lines.length), lines))
    })
    yield* Effect.acquireRelease(
      show(View.enterLive),
      () => Effect.flatMap(Ref.get(drawn), (lines) => show(View.redraw(lines, []) + View.leaveLive))
    )
    yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced("100 millis")))
    return progress
  })

/** Progress of these agents. */
export const layer = (agents: Agents): Layer.Layer<Progress, never, Terminal.Terminal> =>
  Layer.scoped(
    Progress,
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      return yield* (yield* terminal.isTTY) ? live(agents) : log(agents)
    })
  )
