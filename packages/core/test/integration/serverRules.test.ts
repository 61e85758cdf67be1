import { NodeContext, NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import { allowed, changes, fill, profiles, projects, respond } from "./projects.js"
import * as support from "./support.js"

type Profile = keyof typeof profiles

/** All of them with `RULES=all`; each project in its own directory costs a second and more. */
const wanted: ReadonlyArray<readonly [project: string, ReadonlyArray<Profile>]> = process.env["RULES"] === "all"
  ? Object.keys(projects).map((name) => [name, ["readOnly", "denyAll", "make"]])
  : [
    ["a default agent of its own", ["readOnly", "make"]],
    ["rules for build under both keys", ["make"]],
    ["build and plan disabled", ["denyAll"]],
    ["an agent that the program names, in a file with an odd header", ["make"]],
    ["an agent that the program names, of the next major", ["make"]],
    ["sub-agents of its own", ["make"]]
  ]

/** For a run that hangs: a busy machine takes a minute for each. */
const patience = 3_600_000

const layer = (box: support.Sandbox) => {
  const provider = ModelProvider.layer({ respond }).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )
  return Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ runConfig }) =>
    OpenCodeServer.layer({
      startTimeout: "10 minutes",
      forceKillAfter: "15 seconds",
      defaults: { ...runConfig, cwd: box.work, title: "Scripted" }
    }))).pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]), Layer.provideMerge(provider))
}

describe("rules hold in any project, over a server,", () => {
  it.scopedLive(
    "with any agents in its configuration",
    () =>
      Effect.flatMap(support.sandbox, (box) =>
        Effect.gen(function*() {
          for (const [name, all] of wanted) {
            const project = projects[name]!
            const cwd = path.join(box.work, name.replaceAll(/\W+/g, "-"))
            for (const profile of all) {
              fill(cwd, project)
              const result = yield* Effect.either(
                OpenCode.run("go", { cwd, permission: profiles[profile], ...project.options })
              )
              const happened = changes(cwd, project)
              const outcome = { name, profile, forbidden: happened.filter((file) => !allowed.test(file)) }
              expect(outcome).toEqual({ name, profile, forbidden: [] })
              // Refused with a typed error, or the run reached its end.
              if (project.refused !== undefined) expect(Either.isLeft(result) && result.left._tag).toBe(project.refused)
              if (Either.isRight(result)) expect(happened.includes("main-echo.txt")).toBe(profile === "make")
              for (const file of happened) fs.rmSync(path.join(cwd, file))
            }
          }
        }).pipe(Effect.provide(layer(box)))),
    patience
  )
})
