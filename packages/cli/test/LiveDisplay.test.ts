import { BadArgument } from "@effect/platform/Error"
import * as Terminal from "@effect/platform/Terminal"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as LiveDisplay from "../src/display/LiveDisplay.js"
import * as redraw from "../src/display/redraw.js"
import * as Fleet from "../src/fleet/Fleet.js"
import { Host } from "../src/host/Host.js"
import { result, text } from "./support/results.js"
import * as screen from "./support/screen.js"

const { FleetEvent } = Fleet

const standardStreams = Layer.succeed(Host, {
  args: [],
  stdinIsTerminal: false,
  stdoutIsTerminal: false,
  stderrIsTerminal: false,
  columns: Effect.succeed(80),
  stderrColumns: Effect.succeed(80),
  stdin: Effect.succeed(new Uint8Array()),
  writeError: () => Effect.void,
  environmentNames: [],
  temporaryDirectory: "/tmp",
  platform: "linux",
  nodeVersion: "20.19.0"
})

/** The surroundings of the program, without the environment of the test. */
const around = (variables: { readonly [name: string]: string }) =>
  Layer.merge(
    standardStreams,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
  )

const host = around({})

const queued = (id: string) => FleetEvent.Queued({ id, name: `job ${id}` })
const started = (id: string, at = 0) => FleetEvent.Started({ id, at })
const observed = (id: string, content: string) => FleetEvent.Observed({ id, event: text(content), at: 0 })
const ended = (id: string, outcome = "success") =>
  FleetEvent.Ended({ id, at: 0, result: result({ id, name: `job ${id}`, outcome, duration: Duration.seconds(5) }) })

/** A live display that the test ends. */
const open = (terminal: screen.Screen) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      LiveDisplay.live.pipe(Layer.provide([screen.layer(terminal), host])),
      scope
    )
    return {
      display: yield* Effect.provide(LiveDisplay.Display, context),
      close: Scope.close(scope, Exit.void)
    }
  })

const tick = TestClock.adjust("100 millis")

describe("live", () => {
  it.scoped("draws a table in place and removes it at the end", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(60, 20)
      terminal.write("$ effect-opencode batch\n")
      const { close, display } = yield* open(terminal)
      expect(terminal).toMatchObject({ cursorVisible: false, wraps: false })
      for (const event of [queued("a"), queued("b"), started("a")]) yield* display.emit(event)
      yield* tick
      const waiting = terminal.text
      yield* display.emit(observed("a", "reads the code"))
      yield* tick
      const running = terminal.text
      yield* close

      expect(waiting.slice(0, 3)).toEqual([
        "$ effect-opencode batch",
        "  job           tokens      cost     time  now",
        "▹ job a                              0:00  starting"
      ])
      expect(running[2]).toBe("▸ job a              0   $0.0000     0:00  reads the code")
      expect(running.length).toBe(waiting.length)
      expect(terminal.text).toEqual(["$ effect-opencode batch"])
      expect(terminal).toMatchObject({ cursorVisible: true, wraps: true })
    }))

  it.scoped("draws at most ten times a second, and only when something has changed", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(60, 20)
      const { close, display } = yield* open(terminal)
      yield* display.emit(started("a"))
      const before = terminal.writes.length
      for (let index = 0; index < 100; index++) {
        yield* display.emit(observed("a", `text ${index}`))
        yield* TestClock.adjust("10 millis")
      }
      expect(terminal.writes.length - before).toBe(10)
      expect(terminal.text.join("\n")).toMatch(/text 9\d/)

      // only the seconds of running jobs change
      const busy = terminal.writes.length
      yield* TestClock.adjust("5 seconds")
      expect(terminal.writes.length - busy).toBe(5)

      yield* display.emit(ended("a"))
      yield* tick
      const idle = terminal.writes.length
      yield* TestClock.adjust("500 millis")
      expect(terminal.writes.length).toBe(idle)
      yield* close
    }))

  it.scoped("prints failures and log lines above the table", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(80, 20)
      const { close, display } = yield* open(terminal)
      for (const event of [started("a"), started("b"), started("c")]) yield* display.emit(event)
      yield* tick
      const table = terminal.text
      yield* display.emit(ended("a", "OpenCodeTimeoutError"))
      yield* display.emit(ended("b"))
      yield* display.log("a line\u001b[2J of\nthe log that is longer than the terminal is wide, and is kept as a whole")
      yield* tick
      const after = terminal.text
      yield* close

      const log = [
        "✗ job a                 0       0   $0.0000     0:05  timeout",
        "a line of the log that is longer than the terminal is wide, and is kept as a who",
        "le"
      ]
      expect(after.slice(0, 4)).toEqual([...log, table[0]])
      expect(after.length).toBe(log.length + table.length - 2)
      expect(terminal.text).toEqual(log)
    }))

  it.scoped("prints the last log line before it ends", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(80, 20)
      const { close, display } = yield* open(terminal)
      yield* display.log("the last line")
      yield* close
      expect(terminal.text).toEqual(["the last line"])
    }))

  it.scoped("redirects the program's log lines above the table", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(80, 20)
      yield* Effect.gen(function*() {
        const display = yield* LiveDisplay.Display
        yield* display.emit(started("a"))
        yield* tick
        yield* Effect.logWarning("A transcript could not be written", { file: "a\nb" })
        yield* tick
      }).pipe(Effect.provide(LiveDisplay.live), Effect.provide([screen.layer(terminal), host]))
      expect(terminal.text).toEqual([`WARN A transcript could not be written {"file":"a\\nb"}`])
    }))

  it.scoped("restores the screen when it is interrupted", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(60, 20)
      const drawn = yield* Deferred.make<void>()
      const fiber = yield* Effect.gen(function*() {
        const display = yield* LiveDisplay.Display
        yield* display.emit(started("a"))
        yield* tick
        yield* Deferred.succeed(drawn, undefined)
        yield* Effect.never
      }).pipe(Effect.provide(LiveDisplay.live), Effect.provide([screen.layer(terminal), host]), Effect.fork)
      yield* Deferred.await(drawn)
      expect(terminal.text.length).toBeGreaterThan(1)
      yield* Fiber.interrupt(fiber)
      expect(terminal.text).toEqual([])
      expect(terminal).toMatchObject({ cursorVisible: true, wraps: true })
    }))

  it.scoped("follows the size of the terminal", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(60, 20)
      const { close, display } = yield* open(terminal)
      for (const id of ["a", "b", "c", "d", "e"]) yield* display.emit(started(id))
      yield* tick
      expect(terminal.text.length).toBe(10)
      terminal.rows = 5
      yield* tick
      // the cursor needs a row, too; lines that have scrolled away cannot be redrawn
      expect(terminal.text.slice(-4)).toEqual([
        "▹ a                                  0:00  starting",
        "▹ b                                  0:00  starting",
        "  and 3 more active",
        "0 of 5 ended · 5 active · 5 at the gate · 0 tokens · $0.0000"
      ])
      yield* close
    }))

  it.scoped("assumes 80 columns when the terminal does not report its width", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(0, 0)
      const { close, display } = yield* open(terminal)
      yield* display.emit(started("a"))
      yield* tick
      expect(terminal.writes.join("")).toContain("job               steps")
      yield* close
    }))

  it.scoped("prints plain lines on a terminal that cannot redraw", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(80, 20)
      yield* Effect.flatMap(LiveDisplay.Display, ({ emit }) => emit(started("a"))).pipe(
        Effect.provide(LiveDisplay.live),
        Effect.provide([screen.layer(terminal), around({ TERM: "dumb" })])
      )
      expect(terminal.writes).toEqual(["   0:00  a                     starts\n"])
    }))

  it.scoped("continues when nothing can be written", () =>
    Effect.gen(function*() {
      const gone = new BadArgument({ module: "Terminal", method: "display", description: "gone" })
      const terminal = Layer.succeed(
        Terminal.Terminal,
        { ...screen.make(new screen.Screen(80, 24)), display: () => Effect.fail(gone) }
      )
      const fleet = yield* Effect.gen(function*() {
        const display = yield* LiveDisplay.Display
        yield* display.emit(started("a"))
        yield* tick
        yield* display.emit(ended("a"))
        return yield* display.fleet
      }).pipe(Effect.provide(LiveDisplay.live), Effect.provide([terminal, host]))
      expect(fleet.done).toBe(1)
    }))
})

describe("redraw", () => {
  it("counts the rows of lines wrapped by a narrower terminal", () => {
    expect(redraw.rowsOf([80, 10, 0, 41], 80)).toBe(4)
    expect(redraw.rowsOf([80, 10, 0, 41], 40)).toBe(6)
    expect(redraw.rowsOf([3], 0)).toBe(3)
    expect(redraw.rowsOf([], 80)).toBe(0)
  })

  it("measures lines without their colours", () => {
    expect(redraw.widths(["\u001b[31m日本\u001b[39m!", ""])).toEqual([5, 0])
  })
})

describe("plain", () => {
  it.effect("prints a line for each event", () =>
    Effect.gen(function*() {
      const terminal = new screen.Screen(200, 20)
      yield* Effect.gen(function*() {
        const display = yield* LiveDisplay.Display
        for (const event of [queued("a"), started("a"), observed("a", "two\nlines"), ended("a")]) {
          yield* display.emit(event)
        }
        yield* display.log("by the way")
        expect((yield* display.fleet).done).toBe(1)
      }).pipe(Effect.provide(LiveDisplay.plain), Effect.provide(screen.layer(terminal)))
      expect(terminal.writes.join("")).toBe([
        "   0:00  job a                 starts\n",
        "   0:00  job a                 two lines\n",
        "   0:00  job a                 done: 0 steps, 0 tokens, $0.0000, 5.0 s\n",
        "by the way\n"
      ].join(""))
    }))
})

describe("silent", () => {
  it.effect("keeps the state", () =>
    Effect.gen(function*() {
      const display = yield* LiveDisplay.Display
      yield* display.emit(ended("a"))
      yield* display.log("nobody reads this")
      expect((yield* display.fleet).done).toBe(1)
    }).pipe(Effect.provide(LiveDisplay.silent)))
})
