/**
 * A program that dies while it hands over its prompts. `npm run test:soak` makes 1,000 starts by a scripted OpenCode and
 * 36 by the real one.
 */
import { describe, expect, it } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import * as support from "./support.js"

const program = bundle(fileURLToPath(new URL("./programs/prompts.ts", import.meta.url)))

const soak = process.env["EFFECT_OPENCODE_SOAK"] === "1"

/** From a size that a pipe takes at once to one that no buffer holds. */
const sizes = [1000, 4096, 4097, 20_000, 64_000, 300_000, 1_000_000, 5_000_000]

interface Plan {
  readonly binary?: string
  readonly options: object
  readonly runs: ReadonlyArray<{ readonly bytes: number; readonly command?: string }>
}

/** Kills a program some milliseconds after a sign of its runs, and waits until the processes it started have ended. */
const killed = (box: support.Sandbox, plan: Plan, shows: () => boolean, after: number) =>
  Effect.gen(function*() {
    const ready = path.join(box.work, "ready")
    fs.rmSync(ready, { force: true })
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, PLAN: JSON.stringify({ ...plan, cwd: box.work, ready }) },
      stdio: "ignore"
    })
    const exited = new Promise((resolve) => child.once("exit", resolve))
    yield* support.until(() => (fs.existsSync(ready) && shows()) || child.exitCode !== null)
    expect(child.exitCode).toBe(null)
    yield* Effect.sleep(after)
    child.kill("SIGKILL")
    yield* Effect.promise(() => exited)
    yield* support.until(() => support.processes(box).length === 0)
  })

describe("a program that is killed while it sends its prompts", () => {
  const programs = soak ? 50 : 2
  it.scopedLive(
    "starts OpenCode with a whole prompt or with none",
    () =>
      Effect.gen(function*() {
        const box = yield* support.sandbox
        const log = path.join(box.work, "log")
        const binary = path.join(box.root, "counting")
        fs.writeFileSync(log, "")
        // It starts up before it reads, as OpenCode does: until then only the buffer of the pipe takes data.
        fs.writeFileSync(
          binary,
          `#!/bin/sh
: > "$LOG.$$"
sleep 0.2
bytes=$(wc -c)
case "$*" in *deploy*) command=deploy ;; esac
echo "$EXPECTED $bytes $command" >> "$LOG"
`,
          { mode: 0o755 }
        )
        const started = () => fs.readdirSync(box.work).filter((name) => name.startsWith("log.")).length
        const runs = Array.from({ length: 20 }, (_, index) => ({
          bytes: sizes[index % sizes.length]!,
          ...(index % 5 === 0 ? { command: "deploy" } : {})
        }))
        for (let round = 0; round < programs; round++) {
          const before = started()
          yield* killed(
            box,
            { binary, options: { extraEnv: { LOG: log } }, runs },
            // With half of them started, the pipes of the others are full.
            () => started() >= before + (round % 2 === 0 ? 10 : 1),
            (250 * round) / programs
          )
        }
        const seen = fs.readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) =>
          line.split(" ")
        )
        const wrong = seen.filter(([expected, bytes, command]) =>
          bytes !== expected && (bytes !== "0" || command === "deploy")
        )
        expect(wrong).toEqual([])
        expect(started()).toBeGreaterThanOrEqual(programs)
        if (soak) yield* Effect.logInfo(`${runs.length * programs} starts, ${seen.length} of which saw their stdin`)
      }),
    soak ? 1_800_000 : undefined
  )

  const rounds = soak ? 6 : 1
  it.scopedLive(
    "sends no partial prompt to the model",
    () =>
      Effect.flatMap(support.sandbox, (box) =>
        Effect.gen(function*() {
          const provider = yield* ModelProvider.ModelProvider
          const runs = [1000, 4096, 5000, 300_000, 1_000_000, 5_000_000].slice(0, soak ? 6 : 3)
            .map((bytes) => ({ bytes }))
          for (let round = 0; round < rounds; round++) {
            yield* killed(
              box,
              {
                options: {
                  configOverrides: provider.configOverrides,
                  model: provider.model,
                  title: "Scripted"
                },
                runs
              },
              () => support.processes(box).some(({ environment }) => environment.includes("EFFECT_OPENCODE_RUN=")),
              (300 * round) / rounds
            )
          }
          for (const { prompt } of yield* support.asked) {
            expect({ bytes: prompt.length, end: prompt.endsWith(" end") }).toEqual({
              bytes: runs.find(({ bytes }) => bytes === prompt.length)?.bytes,
              end: true
            })
          }
        }).pipe(Effect.provide(support.services(box)))),
    soak ? 1_800_000 : undefined
  )
})
