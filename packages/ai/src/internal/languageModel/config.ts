import * as RunConfig from "effect-opencode/RunConfig"
import type { Config } from "../../OpenCodeLanguageModel.js"

/** Lays one configuration over another; rules, variables and parts of OpenCode's configuration add up. */
export const merge = (self: Config.Service, that: Config.Service): Config.Service => {
  const given = Object.fromEntries(Object.entries(that).filter(([, value]) => value !== undefined)) as Config.Service
  return { ...self, ...given, ...RunConfig.merge(self, given) }
}
