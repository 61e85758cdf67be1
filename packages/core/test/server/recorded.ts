/** What a server sent for single prompts, as `test/fixtures/README.md` describes it. */
import { readdirSync, readFileSync } from "node:fs"
import type { Event, Message } from "../../src/internal/transport/server/protocol.js"
import * as protocol from "../../src/internal/transport/server/protocol.js"

const root = new URL("../fixtures/server/1.18.33/", import.meta.url)

export interface Recorded {
  readonly name: string
  readonly sessionId: string
  /** Of the session and of its sub-agents. */
  readonly events: ReadonlyArray<Event>
  /** Of the session, after the end. */
  readonly messages: ReadonlyArray<Message>
}

const load = (name: string): Recorded => {
  const lines = readFileSync(new URL(`${name}.jsonl`, root), "utf8").trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  )
  const events = lines.slice(1, -1).map((line) => {
    const event = protocol.toEvent(line)
    if (event === undefined) throw new Error(`${name} has an event that is not read: ${JSON.stringify(line)}`)
    return event
  })
  return { name, sessionId: lines[0].sessionID, events, messages: lines.at(-1).messages }
}

export const all: ReadonlyArray<Recorded> = readdirSync(root)
  .filter((file) => file.endsWith(".jsonl"))
  .sort()
  .map((file) => load(file.slice(0, -".jsonl".length)))

export const get = (name: string): Recorded => {
  const found = all.find((recorded) => recorded.name === name)
  if (found === undefined) throw new Error(`there is no recording ${name}`)
  return found
}

const isRest = (event: Event, sessionId: string): boolean =>
  event.type === "session.status" && event.properties.sessionID === sessionId && event.properties.status.type === "idle"

/** The events of the session alone, up to its first idle, where `opencode run` stops reading. */
export const own = ({ events, sessionId }: Recorded): ReadonlyArray<Event> => {
  const mine = events.filter((event) => protocol.sessionOf(event) === sessionId)
  const end = mine.findIndex((event) => isRest(event, sessionId))
  return end === -1 ? mine : mine.slice(0, end)
}
