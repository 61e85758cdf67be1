/**
 * Writes the common fields of all manifests into each package: repository, home page and issues. The owner and the name
 * of the repository are set in one place, `repository` of the root's package.json.
 *
 *   node scripts/metadata.mjs            writes
 *   node scripts/metadata.mjs --check    fails if something would be written
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { finish, packages, relative, root } from "./lib/repository.mjs"

const { repository } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
const slug = /^github:([\w.-]+\/[\w.-]+)$/.exec(repository)?.[1]
const common = ["agent", "ai", "coding-agent", "effect", "effect-ts", "opencode", "typescript"]

const check = process.argv.includes("--check")
const problems = []
if (slug === undefined) problems.push("package.json: `repository` must be github:<owner>/<name>")
const published = packages().filter(({ manifest }) => manifest.private !== true)
for (const { dir, manifest } of slug === undefined ? [] : published) {
  const file = path.join(dir, "package.json")
  const inside = relative(dir)
  const wanted = {
    repository: { type: "git", url: `git+https://github.com/${slug}.git`, directory: inside },
    homepage: `https://github.com/${slug}/tree/main/${inside}#readme`,
    bugs: `https://github.com/${slug}/issues`,
    keywords: [...new Set([...common, ...(manifest.keywords ?? [])])].sort()
  }
  const {
    bugs: _bugs,
    description,
    homepage: _home,
    keywords: _words,
    license,
    name,
    repository: _place,
    type,
    version,
    ...rest
  } = manifest
  const text = `${JSON.stringify({ name, version, description, type, license, ...wanted, ...rest }, null, 2)}\n`
  const before = fs.readFileSync(file, "utf8")
  if (JSON.stringify(JSON.parse(before)) === JSON.stringify(JSON.parse(text))) continue
  if (check) problems.push(`${relative(file)}: run node scripts/metadata.mjs`)
  else fs.writeFileSync(file, text)
}
finish(problems, `${published.length} packages of ${slug}`)
