/** From captured bytes to the facts of a verdict, by the library's own means. */
import type { RunEvent, Verdict } from "effect-opencode"
import { OpenCodeError, TokenUsage } from "effect-opencode"
import * as summary from "../../src/internal/opencode/summary.js"
import * as decode from "../../src/internal/opencode/v1/decode.js"
import * as stderrFacts from "../../src/internal/opencode/v1/stderrFacts.js"
import * as ansi from "../../src/internal/util/ansi.js"
import * as lineSplitter from "../../src/internal/util/lines.js"

export const partial = (
  overrides: { readonly [K in keyof OpenCodeError.RunSnapshot]?: OpenCodeError.RunSnapshot[K] } = {}
) =>
  OpenCodeError.RunSnapshot.make({
    runId: "run-1",
    cwd: "/workspace",
    eventCount: 0,
    text: "",
    usage: TokenUsage.empty,
    cost: 0,
    turns: 0,
    stderr: "",
    attempts: 1,
    duration: 1000,
    survivors: [],
    ...overrides
  })

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
  readonly fallback: stderrFacts.AgentFallback | undefined
}

export const stderrOf = (bytes: Uint8Array): Stderr => {
  const lines = split(bytes).map((line) => ansi.strip(String(line)))
  const events: Array<RunEvent.RunEvent> = []
  let fallback: stderrFacts.AgentFallback | undefined
  const reader = stderrFacts.make(Number.MAX_SAFE_INTEGER)
  let attempts = 0
  for (const fact of [...reader.lines(lines, true), ...reader.end()]) {
    if (fact._tag === "PermissionRejected") events.push(fact.event)
    if (fact._tag === "ProviderFailure") events.push(stderrFacts.providerRetry(fact, ++attempts))
    if (fact._tag === "AgentFallback") fallback = fact.fallback
  }
  return { text: lines.join("\n"), own: reader.own(), events, fallback }
}

export const sum = (events: Iterable<RunEvent.RunEvent>): summary.Summary => {
  const state = summary.make({ keepText: Number.POSITIVE_INFINITY })
  for (const event of events) state.add(event)
  return state
}

/** The facts of a run that saw these events, ended so, and printed this on stderr. */
export const facts = (input: {
  readonly events: Iterable<RunEvent.RunEvent>
  readonly exit: Verdict.Exit
  readonly guard?: Verdict.Guard | undefined
  readonly stderr?: string | undefined
  readonly survivors?: ReadonlyArray<number> | undefined
}): Verdict.Facts => {
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
      turns: evidence.turns,
      stderr: input.stderr ?? "",
      survivors: input.survivors ?? []
    }),
    redact: (text) => text
  }
}

export const code = (code: number): Verdict.Exit => ({ _tag: "Code", code })
export const signal = (signal: string): Verdict.Exit => ({ _tag: "Signal", signal })
export const lost: Verdict.Exit = { _tag: "Lost" }

/** The value of an option among the arguments of OpenCode. */
export const optionIn = (args: ReadonlyArray<string>, name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1)
