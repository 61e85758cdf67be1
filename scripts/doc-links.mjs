/**
 * Fails if a Markdown file refers to something missing: a file, a heading, or, in backticks, a path of this repository.
 * READMEs of packages are read on the registry's pages, where a relative link leads nowhere: their links are absolute,
 * and those to this repository are checked as well. Every page of docs/ is in the navigation of the site.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { navigation } from "../site/navigation.mjs"
import { prose, slug } from "./lib/markdown.mjs"
import { files, finish, packages, relative, root } from "./lib/repository.mjs"

const places = ["docs", "packages", ".github"]
const documents = [
  ...fs.readdirSync(root).filter((name) => name.endsWith(".md")).map((name) => path.join(root, name)),
  ...places.flatMap((place) => files(path.join(root, place), ".md"))
].filter((file) => !file.includes(`${path.sep}node_modules${path.sep}`))

const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
/** Where files of the repository are read on the web. */
const home = `https://github.com/${manifest.repository.replace(/^github:/, "")}/blob/main/`
/** The registry's page of each package is its README. */
const published = new Map(
  packages().filter(({ manifest }) => manifest.private !== true)
    .map(({ dir, manifest }) => [`https://www.npmjs.com/package/${manifest.name}`, path.join(dir, "README.md")])
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
    const [file, anchor] = target.split("#")
    const own = file.startsWith(home) ? path.join(root, decodeURI(file.slice(home.length))) : published.get(file)
    if (own === undefined && /^[a-z][a-z0-9+.-]*:/i.test(target)) continue
    links++
    if (own === undefined && file !== "" && [...published.values()].includes(document)) {
      problem(target, `leads nowhere on the registry's page: write ${home}…`)
    }
    const place = own ?? (file === "" ? document : path.resolve(path.dirname(document), decodeURI(file)))
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

const navigated = navigation.flatMap(({ pages }) => pages.map(([file]) => file))
const guides = fs.readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) =>
  `docs/${name}`
)
for (const file of guides.filter((file) => !navigated.includes(file))) {
  problems.push(`${file} is not in site/navigation.mjs`)
}
for (const file of navigated.filter((file) => !fs.existsSync(path.join(root, file)))) {
  problems.push(`site/navigation.mjs: ${file} is not there`)
}
for (const file of navigated.filter((file, index) => navigated.indexOf(file) !== index)) {
  problems.push(`site/navigation.mjs: ${file} is there twice`)
}
finish(problems, `${links} links in ${documents.length} documents`)
