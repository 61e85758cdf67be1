import * as fs from "node:fs"
import * as path from "node:path"

/** The version that the repository installs; saves a start of the binary in each test. */
export const version = "1.18.33"

/**
 * 1.18.33 installs this at every start that does not find it, for some two seconds in which the first SIGTERM does not
 * end it.
 */
export const install = (home: string): void => {
  const directory = path.join(home, ".config", "opencode")
  fs.mkdirSync(path.join(directory, "node_modules"), { recursive: true })
  const dependencies = { "@opencode-ai/plugin": version }
  fs.writeFileSync(path.join(directory, "package-lock.json"), JSON.stringify({ packages: { "": { dependencies } } }))
}
