/**
 * Runs every program of examples/server unchanged: `runMain` hands the program over instead of starting it, the
 * terminal is scripted, and the servers are real ones with a scripted provider.
 */
import { Terminal } from "@effect/platform"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Scope } from "effect"
import { ModelProvider } from "effect-opencode-testing"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { vi } from "vitest"
import { handedOver, keeping } from "./support/program.js"

const { Reply, steps } = ModelProvider

const binary = createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe")

interface Harness {
  main: Effect.Effect<unknown, unknown> | undefined
  /** The lines that a person types. */
  lines: Array<string>
  displayed: Array<string>
  terminal: Layer.Layer<Terminal.Terminal> | undefined
}

const harness: Harness = vi.hoisted(() => ({ main: undefined, lines: [], displayed: [], terminal: undefined }))

harness.terminal = Layer.succeed(Terminal.Terminal, {
  columns: Effect.succeed(80),
  rows: Effect.succeed(24),
  isTTY: Effect.succeed(true),
  readInput: Effect.dieMessage("no example reads keys"),
  readLine: Effect.suspend(() => {
    const line = harness.lines.shift()
    return line === undefined ? Effect.fail(new Terminal.QuitException()) : Effect.succeed(line)
  }),
  display: (text) => Effect.sync(() => void harness.displayed.push(text))
})

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
  const { Layer } = await import("effect")
  return replaced(original, harness, (node) => Layer.merge(node, Layer.suspend(() => harness.terminal!)))
})

const before = { environment: { ...process.env }, cwd: process.cwd() }
const scope = Effect.runSync(Scope.make())
let root: string
let provider: ModelProvider.Service

/** The user's own configuration names the provider, as it does for users. */
beforeAll(async () => {
  const { NodeHttpServer } = await import("@effect/platform-node")
  root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-example-")))
  for (const name of ["home", "work", "tmp"]) fs.mkdirSync(path.join(root, name))
  provider = await Effect.runPromise(
    ModelProvider.layer({ respond: () => Reply.never }).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
      Layer.buildWithScope(scope),
      Effect.map((context) => context.unsafeMap.get(ModelProvider.ModelProvider.key) as ModelProvider.Service)
    )
  )
  const config = path.join(root, "opencode.json")
  fs.writeFileSync(config, JSON.stringify(provider.configOverrides))
  for (const name of Object.keys(process.env)) {
    if (/^(XDG_|OPENCODE|EFFECT_OPENCODE)/.test(name)) delete process.env[name]
  }
  Object.assign(process.env, {
    HOME: path.join(root, "home"),
    TMPDIR: path.join(root, "tmp"),
    OPENCODE_BINARY: binary,
    OPENCODE_CONFIG: config
  })
  process.chdir(path.join(root, "work"))
})

afterAll(async () => {
  process.chdir(before.cwd)
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, before.environment)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

/** Imports a program, which does not start it yet, and then runs it. */
const run = (
  load: () => Promise<unknown>,
  respond: ModelProvider.Respond,
  environment: { readonly [name: string]: string } = {}
) =>
  Effect.gen(function*() {
    Object.assign(harness, { main: undefined, displayed: [] })
    yield* provider.respond(respond)
    const earlier = (yield* provider.requests).length
    yield* Effect.promise(load)
    const printed: Array<string> = []
    yield* handedOver(harness).pipe(
      Effect.withConsole(keeping(printed)),
      Effect.withConfigProvider(ConfigProvider.orElse(
        ConfigProvider.fromMap(new Map(Object.entries(environment))),
        () => ConfigProvider.fromEnv()
      ))
    )
    expect(fs.readdirSync(process.env["TMPDIR"]!)).toEqual([])
    return { printed, displayed: harness.displayed, requests: (yield* provider.requests).slice(earlier) }
  })

const bash = (command: string) => Reply.toolCalls([{ name: "bash", arguments: { command, description: "Scripted" } }])

describe("the programs of docs/server.md", () => {
  it.live("quick start", () =>
    Effect.gen(function*() {
      const { printed } = yield* run(
        () => import("../server/quick-start.js"),
        ({ prompt }) => Reply.text(`It is ${/Explain (.*) in/.exec(prompt)?.[1]}.`)
      )
      expect(printed).toEqual([
        "It is the lexer. ($0.0001)",
        "It is the parser. ($0.0001)",
        "It is the printer. ($0.0001)",
        "It is the tests. ($0.0001)"
      ])
    }))

  it.live("permission: a person decides what the program leaves open", () =>
    Effect.gen(function*() {
      fs.writeFileSync("notes.txt", "mine")
      harness.lines = ["Keep my notes.", "y"]
      const { displayed, printed, requests } = yield* run(
        () => import("../server/permission.js"),
        steps([bash("npm test"), bash("rm notes.txt"), bash("touch done.txt"), Reply.text("They pass.")])
      )
      expect(printed).toEqual(["They pass."])
      expect(displayed.map((text) => text.split("\n")[0])).toEqual(["bash: rm notes.txt", "bash: touch done.txt"])
      expect(fs.readdirSync(".").sort()).toEqual(["done.txt", "notes.txt"])
      expect(requests[2]?.messages.at(-1)?.text).toContain("Keep my notes.")
    }))

  it.live("attach: prints the answer piece by piece and leaves the server running", () =>
    Effect.gen(function*() {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(binary, ["serve", "--hostname", "127.0.0.1", "--port", "0"], {
            env: { ...process.env, TMPDIR: process.env["HOME"], OPENCODE_SERVER_PASSWORD: "secret" },
            stdio: ["ignore", "pipe", "ignore"]
          })
        ),
        (child) =>
          Effect.async<void>((resume) => {
            child.once("exit", () => resume(Effect.void))
            child.kill("SIGKILL")
          })
      )
      const url = yield* Effect.async<string>((resume) => {
        createInterface({ input: child.stdout }).on("line", (line) => {
          const found = /listening on (\S+)/.exec(line)?.[1]
          if (found !== undefined) resume(Effect.succeed(found))
        })
      })
      const deltas = ["It ", "explains ", "itself."]
      const { displayed } = yield* run(() => import("../server/attach.js"), () => Reply.text("", { deltas }), {
        OPENCODE_URL: url,
        OPENCODE_SERVER_PASSWORD: "secret"
      })
      expect(displayed).toEqual(deltas)
      expect(child.exitCode).toBe(null)
    }).pipe(Effect.scoped))

  it.live("kinds: two environments use two servers", () =>
    Effect.gen(function*() {
      const { printed } = yield* run(
        () => import("../server/kinds.js"),
        (request) => {
          if (request.prompt.startsWith("Review")) return Reply.text("Reviewed.")
          const result = request.messages.at(-1)
          return result?.role === "tool" ? Reply.text(result.text.trim()) : bash("echo \"$OPENCODE_PID:$DEPLOYMENT\"")
        }
      )
      const [review, tests, deployment] = printed.map((line) => line.split(":"))
      expect(review).toEqual(["Reviewed."])
      expect([tests?.[1], deployment?.[1]]).toEqual(["", "staging"])
      const servers = new Set([tests?.[0], deployment?.[0]].map(Number).filter((pid) => pid > 1))
      expect(servers.size).toBe(2)
    }))
})

describe("the programs of docs/first-programs.md over a server", () => {
  it.live("approval: a rule allows one command and refuses the other", () =>
    Effect.gen(function*() {
      fs.mkdirSync("build")
      const { printed } = yield* run(() => import("../first/approval.js"), () => Reply.never)
      expect(printed).toEqual(["bash echo hello: allowed", "bash rm -rf build: refused", "I said hello."])
      expect(fs.existsSync("build")).toBe(true)
    }))

  it.live("parallel: the budget of the fleet stops further runs", () =>
    Effect.gen(function*() {
      const { printed } = yield* run(() => import("../first/parallel.js"), () => Reply.never)
      const refused = Number(/^(\d+) × OpenCodeBudgetError/.exec(printed.at(-1)!)?.[1])
      expect(refused).toBeGreaterThan(0)
      expect(printed.slice(0, -1)).toHaveLength(20 - refused)
      expect(printed[0]).toMatch(/^Review part \d+: done\.$/)
    }))
})
