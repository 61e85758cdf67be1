/**
 * Fails when the lint lets an import through that breaks the storeys of core, or refuses one that keeps them; also for
 * the forms that only one module may use. The files exist by name alone.
 */
import { ESLint } from "eslint"
import { finish, root } from "./lib/repository.mjs"

const src = "packages/core/src"
const rules = new Set(["@typescript-eslint/no-restricted-imports", "no-restricted-syntax"])

/** What each folder may import; see docs/architecture.md. */
const below = {
  util: [],
  opencode: ["util"],
  process: ["util"],
  launch: ["util", "opencode", "process"],
  run: ["util", "opencode", "process", "launch"],
  transport: ["util", "opencode", "process", "launch", "run"]
}
const folders = Object.keys(below)

const value = (from) => `import * as found from "${from}"\n\nexport const used = found\n`
const type = (from) => `import type * as found from "${from}"\n\nexport type Used = typeof found\n`

/** File, its text, and whether the lint is to accept it. */
const cases = [
  ...folders.flatMap((folder) =>
    folders.filter((other) => other !== folder).flatMap((other) => {
      const isAllowed = below[folder].includes(other)
      return [value, type].map((text) => [`internal/${folder}/virtual.ts`, text(`../${other}/found.js`), isAllowed])
    })
  ),
  ["internal/transport/server/virtual.ts", value("../../run/found.js"), true],
  ["internal/process/deep/virtual.ts", value("../../opencode/found.js"), false],
  // A major version is chosen by the list of dialects, not by name.
  ...["launch", "run", "transport"].flatMap((folder) =>
    [value, type].map((text) => [`internal/${folder}/virtual.ts`, text("../opencode/v1/invocation.js"), false])
  ),
  ["internal/transport/server/virtual.ts", value("../../opencode/v1/decode.js"), false],
  ["internal/run/virtual.ts", value("../opencode/v2/dialect.js"), false],
  ["internal/opencode/virtual.ts", value("./v1/dialect.js"), false],
  ["internal/opencode/v2/virtual.ts", value("../v1/dialect.js"), false],
  ["RunEvent.ts", value("./internal/opencode/v1/dialect.js"), false],
  ["OpenCode.ts", value("./internal/opencode/v1/dialect.js"), false],
  ["internal/opencode/dialects.ts", value("./v1/dialect.js"), true],
  ["internal/opencode/dialects.ts", value("../run/plan.js"), false],
  ["internal/opencode/contracts.ts", value("./v1/contract/contract.js"), true],
  ["internal/opencode/contracts.ts", value("../run/plan.js"), false],
  ["internal/opencode/contract.ts", value("./v1/contract/contract.js"), false],
  ["Contract.ts", value("./internal/launch/binary.js"), false],
  ["internal/run/virtual.ts", value("../opencode/dialects.js"), true],
  // Data modules.
  ...["process", "launch", "run", "transport"].map((
    folder
  ) => ["RunResult.ts", value(`./internal/${folder}/found.js`), false]),
  ["RunResult.ts", value("./internal/opencode/summary.js"), true],
  ["RunResult.ts", value("./Transcript.js"), false],
  ["RunResult.ts", type("./Transcript.js"), true],
  ["Transcript.ts", value("./internal/run/found.js"), true],
  // Values of public modules; their types are for everybody.
  ["internal/util/virtual.ts", value("../../RunEvent.js"), false],
  ["internal/util/virtual.ts", type("../../RunEvent.js"), true],
  ["internal/opencode/virtual.ts", value("../../Transcript.js"), false],
  ["internal/opencode/virtual.ts", value("../../RunEvent.js"), true],
  ["internal/run/virtual.ts", value("../../OpenCode.js"), false],
  ["internal/run/virtual.ts", type("../../OpenCode.js"), true],
  ["internal/run/virtual.ts", value("effect-opencode/OpenCode"), false],
  // Forms, in core and in the other packages.
  ...[
    ["export const side = either.left\n"],
    ["export const side = of(either).right\n"],
    ["export const { right } = either\n"],
    ["export const field = Schema.optionalWith(schema, { nullable: true })\n", "internal/util/schemas.ts"],
    [value("effect/FiberId"), "internal/util/runtime.ts"],
    [type("effect/FiberRef"), "internal/util/runtime.ts"],
    ["export let alarm: Fiber.RuntimeFiber<void>\n", "internal/util/runtime.ts"],
    ["export const field = schema.pipe(Schema.fromKey(\"task_id\"))\n", "internal/util/schemas.ts"]
  ].flatMap(([text, place]) => [
    ["Session.ts", text, false],
    ["internal/run/virtual.ts", text, false],
    ["../../cli/src/virtual.ts", text, false],
    ["../../testing/src/virtual.ts", text, false],
    ...(place === undefined ? [] : [[place, text, true]])
  ]),
  ["internal/run/virtual.ts", "export const made = Either.right(1)\n", true]
]

const eslint = new ESLint({ cwd: root })
const problems = []
for (const [file, text, isAllowed] of cases) {
  const [result] = await eslint.lintText(text, { filePath: `${src}/${file}` })
  const found = (result?.messages ?? []).filter((message) => rules.has(message.ruleId) || message.fatal === true)
  if ((found.length === 0) !== isAllowed) {
    problems.push(`${src}/${file}: ${isAllowed ? "refused" : "accepted"}: ${text.split("\n")[0]}`)
  }
}
finish(problems, `${cases.length} imports and forms judged as documented`)
