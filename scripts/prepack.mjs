/**
 * Runs before any program packs a package: brings `dist` up to date for pnpm, and stops every other one. The
 * tarball of `npm pack` would export sources that are not JavaScript, and depend on versions that only the workspace
 * knows.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"

const isPnpm = process.env.npm_config_user_agent?.startsWith("pnpm/") === true
if (isPnpm && fs.existsSync("tsconfig.build.json")) {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc")
  const { status } = spawnSync(process.execPath, [tsc, "--build", "tsconfig.build.json"], { stdio: "inherit" })
  process.exitCode = status ?? 1
} else {
  console.error(
    `${process.env.npm_package_name} was not packed: only pnpm makes a working package of this directory. ` +
      "`npm run tarballs` at the root of the repository writes tarballs for npm to its directory tarballs."
  )
  process.exitCode = 1
}
