/** A call of the service, and the script of its process. */
import type * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Effect from "effect/Effect"
import * as Events from "../../Events.js"
import * as MockCommandExecutor from "../../MockCommandExecutor.js"
import type * as OpenCodeTest from "../../OpenCodeTest.js"
import type { Part } from "./servers.js"

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

/** The script of a process of OpenCode 1, or of a prompt of OpenCode 2, which does not end its process. */
export const toPart = (
  entry: Entry,
  reply: Extract<OpenCodeTest.Reply, { readonly _tag: "Events" | "Fail" | "Rejected" }>,
  args: ReadonlyArray<string>,
  isOpenCode2: boolean
): Part => {
  const number = Events.numbering({ id: continued(args) ?? entry.call.index + 1 })
  const events: Array<Events.WireEvent> = []
  const items = reply._tag !== "Rejected" ? reply.items : isOpenCode2 ? [Events.stepStart()] : [
    MockCommandExecutor.stderr(Events.stderr.permissionRejected(reply.permission, reply.patterns)),
    Events.turn(Events.toolRejected({ tool: reply.permission }))
  ]
  const steps = items.flatMap((item): ReadonlyArray<MockCommandExecutor.Step> => {
    if (isStep(item)) return [item]
    const list = (Array.isArray(item) ? item : [item]).map(number)
    events.push(...list)
    return list.map((event) => MockCommandExecutor.lines([event]))
  })
  return {
    script: MockCommandExecutor.script(
      MockCommandExecutor.awaitStdin,
      ...steps,
      MockCommandExecutor.waitFor(Effect.sync(() => {
        entry.isPlayed = true
      })),
      ...(isOpenCode2 ? [] : [MockCommandExecutor.exit(endsInError(events) ? 1 : 0)])
    ),
    asks: reply._tag === "Rejected" ? reply : undefined
  }
}
