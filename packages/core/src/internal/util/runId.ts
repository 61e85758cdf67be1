/**
 * What the id of a run may look like: it stands in environment variables, where a colon separates ids, in spans,
 * transcripts and names of files.
 */
export const isRunId = (text: unknown): text is string =>
  typeof text === "string" && /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/.test(text)

/** The rule of `isRunId`, for messages. */
export const rule = "must be 1 to 64 letters, digits, `.`, `_` or `-`, and begin with a letter or a digit"
