/** What happens to contents and sessions of a run, in memory. */
import { describe, expect, it } from "@effect/vitest"
import { OpenCode, RunResult } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import type { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as secretSearch from "../src/internal/opencode/secretSearch.js"
import * as T from "./support/mock.js"

describe("contents of a run", () => {
  it.effect("are private files while it lasts, one for each attempt", () => {
    const seen: Array<{ readonly name: string; readonly text: string; readonly mode: number }> = []
    const look = (command: Mock.RecordedCommand) => {
      const content = JSON.parse(command.env["OPENCODE_CONFIG_CONTENT"]!) as { readonly instructions: Array<string> }
      const files = [
        ...command.args.filter((word) => word.startsWith("--file=")).map((word) => word.slice("--file=".length)),
        ...content.instructions
      ]
      for (const file of files) {
        seen.push({
          name: path.basename(file),
          text: fs.readFileSync(file, "utf8"),
          mode: fs.statSync(file).mode & 0o777
        })
      }
      return T.answering("done")
    }
    return Effect.gen(function*() {
      const data = new TextEncoder().encode("the content")
      yield* OpenCode.run("Read them", {
        system: "Be brief.",
        files: [{ mediaType: "text/plain", data, name: "a.txt" }, { mediaType: "text/plain", data, name: "a.txt" }]
      })
      expect(seen).toEqual([
        { name: "a.txt", text: "the content", mode: 0o600 },
        { name: "a.txt", text: "the content", mode: 0o600 },
        { name: "instructions.md", text: "Be brief.", mode: 0o600 }
      ])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(look)))
  })

  it("are not searched for secrets byte by byte", () => {
    const data = Object.assign(new Uint8Array(8), { apiKey: "sk-inside-5d21" })
    expect(secretSearch.secretsOf({ config: { files: [{ data, apiKey: "sk-secret-5d21" }] } })).toEqual([
      "sk-secret-5d21"
    ])
  })
})

describe("onSession", () => {
  it.effect("is called once with the first event that names the session, before the events after it", () => {
    const seen: Array<string> = []
    const options: RunOptions.RunOptions = {
      onSession: ({ attempt, parentId, sessionId }) =>
        Effect.sync(() => void seen.push(`session ${sessionId} ${parentId} ${attempt}`)),
      onEvent: (event) => Effect.sync(() => void seen.push(event._tag))
    }
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go", options)
      expect(seen[0]).toBe(`session ${result.sessionId} undefined 1`)
      expect(seen.filter((line) => line.startsWith("session"))).toHaveLength(1)
      expect(RunResult.withoutEvents(result).model).toBeUndefined()
    }).pipe(Effect.provide(T.layer([T.answering("done")])))
  })
})
