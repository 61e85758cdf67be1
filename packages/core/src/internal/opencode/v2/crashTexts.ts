export { sqlite } from "../sqliteCrash.js"

/** The error itself names the model. */
export const missingModel = (): undefined => undefined

/** The port is chosen by the system. */
export const isPortTaken = (): boolean => false

const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /file is not a database|Database is not empty/,
    "the database in the data directory is damaged or another program's; move it away or use another data directory"
  ],
  [
    /unable to open database file|EROFS|ENOSPC|EACCES|ENOTDIR|ENOENT: [^\n]*\bmkdir\b|PermissionDenied|readonly database|database or disk is full/,
    "check that OpenCode's data, state, config and temporary directories exist, are writable and not full"
  ],
  [/Unrecognized flag/, "this version of OpenCode lacks an option that the library uses; see docs/compatibility.md"]
]

/** What to do about a failure that stderr explains. */
export const hint = (stderr: string): string | undefined => hints.find(([pattern]) => pattern.test(stderr))?.[1]
