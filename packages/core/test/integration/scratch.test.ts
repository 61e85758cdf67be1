import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as opencode2 from "../support/opencode2.js"
import { asked, real, Reply, run, steps, tools } from "./support.js"

const put = (dir: string, name: string, text: string) => {
  const f = path.join(dir, name)
  fs.mkdirSync(path.dirname(f), { recursive: true })
  fs.writeFileSync(f, text)
}
const plugin = (tag: string) => `
import * as fs from "node:fs"
fs.appendFileSync(process.env.PROBE, "top ${tag}\\n")
export default { id: "mine.${tag}", setup: async () => { fs.appendFileSync(process.env.PROBE, "setup ${tag}\\n") } }
`
describe("scratch", () => {
  for (const pure of [false, true]) {
    real(`plugins ${pure}`, (box) =>
      Effect.gen(function*() {
        put(box.work, ".opencode/plugin/a.js", plugin("a"))
        put(box.work, ".opencode/plugins/b/package.json", JSON.stringify({ name: "b", type: "module", exports: { "./server": "./index.js" }, main: "./index.js" }))
        put(box.work, ".opencode/plugins/b/index.js", plugin("b"))
        put(box.work, "c/package.json", JSON.stringify({ name: "c", type: "module", exports: { "./server": "./index.js" }, main: "./index.js" }))
        put(box.work, "c/index.js", plugin("c"))
        put(box.work, "opencode.json", JSON.stringify({ plugins: ["./c"] }))
        put(box.home, ".config/opencode/plugin/g.js", plugin("g"))
        const probe = path.join(box.root, "probe")
        const result = yield* Effect.either(run("Go", { extraEnv: { PROBE: probe }, ...(pure ? { configOverrides: { plugins: ["-*", "opencode.*"] } as never } : {}) }))
        console.log(pure, result._tag, fs.existsSync(probe) ? fs.readFileSync(probe, "utf8") : "none")
        const req = (yield* asked)[0]
        console.log(JSON.stringify(req?.tools), JSON.stringify(req).length)
        if (!pure) console.log(JSON.stringify((req as any).body?.tools, null, 0)?.slice(0, 9000))
      }), { client: { binary: opencode2.binary, version: opencode2.version } })
  }
})
void [Reply, steps, tools]
