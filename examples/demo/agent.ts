/**
 * The state of one agent and its changes: pure data.
 */
import { Option } from "effect"
import { RunEvent, TokenUsage } from "effect-opencode"

export interface Agent {
  readonly name: string
  readonly state: "waiting" | "working" | "done" | "failed"
  /** The last tool call or the last text. */
  readonly activity: string
  readonly steps: number
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
      return { ...agent, activity: describe(event) }
  }
}

export const finish = (agent: Agent, now: number): Agent => ({
  ...agent,
  state: "done",
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
