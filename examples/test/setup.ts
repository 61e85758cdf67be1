/** The programs run as on a machine without OpenCode: the machine's own configuration does not reach them. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"

const environment = { ...process.env }
const home = fs.mkdtempSync(path.join(os.tmpdir(), "eo-home-"))
for (const name of Object.keys(process.env)) {
  if (/^(XDG_|OPENCODE(?!2_BINARY)|EFFECT_OPENCODE)/.test(name)) delete process.env[name]
}
process.env["HOME"] = home

afterAll(() => {
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, environment)
  fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 })
})
