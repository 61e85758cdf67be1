/**
 * Cuts a transcript to the size that fits on a page. Pure, and bounded whatever the models wrote.
 */
import * as RunEvent from "effect-opencode/RunEvent"
import type * as TokenUsage from "effect-opencode/TokenUsage"
import { isObject } from "../commandLine/values.js"
import { withoutEscapes } from "../display/terminalText.js"

/** A text whose middle may be missing. */
export interface Cut {
  readonly head: string
  /** Characters that were left out. */
  readonly omitted: number
  readonly tail: string
}

/** Terminal text cut to at most `length` characters: two thirds from its start, the rest from its end. */
export const cut = (text: string, length: number): Cut => {
  if (text.length <= length) return { head: withoutEscapes(text), omitted: 0, tail: "" }
  const kept = Math.ceil((length * 2) / 3)
  const tail = Math.max(0, length - kept)
  return {
    head: withoutEscapes(text.slice(0, kept).replace(/[\ud800-\udbff]$/, "")),
    omitted: text.length - kept - tail,
    tail: withoutEscapes(text.slice(text.length - tail).replace(/^[\udc00-\udfff]/, ""))
  }
}

/** An event as a transcript shows it. */
export type Entry =
  | { readonly _tag: "Text"; readonly text: Cut }
  | { readonly _tag: "Reasoning"; readonly text: Cut }
  | {
    readonly _tag: "Tool"
    readonly tool: string
    readonly title: string
    readonly failed: boolean
    /** The exit code of a shell command, if it is not 0. */
    readonly exit: number | undefined
    readonly input: Cut
    /** The result, or the error. */
    readonly output: Cut
    /** Milliseconds. */
    readonly duration: number | undefined
  }
  | { readonly _tag: "Step"; readonly reason: string; readonly usage: TokenUsage.TokenUsage; readonly cost: number }
  /** A problem, or an unknown event. */
  | { readonly _tag: "Note"; readonly kind: string; readonly text: Cut; readonly bad: boolean }

/** Entries in order; those in the middle may be missing. */
export interface Excerpt {
  readonly head: ReadonlyArray<Entry>
  /** Entries that were left out. */
  readonly omitted: number
  readonly tail: ReadonlyArray<Entry>
}

export interface Limits {
  /** Characters of one text, input or output. */
  readonly text: number
  /** Characters of one transcript. */
  readonly transcript: number
}

/** Formats a value. One that cannot be written (nested too deeply, for example) must not break the page. */
const written = (value: unknown, space?: number): string | undefined => {
  try {
    return JSON.stringify(value, undefined, space)
  } catch (cause) {
    return `[not shown: ${cause instanceof Error ? cause.message : String(cause)}]`
  }
}

const scalar = (value: unknown): string => typeof value === "string" ? value : written(value) ?? "undefined"

const indent = (text: string): string => text.replace(/^/gm, "  ")

/** A tool's input for a person: a line for each field, with multi-line texts below their name. */
export const inputText = (input: unknown): string => {
  if (!isObject(input)) return typeof input === "string" ? input : written(input, 2) ?? ""
  return Object.entries(input)
    .map(([key, value]) => {
      const text = scalar(value)
      return text.includes("\n") ? `${key}:\n${indent(text)}` : `${key}: ${text}`
    })
    .join("\n")
}

const exitOf = (metadata: unknown): number | undefined => {
  const exit = isObject(metadata) ? metadata["exit"] : undefined
  return typeof exit === "number" && exit !== 0 ? exit : undefined
}

/** Cuts titles and tool names, which are single lines. */
const short = (text: string): string => text.length <= 200 ? text : `${text.slice(0, 199)}…`

const entryOf = (event: RunEvent.RunEvent, { text }: Limits): Entry | undefined => {
  const note = (kind: string, content: string, bad = true): Entry => ({
    _tag: "Note",
    kind,
    text: cut(content, text),
    bad
  })
  switch (event._tag) {
    case "StepStart":
      return undefined
    case "Text":
    case "Reasoning":
      if (event._tag === "Text" && event.synthetic === true) return note("OpenCode to itself", event.text, false)
      return event.text.trim() === "" ? undefined : { _tag: event._tag, text: cut(event.text.trim(), text) }
    case "ToolUse": {
      const { end, start } = event.time ?? {}
      return {
        _tag: "Tool",
        tool: short(event.tool),
        title: short(event.title ?? ""),
        failed: event.status === "error",
        exit: exitOf(event.metadata),
        input: cut(inputText(event.input), text),
        output: cut(event.error ?? event.output ?? "", text),
        duration: start === undefined || end === undefined ? undefined : Math.max(0, end - start)
      }
    }
    case "StepFinish":
      return { _tag: "Step", reason: short(event.reason ?? "no reason given"), usage: event.tokens, cost: event.cost }
    case "SessionError":
      return note(short(event.name), event.message)
    case "PermissionRejected":
      return note("not permitted", `${event.permission} ${event.patterns.join(", ")}`)
    case "ProviderRetry":
      return note(`provider failed (${event.attempt})`, event.reason)
    case "Diagnostic":
      return note(
        event.lost === true ? "lost event" : "no event",
        `${event.reason}: ${event.line}`,
        event.lost === true
      )
    case "Unknown":
      return note("unknown event", RunEvent.toLine(event), false)
  }
}

/** The approximate size of the markup around an entry. */
const overhead = 200

const lengthOf = (cut: Cut): number => cut.head.length + cut.tail.length

const size = (entry: Entry): number => {
  switch (entry._tag) {
    case "Text":
    case "Reasoning":
    case "Note":
      return overhead + lengthOf(entry.text)
    case "Tool":
      return 2 * overhead + lengthOf(entry.input) + lengthOf(entry.output)
    case "Step":
      return overhead
  }
}

/** As many entries as fit into `room`, but at least the first. */
const fitting = (entries: ReadonlyArray<Entry>, room: number): number => {
  let used = 0
  const over = entries.findIndex((entry) => (used += size(entry)) > room)
  return over === -1 ? entries.length : Math.max(1, over)
}

/** Keeps the start and the end of a run, which say the most. */
export const make = (events: Iterable<RunEvent.RunEvent>, limits: Limits): Excerpt => {
  const entries: Array<Entry> = []
  for (const event of events) {
    const entry = entryOf(event, limits)
    if (entry !== undefined) entries.push(entry)
  }
  if (fitting(entries, limits.transcript) === entries.length) return { head: entries, omitted: 0, tail: [] }
  const head = fitting(entries, limits.transcript / 2)
  const rest = entries.slice(head).reverse()
  const tail = fitting(rest, limits.transcript / 2)
  return { head: entries.slice(0, head), omitted: rest.length - tail, tail: rest.slice(0, tail).reverse() }
}
