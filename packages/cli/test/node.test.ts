import { describe, expect, it } from "@effect/vitest"
import { StartupGate } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import { EventEmitter } from "node:events"
import { availableParallelism } from "node:os"
import { Writable } from "node:stream"
import { Host } from "../src/host/Host.js"
import * as Interrupt from "../src/host/Interrupt.js"
import * as node from "../src/host/node.js"

const source = () => Object.assign(new EventEmitter(), { stdout: new EventEmitter(), stderr: new EventEmitter() })

describe("signals", () => {
  it.effect("include every one by which a terminal or a service manager ends a program", () =>
    Effect.gen(function*() {
      const process = source()
      const received = yield* node.signals(process)
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.emit(signal)
      expect([...yield* Queue.takeAll(received)]).toEqual(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
    }))

  it.effect("include a closed pipe", () =>
    Effect.gen(function*() {
      const process = source()
      const received = yield* node.signals(process)
      process.stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }))
      process.stderr.emit("error", new Error("write EIO"))
      expect([...yield* Queue.takeAll(received)]).toEqual(["SIGPIPE"])
    }))
})

it.effect("the number of processors reaches the start-up gate", () =>
  Effect.gen(function*() {
    expect(yield* StartupGate.Processors).toBe(availableParallelism())
  }).pipe(Effect.provide(node.processors)))

/** Takes nothing until it is read. */
const pipe = () => {
  const taken: Array<() => void> = []
  const stream = new Writable({ write: (_, __, done) => void taken.push(done) })
  stream.write("the end of the answer")
  return {
    stream,
    read: Effect.sync(() => {
      for (let done = taken.shift(); done !== undefined; done = taken.shift()) done()
    })
  }
}

describe("an uncaught failure", () => {
  it.effect("is received like a signal and does not end the process by itself", () =>
    Effect.gen(function*() {
      const process = source()
      const received = yield* node.signals(process)
      process.emit("uncaughtException", new Error("boom"), "uncaughtException")
      process.emit("unhandledRejection", "no reason", Promise.resolve())
      expect([...yield* Queue.takeAll(received)].map((crash) => typeof crash === "string" ? crash : crash.message))
        .toEqual(["The program failed: boom", "The program failed: no reason"])
    }))
})

describe("the last output", () => {
  it.effect("is awaited", () =>
    Effect.gen(function*() {
      const { read, stream } = pipe()
      const received = yield* Queue.unbounded<Interrupt.Received>()
      const fiber = yield* Effect.fork(node.flushed([stream], received, 5))
      yield* Effect.yieldNow()
      expect(fiber.unsafePoll()).toBeNull()
      yield* Effect.forkDaemon(Effect.forever(Effect.andThen(read, Effect.yieldNow()))).pipe(
        Effect.flatMap((reader) => Effect.ensuring(Fiber.join(fiber), Fiber.interrupt(reader))),
        Effect.map((code) => expect(code).toBe(5))
      )
    }))

  it.effect("is abandoned on a signal", () =>
    Effect.gen(function*() {
      const received = yield* Queue.unbounded<Interrupt.Received>()
      const fiber = yield* Effect.fork(node.flushed([pipe().stream], received, 0))
      yield* Queue.offer(received, "SIGTERM")
      expect(yield* Fiber.join(fiber)).toBe(143)
      yield* Queue.offer(received, new Interrupt.CrashedError({ cause: "boom" }))
      expect(yield* node.flushed([pipe().stream], received, 0)).toBe(1)
    }))
})

describe("the width", () => {
  it.effect("is that of each stream", () =>
    Effect.gen(function*() {
      const { columns: [out, error] } = { columns: [process.stdout.columns, process.stderr.columns] }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() =>
          Object.assign(process.stdout, { columns: out }) && Object.assign(process.stderr, { columns: error })
        )
      )
      Object.assign(process.stdout, { columns: 100 })
      Object.assign(process.stderr, { columns: 60 })
      const { columns, stderrColumns } = yield* Host
      expect([yield* columns, yield* stderrColumns]).toEqual([100, 60])
    }).pipe(Effect.scoped, Effect.provide(node.host)))
})
