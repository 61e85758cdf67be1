/**
 * Shows a batch while it works: a table that redraws itself in place, or a log of plain lines, or nothing.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Redaction from "effect-opencode/Redaction"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Fleet from "../fleet/Fleet.js"
import type { Host } from "../host/Host.js"
import * as FleetView from "./FleetView.js"
import * as log from "./log.js"
import * as redraw from "./redraw.js"
import * as Style from "./Style.js"
import * as terminalText from "./terminalText.js"

export interface Service {
  /** Reports an event. */
  readonly emit: (event: Fleet.FleetEvent) => Effect.Effect<void>
  /** Prints a line above the table. Control characters are removed. */
  readonly log: (line: string) => Effect.Effect<void>
  /** The current state of the batch. */
  readonly fleet: Effect.Effect<Fleet.Fleet>
}

export class Display extends Context.Tag("effect-opencode-cli/Display")<Display, Service>() {}

/** The size assumed for a terminal that does not report one. */
const fallback = { columns: 80, rows: 24 }

/** A log line, made for the terminal's width at the time of drawing. */
type LogLine = (columns: number) => string

const makeLive = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  const style = yield* Style.stdout
  const fleet = yield* Ref.make(Fleet.empty)
  const shown = yield* Ref.make<{ readonly drawn: redraw.Drawn; readonly text: string }>({ drawn: [], text: "" })
  let pending: Array<LogLine> = []

  // a failure to draw must not end the batch
  const write = (text: string) => Effect.ignore(terminal.display(text))
  const push = (line: LogLine) => void pending.push(line)

  const draw = (table: (screen: FleetView.Screen) => ReadonlyArray<string>) =>
    Effect.uninterruptible(Effect.gen(function*() {
      const columns = (yield* terminal.columns) || fallback.columns
      const rows = (yield* terminal.rows) || fallback.rows
      const now = yield* Clock.currentTimeMillis
      // the cursor is on its own row below the table
      const lines = table({ now, columns, rows: rows - 1, style })
      const log = pending.map((line) => line(columns))
      pending = []
      // a resized terminal has wrapped the lines that it shows, so they must be drawn again
      const text = lines.length === 0 ? "" : [columns, ...lines].join("\n")
      const before = yield* Ref.getAndSet(shown, { drawn: redraw.widths(lines), text })
      if (log.length === 0 && text === before.text) return
      yield* write(redraw.redraw(before.drawn, { columns, log, table: lines }))
    }))

  yield* Effect.acquireRelease(write(redraw.enter), () => write(redraw.leave))
  // last in, first out: the drawing fiber ends, then the table is removed, then the cursor comes back
  yield* Effect.addFinalizer(() => draw(() => []))
  yield* Effect.forkScoped(
    Effect.repeat(
      Effect.flatMap(Ref.get(fleet), (current) => draw((screen) => FleetView.live(current, screen))),
      Schedule.spaced("100 millis")
    )
  )

  const display = Display.of({
    emit: (event) =>
      Effect.andThen(
        Ref.update(fleet, (current) => Fleet.update(current, event)),
        Effect.sync(() => {
          if (event._tag !== "Ended" || event.result.outcome === "success") return
          push((columns) => FleetView.ending(event.result, { columns, style }))
        })
      ),
    log: (line) => Effect.sync(() => push(() => terminalText.oneLine(line))),
    fleet: Ref.get(fleet)
  })
  return { display, push }
})

/** Sends log entries above the table; otherwise they would be drawn into it. */
const above = (push: (line: LogLine) => void, redactor: Redaction.Redactor) =>
  Logger.make<unknown, void>((entry) => {
    const line = terminalText.oneLine(`${entry.logLevel.label} ${redactor.text(log.text(entry))}`)
    push(() => line)
  })

/**
 * A line for each event, for logs and for `--plain`. Returns when the line is written, so a slow reader slows the batch
 * down.
 */
export const plain: Layer.Layer<Display, never, Terminal.Terminal> = Layer.effect(
  Display,
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const fleet = yield* Ref.make(Fleet.empty)
    const write = (line: string) => Effect.ignore(terminal.display(`${line}\n`))
    return {
      emit: (event) =>
        Effect.gen(function*() {
          const after = yield* Ref.updateAndGet(fleet, (current) => Fleet.update(current, event))
          const line = FleetView.plainLine(after, event)
          if (line !== undefined) yield* write(line)
        }),
      log: (line) => write(terminalText.oneLine(line)),
      fleet: Ref.get(fleet)
    }
  })
)

/**
 * A table that is redrawn at most ten times a second, and only when it has changed. Failed jobs and log entries are
 * printed above it. When the scope closes, also by interruption, the table is removed and the cursor shown again: the
 * screen is then free for the final table. A terminal that cannot redraw (`TERM=dumb`) gets {@link plain} lines.
 */
export const live: Layer.Layer<Display, never, Terminal.Terminal | Host> = Layer.unwrapScoped(
  Effect.gen(function*() {
    if ((yield* Effect.orElseSucceed(Config.string("TERM"), () => "")) === "dumb") return plain
    const { display, push } = yield* makeLive
    const redactor = Redaction.make(yield* Redaction.inherited)
    return Layer.merge(
      Layer.succeed(Display, display),
      log.only(above(push, redactor))
    )
  })
)

/** Shows nothing; the state of the batch can still be read. */
export const silent: Layer.Layer<Display> = Layer.effect(
  Display,
  Effect.map(Ref.make(Fleet.empty), (fleet) => ({
    emit: (event) => Ref.update(fleet, (current) => Fleet.update(current, event)),
    log: () => Effect.void,
    fleet: Ref.get(fleet)
  }))
)
