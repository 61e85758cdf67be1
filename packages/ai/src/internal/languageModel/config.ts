import * as RunConfig from "effect-opencode/RunConfig"
import type { RunOptions, SchemaOptions } from "effect-opencode/RunOptions"

/** The options of a run, except those that a call decides. */
export interface ModelConfig extends
  Omit<
    RunOptions & Pick<SchemaOptions, "repairs">,
    "command" | "continueSession" | "files" | "fork" | "promptVia" | "runId" | "sessionId" | "system"
  >
{}

/** Lays one configuration over another; rules, variables and parts of OpenCode's configuration add up. */
export const merge = (self: ModelConfig, that: ModelConfig): ModelConfig => {
  const given = Object.fromEntries(Object.entries(that).filter(([, value]) => value !== undefined)) as ModelConfig
  return { ...self, ...given, ...RunConfig.merge(self, given) }
}
