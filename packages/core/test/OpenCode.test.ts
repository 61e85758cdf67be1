import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunEvent, RunOptions } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import * as T from "./support/mock.js"

const collect = (prompt: string, options?: Parameters<typeof OpenCode.stream>[1]) =>
  Effect.map(Stream.runCollect(OpenCode.stream(prompt, options)), Chunk.toReadonlyArray)

/** The events before the stream ends, and how it ended. */
const collectEither = (prompt: string, options?: Parameters<typeof OpenCode.stream>[1]) =>
  Effect.suspend(() => {
    const events: Array<RunEvent.RunEvent> = []
    return OpenCode.stream(prompt, options).pipe(
      Stream.runForEach((event) => Effect.sync(() => events.push(event))),
      Effect.either,
      Effect.map((ended) => ({ events, ended }))
    )
  })

const tags = (events: Iterable<RunEvent.RunEvent>) => Array.from(events, (event) => event._tag)

const kib = 1024

describe("OpenCode", () => {
  describe("run", () => {
    it.effect("folds the events into a result", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it", { keepRaw: true })
        assert.strictEqual(result.text, "Hello \n\nworld")
        assert.strictEqual(result.answer, "world")
        assert.deepStrictEqual(tags(result.events), [
          "StepStart",
          "Text",
          "ToolUse",
          "StepFinish",
          "StepStart",
          "Text",
          "StepFinish"
        ])
        assert.deepStrictEqual(tags(result.toolCalls), ["ToolUse"])
        assert.strictEqual(result.sessionId, "ses_1")
        assert.deepStrictEqual(result.usage, {
          total: 270,
          input: 200,
          output: 40,
          reasoning: 6,
          cacheRead: 10,
          cacheWrite: 14
        })
        assert.strictEqual(result.cost, 0.5)
        assert.strictEqual(result.steps, 2)
        assert.strictEqual(result.finishReason, "stop")
        assert.strictEqual(result.exitCode, 0)
        assert.isFalse(result.forced)
        assert.strictEqual(result.attempts, 1)
        assert.strictEqual(result.stderr, "a note\n")
        assert.strictEqual(Duration.toMillis(result.duration), 0)
        assert.strictEqual(result.rawLines?.length, 7)
        assert.deepStrictEqual(JSON.parse(result.rawLines![1]!), T.text("Hello "))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.awaitStdin,
          Mock.stderr("a note\n"),
          Mock.lines([
            T.stepStart(),
            T.text("Hello "),
            T.toolUse("edit"),
            T.stepFinish("tool-calls"),
            T.stepStart("msg_2"),
            T.text("world"),
            T.stepFinish("stop")
          ]),
          Mock.exit(0)
        )
      ]))))

    it.effect("passes each event to onEvent as it comes and returns the result", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const first = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(OpenCode.run("do it", {
          onEvent: (event) =>
            Effect.andThen(Effect.sync(() => seen.push(event._tag)), Deferred.succeed(first, undefined))
        }))
        yield* Deferred.await(first)
        assert.deepStrictEqual(seen, ["StepStart"])
        yield* TestClock.adjust("1 second")
        const result = yield* Fiber.join(fiber)
        assert.deepStrictEqual(seen, tags(result.events))
        assert.deepStrictEqual(seen, ["StepStart", "Text", "StepFinish"])
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.awaitStdin,
          Mock.lines([T.stepStart()]),
          Mock.sleep("1 second"),
          Mock.lines([T.text("Hello"), T.stepFinish("stop")])
        )
      ]))))

    it.effect("passes each event to the observer of the region, then to onEvent", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        yield* OpenCode.run("do it", { onEvent: (event) => Effect.sync(() => seen.push(`own ${event._tag}`)) }).pipe(
          Effect.provideService(RunOptions.CurrentObserver, {
            onEvent: (event) => Effect.sync(() => seen.push(`region ${event._tag}`)),
            onSession: () => Effect.sync(() => seen.push("session"))
          })
        )
        assert.deepStrictEqual(seen.filter((one) => one !== "session"), [
          "region StepStart",
          "own StepStart",
          "region Text",
          "own Text",
          "region StepFinish",
          "own StepFinish"
        ])
        assert.include(seen, "session")
        assert.strictEqual((yield* OpenCode.OpenCode).carrier, "process")
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("Hello")), Mock.exit(0))]))))

    it.live("a defect of an observer of sessions is that of the run", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(OpenCode.run("do it", { onSession: () => Effect.die("mine") }))
        assert.deepStrictEqual(Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : undefined, Option.some("mine"))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("Hello")), Mock.exit(0))]))))

    it.effect("measures the duration and keeps no raw lines by default", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("do it"))
        yield* T.advance("7 seconds")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(Duration.toMillis(result.duration), 7000)
        assert.isUndefined(result.rawLines)
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.sleep("7 seconds"), Mock.lines(T.answer("late")), Mock.exit(0))
      ]))))

    it.effect("fails on exit code 2, with its events and its stderr", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("do it"))
        assert.strictEqual(error.exitCode, 2)
        assert.deepStrictEqual(tags(error.partial.events ?? []), ["StepStart", "Text"])
        assert.strictEqual(error.partial.text, "so far")
        assert.strictEqual(error.partial.eventCount, 2)
        assert.strictEqual(error.partial.sessionId, "ses_1")
        assert.strictEqual(error.partial.stderr, "it broke\n")
        assert.match(error.message, /exited with code 2 after 2 events/)
        assert.match(error.message, /it broke/)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines([T.stepStart(), T.text("so far")]), Mock.stderr("it broke\n"), Mock.exit(2))
      ]))))

    it.effect("does not take exit code 0 for success", () =>
      Effect.gen(function*() {
        const incomplete = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("lost tail"))
        assert.strictEqual(incomplete.finishReason, "tool-calls")
        const permission = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("rejected"))
        assert.strictEqual(permission.permission, "bash")
        assert.deepStrictEqual(permission.patterns, ["rm *"])
        const session = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("401"))
        assert.strictEqual(session.kind, "authentication")
        assert.strictEqual(session.statusCode, 401)
        yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("nothing at all"))
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")])),
        Mock.script(
          Mock.stderr("\u001b[93m!\u001b[0m permission requested: bash (rm *); auto-rejecting\n"),
          Mock.lines([T.stepStart(), T.stepFinish("tool-calls")])
        ),
        Mock.script(Mock.lines([T.stepStart(), T.error("APIError", { message: "no", statusCode: 401 })])),
        Mock.script()
      ]))))

    it.effect("does not take exit code 1 of a recovered run for failure", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it")
        assert.strictEqual(result.text, "after all")
        assert.strictEqual(result.exitCode, 1)
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.lines([T.error("APIError", { message: "overloaded", statusCode: 529 }), ...T.answer("after all")]),
          Mock.exit(1)
        )
      ]))))

    it.effect("distinguishes signals from outside", () =>
      Effect.gen(function*() {
        const cancelled = yield* T.failsWith("OpenCodeCancelledError")(OpenCode.run("SIGINT"))
        assert.strictEqual(cancelled.signal, "SIGINT")
        assert.strictEqual(cancelled.partial.eventCount, 1)
        const killed = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("SIGKILL"))
        assert.strictEqual(killed.signal, "SIGKILL")
        assert.isUndefined(killed.exitCode)
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines([T.stepStart()]), Mock.signal("SIGINT")),
        Mock.script(Mock.lines([T.stepStart()]), Mock.signal("SIGKILL"))
      ]))))

    it.effect("does not wait for a process whose exit is unknown", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("do it"))
        assert.isUndefined(error.exitCode)
        assert.isUndefined(error.signal)
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.waitFor(Effect.die("the script is broken")))]))))

    it.effect("reports a failed spawn without the arguments", () =>
      Effect.gen(function*() {
        const { binary, work } = yield* T.Machine
        const missing = yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("do it", { title: "canary" }))
        assert.deepStrictEqual({ ...missing }, {
          _tag: "OpenCodeSpawnError",
          binary,
          cwd: work,
          reason: "NotFound"
        })
        assert.notMatch(JSON.stringify(missing) + missing.message + String(missing.cause), /canary/)
        const tooLong = yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("do it", { title: "canary" }))
        assert.strictEqual(tooLong.reason, "E2BIG")
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer((recorded) =>
        recorded.pid === undefined && spawned++ === 0
          ? Mock.spawnError("NotFound")
          : Effect.die(Object.assign(new Error("spawn E2BIG canary"), { code: "E2BIG" }))
      ))))
    let spawned = 0
  })

  describe("stream", () => {
    it.effect("gives the events in order and ends", () =>
      Effect.gen(function*() {
        const events = yield* collect("do it")
        assert.deepStrictEqual(tags(events), ["StepStart", "Text", "StepFinish"])
        assert.deepStrictEqual(events.map((event) => RunEvent.toWire(event)), T.answer("hi"))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([T.answering("hi")]))))

    it.effect("fails after the last event and emits no event twice", () =>
      Effect.gen(function*() {
        const { ended, events } = yield* collectEither("do it", { keepRaw: true })
        assert.deepStrictEqual(tags(events), ["StepStart", "Text"])
        const error = Either.getOrThrow(Either.flip(ended))
        if (error._tag === "OpenCodeProcessError") {
          assert.strictEqual(error.exitCode, 2)
          assert.isUndefined(error.partial.events)
          assert.strictEqual(error.partial.eventCount, 2)
        } else assert.fail("an OpenCodeProcessError was expected")
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines([T.stepStart(), T.text("x")]), Mock.exit(2))
      ]))))

    it.effect("emits each event as it comes", () => {
      const goOn = Effect.unsafeMakeLatch(false)
      return Effect.gen(function*() {
        const events = yield* collectEither("do it").pipe(Effect.fork)
        const first = yield* Deferred.make<RunEvent.RunEvent>()
        const live = yield* OpenCode.stream("do it").pipe(
          Stream.runForEach((event) => Deferred.succeed(first, event)),
          Effect.fork
        )
        const event = yield* Deferred.await(first)
        assert.strictEqual(event._tag, "StepStart")
        yield* goOn.open
        yield* Fiber.join(live)
        yield* Fiber.join(events)
      }).pipe(
        Effect.provide(
          T.layer(() => Mock.script(Mock.lines([T.stepStart()]), Mock.waitFor(goOn.await), Mock.lines(T.answer("x"))))
        )
      )
    })

    it.effect("slows the child down for a slow consumer, without a timeout", () => {
      const goOn = Effect.unsafeMakeLatch(false)
      const size = 8 * kib
      const count = 200
      return Effect.gen(function*() {
        let seen = 0
        const fiber = yield* OpenCode.stream("do it", { idleTimeout: "1 minute", timeout: Infinity }).pipe(
          Stream.runForEach(() => {
            seen++
            return goOn.await
          }),
          Effect.fork
        )
        yield* T.untilStarted(1)
        yield* T.until("a full pipe", Effect.map(T.commands, (all) => (all[0]?.bytesWritten ?? 0) >= 60 * kib))
        yield* T.settle
        yield* TestClock.adjust("1 hour")
        const { stdout } = yield* T.only
        assert.strictEqual(seen, 1)
        assert.isAtMost(stdout.bytesWritten, 64 * kib + 6 * size)
        assert.isAtLeast(stdout.bytesWritten, 64 * kib)
        yield* goOn.open
        yield* Fiber.join(fiber)
        assert.strictEqual(seen, count + 3)
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.lines(Array.from({ length: count }, () => T.text("x".repeat(size)))),
          Mock.lines(T.answer("done")),
          Mock.exit(0)
        )
      ])))
    })

    it.effect("delivers everything to a slow consumer, long after the process has exited", () => {
      const goOn = Effect.unsafeMakeLatch(false)
      return Effect.gen(function*() {
        let seen = 0
        const fiber = yield* OpenCode.stream("do it").pipe(
          Stream.runForEach(() => {
            seen++
            return goOn.await
          }),
          Effect.fork
        )
        yield* T.until("the exit", Effect.map(T.commands, (all) => all[0]?.state._tag === "Exited"))
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("1 second")
          yield* T.settle
        }
        assert.strictEqual(seen, 1)
        yield* goOn.open
        yield* Fiber.join(fiber)
        assert.strictEqual(seen, 23)
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.lines(Array.from({ length: 20 }, () => T.text("x".repeat(kib)))),
          Mock.lines(T.answer("")),
          Mock.exit(0)
        )
      ])))
    })

    it.effect("ends the process when the consumer stops early", () =>
      Effect.gen(function*() {
        const events = yield* Stream.runCollect(Stream.take(OpenCode.stream("do it"), 1))
        assert.deepStrictEqual(tags(events), ["StepStart"])
        const { signals, state } = yield* T.only
        assert.deepStrictEqual(signals, ["SIGTERM"])
        assert.deepStrictEqual(state, Mock.ProcessState.Signaled({ signal: "SIGTERM" }))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines([T.stepStart()]), Mock.never)]))))

    it.effect("kills a process that ignores SIGTERM when the consumer stops early", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Stream.runDrain(Stream.take(OpenCode.stream("do it"), 1)))
        yield* T.untilSignals(0, "SIGTERM")
        yield* T.advance("1 second")
        yield* T.advance("1 second")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.scriptWith({ onSigterm: "ignore" }, Mock.lines([T.stepStart()]), Mock.never)
      ], { forceKillAfter: "2 seconds" }))))
  })

  describe("interruption", () => {
    it.effect("asks the process to end and returns when it has", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("do it"))
        yield* T.untilStarted(1)
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)]))))

    it.effect("kills the process after the grace if it ignores SIGTERM", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("do it"))
        yield* T.untilStarted(1)
        const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* T.untilSignals(0, "SIGTERM")
        yield* T.advance("1 second")
        yield* T.advance("3999 millis")
        yield* T.settle
        assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGTERM"])
        assert.isFalse(yield* T.isDone(interruption))
        yield* TestClock.adjust("1 millis")
        const exit = yield* Fiber.join(interruption)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))))

    it.effect("is not reported as an error, even close to the outcome", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("do it"))
        yield* T.until("output", Effect.map(T.commands, (all) => (all[0]?.stdout.bytesRead ?? 0) > 0))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines(T.answer("x")), Mock.never)]))))
  })

  describe("output", () => {
    it.effect("is never lost when the child exits at once", () =>
      Effect.gen(function*() {
        for (let i = 0; i < 100; i++) {
          const result = yield* OpenCode.run("do it")
          assert.strictEqual(result.text, "at once")
          assert.strictEqual(result.stderr, "noted\n")
        }
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer(
        () => Mock.script(Mock.stderr("noted\n"), Mock.lines(T.answer("at once")), Mock.exit(0)),
        { startup: { concurrency: "unbounded" } }
      ))))

    it.effect("is not awaited when something else holds the pipe", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("do it"))
        yield* T.until("the exit", Effect.map(T.commands, (all) => all[0]?.state._tag === "Exited"))
        yield* T.advance("999 millis")
        yield* T.settle
        assert.isFalse(yield* T.isDone(fiber))
        yield* TestClock.adjust("1 millis")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.text, "done")
        assert.strictEqual(result.exitCode, 0)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.scriptWith({ stdoutOutlivesProcess: Effect.never }, Mock.lines(T.answer("done")), Mock.exit(0))
      ]))))

    for (const size of [1000, 4096, 64 * kib + 3]) {
      it.effect(`can have lines of any length, in chunks of ${size} bytes`, () =>
        Effect.gen(function*() {
          const events = yield* collect("do it")
          assert.deepStrictEqual(events.map((event) => RunEvent.toWire(event)), longLines)
        }).pipe(Effect.provide(T.layer([
          Mock.script(
            Mock.stdout(Mock.chunked(longLines.map((value) => `${JSON.stringify(value)}\n`).join(""), size)),
            Mock.exit(0)
          )
        ]))))
    }
    const longLines = [
      T.stepStart(),
      T.text("a"),
      T.text("x".repeat(64 * kib + 1)),
      T.text("b"),
      T.toolUse("read", { output: "y".repeat(320 * kib) }),
      T.text("c"),
      T.text("ä€😀".repeat(20_000)),
      T.stepFinish("stop")
    ]

    it.effect("can have a character split between chunks", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it")
        assert.strictEqual(result.text, "größer als 10 € 😀 \u2028 漢字")
        assert.strictEqual(result.stderr, "naïve €\n")
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.stderr(Mock.chunked("naïve €\n", 1)),
          Mock.stdout(
            Mock.chunked(
              T.answer("größer als 10 € 😀 \u2028 漢字").map((value) => `${JSON.stringify(value)}\n`).join(""),
              1
            )
          )
        )
      ]))))

    it.effect("can have lines that are not events", () =>
      Effect.gen(function*() {
        const events = yield* collect("do it")
        assert.deepStrictEqual(
          events.map((event) => event._tag === "Diagnostic" ? [event.kind, event.line] : event._tag),
          [
            ["empty_line", ""],
            ["non_object_json", "[1,2]"],
            "StepStart",
            ["json_decode_error", "{\"type\":\"text\""],
            ["json_decode_error", "\ufffd(garbage"],
            "Unknown",
            "Text",
            "StepFinish",
            ["json_decode_error", "an end without a line feed"]
          ]
        )
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.stdout([
          "\n[1,2]\n",
          `${JSON.stringify(T.stepStart())}\n{"type":"text"\n`,
          new Uint8Array([0xff, 0x28]),
          "garbage\n{\"type\":\"brand_new\",\"x\":1}\n",
          `${JSON.stringify(T.text("x"))}\n${JSON.stringify(T.stepFinish("stop"))}\n`,
          "an end without a line feed"
        ]))
      ]))))

    it.effect("includes an event whose line has no end", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it")
        assert.strictEqual(result.finishReason, "stop")
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.stdout(T.answer("x").map((value) => JSON.stringify(value)).join("\n")))
      ]))))
  })

  describe("stderr", () => {
    it.effect("is read concurrently, and its tail kept", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it")
        const { stderr } = yield* T.only
        assert.strictEqual(stderr.bytesRead, stderr.bytesWritten)
        assert.isAbove(stderr.bytesRead, 1000 * kib)
        assert.strictEqual(result.stderr.length, 64 * kib)
        assert.isTrue(result.stderr.endsWith("z\nthe last\n"))
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.stderr([
            ...Array.from({ length: 40 }, () => `${"z".repeat(26 * kib)}\n`),
            "\u001b[91m\u001b[1mthe last\u001b[0m\n"
          ]),
          Mock.lines(T.answer("x")),
          Mock.exit(0)
        )
      ]))))

    it.effect("has no ANSI codes in an error", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("do it"))
        assert.strictEqual(error.partial.stderr, "Error: Session not found\n")
        assert.match(error.hint ?? "", /session does not exist/)
      }).pipe(Effect.provide(T.layer([
        // cut inside the code, without a line feed at the end
        Mock.script(Mock.stderr(["\u001b[91m\u001b[", "1mError: \u001b[0mSession not found"]), Mock.exit(1))
      ]))))

    const live = [
      ["a rejected permission", "! permission requested: external_directory (/etc/*); auto-rejecting", {
        _tag: "PermissionRejected",
        permission: "external_directory",
        patterns: ["/etc/*"]
      }],
      [
        "a failed attempt at the provider",
        "timestamp=2026-01-01T00:00:00Z level=ERROR run=r message=\"stream error\" providerID=fake modelID=m1 small=false error.error=\"AI_APICallError: rate limited\"",
        {
          _tag: "ProviderRetry",
          attempt: 1,
          kind: "rate-limit",
          reason: "AI_APICallError: rate limited",
          provider: "fake",
          model: "m1"
        }
      ]
    ] as const
    for (const [what, line, expected] of live) {
      it.effect(`reports live ${what}`, () => {
        const goOn = Effect.unsafeMakeLatch(false)
        return Effect.gen(function*() {
          const seen: Array<RunEvent.RunEvent> = []
          yield* OpenCode.stream("do it").pipe(
            Stream.runForEach((event) => {
              seen.push(event)
              // The process continues only after this event has arrived.
              return event._tag === expected._tag ? goOn.open : Effect.void
            })
          )
          assert.deepStrictEqual(tags(seen), ["StepStart", expected._tag, "Text", "StepFinish"])
          assert.deepStrictEqual<unknown>({ ...seen[1] }, expected)
        }).pipe(Effect.provide(T.layer([
          Mock.script(
            Mock.lines([T.stepStart()]),
            Mock.sleep(0),
            Mock.stderr(`${line}\n`),
            Mock.waitFor(goOn.await),
            Mock.lines([T.text("x"), T.stepFinish("stop")]),
            Mock.exit(0)
          )
        ])))
      })
    }

    it.effect("counts the failed attempts of a run", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("do it")
        assert.deepStrictEqual(
          result.events.flatMap((event) => event._tag === "ProviderRetry" ? [event.attempt] : []),
          [
            1,
            2,
            3
          ]
        )
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          // those of the title generator do not count
          Mock.stderr(
            ["small=false ", "small=true ", "small=false ", "small=false "].map((small) =>
              `timestamp=1 level=ERROR message="stream error" ${small}error.error="503"\n`
            )
          ),
          Mock.lines(T.answer("x"))
        )
      ]))))
  })

  describe("the process", () => {
    const prompt = "-x \"quoted\" 'single' \\ $HOME `tick`\n\nthird line\ttab €😀\n"

    it.effect("gets the prompt on stdin, verbatim, and stdin ends", () =>
      Effect.gen(function*() {
        yield* OpenCode.run(prompt)
        const recorded = yield* T.only
        assert.strictEqual(recorded.stdin, prompt)
        assert.isTrue(recorded.stdinEnded)
        assert.deepStrictEqual(recorded.args, ["run", "--format", "json", "--print-logs", "--log-level=ERROR"])
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")))]))))

    it.effect("gets a megabyte of prompt", () =>
      Effect.gen(function*() {
        const long = "0123456789abcdef".repeat(64 * kib)
        yield* OpenCode.run(long)
        assert.strictEqual((yield* T.only).stdin, long)
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")))]))))

    it.effect("gets the prompt as an argument on request, with an empty stdin", () =>
      Effect.gen(function*() {
        yield* OpenCode.run(prompt, { promptVia: "argv", files: ["a.txt"] })
        const recorded = yield* T.only
        assert.deepStrictEqual(recorded.args.slice(-3), ["--file=a.txt", "--", prompt])
        assert.strictEqual(recorded.stdin, "")
        assert.isTrue(recorded.stdinEnded)
      }).pipe(
        Effect.tap(Effect.void),
        (test) => Effect.andThen(Effect.map(T.Machine, ({ work }) => NodeFs.writeFileSync(`${work}/a.txt`, "")), test),
        Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")))]))
      ))

    it.effect("can get a command instead of a prompt", () =>
      Effect.gen(function*() {
        yield* OpenCode.run("", { command: "init" })
        const recorded = yield* T.only
        assert.includeMembers([...recorded.args], ["--command=init"])
        assert.strictEqual(recorded.stdin, "")
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")))]))))

    it.effect("runs in the working directory, as PWD says too", () =>
      Effect.gen(function*() {
        const { binary, home, work } = yield* T.Machine
        NodeFs.mkdirSync(NodePath.join(work, "sub"))
        yield* OpenCode.run("x", { cwd: "sub" })
        yield* OpenCode.run("x", { cwd: "~" })
        yield* OpenCode.run("x")
        const all = yield* T.commands
        assert.deepStrictEqual(all.map((recorded) => [recorded.command, recorded.cwd, recorded.env["PWD"]]), [
          [binary, `${work}/sub`, `${work}/sub`],
          [binary, home, home],
          [binary, work, work]
        ])
      }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

    it.effect("gets its configuration through the environment", () =>
      Effect.gen(function*() {
        yield* OpenCode.run("x", {
          permission: { edit: "deny" },
          configOverrides: { model: "a/b", permission: { bash: "deny" } },
          instructions: []
        })
        yield* OpenCode.run("x", { disableAutoupdate: false, extraEnv: { FOO: "bar" } })
        const [first, second] = yield* T.commands
        // `agent` repeats the rules and has its own tests
        const { agent: _, ...content } = JSON.parse(first!.env["OPENCODE_CONFIG_CONTENT"]!)
        assert.deepStrictEqual(content, {
          model: "a/b",
          permission: { bash: "deny", edit: "deny" },
          instructions: []
        })
        assert.strictEqual(first!.env["OPENCODE_DISABLE_AUTOUPDATE"], "1")
        assert.isTrue(first!.extendEnv)
        assert.notProperty(second!.env, "OPENCODE_CONFIG_CONTENT")
        assert.notProperty(second!.env, "OPENCODE_DISABLE_AUTOUPDATE")
        assert.strictEqual(second!.env["FOO"], "bar")
      }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

    it.effect("gets it merged over inherited configuration unless it is empty", () => {
      const inherited = { model: "a/b", provider: { p: {} }, permission: { bash: "allow" }, agent: { helper: {} } }
      const content = (recorded: { readonly env: { readonly [name: string]: string | undefined } } | undefined) =>
        JSON.parse(recorded!.env["OPENCODE_CONFIG_CONTENT"] ?? "null")
      return Effect.gen(function*() {
        const { permission, ...rest } = inherited
        yield* OpenCode.run("x", { configOverrides: { model: "c/d" } })
        yield* OpenCode.run("x", { configOverrides: {}, permission: {}, mcp: {}, tools: {} })
        yield* OpenCode.run("x", {
          permission: "deny",
          extraEnv: { OPENCODE_CONFIG_CONTENT: "{ // own\n\"theme\": \"x\", }" }
        })
        yield* OpenCode.run("x", { permission: "deny" })
        const refused = yield* Effect.flip(
          OpenCode.run("x", { permission: "deny", extraEnv: { OPENCODE_CONFIG_CONTENT: "[" } })
        )
        const all = yield* T.commands
        assert.deepStrictEqual(content(all[0]), { ...inherited, model: "c/d" })
        assert.notProperty(all[1]!.env, "OPENCODE_CONFIG_CONTENT")
        assert.notProperty(all[1]!.env, "OPENCODE_PERMISSION")
        assert.strictEqual(content(all[2]).theme, "x")
        assert.notProperty(content(all[2]), "model")
        assert.deepStrictEqual(content(all[3]), {
          ...rest,
          permission: "deny",
          agent: { helper: content(all[3]).agent.helper, build: content(all[3]).agent.build }
        })
        assert.deepStrictEqual(content(all[3]).agent.helper.permission, { "*": "deny", "**": "deny" })
        assert.include(refused, { _tag: "OpenCodeConfigError", path: "extraEnv.OPENCODE_CONFIG_CONTENT" })
        assert.strictEqual(all.length, 4)
        assert.isDefined(permission)
      }).pipe(Effect.provide(T.layer(() => T.answering("x"), {}, () => ({
        OPENCODE_CONFIG_CONTENT: JSON.stringify(inherited)
      }))))
    })

    it.effect("gets no option from a value", () =>
      Effect.gen(function*() {
        NodeFs.writeFileSync(`${(yield* T.Machine).work}/--auto`, "x")
        yield* OpenCode.run("x", { title: "--auto", agent: "--yolo", variant: "-x", files: ["--auto"] })
        yield* OpenCode.run("x", { title: "\"--auto\"" })
        const [first, second] = yield* T.commands
        assert.deepStrictEqual(first!.args.slice(5), [
          "--agent=--yolo",
          "--file=--auto",
          "--title=--auto",
          "--variant=-x"
        ])
        assert.deepStrictEqual(second!.args.slice(5), ["--title=\"\"--auto\"\""])
      }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

    it.effect("gets the rules for every agent in the files that OpenCode reads", () =>
      Effect.gen(function*() {
        const { home, work } = yield* T.Machine
        const write = (file: string, text: string) => {
          NodeFs.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true })
          NodeFs.writeFileSync(file, text)
        }
        write(
          `${work}/opencode.json`,
          "{ \"agent\": { \"above\": {}, }, /* \"agent\" */ \"mode\": { \"old\": {} } } // end"
        )
        write(`${work}/sub/.opencode/agent/deep/md.md`, "---\ndescription: x\n---\nx")
        write(`${work}/sub/.opencode/mode/older.md`, "x")
        write(`${work}/sub/.opencode/agents/other.md`, "---\nname: \"named\"\n---\nx")
        write(`${home}/.config/opencode/config.json`, "{ \"agents\": { \"next\": {} } }")
        write(`${home}/.opencode/agents/home.md`, "x")
        write(`${work}/extra/agent/extra.md`, "x")
        write(`${work}/file.json`, "{ \"agent\": { \"file\": {} } }")
        yield* OpenCode.run("x", {
          cwd: `${work}/sub`,
          permission: { bash: "deny" },
          extraEnv: { OPENCODE_CONFIG: `${work}/file.json`, OPENCODE_CONFIG_DIR: `${work}/extra` }
        })
        const content = JSON.parse((yield* T.only).env["OPENCODE_CONFIG_CONTENT"]!)
        assert.sameMembers(
          Object.keys(content.agent),
          ["build", "above", "old", "deep/md", "older", "named", "next", "home", "extra", "file"]
        )
        assert.deepStrictEqual(Object.keys(content.mode), ["old"])
        for (const { permission } of Object.values<{ permission: object }>(content.agent)) {
          assert.deepStrictEqual(permission, { bash: "deny", "bas?": "deny" })
        }
      }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

    it.effect("gets the rules for agents in files with an odd header or behind a link", () =>
      Effect.gen(function*() {
        const { work } = yield* T.Machine
        const agents = `${work}/.opencode/agent`
        // OpenCode derives these agent names from the files (1.18.33).
        const headers = {
          mark: "\uFEFF---\nname: mark\n---\nx",
          language: "---yaml\nname: language # its name\n---\nx",
          json: "---json\n{\n  \"name\": \"json\"\n}\n---\nx",
          flow: "---\n{mode: primary, name: flow}\n---\nx",
          key: "---  \n\"name\": key\n---\nx",
          open: "---\r\nname: open",
          "in/dir.md/deep": "x",
          "no-header": "----\nname: other\n----\nx",
          "a#b": "---\ndescription: x, name: other\nname: a#b\n---\nx"
        }
        NodeFs.mkdirSync(`${agents}/in/dir.md`, { recursive: true })
        NodeFs.mkdirSync(`${work}/elsewhere`)
        for (const [name, text] of Object.entries(headers)) {
          NodeFs.writeFileSync(`${agents}/${name.includes("/") || name === "no-header" ? name : `x-${name}`}.md`, text)
        }
        NodeFs.writeFileSync(`${work}/elsewhere/behind.md`, "x")
        NodeFs.symlinkSync("../../elsewhere", `${agents}/link`)
        NodeFs.symlinkSync("..", `${agents}/circle`)
        yield* OpenCode.run("x", { permission: "deny" })
        const { agent } = JSON.parse((yield* T.only).env["OPENCODE_CONFIG_CONTENT"]!)
        assert.includeMembers(Object.keys(agent), [...Object.keys(headers), "link/behind"])
        assert.notProperty(agent, "other")
      }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

    it.effect("gets the id of its run, after that of the enclosing run", () =>
      Effect.gen(function*() {
        const outer = yield* OpenCode.run("x")
        const inner = yield* OpenCode.run("x")
        const [first, second] = yield* T.commands
        assert.strictEqual(first!.env["EFFECT_OPENCODE_RUN"], `:outermost:${outer.runId}`)
        assert.strictEqual(second!.env["EFFECT_OPENCODE_RUN"], `:outermost:${inner.runId}`)
        assert.notStrictEqual(outer.runId, inner.runId)
        assert.match(outer.runId, /^[0-9a-z]{15}$/)
      }).pipe(Effect.provide(
        T.layer(() => T.answering("x"), {}, () => ({ EFFECT_OPENCODE_RUN: ":outermost" }))
      )))

    it.effect("gets only the reviewed part of the environment", () =>
      Effect.gen(function*() {
        const { bin, home } = yield* T.Machine
        yield* OpenCode.run("x", { extraEnv: { OPENAI_API_KEY: "on purpose" } })
        const recorded = yield* T.only
        assert.isFalse(recorded.extendEnv)
        assert.strictEqual(recorded.env["PATH"], bin)
        assert.strictEqual(recorded.env["HOME"], home)
        assert.notProperty(recorded.env, "AWS_SECRET_ACCESS_KEY")
        assert.strictEqual(recorded.env["OPENAI_API_KEY"], "on purpose")
      }).pipe(Effect.provide(
        T.layer([T.answering("x")], { environment: "reviewed" }, () => ({ AWS_SECRET_ACCESS_KEY: "no" }))
      )))

    it.effect("gets exactly the given environment", () =>
      Effect.gen(function*() {
        yield* OpenCode.run("x")
        const recorded = yield* T.only
        assert.isFalse(recorded.extendEnv)
        assert.deepStrictEqual(Object.keys(recorded.env).sort(), [
          "EFFECT_OPENCODE_PROGRAM",
          "EFFECT_OPENCODE_RUN",
          "ONLY",
          "OPENCODE_DISABLE_AUTOUPDATE",
          "PWD",
          "TEMP",
          "TMP",
          "TMPDIR",
          "XDG_DATA_HOME"
        ])
      }).pipe(Effect.provide(T.layer([T.answering("x")], { environment: { ONLY: "this" } }))))
  })

  describe("version and models", () => {
    it.effect("returns the given version without a query", () =>
      Effect.gen(function*() {
        const version = yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.version)
        assert.deepStrictEqual(version, { major: 1, minor: 18, patch: 33 })
        assert.deepStrictEqual(yield* T.commands, [])
      }).pipe(Effect.provide(T.layer([]))))

    it.effect("queries the binary for its models", () =>
      Effect.gen(function*() {
        const models = yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.models)
        assert.deepStrictEqual(models, ["anthropic/claude-sonnet-4-5", "openai/gpt-5"])
        const recorded = yield* T.only
        assert.deepStrictEqual(recorded.args, ["models"])
        assert.isTrue(recorded.stdinEnded)
        assert.strictEqual(recorded.env["FOO"], "of the defaults")
        assert.notStrictEqual(recorded.env["XDG_DATA_HOME"], undefined)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.awaitStdin,
          Mock.stdout("anthropic/claude-sonnet-4-5\n\n a note \nopenai/gpt-5\n"),
          Mock.exit(0)
        )
      ], { defaults: { extraEnv: { FOO: "of the defaults" } } }))))

    it.effect("fails when the models cannot be listed", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.models).pipe(
          T.failsWith("OpenCodeProcessError")
        )
        assert.strictEqual(error.exitCode, 1)
        assert.strictEqual(error.partial.stderr, "no such thing\n")
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.stdout("a/b\n"), Mock.stderr("\u001b[91mno such thing\u001b[0m\n"), Mock.exit(1))
      ]))))

    it.effect("refuses an answer that is too large or incomplete", () =>
      Effect.gen(function*() {
        const models = Effect.flatMap(OpenCode.OpenCode, (service) => service.models)
        const tooLarge = yield* Effect.fork(T.failsWith("OpenCodeProcessError")(models))
        yield* T.untilStarted(1)
        yield* T.untilSignals(0, "SIGTERM")
        assert.include((yield* T.advanceUntil(tooLarge)).hint, "more than 16 MiB")
        assert.isBelow(yield* Clock.currentTimeMillis, 1000)
        const fiber = yield* Effect.fork(T.failsWith("OpenCodeProcessError")(models))
        yield* T.untilStarted(2)
        yield* T.advance("1 minute")
        yield* T.untilSignals(1, "SIGTERM")
        yield* T.advance("500 millis")
        assert.include((yield* T.advanceUntil(fiber)).hint, "did not answer within 1m")
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        Mock.script(...Array.from({ length: 17 }, () => Mock.stdout(`${"x".repeat(kib * kib - 1)}\n`)), Mock.never),
        Mock.scriptWith({ onSigterm: "ignore" }, Mock.stdout("a/b\n"), Mock.sleep("60500 millis"), Mock.exit(0))
      ]))))

    it.effect("returns the answer of an exited process whose pipes are still held", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.flatMap(OpenCode.OpenCode, (service) => service.models))
        assert.deepStrictEqual(yield* T.advanceUntil(fiber), ["a/b"])
        assert.strictEqual(yield* Clock.currentTimeMillis, 1000)
      }).pipe(Effect.provide(T.layer([
        Mock.scriptWith({ stdoutOutlivesProcess: Effect.never }, Mock.stdout("a/b\n"), Mock.exit(0))
      ]))))

    it.effect("ends a process that closes its stdout and does not exit", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Effect.flatMap(OpenCode.OpenCode, (service) => service.models).pipe(T.failsWith("OpenCodeProcessError"))
        )
        yield* T.untilStarted(1)
        const error = yield* T.advanceUntil(fiber)
        assert.strictEqual(error.signal, "SIGTERM")
        assert.include(error.hint, "did not answer within 1m")
        assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.stdout("a/b\n"), Mock.closeStdout, Mock.never)]))))

    it.effect("waits for an answer only for a limited time", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Effect.flatMap(OpenCode.OpenCode, (service) => service.models).pipe(T.failsWith("OpenCodeProcessError"))
        )
        yield* T.untilStarted(1)
        yield* T.advance("1 minute")
        assert.strictEqual((yield* Fiber.join(fiber)).signal, "SIGTERM")
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)]))))
  })

  it.effect("starts nothing before the effect runs", () =>
    Effect.gen(function*() {
      const run = OpenCode.run("x")
      const stream = OpenCode.stream("x")
      yield* T.settle
      assert.deepStrictEqual(yield* T.commands, [])
      yield* run
      yield* Stream.runDrain(stream)
      yield* run
      assert.strictEqual((yield* T.commands).length, 3)
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))
})
