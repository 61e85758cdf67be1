import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../../test-binaries", import.meta.url))

const named = process.env["OPENCODE2_BINARY"]

const isInstalled = named !== undefined || fs.existsSync(path.join(root, "node_modules", "shuvcode-linux-x64-baseline"))

/** OpenCode 2.x for the tests; `undefined` where it cannot be installed. */
export const binary: string | undefined = isInstalled ? named ?? path.join(root, "opencode2") : undefined

/** What a sandbox must show besides, for the file that this binary starts. */
export const readable: ReadonlyArray<string> = [path.dirname(root)]

/** The version of that binary, which saves asking it; `undefined` if it must be asked. */
export const version: string | undefined = named === undefined ? "2.0.14" : undefined

/** Why tests with 2.x do not run, for the name of their suite. */
export const why = isInstalled ? "" : " (skipped: no OpenCode 2.x for this platform; set OPENCODE2_BINARY)"
