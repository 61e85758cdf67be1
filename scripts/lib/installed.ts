/** The binary of a version of OpenCode, installed from the registry into a directory of its own. */
import { Version } from "effect-opencode"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export interface Installed {
  readonly file: string
  readonly remove: () => void
}

/** Installs a version without running any script of it; a path is taken as it is. */
export const binaryOf = (asked: string): Installed => {
  if (!/^\d+\.\d+\.\d+$/.test(asked)) return { file: path.resolve(asked), remove: () => undefined }
  const name = Number(asked.split(".")[0]) < 2 ? "opencode-ai" : "@opencode/cli"
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-version-"))
  const remove = () => fs.rmSync(directory, { recursive: true, force: true })
  try {
    execFileSync(
      "npm",
      [
        "install",
        "--ignore-scripts",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
        directory,
        `${name}@${asked}`
      ],
      { stdio: ["ignore", "ignore", "inherit"] }
    )
    const modules = path.join(directory, "node_modules")
    // The packages of a platform are beside the one that names them: opencode-linux-x64, @opencode/cli-linux-x64.
    const [scope, prefix] = name === "opencode-ai" ? [modules, "opencode-"] : [path.join(modules, "@opencode"), "cli-"]
    const found = fs.readdirSync(scope).filter((name) => name.startsWith(prefix) && name !== "opencode-ai")
      // Without AVX2 only the baseline build runs, which runs everywhere.
      .sort((a, b) => Number(b.includes("baseline")) - Number(a.includes("baseline")))
      .filter((name) => !name.includes("musl"))
      .map((name) => path.join(scope, name, "bin", process.platform === "win32" ? "opencode.exe" : "opencode"))
      .find((file) => fs.existsSync(file))
    if (found === undefined) throw new Error(`${name}@${asked} has no binary for this platform`)
    return { file: found, remove }
  } catch (cause) {
    remove()
    throw cause
  }
}

export const versionOf = (file: string): Version.Version => {
  const printed = execFileSync(file, ["--version"], { encoding: "utf8" })
  const version = Version.parse(printed)
  if (version === undefined) throw new Error(`${file} --version does not print a version: ${printed}`)
  return version
}
