import { describe, expect } from "@effect/vitest"
import { Permission } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { calls, fill, offered, respond, writing } from "./permissions.js"
import * as support from "./support.js"

const { Reply } = support

describe("permission profiles", () => {
  support.real("readOnly allows reading and no writing tool", (box) =>
    Effect.gen(function*() {
      fill(box.work)
      const result = yield* support.run("go", { permission: Permission.readOnly })
      expect(fs.readdirSync(box.work).sort()).toEqual([".env", "a.txt"])
      expect(fs.readFileSync(path.join(box.work, "a.txt"), "utf8")).toBe("alpha\n")
      const uses = support.tools(result.events)
      expect(uses.map((use) => use.status)).toEqual([...calls.slice(0, -1).map(() => "error"), "completed"])
      expect(uses.at(-1)?.output).toContain("alpha")
      const tools = yield* offered
      expect(writing.filter((name) => tools.has(name))).toEqual([])
      // Refused by a rule without a question: the run continues to its end.
      expect(result.finishReason).toBe("stop")
      expect(support.tags(result.events)).not.toContain("PermissionRejected")
    }), { respond })

  support.real(
    "a denial beside an allowed rest holds where a project's opencode.json names it first",
    (box) =>
      Effect.gen(function*() {
        fill(box.work)
        fs.writeFileSync(path.join(box.work, "opencode.json"), JSON.stringify({ permission: { bash: "allow" } }))
        yield* support.run("go", { permission: { "*": "allow", bash: "deny" } })
        expect(fs.existsSync(path.join(box.work, "by-bash.txt"))).toBe(false)
      }),
    { respond: support.steps([support.bash("echo x > by-bash.txt"), Reply.text("done")]) }
  )

  support.real(
    "readOnly overrides the environment and the project's rules for the agent",
    (box) =>
      Effect.gen(function*() {
        fill(box.work)
        const open = { edit: "allow", bash: "allow" }
        fs.writeFileSync(
          path.join(box.work, "opencode.json"),
          JSON.stringify({ agent: { build: { permission: open } } })
        )
        process.env["OPENCODE_PERMISSION"] = JSON.stringify(open)
        yield* support.run("go", { permission: Permission.readOnly })
        expect(fs.readdirSync(box.work).sort()).toEqual([".env", "a.txt", "opencode.json"])
        expect(fs.readFileSync(path.join(box.work, "a.txt"), "utf8")).toBe("alpha\n")
        const tools = yield* offered
        expect(writing.filter((name) => tools.has(name))).toEqual([])
      }),
    { respond }
  )
})
