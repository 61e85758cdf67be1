/**
 * Builds `dist` of every package from scratch.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { packages, root } from "./lib/repository.mjs"

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc")
const all = packages()
for (const { dir } of all) {
  fs.rmSync(path.join(dir, "dist"), { recursive: true, force: true })
  fs.rmSync(path.join(dir, "build", "build.tsbuildinfo"), { force: true })
}
const projects = all.map(({ dir }) => path.join(dir, "tsconfig.build.json"))
const result = spawnSync(process.execPath, [tsc, "--build", ...projects], { cwd: root, stdio: "inherit" })
if (result.error !== undefined) console.error(result.error.message)
if (result.status === 0) console.log(`built ${all.map(({ manifest }) => manifest.name).join(", ")}`)
process.exitCode = result.status ?? 1
