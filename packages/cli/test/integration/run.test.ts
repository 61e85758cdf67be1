import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Ended, Sandbox } from "./sandbox.js"
import { binary, left, nothing, processes, program, provider, sandbox, until, version } from "./sandbox.js"

const { Reply } = ModelProvider

/** The options that point a run at the scripted provider and make it start quickly. */
const asking = (box: Sandbox) =>
  Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) => {
    const file = path.join(box.root, "provider.json")
    fs.writeFileSync(file, JSON.stringify(configOverrides))
    return [
      "-m",
      model,
      "--config-overrides",
      `@${file}`,
      "--title",
      "a test",
      "--pure",
      "--opencode-version",
      version
    ]
  })

/** `effect-opencode` as a process, with something on its standard input. */
const start = (box: Sandbox, args: ReadonlyArray<string>, stdin = "") =>
  Effect.gen(function*() {
    const ended = yield* Deferred.make<Ended>()
    const child = spawn(process.execPath, [program, ...args], {
      cwd: box.work,
      env: { ...box.environment, OPENCODE_BINARY: binary },
      stdio: ["pipe", "pipe", "pipe"]
    })
    child.stdin.end(stdin)
    const output = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text
      })
    }
    child.once("close", (code, signal) => Deferred.unsafeDone(ended, Effect.succeed({ code, signal, ...output })))
    return { child, output, ended: Deferred.await(ended) }
  })

const run = (box: Sandbox, args: ReadonlyArray<string>, stdin?: string) =>
  Effect.flatMap(start(box, args, stdin), ({ ended }) => ended)

const linesOf = (text: string) => text.trimEnd().split("\n")

/** A tool's duration is shown if it was long, which depends on the machine. */
const withoutTime = (line: string | undefined) => line?.replace(/ \((?:\d+ min \d+ s|\d+\.\d s)\)$/, "")

describe("effect-opencode with the real OpenCode", () => {
  it.scopedLive("runs, records and replays", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      fs.writeFileSync(path.join(box.work, "notes.txt"), "remember the milk\n")
      const options = yield* asking(box)
      const transcript = path.join(box.root, "run.jsonl")

      const people = yield* run(box, ["run", "-", ...options, "--transcript", transcript], "What do the notes say?")
      expect(people).toMatchObject({ code: 0, stdout: "The notes say: remember the milk.\n" })
      expect(linesOf(people.stderr).map(withoutTime)).toEqual([
        "● read notes.txt",
        expect.stringMatching(/^✔ success · 2 steps · [\d,]+ tokens.* · \$\d+\.\d{4} · (\d+ min )?[\d.]+ s$/)
      ])
      const { requests } = yield* ModelProvider.ModelProvider
      expect((yield* requests).map(({ prompt }) => prompt)).toEqual(Array(2).fill("What do the notes say?"))

      const again = yield* run(box, ["replay", transcript, "--speed", "instant"])
      expect(again).toMatchObject({ code: 0, stdout: people.stdout })
      expect(withoutTime(linesOf(again.stderr)[0])).toBe("● read notes.txt")
      expect(linesOf(again.stderr)[1]).toMatch(/^✔ success · 2 steps · /)

      const programs = yield* run(box, ["run", "What do the notes say?", "--json", ...options])
      expect(programs).toMatchObject({ code: 0, stderr: "" })
      const lines = linesOf(programs.stdout).map((line) => JSON.parse(line))
      expect(lines.map(({ type }) => type)).toEqual([
        "step_start",
        "tool_use",
        "step_finish",
        "step_start",
        "text",
        "step_finish",
        "effect-opencode/result"
      ])
      expect(lines.at(-1)).toMatchObject({ outcome: "success", text: "The notes say: remember the milk.", steps: 2 })
      expect(left(box)).toEqual(nothing)
    }).pipe(
      Effect.provide(provider(ModelProvider.steps([
        Reply.toolCalls([{ name: "read", arguments: { filePath: "notes.txt" } }]),
        Reply.text("The notes say: remember the milk.")
      ]))),
      Effect.provide(NodeContext.layer)
    ))

  it.scopedLive("fails in one line and by its exit code", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const refused = yield* run(box, ["run", "x", ...(yield* asking(box))])
      expect(refused).toMatchObject({ code: 5, stdout: "" })
      const errors = linesOf(refused.stderr).filter((line) => line.startsWith("error: "))
      expect(errors).toEqual([
        expect.stringMatching(/\(authentication, HTTP 401[^)]*\).*Check the provider's credentials/)
      ])
      expect(refused.stderr).not.toContain("scripted-key")

      // None of these needs OpenCode.
      expect(yield* run(box, ["run", "x", "--timeout", "5"])).toMatchObject({ code: 2, stdout: "" })
      expect(yield* run(box, ["run", "x", "--binary", "/nowhere/opencode"])).toMatchObject({
        code: 3,
        stderr: expect.stringMatching(/^error: \/nowhere\/opencode was not found; .*\nhint: .*\n$/)
      })
      expect(left(box)).toEqual(nothing)
    }).pipe(
      Effect.provide(provider(() => Reply.unauthorized())),
      Effect.provide(NodeContext.layer)
    ))

  /** The model has OpenCode run the prompt as a command, as leader of a session of its own, for as long as it takes. */
  const busy = provider((request) =>
    ModelProvider.steps([
      Reply.toolCalls([{
        name: "bash",
        arguments: { command: request.prompt, description: "takes long", timeout: 3_600_000 }
      }]),
      Reply.text("Enough.")
    ])(request)
  )

  const isSleeping = (box: Sandbox) => () => processes(box).some(({ command }) => command.startsWith("sleep 600"))

  it.scopedLive("ends everything on Ctrl-C, even when a package manager forwards it", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const running = yield* start(box, ["run", "sleep 600", "--permission", "allow-all", ...(yield* asking(box))])
      yield* until(running, isSleeping(box))
      running.child.kill("SIGINT")
      running.child.kill("SIGINT")
      const ended = yield* running.ended
      expect(ended).toMatchObject({ code: 130, signal: null, stdout: "" })
      expect(linesOf(ended.stderr)).toEqual([expect.stringMatching(/^✘ interrupted · /)])
      expect(left(box)).toEqual(nothing)
    }).pipe(Effect.provide(busy), Effect.provide(NodeContext.layer)))

  it.scopedLive("ends everything on SIGTERM and on a closed pipe", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      const options = ["--permission", "allow-all", ...(yield* asking(box))]
      const told = yield* start(box, ["run", "sleep 600", ...options])
      yield* until(told, isSleeping(box))
      told.child.kill("SIGTERM")
      expect(yield* told.ended).toMatchObject({
        code: 143,
        stderr: expect.stringContaining("error: Ended by SIGTERM.")
      })
      expect(left(box)).toEqual(nothing)

      const unread = yield* start(box, ["run", "until [ -e go ]; do sleep 0.1; done", "--json", ...options])
      // The first event has been read; nobody reads the second.
      yield* until(unread, () => unread.output.stdout.includes("\n"))
      unread.child.stdout.destroy()
      fs.writeFileSync(path.join(box.work, "go"), "")
      expect(yield* unread.ended).toMatchObject({ code: 141, stderr: "" })
      expect(left(box)).toEqual(nothing)
    }).pipe(Effect.provide(busy), Effect.provide(NodeContext.layer)))

  it.scopedLive("passes its own doctor", () =>
    Effect.gen(function*() {
      const box = yield* sandbox
      // It looks for models, so it gets the list that OpenCode brings.
      fs.rmSync(path.join(box.root, "home", ".cache", "opencode", "models.json"))
      const doctor = yield* run(box, ["doctor", "--json"])
      const { findings, ok } = JSON.parse(doctor.stdout)
      const of = (name: string) => findings.filter(({ check }: { check: string }) => check === name)
      expect(of("binary")).toMatchObject([{ status: "ok", message: `OpenCode ${version} at ${binary}` }])
      expect(of("models")).toMatchObject([{ status: "ok" }])
      expect(of("smoke")).toMatchObject([{ status: "ok", message: expect.stringContaining("a scripted model took") }])
      // Leftovers of others on this machine do not count.
      expect(doctor.code).toBe(ok ? 0 : 1)
      expect(doctor.stderr).toBe("")
      expect(left(box)).toEqual(nothing)
    }))
})
