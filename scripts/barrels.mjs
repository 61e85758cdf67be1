/**
 * Writes `src/index.ts` of every library: one `export * as X from "./X.js"` for each public module, with the module's
 * first doc comment above it. With `--check` it writes nothing and fails if a barrel is out of date.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { finish, isProgram, packages, publicModules, relative } from "./lib/repository.mjs"

const check = process.argv.includes("--check")
const problems = []
const written = []

const barrel = (dir) =>
  publicModules(dir).map((file) => {
    const name = path.basename(file, ".ts")
    if (!/^[A-Z][A-Za-z0-9]*$/.test(name)) problems.push(`${relative(file)}: a public module has a PascalCase name`)
    const doc = /^\s*(\/\*\*[\s\S]*?\*\/)/.exec(fs.readFileSync(file, "utf8"))?.[1]
    if (doc === undefined) problems.push(`${relative(file)}: the module does not begin with a doc comment`)
    return `${doc === undefined ? "" : `${doc}\n`}export * as ${name} from "./${name}.js"\n`
  }).join("\n")

for (const { dir } of packages().filter(({ manifest }) => !isProgram(manifest))) {
  const target = path.join(dir, "src", "index.ts")
  const expected = barrel(dir)
  if (expected === "") {
    problems.push(`${relative(dir)}: no public modules`)
    continue
  }
  const actual = fs.existsSync(target) ? fs.readFileSync(target, "utf8").replaceAll("\r\n", "\n") : undefined
  if (actual === expected) continue
  if (check) problems.push(`${relative(target)} is out of date: run \`pnpm barrels\``)
  else {
    fs.writeFileSync(target, expected)
    written.push(relative(target))
  }
}
finish(problems, written.length === 0 ? "barrels are up to date" : `wrote ${written.join(", ")}`)
