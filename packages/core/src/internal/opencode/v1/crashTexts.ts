export { sqlite } from "../sqliteCrash.js"

/** Finds the log's message about an unknown model, by the mark of the error if it has one. */
export const missingModel = (stderr: string, mark: unknown): string | undefined => {
  const lines = stderr.split("\n")
  const marked = lines.filter((line) => line.includes(`ref=${String(mark)} `))
  const found = (marked.length > 0 ? marked : lines).map((line) => /Error: (Model not found: [^\s"\\()]+)/.exec(line))
  return found.find((match) => match !== null)?.[1]
}

/** True if a server could not listen because its port is in use (1.18.33). */
export const isPortTaken = (stderr: string): boolean => /\bServeError\b|\bEADDRINUSE\b/.test(stderr)

const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /^Error: Session not found/m,
    "the session does not exist in this data directory; by default every run has its own; set `isolation` to \"none\" or to a directory to continue a session"
  ],
  [
    /Configuration is invalid|is not valid JSON/,
    "fix OpenCode's configuration (`configOverrides`, `permission`, `mcp`, `tools`, or a config file that OpenCode reads)"
  ],
  [
    /file is not a database/,
    "the database in the data directory is damaged; move it away or use another data directory"
  ],
  [
    /unable to open database file|wal_checkpoint|EROFS|ENOSPC|EACCES|ENOTDIR|ENOENT: [^\n]*\bmkdir\b|PermissionDenied|readonly database|database or disk is full/,
    "check that OpenCode's data, state, config and temporary directories exist, are writable and not full"
  ],
  [/ModelNotFound|Model not found/, "check `model` against `opencode models`"],
  [/EPIPE/, "OpenCode could not write its events"]
]

/** What to do about a failure that stderr explains. */
export const hint = (stderr: string): string | undefined => hints.find(([pattern]) => pattern.test(stderr))?.[1]
