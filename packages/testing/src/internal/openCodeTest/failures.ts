/** The facts of constructed errors. */
import type * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as RunResult from "effect-opencode/RunResult"
import * as Duration from "effect/Duration"
import * as Events from "../../Events.js"
import type * as OpenCodeTest from "../../OpenCodeTest.js"

export const given = <A extends object>(fields: A): { [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

/** What a run had done when it failed. */
export const partial = (overrides?: OpenCodeTest.PartialOverrides): OpenCodeError.RunSnapshot => {
  const events = Events.decode(Events.session(overrides?.events ?? [Events.stepStart(), Events.text("Working on it.")]))
  const sum = RunResult.fold(events)
  return {
    runId: "run-of-a-test",
    cwd: "/effect-opencode-testing/work",
    sessionId: sum.sessionId,
    eventCount: events.length,
    text: sum.text,
    usage: sum.usage,
    cost: sum.cost,
    ...(sum.unpriced === true ? { unpriced: true } : {}),
    steps: sum.steps,
    stderr: "",
    attempts: 1,
    duration: Duration.seconds(1),
    events,
    rawLines: undefined,
    survivors: [],
    ...given(overrides?.partial ?? {})
  }
}

/** The fields of an error that carries a `partial`. */
export const fields = <O extends OpenCodeTest.PartialOverrides>(
  overrides: O | undefined,
  defaults?: OpenCodeTest.PartialOverrides
): { [K in Exclude<keyof O, keyof OpenCodeTest.PartialOverrides>]?: Exclude<O[K], undefined> } & {
  partial: OpenCodeError.RunSnapshot
} => {
  const { events, partial: facts, ...rest } = overrides ?? {} as O
  return {
    ...given(rest),
    partial: partial({ events: events ?? defaults?.events, partial: { ...defaults?.partial, ...given(facts ?? {}) } })
  } as never
}

/** A snapshot before any event. */
export const early: OpenCodeTest.PartialOverrides = { events: [] }
