import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as opencode2 from "../support/opencode2.js"
import { processes, real, run } from "./support.js"

describe("scratch", () => {
  for (const [name, client] of [["1", {}], ["2", { binary: opencode2.binary, version: opencode2.version }]] as const) {
    real(`nowhere ${name}`, (box) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.either(run("Go", { extraEnv: { XDG_DATA_HOME: "/proc/nowhere" } })))
        const r = yield* Effect.timeoutOption(Fiber.join(fiber), "20 seconds")
        console.log(name, JSON.stringify(r).slice(0, 1500), processes(box).map((p) => p.command))
        if (r._tag === "None") console.log(yield* Fiber.dump(fiber).pipe(Effect.map(String)))
        yield* Fiber.interrupt(fiber)
      }), { client: { ...client, isolation: { directory: "/proc/nowhere" } } })
  }
})
