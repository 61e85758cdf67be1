/** Reads recordings as the library reads a private server: by the dialect's own readers. */
import type * as RunEvent from "../../../../RunEvent.js"
import * as ansi from "../../../util/ansi.js"
import * as json from "../../../util/json.js"
import { isObject } from "../../../util/object.js"
import type { ModelRequest, ProcessRecord, Recording } from "../../contract.js"
import { at } from "../../contract.js"
import type { Signal } from "../../privateServer.js"
import * as retryCount from "../../retryCount.js"
import * as diagnostics from "../diagnostics.js"
import * as eventMapper from "../eventMapper.js"
import * as protocol from "../protocol.js"

/** The server that most scenarios have. */
export const main = "serve"

export const process = (recording: Recording, name = main): ProcessRecord | undefined =>
  Object.hasOwn(recording.processes, name) ? recording.processes[name] : undefined

/** How a process ended. */
export const ending = (recording: Recording, name = main): string | undefined => {
  const found = process(recording, name)
  if (found === undefined) return undefined
  if (found.stopped === true) return "no end"
  return found.signal ?? `exit ${String(found.exitCode)}`
}

export const stderrOf = (recording: Recording, name = main): string =>
  ansi.strip(process(recording, name)?.stderr ?? "")

/** The paths of a configuration that the library finds dropped. */
export const dropped = (recording: Recording, name: string): ReadonlyArray<string> | undefined =>
  process(recording, name) === undefined ? undefined : [
    ...new Set(
      stderrOf(recording, name).split("\n").flatMap((line) => {
        const path = diagnostics.dropped(line)
        return path === undefined ? [] : [path]
      })
    )
  ]

export const last = <A>(values: ReadonlyArray<A>): A | undefined => values[values.length - 1]

/** The requests to the main model, without those for titles. */
export const requests = (recording: Recording): ReadonlyArray<ModelRequest> =>
  recording.requests.filter(({ isTitle }) => !isTitle)

/** The request whose newest prompt is this one. */
export const requestFor = (recording: Recording, prompt: string): ModelRequest | undefined =>
  requests(recording).find(({ prompts }) => last(prompts)?.includes(prompt))

/** What the user has said, without what OpenCode adds in the user's name. */
export const history = (recording: Recording, prompt: string): ReadonlyArray<string> | undefined =>
  requestFor(recording, prompt)?.prompts.filter((text) => !text.startsWith("<system-"))

export const observed = (recording: Recording, ...path: ReadonlyArray<string | number>): unknown =>
  at(recording.observed, ...path)

/** The status and the data of a recorded reply. */
export const reply = (recording: Recording, name: string): { readonly status: unknown; readonly data: unknown } => ({
  status: observed(recording, name, "status"),
  data: observed(recording, name, "body", "data")
})

/** The recorded events of a session, unread; `undefined` if there are none. */
export const frames = (recording: Recording, name: string): ReadonlyArray<unknown> | undefined => {
  const found = recording.observed[name]
  return Array.isArray(found) ? found : undefined
}

/** The data of the events of a type. */
export const dataOf = (recording: Recording, name: string, type: string): ReadonlyArray<unknown> =>
  (frames(recording, name) ?? []).filter((frame) => at(frame, "type") === type).map((frame) => at(frame, "data"))

export const types = (recording: Recording, name: string): ReadonlyArray<unknown> =>
  (frames(recording, name) ?? []).map((frame) => at(frame, "type"))

/** The ends of a session's prompts: the type without its beginning, and the reason if there is one. */
export const ends = (recording: Recording, name: string): ReadonlyArray<string> =>
  (frames(recording, name) ?? []).flatMap((frame) => {
    const type = /^session\.execution\.(succeeded|failed|interrupted)$/.exec(String(at(frame, "type")))?.[1]
    return type === undefined ? [] : [[type, at(frame, "data", "reason")].filter((one) => one !== undefined).join(" ")]
  })

/** Everything that the library makes of the recorded events of a run's session. */
export const run = (
  recording: Recording,
  name: string
): { readonly events: ReadonlyArray<RunEvent.RunEvent>; readonly signals: ReadonlyArray<Signal> } | undefined => {
  const found = frames(recording, name)
  if (found === undefined) return undefined
  const received = found.map((frame) => protocol.receive(json.stringify(frame)))
  const own = found.map((frame) => at(frame, "data", "sessionID")).find((id) => typeof id === "string")
  const sessionId = typeof own === "string" ? own : "ses_unknown"
  const mapper = eventMapper.make({
    sessionId,
    thinking: true,
    retries: retryCount.make(() => sessionId),
    isClosing: () => false
  })
  const heard = received.flatMap((one) => one._tag === "Event" ? [mapper.event(one.event, 0)] : [])
  return { events: heard.flatMap(({ says }) => says), signals: heard.flatMap(({ signals }) => signals) }
}

/** The tags of those events, each once in a row. */
export const tags = (recording: Recording, name: string): ReadonlyArray<string> | undefined =>
  run(recording, name)?.events.map(({ _tag }) => _tag).filter((tag, index, all) => tag !== all[index - 1])

export const eventsOf = <Tag extends RunEvent.RunEvent["_tag"]>(
  recording: Recording,
  name: string,
  tag: Tag
): ReadonlyArray<Extract<RunEvent.RunEvent, { readonly _tag: Tag }>> =>
  (run(recording, name)?.events ?? []).filter((event): event is Extract<RunEvent.RunEvent, { readonly _tag: Tag }> =>
    event._tag === tag
  )

/** The permissions of the requests that were rejected. */
export const rejected = (recording: Recording, name: string): Array<string> => {
  const signals = run(recording, name)?.signals ?? []
  const asked = new Map(
    signals.flatMap((signal) => signal._tag === "Asked" ? [[signal.request.id, signal.request.permission]] : [])
  )
  return signals.flatMap((signal) =>
    signal._tag === "Replied" && signal.reply === "reject" ? [asked.get(signal.requestId) ?? "unknown"] : []
  )
}

/** The call of a tool whose input contains this text. */
export const call = (recording: Recording, name: string, text: string): RunEvent.ToolUse | undefined =>
  eventsOf(recording, name, "ToolUse").find(({ input }) => JSON.stringify(input ?? null).includes(text))

/** The id in an object, if it has one. */
export const idOf = (u: unknown): string | undefined => isObject(u) && typeof u["id"] === "string" ? u["id"] : undefined
