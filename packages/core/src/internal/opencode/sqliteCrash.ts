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
