/**
 * What the demo lets go wrong if the scripted model answers, and what is expected of it.
 */
import { Option } from "effect"
import { Permission, type RunOptions } from "effect-opencode"
import type { Agent } from "./agent.js"
import type { Task } from "./tasks.js"

/**
 * - `hang`: the model never answers the second request
 * - `crash`: OpenCode's first process crashes as it does when its database is locked
 * - `loop`: the model reads and reads
 * - `background`: a shell command leaves a process behind
 */
export type Trouble = "hang" | "crash" | "loop" | "background"

export const troubles: { readonly [task: string]: Trouble } = {
  clamp: "hang",
  formatBytes: "crash",
  groupBy: "loop",
  median: "background"
}

/** The variable that lets a run's first process crash; its value is a file, which that process writes. */
export const crashVariable = "EFFECT_OPENCODE_DEMO_CRASH"

/** Options of an agent that are due to its trouble. */
export const optionsOf = ({ trouble }: Task, cwd: string): RunOptions.RunOptions => {
  switch (trouble) {
    case "hang":
      return { idleTimeout: "8 seconds" }
    case "crash":
      return { extraEnv: { [crashVariable]: `${cwd}/crashed` } }
    case "loop":
      return { budget: { steps: 20, cost: 0.25 } }
    case "background":
      return { permission: Permission.make({ read: "allow", edit: "allow", bash: "allow" }) }
    case undefined:
      return {}
  }
}

/** True if the agent ended as it should. */
export const isExpected = ({ trouble }: Pick<Task, "trouble">, agent: Agent): boolean => {
  const failure = Option.getOrUndefined(agent.failure)?._tag
  switch (trouble) {
    case "hang":
      return failure === "OpenCodeTimeoutError"
    case "loop":
      return failure === "OpenCodeBudgetError"
    case "crash":
      return agent.state === "done" && agent.starts > 1
    case "background":
      return agent.state === "done" && Option.isSome(agent.background)
    case undefined:
      return agent.state === "done"
  }
}
