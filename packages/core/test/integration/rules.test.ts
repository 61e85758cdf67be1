import { describe, expect } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fs from "node:fs"
import * as path from "node:path"
import { allowed, changes, fill, profiles, projects, respond } from "./projects.js"
import * as support from "./support.js"

/** All of them with `RULES=all`, which starts OpenCode once for each. */
const cells = process.env["RULES"] === "all"
  ? Object.keys(projects).flatMap((name) =>
    (["readOnly", "denyAll", "make"] as const).map((profile) => [name, profile] as const)
  )
  : ([
    ["a default agent of its own", "readOnly"],
    ["a default agent of its own", "denyAll"],
    ["a default agent in a file", "make"],
    ["rules for build under both keys", "make"],
    ["build and plan disabled", "readOnly"],
    ["plan disabled, that the program names", "readOnly"],
    ["sub-agents of its own", "make"]
  ] as const)

describe("rules hold in any project, in processes", () => {
  for (const [name, profile] of cells) {
    support.real(`${name}: ${profile}`, (box) =>
      Effect.gen(function*() {
        const project = projects[name]!
        fill(box.work, project)
        const result = yield* Effect.either(
          support.run("go", { permission: profiles[profile], ...project.options })
        )
        const happened = changes(box.work, project)
        expect(happened.filter((file) => !allowed.test(file))).toEqual([])
        if (project.refused === undefined) {
          expect(Either.match(result, { onLeft: ({ message }) => message, onRight: () => "" })).toBe("")
          expect(happened.includes(path.basename("main-echo.txt"))).toBe(profile === "make")
        } else {
          expect(Either.getOrThrow(Either.flip(result))._tag).toBe(project.refused)
          expect(happened).toEqual([])
        }
      }), { respond })
  }
})

describe("values are not options", () => {
  support.real(
    "to a real OpenCode, which stores and reads them unchanged",
    (box) =>
      Effect.gen(function*() {
        for (const name of ["--auto", "'q'"]) fs.writeFileSync(path.join(box.work, name), `content of ${name}`)
        for (const title of ["--auto", "\"--auto\""]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const session = yield* OpenCode.session({ title, files: ["--auto", "'q'"], promptVia: "argv" })
            // The command writes outside, which `--auto` would have approved.
            yield* support.failing("OpenCodePermissionError")(session.run("--auto"))
            expect(fs.existsSync(path.join(box.data, "outside"))).toBe(false)
            expect((yield* session.export()).info).toMatchObject({ title })
            const texts = (yield* support.asked)[0]!.messages.map(({ text }) => text).join("\n")
            expect(texts).toContain("content of --auto")
            expect(texts).toContain("content of 'q'")
          }))
        }
        const unknown = yield* support.failing("OpenCodeConfigError")(support.run("x", { agent: "--auto" }))
        expect(unknown.message).toContain("\"--auto\"")
      }),
    { respond: support.steps([support.bash("touch ../data/outside"), support.Reply.text("done")]) }
  )
})
