/**
 * Type-checks every ts fence in the doc comments of packages/<name>/src, and runs those that are fenced as `ts run`.
 * The examples are written to examples/.docs-build/ (ignored by git), from where the packages resolve by their names.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { files, finish, isProgram, packages, relative, root } from "./lib/repository.mjs"

const require = createRequire(path.join(root, "examples", "package.json"))
const out = path.join(root, "examples", ".docs-build")
const keep = process.argv.includes("--keep")
const problems = []
const examples = []

for (const { dir } of packages().filter(({ manifest }) => !isProgram(manifest))) {
  for (const file of files(path.join(dir, "src"), ".ts")) {
    if (path.basename(file) === "index.ts") continue
    const text = fs.readFileSync(file, "utf8")
    for (const comment of text.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
      const firstLine = text.slice(0, comment.index).split("\n").length
      const lines = comment[0].split("\n").map((line) => line.replace(/^\s*\* ?/, ""))
      for (let i = 0; i < lines.length; i++) {
        const open = /^\s*```(\w+)\s*(\w*)/.exec(lines[i])
        if (open === null) continue
        const end = lines.findIndex((line, index) => index > i && /^\s*```\s*$/.test(line))
        const where = `${relative(file)}:${firstLine + i}`
        if (end < 0) {
          problems.push(`${where}: this fence is never closed`)
          break
        }
        if (open[1] === "ts" || open[1] === "typescript") {
          const body = lines.slice(i + 1, end)
          if (body.some((line) => /from\s+"\.{1,2}\//.test(line))) {
            problems.push(`${where}: an example must import by package name, like a user's program`)
          }
          const name = `${path.basename(dir)}-${path.relative(path.join(dir, "src"), file).replace(/[\\/]/g, "-")}`
          examples.push({
            file: path.join(out, `${name.replace(/\.ts$/, "")}-${firstLine + i}.ts`),
            text: body.join("\n").replaceAll("*\\/", "*/") + "\n",
            source: relative(file),
            line: firstLine + i,
            run: open[2] === "run"
          })
        }
        i = end
      }
    }
  }
}

const node = (args, cwd) => {
  const result = spawnSync(process.execPath, args, { cwd, encoding: "utf8", timeout: 900_000 })
  return { ...result, output: `${result.stdout}${result.stderr}${result.error?.message ?? ""}`.trim() }
}

try {
  fs.rmSync(out, { recursive: true, force: true })
  fs.mkdirSync(out, { recursive: true })
  for (const example of examples) fs.writeFileSync(example.file, example.text)
  fs.writeFileSync(
    path.join(out, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.base.json",
      include: ["*.ts"],
      references: [
        { path: "../../packages/core/tsconfig.src.json" },
        { path: "../../packages/testing/tsconfig.src.json" }
      ],
      compilerOptions: {
        composite: false,
        incremental: false,
        declaration: false,
        declarationMap: false,
        noEmit: true,
        noUnusedLocals: false,
        types: ["node"]
      }
    })
  )
  if (examples.length > 0) {
    const checked = node([require.resolve("typescript/bin/tsc"), "--build", "--pretty", "false", out], out)
    if (checked.status !== 0) {
      // maps the copy back to the line of the doc comment
      problems.push(
        checked.output.replace(/^(?:.*[\\/])?([^\\/\n(]+\.ts)\((\d+),(\d+)\)/gm, (all, name, line, column) => {
          const example = examples.find((candidate) => path.basename(candidate.file) === name)
          return example === undefined ? all : `${example.source}:${example.line + Number(line)}:${column}`
        })
      )
    } else {
      for (const example of examples.filter(({ run }) => run)) {
        const result = node(["--import", "tsx", example.file], path.join(root, "examples"))
        if (result.status !== 0) {
          problems.push(`${example.source}:${example.line}: the example fails\n${result.output}`)
        }
      }
    }
  }
} finally {
  if (!keep) fs.rmSync(out, { recursive: true, force: true })
}
finish(
  problems,
  `${examples.length} examples in doc comments type-check, ${examples.filter(({ run }) => run).length} of them ran`
)
