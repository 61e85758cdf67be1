import { describe, expect } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fs from "node:fs"
import * as path from "node:path"
import * as opencode2 from "../support/opencode2.js"
import { allowed, changes, fill, profiles, type Project, projects, projects2, respond } from "./projects.js"
import * as support from "./support.js"

type Cell = readonly [project: string, profile: keyof typeof profiles]

/** All of them with `RULES=all`, which starts OpenCode once for each. */
const cells = (all: { readonly [name: string]: Project }, some: ReadonlyArray<Cell>): ReadonlyArray<Cell> =>
  process.env["RULES"] === "all"
    ? Object.keys(all).flatMap((name) =>
      (["readOnly", "denyAll", "make"] as const).map((profile) => [name, profile] as const)
    )
    : some

const holds = (
  all: { readonly [name: string]: Project },
  some: ReadonlyArray<Cell>,
  client: OpenCode.Options
): void => {
  for (const [name, profile] of cells(all, some)) {
    support.real(`${name}: ${profile}`, (box) =>
      Effect.gen(function*() {
        const project = all[name]!
        fill(box.work, project)
        fs.writeFileSync(path.join(box.data, "secret.txt"), secret)
        const result = yield* Effect.either(
          support.run("go", { permission: profiles[profile], ...project.options })
        )
        const happened = changes(box.work, project)
        expect(happened.filter((file) => !allowed.test(file))).toEqual([])
        expect(fs.readdirSync(box.data)).toEqual(["secret.txt"])
        expect(JSON.stringify((yield* support.asked).map(({ body }) => body))).not.toContain(secret)
        const refused = client.binary === undefined ? project.refused : project.refused2 ?? project.refused
        if (refused === undefined) {
          expect(Either.match(result, { onLeft: ({ message }) => message, onRight: () => "" })).toBe("")
          expect(happened.includes(path.basename("main-echo.txt"))).toBe(profile === "make")
        } else {
          expect(Either.getOrThrow(Either.flip(result))._tag).toBe(refused)
          expect(happened).toEqual([])
        }
      }), { respond, client })
  }
}

const secret = "a secret that lies outside"

describe("rules hold in any project, in processes", () => {
  holds(projects, [
    ["a default agent of its own", "readOnly"],
    ["a default agent of its own", "denyAll"],
    ["a default agent in a file", "make"],
    ["rules for build under both keys", "make"],
    ["build and plan disabled", "readOnly"],
    ["plan disabled, that the program names", "readOnly"],
    ["sub-agents of its own", "make"]
  ], {})
})

describe.skipIf(opencode2.binary === undefined)(`rules hold in any project, in OpenCode 2${opencode2.why}`, () => {
  holds({ ...projects, ...projects2 }, [
    ["sub-agents of 2.x in files", "make"]
  ], { binary: opencode2.binary, version: opencode2.version })
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
