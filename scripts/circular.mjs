/**
 * Fails when modules of a package import each other in a circle. Type-only imports do not count.
 */
import madge from "madge"
import * as path from "node:path"
import { files, finish, packages, relative, root } from "./lib/repository.mjs"

const problems = []
let modules = 0
for (const { dir } of packages()) {
  const src = path.join(dir, "src")
  const sources = files(src, ".ts")
  if (sources.length === 0) continue
  const result = await madge(sources, {
    baseDir: root,
    fileExtensions: ["ts"],
    tsConfig: path.join(root, "tsconfig.base.json"),
    detectiveOptions: { ts: { skipTypeImports: true } }
  })
  modules += Object.keys(result.obj()).length
  for (const circle of result.circular()) problems.push(`${relative(dir)}: ${[...circle, circle[0]].join(" → ")}`)
  // An import that could not be followed could hide a circle.
  for (const skipped of result.warnings().skipped) {
    if (skipped.startsWith(".")) problems.push(`${relative(dir)}: cannot follow the import of ${skipped}`)
  }
}
if (modules === 0) problems.push("no modules found")
finish(problems, `${modules} modules, no circular imports`)
