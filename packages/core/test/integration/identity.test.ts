/** A run's id, the moment before its prompt, its own data directory, and a session that moves. */
import { describe, expect, it } from "@effect/vitest"
import { OpenCode, type RunOptions } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import { read } from "../support/processFiles.js"
import * as support from "./support.js"

const { Reply } = support

const soak = process.env["EFFECT_OPENCODE_SOAK"] === "1"

const program = bundle(fileURLToPath(new URL("./programs/named.ts", import.meta.url)))

const start = (plan: object): ChildProcess =>
  spawn(process.execPath, [program], { env: { ...process.env, PLAN: JSON.stringify(plan) }, stdio: "ignore" })

const exited = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
    else child.once("exit", () => resume(Effect.void))
  })

/** The user's messages in a request to the model. */
const said = (request: ModelProvider.ProviderRequest | undefined): ReadonlyArray<string> =>
  (request?.messages ?? []).filter(({ role }) => role === "user").map(({ text }) => text.trim())

const echo: ModelProvider.Respond = (request) => Reply.text(`answer to ${request.prompt.trim()}`)

describe("onStart", () => {
  for (const promptVia of ["stdin", "argv"] as const) {
    support.real(`is awaited before OpenCode has its prompt (${promptVia})`, (box) =>
      Effect.gen(function*() {
        const told = yield* Deferred.make<RunOptions.Started>()
        const goOn = yield* Deferred.make<void>()
        const run = yield* Effect.fork(OpenCode.run("one", {
          runId: "named",
          promptVia,
          onStart: (started) => Effect.andThen(Deferred.succeed(told, started), Deferred.await(goOn))
        }))
        const started = yield* Deferred.await(told)
        const leader = support.leader(box)
        expect(started).toMatchObject({ runId: "named", attempt: 1, cwd: box.work, process: { pid: leader.pid } })
        expect(leader.environment).toContain("EFFECT_OPENCODE_RUN=:named\0")
        const ticks = (pid: number) => read(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[19]
        expect(started.process!.started).toBe(ticks(leader.pid))
        expect(started.program).toMatchObject({ pid: process.pid, started: ticks(process.pid) })
        expect(leader.environment).toContain(`XDG_DATA_HOME=${started.directory}`)
        // As long as OpenCode takes until it asks the model.
        yield* Effect.sleep("6 seconds")
        expect(yield* support.asked).toEqual([])
        yield* Deferred.succeed(goOn, undefined)
        const result = yield* Fiber.join(run)
        expect(result).toMatchObject({ runId: "named", answer: "answer to one" })
      }), { respond: echo })
  }

  support.real("holds the prompt of a program that is killed: nobody acts on it", (box) =>
    Effect.gen(function*() {
      const { configOverrides, model } = yield* ModelProvider.ModelProvider
      for (const promptVia of ["stdin", "argv"]) {
        const ready = path.join(box.work, promptVia)
        const child = start({
          hold: true,
          prompt: "one",
          ready,
          client: { leash: false },
          options: { configOverrides, model, title: "Scripted", cwd: box.work, promptVia }
        })
        yield* support.until(() => fs.existsSync(ready))
        child.kill("SIGKILL")
        yield* exited(child)
        // Nobody ends them.
        yield* support.until(() => support.processes(box).length === 0)
        expect(yield* support.asked).toEqual([])
      }
      // A killed program without a watchdog leaves its directories.
      for (const name of fs.readdirSync(box.tmp)) fs.rmSync(path.join(box.tmp, name), { recursive: true })
    }))
})

describe("a run id", () => {
  it.scopedLive("that two programs use at the same moment belongs to one of them", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = path.join(box.root, "agent")
      const [log, end] = [path.join(box.work, "log"), path.join(box.work, "end")]
      const part = (type: string, fields: string) =>
        `{"type":"${type.replace("-", "_")}","sessionID":"ses_1","part":{"type":"${type}",${fields}}}`
      const events = [
        part("step-start", `"messageID":"m"`),
        part("text", `"text":"done"`),
        part(
          "step-finish",
          `"reason":"stop","cost":0,"tokens":{"input":1,"output":1,"reasoning":0,"cache":{"read":0,"write":0}}`
        )
      ]
      fs.writeFileSync(
        binary,
        `#!/bin/sh
prompt=$(cat)
[ -n "$prompt" ] || exit 1
echo "$prompt" >> "${log}"
until [ -e "${end}" ]; do sleep 0.05; done
cat <<'END'
${events.join("\n")}
END
`,
        { mode: 0o755 }
      )
      for (let round = 0; round < (soak ? 50 : 4); round++) {
        for (const file of [log, end]) fs.rmSync(file, { force: true })
        const go = path.join(box.work, `go-${round}`)
        const files = [0, 1].map((index) => ({
          ready: path.join(box.work, `ready-${round}-${index}`),
          outcome: path.join(box.work, `outcome-${round}-${index}`)
        }))
        const children = files.map((names, index) =>
          start({
            ...names,
            go,
            prompt: `prompt ${index}`,
            client: { binary },
            options: { runId: "same", cwd: box.work }
          })
        )
        yield* support.until(() => files.every(({ ready }) => fs.existsSync(ready)))
        fs.writeFileSync(go, "")
        const lines = () => read(log).split("\n").length - 1
        const outcomes = () => files.map(({ outcome }) => read(outcome)).filter((text) => text !== "")
        yield* support.until(() => lines() > 1 || (lines() === 1 && outcomes().length > 0) || outcomes().length > 1)
        fs.writeFileSync(end, "")
        yield* Effect.forEach(children, exited)
        expect(outcomes().sort()).toEqual(["runId", "success same"])
        expect(lines()).toBe(1)
      }
      expect(support.left(box)).toEqual(support.nothing)
    }), 600_000)
})

describe("a session", () => {
  support.real(
    "moves to another data directory and another working directory with everything that was said",
    (box) =>
      Effect.gen(function*() {
        const [here, there] = ["here", "there"].map((name) => ({ directory: path.join(box.root, name) }))
        const elsewhere = path.join(box.root, "elsewhere")
        fs.mkdirSync(elsewhere)
        yield* OpenCode.run("one", { isolation: here!, runId: "first" })
        const conversation = yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session({ isolation: here!, continueSession: true })
          yield* session.run("two")
          return yield* session.export()
        }))

        const location = yield* OpenCode.importSession(conversation, { isolation: there!, cwd: elsewhere })
        expect(location).toEqual({ sessionId: conversation.info.id, cwd: elsewhere, ...there })
        // It can be there already.
        expect(yield* OpenCode.importSession(conversation, { isolation: there!, cwd: elsewhere })).toEqual(location)
        const moved = yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.resume(location)
          const result = yield* session.run("three")
          expect(result.sessionId).toBe(conversation.info.id)
          return yield* session.export()
        }))
        expect(said((yield* support.asked).at(-1))).toEqual(["one", "two", "three"])
        expect(moved.info.directory).toBe(elsewhere)
        expect(moved.messages.slice(0, 4).map(({ info }) => info.id)).toEqual(
          conversation.messages.map(({ info }) => info.id)
        )
        expect(moved.messages).toHaveLength(6)

        // The first one has not heard of it.
        yield* OpenCode.run("four", { isolation: here!, sessionId: conversation.info.id })
        expect(said((yield* support.asked).at(-1))).toEqual(["one", "two", "four"])
      }),
    { respond: echo }
  )
})
