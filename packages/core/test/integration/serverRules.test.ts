import { expect } from "@effect/vitest"
import { OpenCode, Permission } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fs from "node:fs"
import * as path from "node:path"
import { fill as fillWork, respond as tryAll } from "./permissions.js"
import { allowed, changes, fill, profiles, projects, respond } from "./projects.js"
import * as support from "./support.js"
import { Sandbox, warm } from "./warm.js"

type Profile = keyof typeof profiles

/** All of them with `RULES=all`; each project in its own directory costs a second and more. */
const wanted: ReadonlyArray<readonly [project: string, ReadonlyArray<Profile>]> = process.env["RULES"] === "all"
  ? Object.keys(projects).map((name) => [name, ["readOnly", "denyAll", "make"]])
  : [
    ["a default agent of its own", ["readOnly", "make"]],
    ["rules for build under both keys", ["make"]],
    ["build and plan disabled", ["denyAll"]],
    ["build under the name of another agent", ["make"]],
    ["an agent that the program names, in a file", ["make"]],
    ["an agent that the program names, of the older kind, with comments", ["readOnly"]],
    ["an agent that the program names, in a file with an odd header", ["make"]],
    ["an agent that the program names, of the next major", ["make"]],
    ["sub-agents of its own", ["make"]]
  ]

/** A directory of its own beside `data`. */
const directoryOf = (name: string) =>
  Effect.map(Sandbox, ({ root }) => {
    const directory = path.join(root, name.replaceAll(/\W+/g, "-"))
    fs.mkdirSync(directory, { recursive: true })
    return directory
  })

const overServer = warm({ defaults: { title: "Scripted" } })

overServer("over a server", (it) => {
  for (const [name, all] of wanted) {
    it.effect(`rules hold in any project: ${name}`, () =>
      Effect.gen(function*() {
        yield* support.respond(respond)
        const project = projects[name]!
        const cwd = yield* directoryOf(name)
        for (const profile of all) {
          fill(cwd, project)
          const result = yield* Effect.either(
            OpenCode.run("go", { cwd, permission: profiles[profile], ...project.options })
          )
          const happened = changes(cwd, project)
          const outcome = { profile, forbidden: happened.filter((file) => !allowed.test(file)) }
          expect(outcome).toEqual({ profile, forbidden: [] })
          // Refused by a typed error, or the run came to its end.
          if (project.refused !== undefined) expect(Either.getOrThrow(Either.flip(result))._tag).toBe(project.refused)
          if (Either.isRight(result)) expect(happened.includes("main-echo.txt")).toBe(profile === "make")
          for (const file of happened) fs.rmSync(path.join(cwd, file))
        }
      }))
  }

  it.effect("readOnly holds, and reads, in a project whose opencode.json says otherwise", () =>
    Effect.gen(function*() {
      const cwd = yield* directoryOf("readOnly")
      fillWork(cwd)
      fs.writeFileSync(
        path.join(cwd, "opencode.json"),
        JSON.stringify({ permission: { read: "ask", edit: "allow", bash: "allow", webfetch: "allow", task: "allow" } })
      )
      yield* support.respond(tryAll)
      const result = yield* support.run("go", { cwd, permission: Permission.readOnly })
      expect(fs.readdirSync(cwd).sort()).toEqual([".env", "a.txt", "opencode.json"])
      expect(support.tools(result.events).at(-1)).toMatchObject({ tool: "read", status: "completed" })
    }))

  it.effect("denyAll offers no tool at all", () =>
    Effect.gen(function*() {
      const cwd = yield* directoryOf("denyAll")
      yield* support.respond(support.steps([support.Reply.text("done")]))
      yield* support.run("go", { cwd, permission: Permission.denyAll })
      expect((yield* support.asked).at(-1)?.tools).toEqual([])
    }))

  it.effect("allowAll asks for nothing, outside of the working directory too", () =>
    Effect.gen(function*() {
      const { data } = yield* Sandbox
      const cwd = yield* directoryOf("allowAll")
      yield* support.respond(support.steps([support.bash("echo x > ../data/outside.txt"), support.Reply.text("done")]))
      const result = yield* support.run("go", { cwd, permission: Permission.allowAll })
      expect(fs.readFileSync(path.join(data, "outside.txt"), "utf8")).toBe("x\n")
      expect(support.tags(result.events)).not.toContain("PermissionAsked")
      expect(support.tags(result.events)).not.toContain("PermissionRejected")
      expect((yield* support.asked).at(-1)?.tools).not.toContain("question")
    }))

  it.effect("make opens what it names and nothing else", () =>
    Effect.gen(function*() {
      const cwd = yield* directoryOf("make")
      yield* support.respond(
        support.steps([support.bash("echo x > one.txt"), support.bash("touch two.txt"), support.Reply.text("done")])
      )
      const result = yield* support.run("go", { cwd, permission: Permission.make({ bash: { "echo*": "allow" } }) })
      expect(fs.existsSync(path.join(cwd, "one.txt"))).toBe(true)
      expect(fs.existsSync(path.join(cwd, "two.txt"))).toBe(false)
      expect(support.tools(result.events).map((use) => use.status)).toEqual(["completed", "error"])
    }))
})
