/**
 * Records the scenarios of the contract with every version that is looked after, and writes docs/versions.md: which facts
 * hold in which version. A version is installed from the registry; those of the tests are taken as they are.
 *
 *   pnpm matrix [--recorded] [version …]
 *
 * With `--recorded` nothing is run: the page is written from the last recordings.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import * as opencode2 from "../packages/core/test/support/opencode2.js"
import { page } from "../packages/core/test/support/versionsPage.js"

const versions = ["1.1.65", "1.2.27", "1.14.34", "1.15.13", "1.17.19", "1.18.33", "2.0.14"]

const args = process.argv.slice(2)
const asked = args.filter((arg) => !arg.startsWith("--"))
const { resolve } = createRequire(import.meta.url)
const installed = JSON.parse(fs.readFileSync(resolve("opencode-ai/package.json"), "utf8")).version

/** The binaries of the tests, by version. */
const binaries: { readonly [version: string]: string | undefined } = {
  [installed]: resolve("opencode-ai/bin/opencode.exe"),
  "2.0.14": opencode2.binary
}

const failed = args.includes("--recorded") ? [] : (asked.length > 0 ? asked : versions).filter((version) => {
  console.log(`\n━━ ${version}`)
  const target = binaries[version] ?? version
  const { status } = spawnSync(
    process.execPath,
    ["--import", "tsx", fileURLToPath(new URL("capture.ts", import.meta.url)), target],
    {
      stdio: "inherit",
      env: { ...process.env, TSX_TSCONFIG_PATH: fileURLToPath(new URL("tsconfig.json", import.meta.url)) }
    }
  )
  return status !== 0
})
if (failed.length > 0) {
  console.error(`could not be recorded: ${failed.join(", ")}`)
  process.exitCode = 1
}
fs.writeFileSync(fileURLToPath(new URL("../docs/versions.md", import.meta.url)), page())
console.log("wrote docs/versions.md")
