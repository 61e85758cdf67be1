/**
 * Packs the packages as they are published. Only pnpm puts the `exports` of `publishConfig` and the versions of the
 * workspace into the packed package.json.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { packages, root } from "./repository.mjs"

/** Runs a command and returns its output; a non-zero exit is an error that contains the output. */
const run = (command, args, options) => {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, ...options })
  if (result.status !== 0) {
    const reason = result.error?.message ?? result.signal ?? `exit ${result.status}`
    throw new Error(`${[command, ...args].join(" ")} failed (${reason})\n${result.stdout ?? ""}${result.stderr ?? ""}`)
  }
  return result.stdout
}

const pnpm = (args, options) => {
  const manager = process.env.npm_execpath
  if (manager !== undefined && /pnpm\.[cm]?js$/.test(manager)) {
    return run(process.execPath, [manager, ...args], options)
  }
  const { packageManager } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  return run("npx", ["-y", packageManager, ...args], options)
}

/** The packages that are published. */
export const published = () => packages().filter(({ manifest }) => manifest.private !== true)

/** Builds all packages and packs the published ones into a directory; the tarballs by the name of their package. */
export const packAll = (into) => {
  run(process.execPath, [path.join(root, "scripts", "build.mjs")], { cwd: root })
  fs.mkdirSync(into, { recursive: true })
  return Object.fromEntries(
    published().map(({ dir, manifest }) => {
      const tarball = path.join(into, `${manifest.name}-${manifest.version}.tgz`)
      pnpm(["pack", "--out", tarball], { cwd: dir })
      return [manifest.name, tarball]
    })
  )
}
