import { describe, expect } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import {
  announcing,
  appearance,
  asked,
  bash,
  during,
  failing,
  leader,
  left,
  nothing,
  processes,
  real,
  Reply,
  respond,
  run,
  steps,
  tags,
  until,
  working
} from "./support.js"

const sleeping = "touch ready; sleep 300"

const isSleep = ({ command }: { readonly command: string }) => command.startsWith("sleep 300")

describe("nothing survives a run", () => {
  real("that runs out of time while the provider is silent", (box) =>
    Effect.gen(function*() {
      const error = yield* run("Wait", { timeout: "6 seconds" }).pipe(failing("OpenCodeTimeoutError"))
      expect(error).toMatchObject({
        phase: "total",
        limit: Duration.seconds(6),
        partial: { eventCount: 0, survivors: [] }
      })
      expect(left(box)).toEqual(nothing)
    }), { respond: () => Reply.never })

  real("that is interrupted while the provider is silent", (box) =>
    Effect.gen(function*() {
      const provider = yield* announcing(Reply.never)
      yield* respond(provider.respond)
      const running = yield* Effect.fork(run("Wait"))
      yield* during(provider.asked, running)
      expect(processes(box).length).toBeGreaterThan(0)
      const exit = yield* Fiber.interrupt(running)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(left(box)).toEqual(nothing)
    }))

  real("that is interrupted while a tool works", (box) =>
    Effect.gen(function*() {
      const running = yield* Effect.fork(run("Sleep"))
      yield* during(appearance(box.work, "ready"), running)
      // The tool leads a session of its own: no signal to OpenCode or to its group reaches it.
      yield* during(working(box, "sleep 300"), running)
      yield* Fiber.interrupt(running)
      expect(left(box)).toEqual(nothing)
    }), { respond: steps([bash(sleeping), Reply.text("slept")]) })

  real("whose consumer stops after the first event", (box) =>
    Effect.gen(function*() {
      const events = yield* Stream.runCollect(Stream.take(OpenCode.stream("Talk"), 1))
      expect(tags(Chunk.toReadonlyArray(events))).toEqual(["StepStart"])
      expect(left(box)).toEqual(nothing)
    }), { respond: () => Reply.stall("and then") })

  real("that left a process in the background", (box) =>
    Effect.gen(function*() {
      let alive = 0
      // The shell does not wait for them to start.
      const both = until(() => (alive = processes(box).filter(isSleep).length) === 2)
      yield* respond((request) =>
        request.step === 0
          ? bash("nohup setsid sleep 300 >/dev/null 2>&1 & (setsid sleep 300 >/dev/null 2>&1 &) ; echo started")
          : Effect.as(both, Reply.text("started"))
      )
      const result = yield* run("Start a server")
      expect(result.text).toBe("started")
      expect(alive).toBe(2)
      expect(left(box)).toEqual(nothing)
    }))

  real("that left a process without an environment, in a session of its own", (box) =>
    Effect.gen(function*() {
      const isEscaped = ({ command }: { readonly command: string }) => command.includes(`${box.work}/escaped`)
      const command =
        `(env -i PATH=$PATH setsid sh -c 'sleep 300; :' ${box.work}/escaped >/dev/null 2>&1 &); echo started`
      const there = until(() => processes(box).some(isEscaped))
      yield* respond((request) => request.step === 0 ? bash(command) : Effect.as(there, Reply.text("started")))
      const result = yield* run("Start a server")
      expect(result.text).toBe("started")
      expect(left(box)).toEqual(nothing)
    }))

  real("that a foreign signal ends while a tool works", (box) =>
    Effect.gen(function*() {
      const running = yield* Effect.fork(Effect.flip(run("Sleep")))
      yield* during(appearance(box.work, "ready"), running)
      process.kill(leader(box).pid, "SIGTERM")
      const error = yield* Fiber.join(running)
      expect(error).toMatchObject({
        _tag: "OpenCodeCancelledError",
        signal: "SIGTERM",
        partial: { steps: 1, survivors: [] }
      })
      expect(tags("partial" in error ? error.partial?.events : [])).toEqual(["StepStart"])
      expect(left(box)).toEqual(nothing)
      expect(fs.readdirSync(box.work)).toEqual(["ready"])
      expect((yield* asked).length).toBe(1)
    }), { respond: steps([bash(sleeping), Reply.text("slept")]) })
})
