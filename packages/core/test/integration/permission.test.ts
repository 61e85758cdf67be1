import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { Permission } from "effect-opencode"
import * as fs from "node:fs"
import * as path from "node:path"
import * as support from "./support.js"

const { Reply } = support

/** Every tool of 1.18.33 that could change a file, and two that must work. */
const calls = [
  { name: "write", arguments: { filePath: "written.txt", content: "x" } },
  { name: "edit", arguments: { filePath: "a.txt", oldString: "alpha", newString: "beta" } },
  { name: "bash", arguments: { command: "echo x > by-bash.txt", description: "write" } },
  {
    name: "apply_patch",
    arguments: { patchText: "*** Begin Patch\n*** Add File: patched.txt\n+x\n*** End Patch" }
  },
  { name: "task", arguments: { description: "write", prompt: "write a file", subagent_type: "general" } },
  { name: "webfetch", arguments: { url: "http://127.0.0.1:9/", format: "text" } },
  { name: "read", arguments: { filePath: "/etc/hostname" } },
  { name: "read", arguments: { filePath: ".env" } },
  { name: "read", arguments: { filePath: "a.txt" } }
]

const respond = support.steps([...calls.map((call) => Reply.toolCalls([call])), Reply.text("done")])

const fill = (box: support.Sandbox) => {
  fs.writeFileSync(path.join(box.work, "a.txt"), "alpha\n")
  fs.writeFileSync(path.join(box.work, ".env"), "SECRET=1\n")
}

const writing = ["write", "edit", "bash", "apply_patch", "patch", "task", "webfetch", "websearch", "skill", "question"]

const offered = Effect.map(support.asked, (requests) => new Set(requests.flatMap(({ tools }) => tools)))

describe("permission profiles", () => {
  support.real("readOnly allows reading and no writing tool", (box) =>
    Effect.gen(function*() {
      fill(box)
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
    "readOnly overrides a project's opencode.json",
    (box) =>
      Effect.gen(function*() {
        fill(box)
        fs.writeFileSync(
          path.join(box.work, "opencode.json"),
          JSON.stringify({
            permission: { read: "ask", edit: "allow", bash: "allow", webfetch: "allow", task: "allow" }
          })
        )
        const result = yield* support.run("go", { permission: Permission.readOnly })
        expect(fs.readdirSync(box.work).sort()).toEqual([".env", "a.txt", "opencode.json"])
        expect(support.tools(result.events).at(-1)).toMatchObject({ tool: "read", status: "completed" })
      }),
    { respond }
  )

  support.real(
    "a denial next to an allowed rest overrides a project's opencode.json that names it first",
    (box) =>
      Effect.gen(function*() {
        fill(box)
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
        fill(box)
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

  support.real("denyAll offers no tool at all", () =>
    Effect.gen(function*() {
      yield* support.run("go", { permission: Permission.denyAll })
      expect([...(yield* offered)]).toEqual([])
    }))

  support.real("allowAll asks nothing, even outside the working directory", (box) =>
    Effect.gen(function*() {
      const result = yield* support.run("go", { permission: Permission.allowAll })
      expect(fs.readFileSync(path.join(box.data, "outside.txt"), "utf8")).toBe("x\n")
      expect(support.tags(result.events)).not.toContain("PermissionRejected")
      expect(yield* offered).not.toContain("question")
    }), { respond: support.steps([support.bash("echo x > ../data/outside.txt"), Reply.text("done")]) })

  support.real("make allows what it names and nothing else", (box) =>
    Effect.gen(function*() {
      const result = yield* support.run("go", { permission: Permission.make({ bash: { "echo*": "allow" } }) })
      expect(fs.existsSync(path.join(box.work, "one.txt"))).toBe(true)
      expect(fs.existsSync(path.join(box.work, "two.txt"))).toBe(false)
      expect(support.tools(result.events).map((use) => use.status)).toEqual(["completed", "error"])
    }), {
    respond: support.steps([support.bash("echo x > one.txt"), support.bash("touch two.txt"), Reply.text("done")])
  })
})
