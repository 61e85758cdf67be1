/** A call of the service, and the script of its process. */
import type * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Effect from "effect/Effect"
import * as Events from "../../Events.js"
import * as MockCommandExecutor from "../../MockCommandExecutor.js"
import type * as OpenCodeTest from "../../OpenCodeTest.js"

/** A call, its reply and its outcome. */
export class Entry {
  outcome: OpenCodeTest.Outcome = { _tag: "Running" }
  attempts = 0
  reply: OpenCodeTest.Reply = { _tag: "Events", items: [] }
  /** True if the process has played its reply to the end. */
  isPlayed = false

  constructor(readonly call: OpenCodeTest.Call) {}

  end(outcome: OpenCodeTest.Outcome): void {
    if (this.outcome._tag === "Running") this.outcome = outcome
  }

  /** The error that replaces the outcome. */
  get instead(): OpenCodeError.OpenCodeError | undefined {
    return this.isPlayed && this.reply._tag === "Fail" ? this.reply.error : undefined
  }
}

const isStep = (item: OpenCodeTest.Item): item is MockCommandExecutor.Step => "_tag" in item

/** True if OpenCode would exit with 1 after these events. */
const endsInError = (events: ReadonlyArray<Events.WireEvent>): boolean => {
  const types = events.map((event) => event.type)
  return types.lastIndexOf("error") > types.lastIndexOf("step_finish")
}

const session = "--session="

/** The session that a process continues. */
const continued = (args: ReadonlyArray<string>): string | undefined =>
  args.includes("--fork") ? undefined : args.find((arg) => arg.startsWith(session))?.slice(session.length)

export const toScript = (
  entry: Entry,
  reply: Extract<OpenCodeTest.Reply, { readonly _tag: "Events" | "Fail" }>,
  args: ReadonlyArray<string>
) => {
  const number = Events.numbering({ id: continued(args) ?? entry.call.index + 1 })
  const events: Array<Events.WireEvent> = []
  const steps = reply.items.flatMap((item): ReadonlyArray<MockCommandExecutor.Step> => {
    if (isStep(item)) return [item]
    const list = (Array.isArray(item) ? item : [item]).map(number)
    events.push(...list)
    return list.map((event) => MockCommandExecutor.lines([event]))
  })
  return MockCommandExecutor.script(
    MockCommandExecutor.awaitStdin,
    ...steps,
    MockCommandExecutor.waitFor(Effect.sync(() => {
      entry.isPlayed = true
    })),
    MockCommandExecutor.exit(endsInError(events) ? 1 : 0)
  )
}
