/**
 * Builds the documentation site: the Markdown files of the repository and an API reference from the sources, as static
 * pages with a search, in `pages/.vitepress/dist`. Every link and anchor of the built pages is checked.
 *
 *   pnpm site            from the root: installs what the site needs, then builds
 *   BASE=/name/ pnpm site   for a host that serves it below a path
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as typedoc from "typedoc"
import { build } from "vitepress"
import { files, isProgram, packages, publicModules, relative, root } from "../scripts/lib/repository.mjs"
import { navigation } from "./navigation.mjs"

const here = path.dirname(fileURLToPath(import.meta.url))
const pages = path.join(here, "pages")
const base = process.env["BASE"] ?? "/"

const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
const repository = `https://github.com/${manifest.repository.replace(/^github:/, "")}`

// #region pages

for (const name of fs.readdirSync(pages)) {
  if (name !== ".vitepress") fs.rmSync(path.join(pages, name), { recursive: true })
}

/** A file of the repository and its place among the pages. */
const placeOf = (file) =>
  file === "README.md"
    ? "index.md"
    : file.replace(/^docs\//, "").replace(/^packages\/(\w+)\/README\.md$/, "$1.md").replace(
      /^(?:bench\/results|[A-Z]+)\.md$/,
      (name) => name === "bench/results.md" ? "benchmark.md" : name.toLowerCase()
    )

const written = navigation.flatMap((group) => group.pages.map(([file]) => file))
const images = path.join(pages, "public/images")
fs.mkdirSync(images, { recursive: true })
const places = new Map(written.map((file) => [file, placeOf(file)]))

if (new Set(places.values()).size < places.size) throw new Error("two pages of the navigation have the same place")

/** Links to other pages point at pages, links to other files of the repository at its host. */
const relink = (text, from) =>
  text.replace(/\]\(([^)\s]+)\)/g, (whole, target) => {
    const own = target.startsWith(`${repository}/blob/main/`)
      ? target.slice(`${repository}/blob/main/`.length)
      : undefined
    if (own === undefined && (/^[a-z][a-z0-9+.-]*:/i.test(target) || target.startsWith("#"))) return whole
    const [file, anchor] = (own ?? target).split("#")
    const absolute = own === undefined ? relative(path.resolve(root, path.dirname(from), file)) : file
    const hash = anchor === undefined ? "" : `#${anchor}`
    if (places.has(absolute)) return `](/${places.get(absolute)}${hash})`
    if (/\.(?:svg|png)$/.test(absolute)) {
      const name = absolute.replaceAll("/", "-")
      fs.copyFileSync(path.join(root, absolute), path.join(images, name))
      return `](/images/${name})`
    }
    return `](${repository}/blob/main/${absolute}${hash})`
  })

/** The code in a text stays as it is: only prose has links. */
const outsideCode = (text, change) =>
  text.split(/(^(?:```+)[^\n]*\n[\s\S]*?^```+\s*$)/m).map((part, index) => index % 2 === 1 ? part : change(part)).join(
    ""
  )

for (const [file, place] of places) {
  const text = fs.readFileSync(path.join(root, file), "utf8")
  const target = path.join(pages, place)
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.writeFileSync(target, outsideCode(text, (part) => relink(part, file)))
}

// #endregion

// #region api

/** The comment at the top of a module as Markdown; TypeDoc reads only those with a tag. */
const introductionOf = (file) => {
  const [, comment = ""] = /^\/\*\*([^]*?)\*\//.exec(fs.readFileSync(file, "utf8")) ?? []
  return comment.split("\n").map((line) => line.replace(/^ ?\* ?/, "")).join("\n")
    .replace(/^@since.*$/gm, "").replace(/^@example$/gm, "**Example**\n").replace(/\{@link ([^}]+)\}/g, "`$1`")
    .replace(/\n{3,}/g, "\n\n").trim()
}

const rewrite = (file, change) => fs.writeFileSync(file, change(fs.readFileSync(file, "utf8")))

/** Puts the introduction of a module below the title of its page. */
const introduce = (page, introduction) =>
  rewrite(page, (text) => text.replace(/^# .*\n/, (title) => `${title}\n${introduction}\n`))

/** Puts its first sentence into the list of modules. */
const introduceIn = (index, name, sentence) =>
  rewrite(index, (text) => text.replace(`- [${name}](${name}.md)`, (link) => `${link}: ${sentence}`))

const documented = packages().filter(({ dir, manifest }) => !isProgram(manifest) && publicModules(dir).length > 0)
const api = []
for (const { dir, manifest } of documented) {
  const out = path.join(pages, "api", manifest.name)
  const app = await typedoc.Application.bootstrapWithPlugins({
    plugin: ["typedoc-plugin-markdown"],
    entryPoints: publicModules(dir),
    tsconfig: path.join(dir, "tsconfig.src.json"),
    basePath: path.join(dir, "src"),
    name: manifest.name,
    readme: "none",
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: true,
    skipErrorChecking: true,
    validation: false,
    outputs: [{ name: "markdown", path: out }],
    outputFileStrategy: "modules",
    entryFileName: "index",
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    expandObjects: false,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
    classPropertiesFormat: "table",
    propertyMembersFormat: "table",
    tableColumnSettings: { hideSources: true, hideInherited: true, hideOverrides: true },
    sanitizeComments: true,
    logLevel: "Warn"
  })
  const project = await app.convert()
  if (project === undefined) throw new Error(`${manifest.name}: TypeDoc made nothing`)
  await app.generateOutputs(project)
  if (app.logger.hasErrors()) throw new Error(`${manifest.name}: TypeDoc reported errors`)
  const index = path.join(out, "index.md")
  for (const file of publicModules(dir)) {
    const name = path.basename(file, ".ts")
    const introduction = introductionOf(file)
    introduce(path.join(out, `${name}.md`), introduction)
    const [sentence = ""] = /^[^]*?\.(?=\s|$)/.exec(introduction) ?? []
    introduceIn(index, name, sentence.replaceAll("\n", " "))
  }
  api.push({ name: manifest.name, modules: publicModules(dir).map((file) => path.basename(file, ".ts")) })
}
fs.writeFileSync(path.join(pages, ".vitepress/api.json"), JSON.stringify(api))
// #endregion

await build(pages, { base })

// #region links

const dist = path.join(pages, ".vitepress/dist")
const html = files(dist, ".html")
const read = new Map(html.map((file) => [file, fs.readFileSync(file, "utf8")]))
const ids = new Map(
  [...read].map(([file, text]) => [file, new Set([...text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id))])
)
const problems = []
let links = 0
const entities = (text) => text.replaceAll("&amp;", "&").replaceAll("&#39;", "'").replaceAll("&quot;", "\"")
for (const [file, text] of read) {
  if (path.basename(file) === "404.html") continue
  for (const [, quoted] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    const target = entities(quoted)
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue
    links++
    const [place, anchor] = target.split("#")
    const local = place === ""
      ? file
      : place.startsWith(base)
      ? path.join(dist, decodeURI(place.slice(base.length)))
      : path.resolve(path.dirname(file), decodeURI(place))
    const found = [local, `${local}.html`, path.join(local, "index.html")].find((name) =>
      fs.existsSync(name) && fs.statSync(name).isFile()
    )
    const where = relative(file).replace("site/pages/.vitepress/dist/", "")
    if (found === undefined) problems.push(`${where}: ${target} is not there`)
    else if (
      anchor !== undefined && anchor !== "" && found.endsWith(".html") &&
      !ids.get(found).has(decodeURIComponent(anchor))
    ) {
      problems.push(`${where}: ${target} has no such heading`)
    }
  }
}
// #endregion

for (const problem of new Set(problems)) console.error(problem)
console.log(`${html.length} pages, ${links} links, ${new Set(problems).size} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
