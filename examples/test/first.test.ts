/**
 * Runs the programs of docs/first-programs.md unchanged: `runMain` hands the program over instead of starting it, and the
 * processes that it starts are scripted. Those over a server are in server.test.ts, the test of an orchestrator is
 * testing-first.test.ts.
 */
import { afterEach, describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer } from "effect"
import { Events, MockCommandExecutor } from "effect-opencode-testing"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"
import { handedOver, keeping } from "./support/program.js"

const { awaitStdin, exit, lines, script, stderr, stdout } = MockCommandExecutor

interface Harness {
  main: Effect.Effect<unknown, unknown> | undefined
  /** Scripts for the runs in the order of their start. */
  scripts: ReadonlyArray<MockCommandExecutor.Script>
  commands: Array<MockCommandExecutor.RecordedCommand>
}

const harness: Harness = vi.hoisted(() => ({ main: undefined, scripts: [], commands: [] }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
  const executor = MockCommandExecutor.layer((command) => {
    if (command.args.includes("--version")) return script(stdout("1.18.33\n"))
    if (command.args[0] !== "run") return script()
    harness.commands.push(command)
    return harness.scripts[harness.commands.length - 1] ?? script(stderr("there is no script for this run"), exit(1))
  })
  return replaced(original, harness, (node) => Layer.merge(node, executor))
})

/** Imports a program, which does not start it yet, and then runs it. */
const run = (
  load: () => Promise<unknown>,
  scripts: ReadonlyArray<MockCommandExecutor.Script>,
  environment: { readonly [name: string]: string } = {}
) =>
  Effect.gen(function*() {
    Object.assign(harness, { main: undefined, scripts, commands: [] })
    yield* Effect.promise(load)
    const printed: Array<string> = []
    const exit = yield* Effect.exit(handedOver(harness)).pipe(
      Effect.withConsole(keeping(printed)),
      Effect.withConfigProvider(ConfigProvider.orElse(
        ConfigProvider.fromMap(new Map(Object.entries(environment))),
        () => ConfigProvider.fromEnv()
      ))
    )
    return { exit, printed, commands: harness.commands }
  })

const turn = (...turns: ReadonlyArray<Parameters<typeof Events.turn>[0]>) =>
  script(awaitStdin, ...turns.map((parts) => lines(Events.turn(parts))), exit(0))

const read = Events.tool({ tool: "read", title: "package.json" })

const scriptedModel = expect.objectContaining({ args: expect.arrayContaining(["--model=fake/m1"]) })

describe("first programs", () => {
  afterEach(() => {
    vi.resetModules()
  })

  it.live("a run", () =>
    Effect.gen(function*() {
      const { commands, exit, printed } = yield* run(() => import("../first/run.js"), [turn(read, "A project.")])
      expect(exit).toEqual(Exit.void)
      expect(printed).toEqual(["A project.", expect.stringMatching(/^2 steps, \d+ tokens, \$/)])
      expect(commands).toEqual([scriptedModel])
    }))

  it.live("a stream", () =>
    Effect.gen(function*() {
      const { exit, printed } = yield* run(() => import("../first/stream.js"), [turn(read, "A project.")])
      expect(exit).toEqual(Exit.void)
      expect(printed).toEqual([
        "[read] package.json",
        expect.stringMatching(/^\[step\]/),
        "A project.",
        expect.stringMatching(/^\[step\]/)
      ])
    }))

  it.live("a structured answer that is repaired", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(() => import("../first/structured.js"), [
        turn("```json\n{ \"stars\": 7, \"reason\": \"clear\" }\n```"),
        turn("```json\n{ \"stars\": 5, \"reason\": \"clear\" }\n```")
      ])
      expect(printed).toEqual(["5 stars: clear", "2 steps, with the correction"])
      expect(commands.map(({ args }) => args.some((arg) => arg.startsWith("--session=")))).toEqual([false, true])
    }))

  it.live("a conversation", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(() => import("../first/conversation.js"), [
        turn("Parsimonious."),
        turn("Pars.")
      ])
      expect(printed).toEqual(["Parsimonious. Pars.", expect.stringMatching(/^both turns: \d+ tokens, \$/)])
      expect(commands[1]?.args.some((arg) => arg.startsWith("--session="))).toBe(true)
    }))

  it.live("an agent as a model", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(() => import("../first/model.js"), [
        turn("Parsimonious."),
        turn("Pars.")
      ])
      expect(printed).toEqual([expect.stringMatching(/^Parsimonious\. Pars\. \(\d+ tokens\)$/)])
      expect(commands[1]?.args.some((arg) => arg.startsWith("--session="))).toBe(true)
    }))

  it.live("configuration from the environment", () =>
    Effect.gen(function*() {
      const load = () => import("../first/configuration.js")
      const { commands, printed } = yield* run(load, [turn("Hello.")], { ACME_API_KEY: "key" })
      expect(printed).toEqual(["Hello."])
      expect(commands[0]?.extendEnv).toBe(false)
      expect(commands[0]?.env["ACME_API_KEY"]).toBe("key")

      vi.resetModules()
      const missing = yield* run(load, [turn("Hello.")])
      expect(String(missing.exit)).toContain("ACME_API_KEY")
      expect(missing.commands).toEqual([])
    }))

  it.live("OpenTelemetry", () =>
    Effect.gen(function*() {
      const bodies: Array<string> = []
      const collector = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((request, response) => {
            let body = ""
            request.on("data", (bytes) => body += bytes)
            request.on("end", () => {
              bodies.push(body)
              response.end("{}")
            })
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { printed } = yield* run(() => import("../first/telemetry.js"), [turn("Hello.")], {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
      })
      expect(printed).toEqual(["Hello."])
      for (const name of ["greeting", "OpenCode.run", "OpenCode.attempt"]) {
        expect(bodies.join("\n")).toContain(`"name":"${name}"`)
      }
    }).pipe(Effect.scoped))
})
