/**
 * A recorded run with the times of its events. Pure.
 */
import type { RunEvent } from "effect-opencode/RunEvent"
import * as Transcript from "effect-opencode/Transcript"
import * as Schema from "effect/Schema"

export interface Moment {
  /** Milliseconds since the previous moment. */
  readonly after: number
  readonly event: RunEvent
}

export interface Recording {
  readonly runId: string
  readonly cwd: string
  readonly moments: ReadonlyArray<Moment>
  /** Milliseconds from the last event to the end. */
  readonly rest: number
  /** Milliseconds. */
  readonly duration: number
  /** `success`, the tag of an error, `interrupted`; `undefined` if the program ended before the run. */
  readonly outcome: string | undefined
}

const isStart = Schema.is(Transcript.Start)
const isEnd = Schema.is(Transcript.End)

const marks = (text: string) => {
  const started = new Map<string, number>()
  const ended = new Map<string, number>()
  // The marks of a killed program can follow half a line.
  for (const [line] of text.matchAll(/\{"type":"effect-opencode\/run_(?:start|end)"[^\n]*/g)) {
    let mark: unknown
    try {
      mark = JSON.parse(line)
    } catch {
      continue
    }
    if (isStart(mark) && !started.has(mark.runId)) started.set(mark.runId, mark.timestamp)
    if (isEnd(mark)) ended.set(mark.runId, mark.timestamp)
  }
  return { started, ended }
}

const timeOf = (event: RunEvent): number | undefined => "timestamp" in event ? event.timestamp : undefined

/** Every run of a transcript, in the order in which they began. */
export const parse = (text: string): ReadonlyArray<Recording> => {
  const { ended, started } = marks(text)
  return Transcript.parse(text).map(({ cwd, events, outcome, runId }) => {
    const begin = started.get(runId) ?? events.map(timeOf).find((time) => time !== undefined) ?? 0
    let now = begin
    const moments = events.map((event): Moment => {
      // Events made from stderr have no time, and clocks can be set back.
      const time = Math.max(now, timeOf(event) ?? now)
      const after = time - now
      now = time
      return { after, event }
    })
    const end = Math.max(now, outcome === undefined ? now : ended.get(runId) ?? now)
    return { runId, cwd, moments, rest: end - now, duration: end - begin, outcome }
  })
}
