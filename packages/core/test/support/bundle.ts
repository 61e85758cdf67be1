/** Programs in TypeScript that tests start as processes of their own: one file each, so that Node starts at once. */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"

const resolve = (name: string, from: string): string => createRequire(from).resolve(name)

const esbuild = resolve("esbuild/bin/esbuild", resolve("tsx/package.json", import.meta.url))

/** Libraries in CommonJS ask for Node's modules by `require`. */
const banner =
  "import { createRequire as createRequireHere } from \"node:module\"; const require = createRequireHere(import.meta.url);"

const packageOf = (file: string): string => {
  const directory = path.dirname(file)
  return fs.existsSync(path.join(directory, "package.json")) ? directory : packageOf(directory)
}

const made = new Map<string, string>()

/** The program as one file in its package's `build` directory, made once for all tests of a file. */
export const bundle = (program: string): string => {
  const known = made.get(program)
  if (known !== undefined) return known
  const directory = path.join(packageOf(program), "build")
  const file = path.join(directory, `${path.basename(program, ".ts")}.mjs`)
  fs.mkdirSync(directory, { recursive: true })
  // Test files can run at the same time.
  const own = `${file}.${process.pid}`
  execFileSync(esbuild, [
    program,
    "--bundle",
    "--platform=node",
    "--format=esm",
    "--target=node20",
    // The CommonJS of some libraries loads its parts in ways that cannot be bundled.
    "--main-fields=module,main",
    "--log-level=warning",
    `--banner:js=${banner}`,
    `--outfile=${own}`
  ], { stdio: "inherit" })
  fs.renameSync(own, file)
  made.set(program, file)
  return file
}
