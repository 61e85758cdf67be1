/** From captured bytes to the facts of a verdict, by the library's own means. */
import type { RunEvent } from "effect-opencode"
import { OpenCodeError } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as decode from "../../src/internal/opencode/decode.js"
import * as runSnapshot from "../../src/internal/opencode/runSnapshot.js"
import * as stderrReading from "../../src/internal/opencode/stderr.js"
import * as summary from "../../src/internal/opencode/summary.js"
import { v1 } from "../../src/internal/opencode/v1/dialect.js"
import type * as verdicts from "../../src/internal/opencode/verdict.js"
import * as ansi from "../../src/internal/util/ansi.js"
import * as lineSplitter from "../../src/internal/util/lines.js"

export const partial = (
  overrides: { readonly [K in keyof OpenCodeError.RunSnapshot]?: OpenCodeError.RunSnapshot[K] } = {}
) =>
  OpenCodeError.RunSnapshot.make(
    runSnapshot.make({ runId: "run-1", cwd: "/workspace", duration: Duration.seconds(1), ...overrides })
  )

export const split = (bytes: Uint8Array): ReadonlyArray<lineSplitter.Line> => {
  const splitter = lineSplitter.make()
  return [...splitter.push(bytes), ...splitter.flush()]
}

export const eventsOf = (stdout: Uint8Array): ReadonlyArray<RunEvent.RunEvent> => {
  const read = decode.reader()
  const events: Array<RunEvent.RunEvent> = []
  for (const line of split(stdout)) read(line, (event) => events.push(event))
  return events
}

export interface Stderr {
  readonly text: string
  readonly own: string
  readonly events: ReadonlyArray<RunEvent.RunEvent>
  readonly fallback: stderrReading.AgentFallback | undefined
}

export const stderrOf = (bytes: Uint8Array): Stderr => {
  const lines = split(bytes).map((line) => ansi.strip(String(line)))
  const events: Array<RunEvent.RunEvent> = []
  let fallback: stderrReading.AgentFallback | undefined
  const reader = v1.stderr(Number.MAX_SAFE_INTEGER)
  let attempts = 0
  for (const fact of [...reader.lines(lines, true), ...reader.end()]) {
    if (fact._tag === "PermissionRejected") events.push(fact.event)
    if (fact._tag === "ProviderFailure") events.push(stderrReading.providerRetry(fact, ++attempts))
    if (fact._tag === "AgentFallback") fallback = fact.fallback
  }
  return { text: lines.join("\n"), own: reader.own(), events, fallback }
}

export const sum = (events: Iterable<RunEvent.RunEvent>): summary.Summary => {
  const state = summary.make({ keepText: Number.POSITIVE_INFINITY })
  for (const event of events) state.add(event)
  return state
}

/** The facts of a run with these events, this exit and this stderr. */
export const facts = (input: {
  readonly events: Iterable<RunEvent.RunEvent>
  readonly exit: verdicts.Exit
  readonly guard?: verdicts.Guard | undefined
  readonly stderr?: string | undefined
  readonly survivors?: ReadonlyArray<number> | undefined
}): verdicts.Facts => {
  const evidence = sum(input.events)
  return {
    evidence,
    exit: input.exit,
    guard: input.guard,
    partial: partial({
      sessionId: evidence.sessionId,
      eventCount: evidence.eventCount,
      text: evidence.text(),
      usage: evidence.usage,
      cost: evidence.cost,
      steps: evidence.steps,
      stderr: input.stderr ?? "",
      survivors: input.survivors ?? []
    }),
    crashTexts: v1.crashTexts,
    redact: (text) => text
  }
}

export const code = (code: number): verdicts.Exit => ({ _tag: "Code", code })
export const signal = (signal: string): verdicts.Exit => ({ _tag: "Signal", signal })
export const lost: verdicts.Exit = { _tag: "Lost" }

/** The value of an option among the arguments of OpenCode. */
export const optionIn = (args: ReadonlyArray<string>, name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1)
