import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..")

/** A path relative to the root of the repository, with forward slashes. */
export const relative = (file) => path.relative(root, file).split(path.sep).join("/")

/** Every package under `packages/`, sorted by directory. */
export const packages = () =>
  fs.readdirSync(path.join(root, "packages"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && fs.existsSync(path.join(root, "packages", entry.name, "package.json")))
    .map((entry) => {
      const dir = path.join(root, "packages", entry.name)
      return { dir, manifest: JSON.parse(fs.readFileSync(path.join(dir, "package.json"), "utf8")) }
    })
    .sort((a, b) => (a.dir < b.dir ? -1 : 1))

/** Whether a package is a program: it has a command and no exports. */
export const isProgram = (manifest) => manifest.bin !== undefined && manifest.exports?.["."] === undefined

/** Every file under `dir` that ends with `extension`, sorted; empty if `dir` does not exist. */
export const files = (dir, extension) => {
  if (!fs.existsSync(dir)) return []
  const out = []
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name)
    if (entry.isDirectory()) out.push(...files(file, extension))
    else if (entry.name.endsWith(extension)) out.push(file)
  }
  return out.sort()
}

/** The public modules of a package: `src/*.ts` without the barrel. */
export const publicModules = (dir) => {
  const src = path.join(dir, "src")
  if (!fs.existsSync(src)) return []
  return fs.readdirSync(src)
    .filter((name) =>
      name.endsWith(".ts") && name !== "index.ts" && !name.endsWith(".d.ts") && !name.endsWith(".test.ts")
    )
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => path.join(src, name))
}

/** Prints each problem on its own line and exits with the matching code. */
export const finish = (problems, summary) => {
  if (problems.length === 0) {
    console.log(summary)
    return
  }
  for (const problem of problems) console.error(problem)
  console.error(`\n${problems.length} problem${problems.length === 1 ? "" : "s"}`)
  process.exitCode = 1
}
