/**
 * Writes what is made from recordings: the picture of the demo from `docs/assets/demo.json`, and the tables of the
 * comparison from `bench/compare/results.json` in README.md and docs/comparison.md. With `--check` it writes nothing and
 * fails if a file differs.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { picture } from "./lib/picture.mjs"
import { finish, relative, root } from "./lib/repository.mjs"

const check = process.argv.includes("--check")
const problems = []

const file = (name) => path.join(root, name)
const json = (name) => JSON.parse(fs.readFileSync(file(name), "utf8"))

const put = (name, text) => {
  const target = file(name)
  if (fs.existsSync(target) && fs.readFileSync(target, "utf8") === text) return
  if (check) problems.push(`${relative(target)} differs from its recording: run \`pnpm recorded\``)
  else fs.writeFileSync(target, text)
}

// #region picture

put(
  "docs/assets/demo.svg",
  picture(
    json("docs/assets/demo.json"),
    "Ten agents work at the same time. One hangs and is ended, one crashes at its start and is started again, one " +
      "crosses its budget, one leaves a process in the background. At the end no process and no directory is left."
  )
)
// #endregion

// #region comparison

const compared = json("bench/compare/results.json")

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`

const cells = ({ endedByUs, exitCode, processes, seconds, signal, temporary }) =>
  endedByUs
    ? [`still running after ${seconds.toFixed(0)} s, ended by us`, "–", "–", "–"]
    : [
      `${seconds.toFixed(1)} s`,
      String(exitCode ?? signal),
      processes.length === 0 ? "nothing" : processes.map((command) => `\`${command}\``).join(", "),
      temporary === 0 ? "nothing" : megabytes(temporary)
    ]

const table = (rows) => {
  const head = ["", "run by", "ended after", "exit code", "still running", "left in `TMPDIR`"]
  const body = rows.map((
    row,
    index
  ) => [rows[index - 1]?.case === row.case ? "" : titles[row.case], row.way, ...cells(row)])
  return [head, head.map(() => "---"), ...body].map((line) => `| ${line.join(" | ")} |`).join("\n")
}

const { date, machine, rows, titles, versions } = compared
const measured = `Measured on ${date} with a scripted model on loopback by \`npm run compare\`: OpenCode ${
  versions["opencode-ai"]
}, \`@opencode-ai/sdk\` ${versions["@opencode-ai/sdk"]}, Node ${versions.node}; ${machine}.`

const blocks = {
  "compare/short": `${table(rows.filter(({ case: name }) => name !== "limited"))}\n\n${measured}`,
  "compare/all": `${table(rows)}\n\n${measured}`
}

let found = 0
for (const name of ["README.md", "docs/comparison.md"]) {
  const text = fs.readFileSync(file(name), "utf8")
  put(
    name,
    text.replace(/(<!-- recorded: (\S+) -->\n)[^]*?(<!-- \/recorded -->)/g, (_, begin, block, end) => {
      found++
      if (blocks[block] === undefined) problems.push(`${name}: there is no recording ${block}`)
      return `${begin}${blocks[block]}\n${end}`
    })
  )
}
if (found < Object.keys(blocks).length) problems.push("a table of the comparison is in no document")
// #endregion

finish(problems, `a picture and ${found} tables agree with their recordings`)
