import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode, Transcript } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import * as support from "./support.js"

const { Reply } = support

const require = createRequire(import.meta.url)

/** The real binary, but its runs lose everything they print after the second line, as several versions do. */
const losing = (box: support.Sandbox): string => {
  const real = require.resolve("opencode-ai/bin/opencode.exe")
  const file = path.join(box.root, "opencode")
  fs.writeFileSync(file, `#!/bin/sh\nif [ "$1" = run ]; then "${real}" "$@" | sed 2q; else exec "${real}" "$@"; fi\n`)
  fs.chmodSync(file, 0o755)
  return file
}

describe("recover: \"export\"", () => {
  const options = {
    respond: support.steps([support.bash("echo hello"), Reply.text("the end")]),
    client: (box: support.Sandbox) => ({ binary: losing(box) })
  }

  support.real("without it fails a run that lost its end as OpenCodeIncompleteError", () =>
    Effect.gen(function*() {
      const error = yield* support.failing("OpenCodeIncompleteError")(support.run("go"))
      expect(error.partial.eventCount).toBe(2)
      expect(error.exitCode).toBe(0)
    }), options)

  support.real("completes a run and a stream that lost their end, each event once", () =>
    Effect.gen(function*() {
      const result = yield* support.run("go", { recover: "export" })
      expect(result.recovered).toBe(true)
      expect(result.text).toBe("the end")
      expect(result.steps).toBe(2)
      const expected = ["StepStart", "ToolUse", "StepFinish", "StepStart", "Text", "StepFinish"]
      expect(support.tags(result.events)).toEqual(expected)
      const events = yield* Stream.runCollect(OpenCode.stream("go", { recover: "export" }))
      expect(support.tags([...events])).toEqual(expected)
    }), options)
})

describe("a killed program", () => {
  it.scopedLive("can be continued from its transcript", () =>
    Effect.flatMap(support.sandbox, (box) =>
      Effect.gen(function*() {
        const provider = yield* ModelProvider.ModelProvider
        const transcript = path.join(box.root, "run.jsonl")
        const isWritten = () =>
          fs.existsSync(transcript) && fs.readFileSync(transcript, "utf8").includes("\"tool_use\"")
        const started = Effect.andThen(support.appearance(box.work, "started"), support.until(isWritten))
        const program = bundle(fileURLToPath(new URL("./programs/killed.ts", import.meta.url)))
        const config = { configOverrides: provider.configOverrides, model: provider.model, title: "Scripted" }
        const child = spawn(process.execPath, [program], {
          env: { ...process.env, RUN_CWD: box.work, RUN_DATA: box.data, RUN_OPTIONS: JSON.stringify(config) },
          stdio: "ignore"
        })
        const exited = yield* Deferred.make<void>()
        child.once("exit", () => Deferred.unsafeDone(exited, Effect.void))
        yield* Effect.raceFirst(
          started,
          Effect.andThen(Deferred.await(exited), Effect.dieMessage("the program ended before its agent worked"))
        )
        child.kill("SIGKILL")
        yield* Deferred.await(exited)

        const recorded = yield* Transcript.read(transcript)
        expect(recorded).toMatchObject({ cwd: box.work, directory: box.data, attempts: 1, outcome: undefined })
        expect(recorded.sessionId).toMatch(/^ses_/)
        expect(support.tags(recorded.events)).toContain("ToolUse")

        yield* support.respond(() => Reply.text("picked up"))
        const result = yield* Effect.scoped(
          Effect.flatMap(OpenCode.resume(recorded), (session) => session.run("Go on"))
        )
        expect(result.sessionId).toBe(recorded.sessionId)
        expect(result.text).toBe("picked up")
        const last = (yield* support.asked).at(-1)!
        expect(last.messages.filter(({ role }) => role === "user").map(({ text }) => text.trim())).toEqual([
          "the task",
          "Go on"
        ])
        expect(support.left(box).survivors).toEqual([])
      }).pipe(
        Effect.provide(support.services(box, {
          respond: support.steps([
            support.bash("echo first"),
            support.bash("touch started; sleep 300"),
            Reply.text("not reached")
          ])
        })),
        Effect.provide(NodeContext.layer)
      )))
})
