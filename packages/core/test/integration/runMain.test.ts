import { describe, expect, it } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import * as support from "./support.js"

const program = bundle(fileURLToPath(new URL("./programs/interrupted.ts", import.meta.url)))

describe("a program under NodeRuntime.runMain", () => {
  it.scopedLive.each(["SIGINT", "SIGTERM"] as const)(
    "exits with 130 on %s and leaves nothing of a working agent",
    (signal) =>
      Effect.flatMap(support.sandbox, (box) =>
        Effect.gen(function*() {
          const provider = yield* ModelProvider.ModelProvider
          const started = support.appearance(box.work, "started")
          const child = spawn(process.execPath, [program], {
            env: {
              ...process.env,
              RUN_CWD: box.work,
              RUN_OPTIONS: JSON.stringify({
                configOverrides: provider.configOverrides,
                model: provider.model,
                title: "Scripted"
              })
            },
            stdio: "ignore"
          })
          const exited = yield* Deferred.make<number | null>()
          child.once("exit", (code) => Deferred.unsafeDone(exited, Effect.succeed(code)))
          yield* Effect.raceFirst(
            started,
            Effect.andThen(Deferred.await(exited), Effect.dieMessage("the program ended before its agent worked"))
          )
          yield* support.working(box, "sleep 300")
          child.kill(signal)
          expect(yield* Deferred.await(exited)).toBe(130)
          expect(support.left(box)).toEqual(support.nothing)
        }).pipe(Effect.provide(support.services(box, {
          respond: support.steps([support.bash("trap '' TERM; touch started; sleep 300"), support.Reply.text("done")])
        }))))
  )
})
