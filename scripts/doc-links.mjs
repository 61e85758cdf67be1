/**
 * Fails if a Markdown file refers to something missing: a file, a heading, or, in backticks, a path of this repository.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { files, finish, relative, root } from "./lib/repository.mjs"

const places = ["docs", "packages", ".github"]
const documents = [
  ...fs.readdirSync(root).filter((name) => name.endsWith(".md")).map((name) => path.join(root, name)),
  ...places.flatMap((place) => files(path.join(root, place), ".md"))
].filter((file) => !file.includes(`${path.sep}node_modules${path.sep}`))

/** The text without code, because a link in an example does not count. */
const prose = (text) => text.replace(/^(```+)[^\n]*\n[\s\S]*?^\1\s*$/gm, "")

/** The anchor that code forges generate for a heading. */
const slug = (heading) =>
  heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(
    /\s/g,
    "-"
  )

const anchors = new Map()
const anchorsOf = (file) => {
  if (!anchors.has(file)) {
    const seen = new Map()
    const found = new Set()
    for (const [, heading] of prose(fs.readFileSync(file, "utf8")).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
      const base = slug(heading)
      const times = seen.get(base) ?? 0
      seen.set(base, times + 1)
      found.add(times === 0 ? base : `${base}-${times}`)
    }
    anchors.set(file, found)
  }
  return anchors.get(file)
}

const problems = []
let links = 0
for (const document of documents) {
  const text = prose(fs.readFileSync(document, "utf8"))
  const problem = (target, what) => problems.push(`${relative(document)}: ${target} ${what}`)
  const targets = [
    ...[...text.replace(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => match[1]),
    ...[...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map((match) => match[1])
  ]
  for (const target of targets) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue
    links++
    const [file, anchor] = target.split("#")
    const place = file === "" ? document : path.resolve(path.dirname(document), decodeURI(file))
    if (!fs.existsSync(place)) problem(target, "is not there")
    else if (anchor !== undefined && place.endsWith(".md") && !anchorsOf(place).has(anchor)) {
      problem(target, "has no such heading")
    }
  }
  for (const [, name] of text.matchAll(/`((?:packages|scripts|docs|examples|bench|\.github)\/[\w./-]+)`/g)) {
    links++
    if (!fs.existsSync(path.join(root, name))) problem(name, "is not there")
  }
}
finish(problems, `${links} links in ${documents.length} documents`)
