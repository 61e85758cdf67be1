import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Command from "@effect/platform/Command"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { Events, FaultyOpenCode } from "effect-opencode-testing"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { existsSync, readdirSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { turn } from "../../core/test/support/settling.js"
import { isAlive } from "./support/processes.js"

const answer = FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Here I am.")))

const calls = Effect.flatMap(FaultyOpenCode.FaultyOpenCode, ({ calls }) => calls)

const opencode = (
  scripts: FaultyOpenCode.Scripts | FaultyOpenCode.Cases,
  options?: Parameters<typeof FaultyOpenCode.layerOpenCode>[1]
) =>
  FaultyOpenCode.layerOpenCode(scripts, {
    forceKillAfter: "100 millis",
    retry: Schedule.recurs(2),
    ...options
  }).pipe(Layer.provide(NodeContext.layer))

/** Ends a run after its first event. */
const interruptAtFirstEvent = (prompt: string) =>
  Effect.gen(function*() {
    const seen = yield* Deferred.make<void>()
    const fiber = yield* OpenCode.stream(prompt).pipe(
      Stream.runForEach(() => Deferred.succeed(seen, undefined)),
      Effect.fork
    )
    yield* Deferred.await(seen)
    yield* Fiber.interrupt(fiber)
  })

/** Waits until a condition holds, but no longer than a fiber lives. */
const until = <A, E, E2, R>(isSo: Effect.Effect<boolean, E, R>, fiber: Fiber.Fiber<A, E2>) =>
  Effect.raceFirst(
    Effect.repeat(Effect.andThen(turn, isSo), { until: (so) => so }),
    Effect.andThen(Fiber.join(fiber), Effect.dieMessage("it ended before that"))
  )

const leftovers = Effect.map(calls, (calls) => calls.flatMap(({ children, pid }) => [pid, ...children]).filter(isAlive))

describe("FaultyOpenCode", () => {
  describe("executable", () => {
    it.scoped("is one file that is removed with the scope and answers --version and models", () =>
      Effect.gen(function*() {
        const binary = yield* Effect.scoped(Effect.gen(function*() {
          const faulty = yield* FaultyOpenCode.make({
            version: "1.15.13",
            models: ["a/b", "c/d"],
            cases: [{ scripts: [answer] }]
          })
          expect(statSync(faulty.binary).mode & 0o111).not.toBe(0)
          const ask = (arg: string) => Command.string(Command.make(faulty.binary, arg))
          expect(yield* ask("--version")).toBe("1.15.13\n")
          expect(yield* ask("models")).toBe("a/b\nc/d\n")
          expect(yield* faulty.calls).toEqual([])
          return faulty.binary
        }))
        expect(existsSync(binary)).toBe(false)
      }).pipe(Effect.provide(NodeContext.layer)))

    it.effect("is accepted by core as OpenCode, version query included", () =>
      Effect.gen(function*() {
        const { models, version } = yield* OpenCode.OpenCode
        expect(yield* version).toMatchObject({ major: 1, minor: 18, patch: 33 })
        expect(yield* models).toEqual(["fake/m1"])
        expect((yield* OpenCode.run("hello")).text).toBe("Here I am.")
      }).pipe(Effect.provide(opencode([answer], { version: undefined }))))

    it.effect("needs no environment variables", () =>
      Effect.gen(function*() {
        expect((yield* OpenCode.run("hello")).text).toBe("Here I am.")
      }).pipe(Effect.provide(opencode([answer], { environment: {} }))))

    it.effect("records its input from stdin and from arguments", () =>
      Effect.gen(function*() {
        const prompt = "--not an option\n\"quotes\" and 'quotes', größer, 世界 \u{1F980}\n"
        const result = yield* OpenCode.run(prompt, { agent: "plan" })
        expect(result.text).toBe(prompt)
        expect((yield* OpenCode.run("by argument", { promptVia: "argv" })).text).toBe("by argument")
        const [first, second] = yield* calls
        expect(first?.stdin).toBe(prompt)
        expect(first?.args.join(" ")).toContain("run --format json")
        expect(first?.args.join(" ")).toContain("--agent=plan")
        expect(first?.cwd).toBe(process.cwd())
        expect(second?.args.slice(-2)).toEqual(["--", "by argument"])
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(
          FaultyOpenCode.lines([Events.stepStart()]),
          FaultyOpenCode.echo,
          FaultyOpenCode.lines([Events.finish()])
        )
      ]))))

    it.effect("selects a script by a text in the prompt and reports a missing one", () =>
      Effect.gen(function*() {
        const [first, second, third] = yield* Effect.all([
          OpenCode.run("do the first task"),
          Effect.flip(OpenCode.run("do the second task")),
          Effect.flip(OpenCode.run("do the third task"))
        ], { concurrency: "unbounded" })
        expect(first.text).toBe("Here I am.")
        expect(second).toMatchObject({ _tag: "OpenCodeProcessError", exitCode: 3 })
        expect(third).toMatchObject({ _tag: "OpenCodeProcessError", exitCode: 64 })
        expect(third.message).toContain("no script for the prompt \"do the third task\"")
        expect(third.message).toContain("\"first\", \"second\"")
      }).pipe(Effect.provide(opencode([
        ["first", answer],
        ["second", [FaultyOpenCode.script(FaultyOpenCode.exit(3))]]
      ]))))
  })

  describe("ends", () => {
    it.effect("with a SQLite crash as often as scripted, then successfully", () =>
      Effect.gen(function*() {
        expect(yield* OpenCode.run("hello")).toMatchObject({ text: "Here I am.", attempts: 3 })
        expect((yield* calls).length).toBe(3)
        expect((yield* OpenCode.run("again")).attempts).toBe(1)
      }).pipe(
        Effect.provide(opencode([FaultyOpenCode.sqliteCrash, FaultyOpenCode.sqliteCrash, answer]))
      ))

    it.effect("with a SQLite crash every time", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(OpenCode.run("hello"))
        expect(error).toMatchObject({ _tag: "OpenCodeSqliteError", exitCode: 1, partial: { attempts: 3 } })
      }).pipe(Effect.provide(opencode([FaultyOpenCode.sqliteCrash]))))

    it.effect("with an exit code or a signal", () =>
      Effect.gen(function*() {
        expect(yield* Effect.flip(OpenCode.run("code"))).toMatchObject({
          _tag: "OpenCodeProcessError",
          exitCode: 7,
          partial: { stderr: "why\n" }
        })
        expect(yield* Effect.flip(OpenCode.run("signal"))).toMatchObject({
          _tag: "OpenCodeProcessError",
          signal: "SIGKILL",
          partial: { eventCount: 1 }
        })
      }).pipe(Effect.provide(opencode([
        ["code", FaultyOpenCode.script(FaultyOpenCode.stderr("why\n"), FaultyOpenCode.exit(7))],
        [
          "signal",
          FaultyOpenCode.script(FaultyOpenCode.lines([Events.stepStart()]), FaultyOpenCode.signal("SIGKILL"))
        ]
      ]))))

    it.effect("on interruption when it would hang", () =>
      Effect.gen(function*() {
        yield* interruptAtFirstEvent("hello")
        expect(yield* leftovers).toEqual([])
        expect((yield* calls)[0]?.signals).toEqual([])
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(FaultyOpenCode.lines([Events.stepStart()]), FaultyOpenCode.never)
      ]))))

    it.effect("only on SIGKILL when it ignores other signals", () =>
      Effect.gen(function*() {
        const ending = yield* Effect.fork(interruptAtFirstEvent("hello"))
        yield* until(
          Effect.zipWith(calls, TestClock.sleeps(), ([call], sleeps) =>
            call?.signals.includes("SIGTERM") === true && [...sleeps].includes(100)),
          ending
        )
        expect((yield* leftovers).length).toBe(1)
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(ending)
        expect(yield* leftovers).toEqual([])
        expect((yield* calls)[0]?.signals).toEqual(["SIGTERM"])
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.scriptWith(
          { ignoreSignals: ["SIGTERM", "SIGINT", "SIGHUP"] },
          FaultyOpenCode.lines([Events.stepStart()]),
          FaultyOpenCode.never
        )
      ]))))

    it.live("after a delay", () =>
      Effect.gen(function*() {
        expect((yield* OpenCode.run("hello")).text).toBe("Here I am.")
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(FaultyOpenCode.sleep("50 millis"), FaultyOpenCode.lines(Events.turn("Here I am.")))
      ]))))
  })

  describe("leaves behind", () => {
    const kinds = [
      ["a child of its group", FaultyOpenCode.child()],
      ["a child that has left the group", FaultyOpenCode.child({ detached: true })],
      [
        "a child that has left the group and ignores signals",
        FaultyOpenCode.child({ detached: true, ignoresSignals: true })
      ],
      ["a grandchild that holds stdout open", FaultyOpenCode.child({ detached: true, holdsStdout: true })]
    ] as const

    it.scoped("a child that lives until somebody ends it", () =>
      Effect.gen(function*() {
        const { binary, calls } = yield* FaultyOpenCode.make({
          cases: [{ scripts: [FaultyOpenCode.script(FaultyOpenCode.child({ detached: true }))] }]
        })
        yield* Command.exitCode(Command.make(binary, "run").pipe(Command.feed("hello")))
        const [pid = 0] = (yield* calls)[0]?.children ?? []
        expect(isAlive(pid)).toBe(true)
        process.kill(pid, "SIGKILL")
      }).pipe(Effect.provide(NodeContext.layer)))

    for (const [name, child] of kinds) {
      it.live(`${name}, which has ended after the run`, () =>
        Effect.gen(function*() {
          const result = yield* OpenCode.run("hello")
          expect(result.text).toBe("Here I am.")
          const [call] = yield* calls
          expect(call?.children).toHaveLength(1)
          expect(yield* leftovers).toEqual([])
        }).pipe(Effect.provide(opencode([
          FaultyOpenCode.script(child, FaultyOpenCode.lines(Events.turn("Here I am.")))
        ]))))

      it.live(`${name}, which has ended after an interruption`, () =>
        Effect.gen(function*() {
          yield* interruptAtFirstEvent("hello")
          const [call] = yield* calls
          expect(call?.children).toHaveLength(1)
          expect(yield* leftovers).toEqual([])
        }).pipe(Effect.provide(opencode([
          FaultyOpenCode.script(child, FaultyOpenCode.lines([Events.stepStart()]), FaultyOpenCode.never)
        ]))))
    }
  })

  describe("floods", () => {
    const bytes = 8 * 1024 * 1024

    it.effect("stderr, whose tail is kept", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("hello")
        expect(result.text).toBe("Here I am.")
        expect(result.stderr.length).toBeLessThanOrEqual(65_536)
        expect(result.stderr.length).toBeGreaterThan(60_000)
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(FaultyOpenCode.flood("stderr", bytes), FaultyOpenCode.lines(Events.turn("Here I am.")))
      ]))))

    it.effect("stdout, with lines that are not events", () =>
      Effect.gen(function*() {
        const events = Chunk.toReadonlyArray(yield* Stream.runCollect(OpenCode.stream("hello")))
        expect(events.filter(({ _tag }) => _tag === "Diagnostic")).toHaveLength(1024)
        expect(events.at(-1)?._tag).toBe("StepFinish")
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(
          FaultyOpenCode.flood("stdout", 1024 * 1024),
          FaultyOpenCode.lines(Events.turn("Here I am."))
        )
      ]))))

    it.effect("stdout, with one line of 1.5 MB", () =>
      Effect.gen(function*() {
        expect((yield* OpenCode.run("hello")).text.length).toBe(1_500_000)
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("x".repeat(1_500_000))))
      ]))))

    it.effect("stdout without a reader, and still ends on interruption", () =>
      Effect.gen(function*() {
        yield* Stream.runDrain(Stream.take(OpenCode.stream("hello"), 1))
        expect(yield* leftovers).toEqual([])
      }).pipe(Effect.provide(opencode([
        FaultyOpenCode.script(
          FaultyOpenCode.lines([Events.stepStart()]),
          FaultyOpenCode.flood("stdout", 64 * bytes)
        )
      ]))))
  })

  it.effect("leaves nothing in the temporary directory", () =>
    Effect.gen(function*() {
      const ours = () => readdirSync(tmpdir()).filter((name) => name.startsWith("faulty-opencode-"))
      const directory = yield* Effect.provide(
        Effect.map(
          Effect.flatMap(OpenCode.run("hello"), () => FaultyOpenCode.FaultyOpenCode),
          ({ directory }) => directory.split("/").at(-1)
        ),
        opencode([answer])
      )
      expect(ours()).not.toContain(directory)
    }))
})

describe("FaultyOpenCode as OpenCode 2", () => {
  const two = (
    scripts: FaultyOpenCode.Scripts | FaultyOpenCode.Cases,
    options?: Parameters<typeof FaultyOpenCode.layerOpenCode>[1]
  ) => opencode(scripts, { version: "2.0.14", defaults: { model: "fake/m1" }, ...options })

  const begun = FaultyOpenCode.lines([Events.stepStart()])
  const { script } = FaultyOpenCode
  const failure = Effect.flip(OpenCode.run("hello"))

  it.live("says its version and its models", () =>
    Effect.gen(function*() {
      const { models, version } = yield* OpenCode.OpenCode
      expect(yield* version).toEqual({ major: 2, minor: 0, patch: 14 })
      expect(yield* models).toEqual(["fake/m1"])
    }).pipe(
      Effect.provide(Layer.unwrapEffect(
        Effect.map(FaultyOpenCode.FaultyOpenCode, ({ binary }) => OpenCode.layer({ binary }))
      )),
      Effect.provide(FaultyOpenCode.layer([answer], { version: "2.0.14" })),
      Effect.provide(NodeContext.layer)
    ))

  it.live("crashes at its start as often as scripted, then answers", () =>
    Effect.gen(function*() {
      expect(yield* OpenCode.run("hello")).toMatchObject({ text: "Here I am.", attempts: 3 })
      expect((yield* calls).map(({ prompt }) => prompt)).toEqual(["", "", "hello"])
    }).pipe(Effect.provide(two([FaultyOpenCode.sqliteCrash, FaultyOpenCode.sqliteCrash, answer]))))

  it.live("ends with an exit code or by a signal while it works", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(OpenCode.run("code"))).toMatchObject({
        _tag: "OpenCodeProcessError",
        exitCode: 7,
        partial: { stderr: "why\n", eventCount: 1 }
      })
      expect(yield* Effect.flip(OpenCode.run("signal"))).toMatchObject({
        _tag: "OpenCodeProcessError",
        signal: "SIGKILL"
      })
    }).pipe(Effect.provide(two([
      ["code", script(begun, FaultyOpenCode.stderr("why\n"), FaultyOpenCode.exit(7))],
      ["signal", script(begun, FaultyOpenCode.signal("SIGKILL"))]
    ]))))

  it.live("hangs until a limit, and is ended", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(OpenCode.run("hello", { idleTimeout: "300 millis" }))
      expect(error).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "idle", partial: { survivors: [] } })
      expect(yield* leftovers).toEqual([])
    }).pipe(Effect.provide(two([script(begun, FaultyOpenCode.never)]))))

  it.live("ignores what would end it, and dies of SIGKILL, with what it has started", () =>
    Effect.gen(function*() {
      yield* interruptAtFirstEvent("hello")
      expect(yield* leftovers).toEqual([])
      const [call] = yield* calls
      expect(call?.signals).toContain("SIGTERM")
      expect(call?.children).toHaveLength(1)
    }).pipe(Effect.provide(two([
      FaultyOpenCode.scriptWith(
        { ignoreSignals: ["SIGTERM", "SIGINT", "SIGHUP"] },
        FaultyOpenCode.child({ detached: true, ignoresSignals: true }),
        begun,
        FaultyOpenCode.never
      )
    ]))))

  it.live("ends its events in the middle, which loses nothing", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("hello")
      expect(result.text).toBe("Before.\n\nAfter.")
      expect(result.steps).toBe(2)
    }).pipe(Effect.provide(two([script(
      FaultyOpenCode.lines(Events.turn("Before.", { reason: "tool-calls" })),
      FaultyOpenCode.closeStdout,
      FaultyOpenCode.lines(Events.turn("After."))
    )]))))

  it.live("sends what is no event, which loses nothing", () =>
    Effect.gen(function*() {
      expect((yield* OpenCode.run("hello")).text).toBe("Here I am.")
    }).pipe(Effect.provide(two([
      script(begun, FaultyOpenCode.stdout("{\"type\":\n"), FaultyOpenCode.lines(Events.turn("Here I am.")))
    ]))))

  it.live("sends an event that lacks what a run needs, which ends the run by its name", () =>
    Effect.gen(function*() {
      expect(yield* failure).toMatchObject({
        _tag: "OpenCodeServerError",
        reason: "unexpected-reply",
        detail: "session.text.ended: assistantMessageID"
      })
    }).pipe(Effect.provide(two([
      script(begun, FaultyOpenCode.event("session.text.ended", { ordinal: 0, text: "x" }), FaultyOpenCode.never)
    ]))))

  it.live("ends without an event that says so, which shows after a gap", () =>
    Effect.gen(function*() {
      expect((yield* OpenCode.run("hello")).text).toBe("Here I am.")
    }).pipe(Effect.provide(two([
      script(FaultyOpenCode.lines(Events.turn("Here I am.")), FaultyOpenCode.closeStdout, FaultyOpenCode.rest)
    ]))))

  it.live("refuses a prompt", () =>
    Effect.gen(function*() {
      expect(yield* failure).toMatchObject({
        _tag: "OpenCodeServerError",
        reason: "refused",
        status: 503,
        detail: "no place"
      })
    }).pipe(Effect.provide(two([script(FaultyOpenCode.refuse(503, "no place"))]))))

  it.live("asks for a permission that is given, and continues", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("hello", { auto: true })
      expect(result.toolCalls).toMatchObject([{ tool: "shell", status: "completed", input: { command: "rm x" } }])
      expect(result.answer).toBe("Removed.")
    }).pipe(Effect.provide(two([script(
      begun,
      FaultyOpenCode.ask("bash", ["rm x"], { tool: "bash", input: { command: "rm x" } }),
      FaultyOpenCode.lines([Events.finish({ reason: "tool-calls" }), ...Events.turn("Removed.")])
    )]))))

  it.live("answers the turns of a conversation by one process", () =>
    Effect.scoped(Effect.gen(function*() {
      const session = yield* OpenCode.session()
      const first = yield* session.run("one")
      const second = yield* session.run("two")
      expect([first.text, second.text]).toEqual(["Here I am.", "again"])
      expect(second.sessionId).toBe(first.sessionId)
      expect(new Set((yield* calls).map(({ pid }) => pid)).size).toBe(1)
    })).pipe(Effect.provide(two([answer, script(FaultyOpenCode.lines(Events.turn("again")))]))))

  it.live("refuses, as OpenCode 1, what only OpenCode 2 does", () =>
    Effect.gen(function*() {
      const error = yield* failure
      expect(error).toMatchObject({ _tag: "OpenCodeProcessError", exitCode: 64 })
      expect(error.message).toContain("Rest")
    }).pipe(Effect.provide(opencode([script(FaultyOpenCode.rest)]))))
})
