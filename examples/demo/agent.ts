/**
 * The state of one agent and its changes: pure data.
 */
import { Option } from "effect"
import { RunEvent, TokenUsage, Tool } from "effect-opencode"

export interface Agent {
  readonly name: string
  readonly state: "waiting" | "working" | "done" | "failed"
  /** The last tool call or the last text. */
  readonly activity: string
  readonly steps: number
  /** Starts of the process; known when the agent has finished. */
  readonly starts: number
  /** The number of a process that a command has left in the background. */
  readonly background: Option.Option<number>
  readonly usage: TokenUsage.TokenUsage
  /** US dollars. */
  readonly cost: number
  /** Milliseconds since the epoch. */
  readonly startedAt: Option.Option<number>
  readonly endedAt: Option.Option<number>
  readonly failure: Option.Option<Failure>
}

/** Why an agent failed. */
export interface Failure {
  readonly _tag: string
  readonly message: string
}

export const waiting = (name: string): Agent => ({
  name,
  state: "waiting",
  activity: "",
  steps: 0,
  starts: 0,
  background: Option.none(),
  usage: TokenUsage.empty,
  cost: 0,
  startedAt: Option.none(),
  endedAt: Option.none(),
  failure: Option.none()
})

export const begin = (agent: Agent, now: number): Agent => ({
  ...agent,
  state: "working",
  activity: "starts",
  startedAt: Option.some(now)
})

/** An event as text for a person. Without a repository OpenCode names files from the root of the disk. */
export const describe = (event: RunEvent.RunEvent): string =>
  RunEvent.describe(event).replace(/\S*effect-opencode-demo-\w+\//, "")

/** The number that a command printed of a process in the background. */
const backgroundOf = (event: RunEvent.RunEvent): Option.Option<number> =>
  event._tag === "ToolUse" && Tool.fromEvent(event)._tag === "Bash"
    ? Option.map(Option.fromNullable(/^pid (\d+)$/m.exec(event.output ?? "")), (match) => Number(match[1]))
    : Option.none()

export const observe = (agent: Agent, event: RunEvent.RunEvent): Agent => {
  switch (event._tag) {
    case "StepStart":
      return { ...agent, steps: agent.steps + 1 }
    case "Diagnostic":
    case "Unknown":
      return agent
    case "StepFinish":
      return {
        ...agent,
        usage: TokenUsage.add(agent.usage, event.tokens),
        cost: agent.cost + event.cost
      }
    default:
      return {
        ...agent,
        activity: describe(event),
        background: Option.orElse(backgroundOf(event), () => agent.background)
      }
  }
}

export const finish = (agent: Agent, starts: number, now: number): Agent => ({
  ...agent,
  state: "done",
  starts,
  endedAt: Option.some(now)
})

export const fail = (agent: Agent, failure: Failure, now: number): Agent => ({
  ...agent,
  state: "failed",
  activity: failure._tag,
  endedAt: Option.some(now),
  failure: Option.some(failure)
})

/** How many milliseconds the agent has worked so far. */
export const elapsed = (agent: Agent, now: number): number =>
  Option.match(agent.startedAt, {
    onNone: () => 0,
    onSome: (from) => Option.getOrElse(agent.endedAt, () => now) - from
  })
