import { describe, expect } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as path from "node:path"
import { allowed, changes, fill, profiles, projects, respond } from "./projects.js"
import * as support from "./support.js"

/** All of them with `RULES=all`: a start of OpenCode each. */
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
    ["build under the name of another agent", "make"],
    ["an agent that the program names, in a file", "make"],
    ["an agent that the program names, of the older kind, with comments", "readOnly"],
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
          expect(Either.isRight(result) ? "" : result.left.message).toBe("")
          expect(happened.includes(path.basename("main-echo.txt"))).toBe(profile === "make")
        } else {
          expect(Either.isLeft(result) && result.left._tag).toBe(project.refused)
          expect(happened).toEqual([])
        }
      }), { respond })
  }
})
