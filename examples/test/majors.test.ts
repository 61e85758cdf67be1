/**
 * Runs the programs of docs/first-programs.md and the first program of the README, unchanged and in processes of their
 * own, with the real binaries of both majors. `PROGRAMS=all` (`pnpm test:majors`): each program starts OpenCode.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ModelProvider } from "effect-opencode-testing"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, beforeAll } from "vitest"

const { resolve } = createRequire(import.meta.url)

const named = process.env["OPENCODE2_BINARY"]

const start = (file: string, binary: string, cwd: string) =>
  Effect.promise(() =>
    new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((done) => {
      execFile(
        process.execPath,
        ["--import", pathToFileURL(resolve("tsx")).href, fileURLToPath(new URL(`../${file}`, import.meta.url))],
        { cwd, env: { ...process.env, OPENCODE_BINARY: binary, ACME_API_KEY: "key" } },
        (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr })
      )
    })
  )

const printed: { readonly [file: string]: RegExp } = {
  "first/run.ts": /^A project with a package\.json\.\n2 steps, /m,
  "first/stream.ts": /^\[read\][^]*^A project with a package\.json\.$/m,
  "first/structured.ts": /^5 stars: clear$/m,
  "first/conversation.ts": /^Parsimonious\. Pars\.\nboth turns: 240 tokens/m,
  "first/parallel.ts": /^5 × OpenCodeBudgetError/m,
  "first/approval.ts": /^bash echo hello: allowed\nbash rm -rf build: refused\nI said hello\.$/m,
  "first/configuration.ts": /^Hello\.$/m
}

/** The build of 2.x for the tests alone, where it could be installed. */
const build = fileURLToPath(new URL("../../test-binaries/opencode2", import.meta.url))
const hasBuild = fs.existsSync(path.join(path.dirname(build), "node_modules", "shuvcode-linux-x64-baseline"))

const binaries = {
  "OpenCode 1": resolve("opencode-ai/bin/opencode.exe"),
  "OpenCode 2": named ?? (hasBuild ? build : undefined)
}

describe.skipIf(process.env["PROGRAMS"] !== "all")("programs of the documentation", () => {
  for (const [name, binary] of Object.entries(binaries)) {
    describe.skipIf(binary === undefined)(`with ${name}`, () => {
      let cwd = ""
      beforeAll(() => {
        cwd = fs.mkdtempSync(path.join(os.tmpdir(), "eo-programs-"))
      })
      afterAll(() => {
        fs.rmSync(cwd, { recursive: true, force: true })
      })

      it.live.each(Object.entries(printed))("%s", ([file, output]) =>
        Effect.gen(function*() {
          const { code, stderr, stdout } = yield* start(file, binary!, cwd)
          expect([code, stderr]).toEqual([0, ""])
          expect(stdout).toMatch(output)
        }))

      it.live("readme/quick-start.ts, with the model of OpenCode's configuration", () =>
        Effect.gen(function*() {
          const { configOverrides, model } = yield* ModelProvider.ModelProvider
          fs.writeFileSync(path.join(cwd, "opencode.json"), JSON.stringify({ ...configOverrides, model }))
          const { code, stderr, stdout } = yield* start("readme/quick-start.ts", binary!, cwd)
          expect([code, stderr]).toEqual([0, ""])
          expect(stdout).toMatch(/^A small one\.\n1 steps, 120 tokens, \$0\.0001$/m)
        }).pipe(
          Effect.provide(ModelProvider.layer({ respond: () => ModelProvider.Reply.text("A small one.") })),
          Effect.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
        ))
    })
  }
})
