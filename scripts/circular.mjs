/**
 * Fails if modules of a package form an import cycle, type imports included. The allowed pairs of the house style are
 * named here: a public module whose functions live in an internal one, which needs the types of the public one.
 */
import madge from "madge"
import * as path from "node:path"
import { files, finish, packages, relative, root } from "./lib/repository.mjs"

const pairs = [
  ["AgentRun", "internal/client"],
  ["AgentRun", "internal/runnerLayer"],
  ["HostTools", "internal/hostTools/binding"],
  ["HostTools", "internal/hostTools/content"],
  ["HostTools", "internal/hostTools/host"],
  ["Isolation", "internal/launch/directories"],
  ["MockCommandExecutor", "internal/mockProcess/content"],
  ["MockCommandExecutor", "internal/mockProcess/errors"],
  ["MockCommandExecutor", "internal/mockProcess/executor"],
  ["MockCommandExecutor", "internal/mockProcess/process"],
  ["ModelProvider", "internal/modelProvider/config"],
  ["ModelProvider", "internal/modelProvider/request"],
  ["ModelProvider", "internal/modelProvider/response"],
  ["ModelProvider", "internal/modelProvider/server"],
  ["OpenCode", "internal/launch/launcher"],
  ["OpenCode", "internal/run/service"],
  ["OpenCodeTest", "internal/openCodeTest/calls"],
  ["OpenCodeTest", "internal/openCodeTest/entry"],
  ["OpenCodeTest", "internal/openCodeTest/failures"],
  ["OpenCodeTest", "internal/openCodeTest/service"],
  ["RunConfig", "internal/opencode/configContent"],
  ["RunEvent", "internal/opencode/decode"],
  ["RunEvent", "internal/opencode/providerErrors"],
  ["RunLedger", "internal/ledgerMemory"],
  ["RunLedger", "internal/ledgerSql"],
  ["RunOptions", "internal/opencode/check"],
  ["RunResult", "internal/opencode/fileChanges"],
  ["Workspace", "internal/workspaces"]
]

const circlesOf = async (src, skipTypeImports) => {
  const result = await madge(files(src, ".ts"), {
    baseDir: src,
    fileExtensions: ["ts"],
    tsConfig: path.join(root, "tsconfig.base.json"),
    detectiveOptions: { ts: { skipTypeImports } }
  })
  return {
    modules: Object.keys(result.obj()).length,
    circles: result.circular().map((circle) => circle.map((file) => file.replace(/\.ts$/, ""))),
    // An import that could not be resolved could hide a cycle.
    skipped: result.warnings().skipped.filter((name) => name.startsWith("."))
  }
}

/** Whether a cycle is allowed: all its members are in one pair, or in pairs of one public module. */
const isNamed = (circle) => {
  const [front, ...others] = circle.filter((member) => !member.startsWith("internal/"))
  return front !== undefined && others.length === 0 &&
    circle.every((member) =>
      member === front || pairs.some(([module, inside]) => module === front && inside === member)
    )
}

const problems = []
let modules = 0
for (const { dir } of packages()) {
  const src = path.join(dir, "src")
  const problem = (kind, circle) => problems.push(`${relative(dir)}: ${kind}: ${[...circle, circle[0]].join(" → ")}`)
  const values = await circlesOf(src, true)
  const types = await circlesOf(src, false)
  modules += values.modules
  for (const circle of values.circles) problem("imports in a circle", circle)
  for (const circle of types.circles) if (!isNamed(circle)) problem("types in a circle", circle)
  for (const name of values.skipped) problems.push(`${relative(dir)}: cannot follow the import of ${name}`)
}
if (modules === 0) problems.push("no modules found")
finish(problems, `${modules} modules, no circular imports`)
