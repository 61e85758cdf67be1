/**
 * Texts of the start-up crash that OpenCode processes on one data directory can cause each other, always before any
 * event. 1.17.19 and 1.18.33: a migration run twice, a locked database, the switch to WAL; the others from reports of
 * older versions. `file is not a database` and `unable to open database file` are not transient, and neither is a
 * failed `wal_checkpoint`: a read-only database reports only that (1.18.33).
 */
const transient: ReadonlyArray<readonly [RegExp, string]> = [
  [/database is locked/i, "database is locked"],
  [/sqlite_busy/i, "SQLITE_BUSY"],
  [/journal_mode/i, "journal_mode"],
  [/disk i\/o error/i, "disk I/O error"],
  [/locking protocol/i, "locking protocol"],
  [/LockTimeoutError/i, "LockTimeoutError"],
  [/Failed (query|to run the query|to execute statement)/i, "failed query"],
  [/(table|index|column).{0,80}already exists|duplicate column name/i, "migration run twice"],
  [/sqliteerror/i, "SQLiteError"]
]

const permanent =
  /file is not a database|unable to open database file|readonly database|database or disk is full|wal_checkpoint/i

/** The signature of a transient SQLite crash in a stderr text, if there is one. */
export const sqlite = (stderr: string): string | undefined =>
  permanent.test(stderr) ? undefined : transient.find(([pattern]) => pattern.test(stderr))?.[1]

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
