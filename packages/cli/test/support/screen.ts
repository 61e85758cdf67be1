import * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as terminalText from "../../src/display/terminalText.js"

/** A terminal that understands the sequences we write and refuses all others. */
export class Screen {
  /** Everything since the start, including the lines that have scrolled away. */
  private lines: Array<string> = [""]
  private row = 0
  private column = 0
  cursorVisible = true
  wraps = true
  /** What was written, one element per call. */
  readonly writes: Array<string> = []

  constructor(public columns: number, public rows: number) {}

  /** The written lines, without empty ones at the end. */
  get text(): ReadonlyArray<string> {
    const lines = this.lines.map((line) => line.trimEnd())
    while (lines.length > 0 && lines[lines.length - 1] === "") lines.pop()
    return lines
  }

  write(text: string): void {
    this.writes.push(text)
    // eslint-disable-next-line no-control-regex
    for (const [token] of text.matchAll(/\u001b\[\??[0-9]*[a-zA-Z]|[^]/gu)) this.token(token)
  }

  private token(token: string): void {
    // eslint-disable-next-line no-control-regex
    const [, code = "", command = ""] = /^\u001b\[(\??[0-9]*)([a-zA-Z])$/.exec(token) ?? []
    if (command === "m") return
    if (command === "A") this.row = Math.max(this.top, this.row - Number(code || 1))
    else if (`${code}${command}` === "2K") this.lines[this.row] = ""
    else if (`${code}${command}` === "J") {
      this.lines = [...this.lines.slice(0, this.row), this.before(this.column)]
    } else if (code === "?25") this.cursorVisible = command === "h"
    else if (code === "?7") this.wraps = command === "h"
    else if (command !== "" || token === "\u001b") throw new Error(`not understood: ${JSON.stringify(token)}`)
    else if (token === "\r") this.column = 0
    else if (token === "\n") this.newLine()
    else this.print(token)
  }

  /** The first visible row. */
  private get top(): number {
    return Math.max(0, this.lines.length - this.rows)
  }

  private before(column: number): string {
    return (this.lines[this.row] ?? "").slice(0, column)
  }

  private newLine(): void {
    this.row++
    this.column = 0
    if (this.row === this.lines.length) this.lines.push("")
  }

  private print(character: string): void {
    const line = this.lines[this.row] ?? ""
    if (terminalText.width(line) + terminalText.width(character) > this.columns) {
      if (!this.wraps) return
      this.newLine()
    }
    if (this.column !== this.before(Number.POSITIVE_INFINITY).length) throw new Error("writes over what is there")
    this.lines[this.row] = `${this.lines[this.row] ?? ""}${character}`
    this.column += character.length
  }
}

export const make = (screen: Screen): Terminal.Terminal =>
  Terminal.Terminal.of({
    columns: Effect.sync(() => screen.columns),
    rows: Effect.sync(() => screen.rows),
    isTTY: Effect.succeed(true),
    readInput: Effect.die("nobody types"),
    readLine: Effect.die("nobody types"),
    display: (text) => Effect.sync(() => screen.write(text))
  })

export const layer = (screen: Screen): Layer.Layer<Terminal.Terminal> => Layer.succeed(Terminal.Terminal, make(screen))
