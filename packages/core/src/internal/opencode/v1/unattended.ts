import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import * as configContent from "../configContent.js"
import * as ruleMerge from "../ruleMerge.js"

/** From this version on `opencode run` denies questions in a new session. */
const deniesQuestions = Version.make(1, 14, 0)

/** Below this version a title can be asked of a model of opencode.ai (1.1.65, not 1.2.27). */
const asksForTitle = Version.make(1, 2, 0)

const isExisting = ({ continueSession, fork, sessionId }: RunConfig): boolean =>
  fork === true || continueSession === true || sessionId !== undefined

/**
 * Denies the tool that asks the user, for whose answer a run would wait for ever. `opencode run` denies it in the
 * sessions that it makes, but a fork does not inherit that, nor has a session of another program it (1.18.33).
 * Rules of ours would choose the agent, so without any the tool is turned off, which is a rule to OpenCode as well.
 */
const withoutQuestions = <A extends RunConfig>(config: A): A =>
  configContent.permissionOf(config) === undefined
    ? { ...config, tools: { ...config.tools, question: false } }
    : { ...config, permission: ruleMerge.rules(config.permission ?? {}, { question: "deny" }) }

/** Asks the run's own model for titles, because the prompt would be sent to another provider's. */
const withOwnTitles = <A extends RunConfig>(config: A): A =>
  config.model === undefined || config.configOverrides?.["small_model"] !== undefined
    ? config
    : { ...config, configOverrides: { ...config.configOverrides, small_model: config.model } }

/** The configuration of a run that nobody watches. With `attach` none reaches the server. */
export const make = <A extends RunConfig>(config: A, version: Version.Version): A => {
  if (config.attach !== undefined) return config
  const asking = isExisting(config) || !Version.isAtLeast(version, deniesQuestions) ? withoutQuestions(config) : config
  return Version.isAtLeast(version, asksForTitle) ? asking : withOwnTitles(asking)
}
