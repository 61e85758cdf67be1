import * as fs from "node:fs"
import * as path from "node:path"

/** The installed version; saves a start of the binary in each test. */
export const version = "1.18.33"

/**
 * Fills a home directory with what 1.18.33 would otherwise get at every start: its plugin package, which takes some two
 * seconds in which the first SIGTERM does not end it, and the list of models that it brings, half of a start's CPU time.
 */
export const install = (home: string): void => {
  const config = path.join(home, ".config", "opencode")
  fs.mkdirSync(path.join(config, "node_modules"), { recursive: true })
  const dependencies = { "@opencode-ai/plugin": version }
  fs.writeFileSync(path.join(config, "package-lock.json"), JSON.stringify({ packages: { "": { dependencies } } }))
  const cache = path.join(home, ".cache", "opencode")
  fs.mkdirSync(cache, { recursive: true })
  fs.writeFileSync(path.join(cache, "models.json"), "{}")
}
