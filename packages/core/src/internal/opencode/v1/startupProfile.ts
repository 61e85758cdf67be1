import type { RunConfig } from "../../../RunConfig.js"
import { variableNames } from "../variables.js"

/** The variables of a profile; whoever sets one himself has the last word. */
export const variables = ({ startupProfile }: RunConfig): { readonly [name: string]: string } =>
  startupProfile === "fast" ? { [variableNames.disableModelsFetch]: "1" } : {}

/**
 * The title of a new session, which would otherwise be asked of a model. Nothing of the prompt is in it: `ps` shows
 * arguments.
 */
export const title = (
  { continueSession, sessionId, startupProfile, title }: RunConfig,
  runId: string
): string | undefined =>
  title === undefined && startupProfile === "fast" && sessionId === undefined && continueSession !== true
    ? `effect-opencode ${runId}`
    : title
