import * as fs from "node:fs"
import * as path from "node:path"

/** The installed version; saves a start of the binary in each test. */
export const version = "1.18.33"

/**
 * 1.18.33 installs this at every start if it is missing, for some two seconds in which it ignores the first SIGTERM.
 */
export const install = (home: string): void => {
  const directory = path.join(home, ".config", "opencode")
  fs.mkdirSync(path.join(directory, "node_modules"), { recursive: true })
  const dependencies = { "@opencode-ai/plugin": version }
  fs.writeFileSync(path.join(directory, "package-lock.json"), JSON.stringify({ packages: { "": { dependencies } } }))
}
