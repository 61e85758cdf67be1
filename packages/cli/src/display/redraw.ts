/**
 * Redrawing in place: from data to the text that is written to a terminal.
 */
import * as terminalText from "./terminalText.js"

const escape = "\u001b["

/** Hides the cursor and keeps long lines from wrapping. */
export const enter = `${escape}?25l${escape}?7l`

/** Undoes {@link enter}. */
export const leave = `${escape}?7h${escape}?25h`

const wrap = `${escape}?7h`
const noWrap = `${escape}?7l`
const clearLine = `${escape}2K`
const clearBelow = `${escape}J`

const up = (rows: number): string => rows === 0 ? "\r" : `\r${escape}${rows}A`

/** What is on the screen: the width of each line, with the cursor below the last one. */
export type Drawn = ReadonlyArray<number>

export const widths = (lines: ReadonlyArray<string>): Drawn =>
  lines.map((line) => terminalText.width(terminalText.withoutEscapes(line)))

/** The rows that the lines take after a narrower terminal has wrapped them. */
export const rowsOf = (drawn: Drawn, columns: number): number =>
  drawn.reduce((rows, width) => rows + Math.max(1, Math.ceil(width / Math.max(1, columns))), 0)

/** Log lines, then the table, which replaces the one drawn before. */
export const redraw = (
  drawn: Drawn,
  next: { readonly columns: number; readonly log: ReadonlyArray<string>; readonly table: ReadonlyArray<string> }
): string =>
  [
    up(rowsOf(drawn, next.columns)),
    // log lines stay, so they may take as many rows as they need
    ...(next.log.length === 0 ? [] : [clearBelow, wrap, ...next.log.map((line) => `${line}\n`), noWrap]),
    ...next.table.map((line) => `${clearLine}${line}\n`),
    clearBelow
  ].join("")
