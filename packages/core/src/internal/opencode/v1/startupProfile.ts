import type { RunConfig } from "../../../RunConfig.js"
import { variableNames } from "../variables.js"

/** The variables of a profile; existing ones win. */
export const variables = ({ startupProfile }: RunConfig): { readonly [name: string]: string } =>
  startupProfile === "fast" ? { [variableNames.disableModelsFetch]: "1" } : {}

/**
 * The title of a new session, which OpenCode would otherwise ask a model for. It contains nothing of the prompt,
 * because `ps` shows arguments.
 */
export const title = (
  { continueSession, sessionId, startupProfile, title }: RunConfig,
  runId: string
): string | undefined =>
  title === undefined && startupProfile === "fast" && sessionId === undefined && continueSession !== true
    ? `effect-opencode ${runId}`
    : title
