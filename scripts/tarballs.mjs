/**
 * Writes a tarball of every published package that `npm install` takes, to `tarballs` or to the directory that is given.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { packAll } from "./lib/pack.mjs"
import { root } from "./lib/repository.mjs"

const into = path.resolve(process.argv[2] ?? path.join(root, "tarballs"))
// An earlier version's tarballs would match `tarballs/*.tgz`, too.
for (const name of fs.existsSync(into) ? fs.readdirSync(into) : []) {
  if (/^effect-opencode.*\.tgz$/.test(name)) fs.rmSync(path.join(into, name))
}
console.log(Object.values(packAll(into)).join("\n"))
