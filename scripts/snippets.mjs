/**
 * Copies files of examples/, where they are type-checked and run, into the TypeScript fences of README.md,
 * packages/<name>/README.md and docs/*.md. A marker above the fence names the file, or one region of it:
 *
 *   <!-- snippet: examples/readme/parallel.ts -->
 *   <!-- snippet: examples/readme/parallel.ts#region -->
 *
 * With `--check` it writes nothing and fails if a copy differs. A fence without a marker always fails.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { files, finish, packages, relative, root } from "./lib/repository.mjs"

const check = process.argv.includes("--check")
const problems = []
const written = []
let snippets = 0

const documents = [
  path.join(root, "README.md"),
  ...packages().map(({ dir }) => path.join(dir, "README.md")),
  ...files(path.join(root, "docs"), ".md")
].filter((file) => fs.existsSync(file))

/** The text of `examples/a.ts` or `examples/a.ts#region`; `undefined` and a problem if it does not exist. */
const source = (reference, where) => {
  const [name, region] = reference.split("#")
  const file = path.resolve(root, name)
  if (!relative(file).startsWith("examples/") || !fs.existsSync(file)) {
    problems.push(`${where}: no such example: ${name}`)
    return undefined
  }
  const lines = fs.readFileSync(file, "utf8").replaceAll("\r\n", "\n").trimEnd().split("\n")
  const isMarker = (line) => /^\s*\/\/ ?#(end)?region\b/.test(line)
  if (region === undefined) return lines.filter((line) => !isMarker(line))
  const from = lines.findIndex((line) => new RegExp(`^\\s*// ?#region ${region}\\s*$`).test(line))
  const to = lines.findIndex((line, index) => index > from && /^\s*\/\/ ?#endregion\b/.test(line))
  if (from < 0 || to < 0) {
    problems.push(`${where}: no region ${region} in ${name}`)
    return undefined
  }
  const body = lines.slice(from + 1, to)
  const indent = Math.min(...body.filter((line) => line.trim() !== "").map((line) => /^ */.exec(line)[0].length))
  return body.map((line) => line.slice(indent))
}

for (const document of documents) {
  const before = fs.readFileSync(document, "utf8").replaceAll("\r\n", "\n")
  const lines = before.split("\n")
  const out = []
  let marker = undefined
  for (let i = 0; i < lines.length; i++) {
    const where = `${relative(document)}:${i + 1}`
    const open = /^(\s*)(`{3,}|~{3,})\s*([A-Za-z]*)/.exec(lines[i])
    if (open === null) {
      const found = /^\s*<!--\s*snippet:\s*(\S+)\s*-->\s*$/.exec(lines[i])
      if (found !== null) {
        if (marker !== undefined) problems.push(`${where}: the marker above has no fence`)
        marker = found[1]
      } else if (lines[i].trim() !== "" && marker !== undefined) {
        problems.push(`${where}: expected a fence after the marker of ${marker}`)
        marker = undefined
      }
      out.push(lines[i])
      continue
    }
    let close = i + 1
    while (close < lines.length && lines[close].trim() !== open[2]) close++
    if (close === lines.length) problems.push(`${where}: this fence has no end`)
    const isTypeScript = ["ts", "tsx", "typescript", "mts"].includes(open[3].toLowerCase())
    let body = lines.slice(i + 1, close)
    if (marker !== undefined) {
      if (!isTypeScript) problems.push(`${where}: expected a ts fence after the marker of ${marker}`)
      else {
        snippets++
        const text = source(marker, where)
        if (text !== undefined) {
          const expected = text.map((line) => line === "" ? "" : open[1] + line)
          if (check && expected.join("\n") !== body.join("\n")) {
            problems.push(`${where}: differs from ${marker}: run \`pnpm snippets\``)
          }
          body = expected
        }
      }
      marker = undefined
    } else if (isTypeScript) {
      problems.push(`${where}: a ts fence needs <!-- snippet: examples/… --> above it`)
    }
    out.push(lines[i], ...body, ...lines.slice(close, close + 1))
    i = close
  }
  if (marker !== undefined) problems.push(`${relative(document)}: the last marker has no fence`)
  const after = out.join("\n")
  if (!check && after !== before) {
    fs.writeFileSync(document, after)
    written.push(relative(document))
  }
}
finish(
  problems,
  `${snippets} snippets in ${documents.length} documents` +
    (written.length === 0 ? " are up to date" : `; wrote ${written.join(", ")}`)
)
