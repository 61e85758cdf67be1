/** Reads recordings as the library reads a run: by the dialect's own readers, so that a fact is about what they find. */
import type * as RunEvent from "../../../../RunEvent.js"
import * as ansi from "../../../util/ansi.js"
import { isObject } from "../../../util/object.js"
import type { WireObject } from "../../../util/object.js"
import type { ModelRequest, ProcessRecord, Recording } from "../../contract.js"
import { at } from "../../contract.js"
import * as decode from "../../decode.js"
import type * as stderr from "../../stderr.js"
import * as stderrFacts from "../stderrFacts.js"

/** The process that most scenarios have. */
export const main = "run"

export const process = (recording: Recording, name = main): ProcessRecord | undefined =>
  Object.hasOwn(recording.processes, name) ? recording.processes[name] : undefined

const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

/** The lines of stdout that are JSON objects, unread. */
export const wires = (recording: Recording, name = main): ReadonlyArray<WireObject> =>
  events(recording, name).flatMap((event) => "raw" in event ? [event.raw] : [])

export const parts = (recording: Recording, name = main): ReadonlyArray<WireObject> =>
  wires(recording, name).flatMap(({ part }) => isObject(part) ? [part] : [])

export const events = (recording: Recording, name = main): ReadonlyArray<RunEvent.RunEvent> => {
  const found: Array<RunEvent.RunEvent> = []
  const read = decode.reader()
  for (const line of linesOf(process(recording, name)?.stdout ?? "")) read(line, (event) => found.push(event))
  return found
}

export const eventsOf = <Tag extends RunEvent.RunEvent["_tag"]>(
  recording: Recording,
  tag: Tag,
  name = main
): ReadonlyArray<Extract<RunEvent.RunEvent, { readonly _tag: Tag }>> =>
  events(recording, name).filter((event): event is Extract<RunEvent.RunEvent, { readonly _tag: Tag }> =>
    event._tag === tag
  )

/** The call of a tool whose input contains this text. */
export const call = (recording: Recording, text: string, name = main): RunEvent.ToolUse | undefined =>
  eventsOf(recording, "ToolUse", name).find(({ input }) => JSON.stringify(input ?? null).includes(text))

/** The words of stderr, without colours. */
export const stderrOf = (recording: Recording, name = main): string =>
  ansi.strip(process(recording, name)?.stderr ?? "")

/** The facts that the dialect finds on stderr. */
export const reports = (recording: Recording, name = main): ReadonlyArray<stderr.Fact> => {
  const reader = stderrFacts.make(10_000)
  return [...reader.lines(linesOf(stderrOf(recording, name)), true), ...reader.end()]
}

export const failures = (recording: Recording): ReadonlyArray<stderr.ProviderFailure> =>
  reports(recording).filter((fact) => fact._tag === "ProviderFailure")

/** How a process ended. */
export const ending = (recording: Recording, name = main): string | undefined => {
  const found = process(recording, name)
  if (found === undefined) return undefined
  if (found.stopped === true) return "no end"
  return found.signal ?? `exit ${String(found.exitCode)}`
}

/** The requests to the main model, without those for titles. */
export const requests = (recording: Recording): ReadonlyArray<ModelRequest> =>
  recording.requests.filter(({ isTitle }) => !isTitle)

export const last = <A>(values: ReadonlyArray<A>): A | undefined => values[values.length - 1]

/** The types of the events of a process, in order. */
export const types = (recording: Recording, name = main): ReadonlyArray<unknown> =>
  wires(recording, name).map(({ type }) => type)

export const observed = (recording: Recording, ...path: ReadonlyArray<string | number>): unknown =>
  at(recording.observed, ...path)
