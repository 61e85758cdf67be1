import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import { Contract, HostEnvironment, Version } from "effect-opencode"
import { Conformance, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"

const version = Version.make(1, 18, 33)

const factsOf = (...scenarios: ReadonlyArray<string>) =>
  Contract.facts(version).filter(({ scenario }) => scenarios.includes(scenario))

const options = (more: Partial<Conformance.Options>): Conformance.Options => ({
  binary: process.execPath,
  version,
  httpServer: Layer.orDie(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  ...more
})

/** With processes that are scripts. */
const scripted = (script: Mock.Script) => Layer.provideMerge(Mock.layer(() => script), NodeContext.layer)

const commands = Effect.flatMap(Mock.MockCommandExecutor, ({ commands }) => commands)

describe("conformance", () => {
  it("has the scenarios of all facts, and no other", () => {
    for (const  of of[version, Version.make(2, 0, 14)]) {
      const used = new Set(Contract.facts(of).map(({ scenario }) => scenario))
      expect([...used].sort()).toEqual([...Conformance.scenarioNames(of)].sort())
    }
  })

  it.scopedLive("starts OpenCode in directories of its own, with nothing of the machine's environment", () =>
    Effect.gen(function*() {
      yield* Conformance.record(options({ facts: factsOf("command line", "text", "asked") })).pipe(
        Effect.provideService(
          HostEnvironment.HostEnvironment,
          HostEnvironment.fromVariables({
            PATH: "/bin",
            ANTHROPIC_API_KEY: "canary",
            OPENCODE_CONFIG: "/canary",
            HTTP_PROXY: "http://canary"
          })
        )
      )
      const started = yield* commands
      expect(started.length).toBe(7)
      for (const { cwd, env, extendEnv } of started) {
        expect(extendEnv).toBe(false)
        expect(JSON.stringify(env)).not.toContain("canary")
        const root = path.dirname(env["HOME"] ?? "/")
        expect(path.basename(root)).toMatch(/^effect-opencode-conformance-/)
        for (const name of ["TMPDIR", "BUN_TMPDIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "PWD"]) {
          expect({ name, isInside: env[name]?.startsWith(root) }).toEqual({ name, isInside: true })
        }
        expect(cwd?.startsWith(root)).toBe(true)
        expect(env["OPENCODE_CONFIG_CONTENT"]).toMatch(/"baseURL":"http:\/\/127\.0\.0\.1:\d+\/v1"/)
        expect(fs.existsSync(root)).toBe(false)
      }
      expect(new Set(started.map(({ env }) => env["HOME"])).size).toBe(3)
    }).pipe(Effect.provide(scripted(Mock.script(Mock.exit(0))))))

  it.scopedLive("sends a prompt in two pieces, whole", () =>
    Effect.gen(function*() {
      const recorded = yield* Conformance.record(options({ facts: factsOf("text") }))
      const [run] = yield* commands
      expect(recorded["text"]).toMatchObject({ observed: { prompt: run?.stdin } })
    }).pipe(Effect.provide(scripted(Mock.script(Mock.awaitStdin, Mock.exit(0))))))

  it.scopedLive("ends a process that does not end, and says so", () =>
    Effect.gen(function*() {
      const facts = factsOf("content filter")
      const [judgement] = yield* Conformance.run(options({ facts, patience: "200 millis" }))
      expect(judgement).toMatchObject({ status: "differs", seen: { ending: "no end" } })
      expect((yield* commands).map(({ state }) => state._tag)).not.toContain("Running")
    }).pipe(Effect.provide(scripted(Mock.script(Mock.never)))))

  it.scopedLive("says what could not be tried, and tries the rest", () =>
    Effect.gen(function*() {
      const progress: Array<string> = []
      const judgements = yield* Conformance.run(options({
        binary: "/nowhere/opencode",
        facts: factsOf("content filter", "interrupt"),
        onProgress: ({ ended, scenario, state, total }) =>
          Effect.sync(() => progress.push(`${scenario} ${state} ${ended} of ${total}`))
      }))
      expect(judgements.map(({ fact, status }) => `${fact.id} ${status}`)).toEqual([
        "filter.error untried",
        "signal.int untried"
      ])
      expect(judgements[0]?.reason).toMatch(/^the scenario failed: /)
      expect(progress.filter((line) => line.includes("ended"))).toEqual([
        expect.stringContaining("ended 1 of 2"),
        expect.stringContaining("ended 2 of 2")
      ])
    }).pipe(Effect.provide(NodeContext.layer)))
})
