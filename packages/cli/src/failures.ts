/** Failures for people: their kind and their reason in a few words. */
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as RunEvent from "effect-opencode/RunEvent"

const kinds: { readonly [Tag in OpenCodeError.OpenCodeError["_tag"]]: string } = {
  OpenCodeBinaryNotFoundError: "no binary",
  OpenCodeVersionError: "version",
  OpenCodeConfigError: "invalid option",
  OpenCodeSpawnError: "not started",
  OpenCodeSqliteError: "database crash",
  OpenCodeProcessError: "process",
  OpenCodeSessionError: "error",
  OpenCodePermissionError: "permission",
  OpenCodeIncompleteError: "incomplete",
  OpenCodeTimeoutError: "timeout",
  OpenCodeBudgetError: "budget",
  OpenCodeCancelledError: "cancelled",
  OpenCodeOutputError: "wrong answer",
  OpenCodeServerError: "server"
}

const isTag = (outcome: string): outcome is OpenCodeError.OpenCodeError["_tag"] => Object.hasOwn(kinds, outcome)

/** The kind of an outcome of which only the name is known. */
export const kindOfOutcome = (outcome: string): string =>
  isTag(outcome)
    ? kinds[outcome]
    : outcome.replace(/(?<=.)Error$/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()

const kindOfSession = (kind: RunEvent.SessionErrorKind): string => kind === "other" ? kinds.OpenCodeSessionError : kind

/** `quota`, `rate-limit`, `timeout`, …: OpenCode's own errors by what they are about, all others by what failed. */
export const kindOf = (error: OpenCodeError.OpenCodeError): string =>
  error._tag === "OpenCodeSessionError" ? kindOfSession(error.kind) : kindOfOutcome(error._tag)

/** The kind of a recorded outcome; the events have the kind of OpenCode's own errors. */
export const kindOfRecorded = (outcome: string, events: ReadonlyArray<RunEvent.RunEvent>): string => {
  const last = outcome === "OpenCodeSessionError" ? events.filter(RunEvent.is("SessionError")).at(-1) : undefined
  return last === undefined ? kindOfOutcome(outcome) : kindOfSession(last.kind)
}

/** Session, run and directory are for logs: a person who has started the run knows which one failed. */
export const withoutPlace = (error: OpenCodeError.OpenCodeError): string => {
  const [message = ""] = error.message.split(/\n(?:stderr|issues|answer): /)
  const partial = OpenCodeError.partialOf(error)
  const { cwd, runId, sessionId } = partial ??
    (error._tag === "OpenCodeOutputError" ? { ...error, cwd: undefined } : {})
  if (runId === undefined) return message
  const session = sessionId === undefined ? "" : `session ${sessionId}, `
  const place = `${session}run ${runId}${cwd === undefined ? "" : ` in ${cwd}`}`
  return message.replace(` [${place}]`, "").replace(`, ${place}`, "")
}

/** The first issue of an answer that does not satisfy its schema is enough for a line. */
const issuesOf = (issues: string): string =>
  issues.split("\n").map((line) => line.replace(/^[\s│├└─]+/, "")).filter((line) =>
    line !== "" && line !== "answer" && line !== "Predicate refinement failure"
  ).join(" ")

/** Why, for a person who already knows the kind. */
export const reasonOf = (error: OpenCodeError.OpenCodeError): string => {
  switch (error._tag) {
    case "OpenCodeSessionError":
      return error.reason
    case "OpenCodeOutputError":
      return error.reason === "mismatch"
        ? `The answer does not satisfy the schema: ${issuesOf(error.issues)}`
        // What to do is a hint, where there is room for it.
        : withoutPlace(error).replace(/\. Describe the value .*/s, ".")
    default:
      return withoutPlace(error)
  }
}
