/** Shows a run to a person: the answer on standard output, the rest on standard error. Pure: from events to lines. */
import * as RunEvent from "effect-opencode/RunEvent"
import type { FileChange } from "effect-opencode/RunResult"
import type { TokenUsage } from "effect-opencode/TokenUsage"
import * as Duration from "effect/Duration"
import { isObject } from "../commandLine/values.js"
import { costInWords, count, duration } from "./format.js"
import { lost } from "./lost.js"
import { plural } from "./plural.js"
import type { Style } from "./Style.js"
import { clip, manyLines, oneLine, width } from "./terminalText.js"

export interface Options {
  /** For standard error. */
  readonly style: Style
  /** The width of standard error. */
  readonly columns: number
  /** Whether standard output is a terminal, which a model's text must not control. */
  readonly stdoutIsTerminal: boolean
  /** The run's working directory; file names are shown relative to it. */
  readonly cwd: string
}

/** Lines to show. */
export interface Shown {
  readonly stdout: ReadonlyArray<string>
  readonly stderr: ReadonlyArray<string>
}

export const nothing: Shown = { stdout: [], stderr: [] }

const lines = (text: string): ReadonlyArray<string> => text.replace(/\s+$/, "").split(/\r?\n/)

/** What the agent says on the way to its answer. */
export const narration = (text: string): Shown =>
  text.trim() === "" ? nothing : { stdout: [], stderr: lines(manyLines(text)) }

/** The answer, which alone goes to standard output. */
export const answer = (text: string, { stdoutIsTerminal }: Options): Shown => {
  if (text.trim() === "") return nothing
  return {
    stdout: stdoutIsTerminal ? lines(manyLines(text)) : [text.replace(/\n$/, "")],
    stderr: []
  }
}

const note = (mark: string, text: string, { columns }: Options): Shown => ({
  stdout: [],
  stderr: [`${mark} ${clip(oneLine(text), Math.max(20, columns - 3))}`]
})

/** The input fields that describe a tool call without a title. */
const mainInputs = ["command", "filePath", "path", "pattern", "query", "url", "description", "prompt"]

/** OpenCode names files from the root of the disk if there is no repository (1.18.33). */
const fromHere = (path: string, cwd: string): string => {
  const prefix = [`${cwd}/`, `${cwd.slice(1)}/`].find((prefix) => prefix.length > 1 && path.startsWith(prefix))
  return prefix === undefined ? path : path.slice(prefix.length)
}

const subject = (event: RunEvent.ToolUse, cwd: string): string => {
  const title = event.title ?? ""
  if (title.trim() !== "") return fromHere(title, cwd)
  const { input } = event
  if (!isObject(input)) return ""
  const named = mainInputs.map((name) => input[name]).find((value) => typeof value === "string" && value.trim() !== "")
  return typeof named === "string" ? fromHere(named, cwd) : ""
}

const exitOf = ({ metadata }: RunEvent.ToolUse): number | undefined => {
  const exit = isObject(metadata) ? metadata["exit"] : undefined
  return typeof exit === "number" && exit !== 0 ? exit : undefined
}

/** Shorter durations are not shown. */
const slow = 1000

const took = ({ time }: RunEvent.ToolUse): string => {
  const { end, start } = time ?? {}
  return start !== undefined && end !== undefined && end - start >= slow ? duration(end - start) : ""
}

const toolUse = (event: RunEvent.ToolUse, { columns, cwd, style }: Options): Shown => {
  const exit = exitOf(event)
  const failed = event.status === "error"
  const facts = [exit === undefined ? "" : `exit ${exit}`, took(event)].filter((fact) => fact !== "")
  const remarks = facts.length === 0 ? "" : `(${facts.join(", ")})`
  const tool = oneLine(event.tool)
  const what = oneLine(failed ? `${subject(event, cwd)}: ${event.error ?? "no reason given"}` : subject(event, cwd))
  const left = Math.max(20, columns - width(`● ${tool}  ${remarks}`))
  const mark = failed ? style.red("✘") : exit === undefined ? style.green("●") : style.yellow("●")
  return {
    stdout: [],
    stderr: [
      [mark, style.bold(tool), clip(what.replace(/^: /, ""), left), style.dim(remarks)].filter((part) => part !== "")
        .join(" ")
    ]
  }
}

/**
 * What an event shows. A text is shown as {@link narration}, although it can turn out to be a summary of OpenCode's.
 */
export const event = (event: RunEvent.RunEvent, options: Options): Shown => {
  const { style } = options
  switch (event._tag) {
    case "StepStart":
    case "StepFinish":
    // The complete part follows.
    case "TextDelta":
      return nothing
    case "Text":
      return event.synthetic === true
        ? note(style.dim("·"), RunEvent.describe(event), options)
        : narration(event.text)
    case "Reasoning":
      return { stdout: [], stderr: lines(manyLines(event.text)).map((line) => style.dim(`│ ${line}`)) }
    case "ToolUse":
      return toolUse(event, options)
    case "SessionError":
      return note(style.red("!"), RunEvent.describe(event), options)
    case "PermissionAsked":
    case "PermissionRejected":
    case "ProviderRetry":
      return note(style.yellow("!"), RunEvent.describe(event), options)
    case "Diagnostic":
      return event.line.trim() === "" && event.lost !== true ? nothing : note(
        event.lost === true ? style.yellow("!") : style.dim("·"),
        RunEvent.describe(event),
        options
      )
    case "Unknown":
      return narration(RunEvent.textOf(event))
  }
}

/** How a run has ended, or its progress so far. */
export interface Ending {
  /** `success`, `interrupted`, or the tag of the error. */
  readonly outcome: string
  readonly steps: number
  readonly usage: TokenUsage
  /** US dollars. */
  readonly cost: number
  /** `true` if some of the cost is unknown and not included in `cost`. */
  readonly unpriced?: boolean | undefined
  /** `undefined` if unknown. */
  readonly duration: Duration.Duration | undefined
  readonly finishReason?: string | undefined
  /** How many times OpenCode was started. */
  readonly attempts?: number | undefined
  readonly recovered?: boolean | undefined
  /** Lines from OpenCode that look like events but cannot be read. */
  readonly lostLines?: number | undefined
  /** Whether OpenCode had to be killed after it had finished. */
  readonly forced?: boolean | undefined
  /** The session, if it can be continued. */
  readonly sessionId?: string | undefined
  readonly filesChanged?: ReadonlyArray<FileChange> | undefined
}

const figures = (
  { cost, steps, unpriced, usage }: Pick<Ending, "cost" | "steps" | "unpriced" | "usage">
): ReadonlyArray<string> => [
  plural(steps, "step"),
  usage.cacheRead > 0
    ? `${plural(usage.total, "token")} (${count(usage.cacheRead)} cached)`
    : plural(usage.total, "token"),
  costInWords({ cost, unpriced })
]

const signs: { readonly [Kind in FileChange["kind"]]: string } = {
  created: "+",
  modified: "~",
  deleted: "-",
  moved: ">"
}

const changeOf = (change: FileChange, cwd: string): string => {
  const named = (path: string): string => oneLine(fromHere(path, cwd))
  const amount = [
    change.additions === undefined ? "" : `+${change.additions}`,
    change.deletions === undefined ? "" : `-${change.deletions}`
  ].filter((part) => part !== "").join(" ")
  const from = change.from === undefined ? "" : `${named(change.from)} → `
  return `${signs[change.kind]} ${from}${named(change.path)}${amount === "" ? "" : ` (${amount})`}`
}

/** The maximum number of changed files listed. */
const shownFiles = 10

/** The lines that end a run. */
export const ending = (ending: Ending, { cwd, style }: Pick<Options, "cwd" | "style">): ReadonlyArray<string> => {
  const outcome = oneLine(ending.outcome)
  const finishReason = oneLine(ending.finishReason ?? "stop")
  const cut = outcome === "success" && finishReason !== "stop"
  const head = outcome !== "success"
    ? style.red(`✘ ${outcome}`)
    : cut
    ? style.yellow(`✔ ${outcome}, but the answer was cut: ${finishReason}`)
    : style.green(`✔ ${outcome}`)
  const remarks = [
    ...figures(ending),
    ...(ending.duration === undefined ? [] : [duration(Duration.toMillis(ending.duration))]),
    ...(ending.attempts !== undefined && ending.attempts > 1 ? [`${ending.attempts} starts`] : []),
    ...lost(ending).map(style.yellow),
    ...(ending.recovered === true ? ["end recovered from the session"] : []),
    ...(ending.forced === true ? ["OpenCode did not exit by itself"] : [])
  ]
  const files = ending.filesChanged ?? []
  return [
    [head, ...remarks].join(" · "),
    ...files.slice(0, shownFiles).map((change) => style.dim(`  ${changeOf(change, cwd)}`)),
    ...(files.length > shownFiles ? [style.dim(`  … and ${plural(files.length - shownFiles, "more file")}`)] : []),
    ...(ending.sessionId === undefined ? [] : [style.dim(`  continue with --session-id ${oneLine(ending.sessionId)}`)])
  ]
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

/** The status line of a run in progress. */
export const status = (
  state: Pick<Ending, "cost" | "steps" | "unpriced" | "usage"> & {
    /** Milliseconds. */
    readonly elapsed: number
    /** The current activity. */
    readonly doing: string
  },
  { columns, style }: Pick<Options, "columns" | "style">
): string => {
  const frame = frames[Math.floor(state.elapsed / 100) % frames.length] ?? ""
  const seconds = `${Math.floor(state.elapsed / 1000)} s`
  const parts = [state.doing, state.elapsed < 60_000 ? seconds : duration(state.elapsed)]
  const text = clip(
    [...parts, ...(state.usage.total === 0 ? [] : figures(state))].join(" · "),
    Math.max(10, columns - 3)
  )
  return `${style.cyan(frame)} ${style.dim(text)}`
}
