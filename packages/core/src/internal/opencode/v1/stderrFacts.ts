import { parsed } from "../../util/json.js"
import { copy } from "../../util/lines.js"
import { number, string } from "../../util/object.js"
import * as tail from "../../util/tail.js"
import { field } from "../decode.js"
import { ending, isRejected, stringsIn } from "../stderr.js"
import type { Fact, ProviderFailure, Reader } from "../stderr.js"

const opening = /^!\s+permission requested: (\S+?)(?: \(|(?=; auto-rejecting$))/

/** The text after the name of a permission without patterns. */
const withoutPatterns = "; auto-rejecting"

const bare = (line: string): string => line.endsWith("\r") ? line.slice(0, -1) : line

const ends = (line: string): boolean => bare(line).endsWith(ending)
const fallback = /^!\s+agent "(.*)" (not found|is a subagent, not a primary agent)\. Falling back to default agent$/

const pair = /([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="\\]*)(?: |$)/y

const unquoted = (value: string): string => {
  if (!value.startsWith("\"")) return value
  try {
    return String(JSON.parse(value))
  } catch {
    return value.slice(1, -1).replace(/\\(.)/g, "$1")
  }
}

/** The pairs of a line by OpenCode's logger, which consists of pairs only; empty for any other line. */
export const logfmt = (line: string): ReadonlyMap<string, string> | undefined => {
  const pairs = new Map<string, string>()
  pair.lastIndex = 0
  while (pair.lastIndex < line.length) {
    const match = pair.exec(line)
    if (match === null) return undefined
    pairs.set(match[1]!, unquoted(match[2]!))
  }
  return pairs
}

/** The log format of 1.17 and later. */
const logged = (line: string): ReadonlyMap<string, string> | undefined =>
  /^timestamp=\S+ level=[A-Z]+ /.test(line) ? logfmt(line) : undefined

/** The log format before 1.17: `ERROR 2026-11-22T13:35:18 +3ms service=llm … stream error`. */
const older = /^(?:DEBUG|INFO|WARN|ERROR)\s+\d{4}-\d\d-\d\dT\S+ \+\d+ms service=/

/** The error of a failed attempt is one JSON object there, with the whole request, the prompt included. */
const olderError = / error=(\{.*\}) stream error$/

const olderReason = (json: string): string => {
  const error = field(parsed(json), "error")
  const message = string(field(error, "message")) ?? string(field(field(field(error, "data"), "error"), "message"))
  const status = number(field(error, "statusCode"))
  const said = message ?? (status === undefined ? undefined : `status ${status}`)
  return [string(field(error, "name")), said].filter((part) => part !== undefined).join(": ") || "stream error"
}

const olderPairs = (line: string): ReadonlyMap<string, string> => {
  const error = olderError.exec(line)
  const pairs = new Map(
    Array.from(
      (error === null ? line : line.slice(0, error.index)).matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g),
      ([, name, value]) => [name!, unquoted(value!)]
    )
  )
  return error === null ? pairs : pairs.set("error", olderReason(error[1]!))
}

export const isLog = (line: string): boolean => logged(line) !== undefined || older.test(line)

/** Splits at commas, except in quotes and in multi-line texts. */
const split = (text: string): ReadonlyArray<string> => {
  if (text === "") return []
  if (text.includes("\n")) return [text]
  const parts: Array<string> = []
  let quote = ""
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === "\\") at++
    else if (quote !== "") quote = character === quote ? "" : quote
    else if (character === "\"" || character === "'" || character === "`") quote = character
    else if (character === "," && text[at + 1] === " ") {
      parts.push(text.slice(from, at))
      from = at + 2
    }
  }
  // An apostrophe does not open a quote.
  return quote === "" ? [...parts, text.slice(from)] : text.split(", ")
}

/** The text of a rejected permission, from its opening on. */
interface Block {
  readonly permission: string
  readonly lines: Array<string>
  length: number
  isClosed: boolean
}

/** Texts of permissions longer than this many characters are cut. */
const maxBlock = 8 * 1024 * 1024

const oneFeed = (text: string): string => text.replace(/\r(?=\n|$)/g, "")

/** How many rejected calls are remembered, because the two pipes are read independently. */
const maxInputs = 8

const keep = (block: Block, line: string): void => {
  if (block.length > maxBlock) return
  block.length += line.length
  block.lines.push(line)
}

const rejected = ({ lines, permission }: Block): Fact => {
  const text = bare(lines.join("\n"))
  const patterns = text === withoutPatterns ? [] : split(text.endsWith(ending) ? text.slice(0, -ending.length) : text)
  return {
    _tag: "PermissionRejected",
    event: { _tag: "PermissionRejected", permission: copy(permission), patterns: patterns.map(copy) }
  }
}

/** Makes a reader that keeps `kept` characters of OpenCode's own lines. */
export const make = (kept: number): Reader => {
  const own = tail.make(kept)
  const runs = new Set<string>()
  let inputs: Array<string> = []
  let session: string | undefined
  let hasEvent = false
  let hasRejected = false
  /** The permission whose text continues, or may continue, because it can contain its own end phrase. */
  let block: Block | undefined
  /** Lines after that phrase in the same chunk, by the model as likely as by OpenCode. */
  let doubtful: Array<string> = []
  let doubtfulLength = 0
  /** True if a permission is open at the end of the doubtful lines. */
  let isNested = false

  const failure = (pairs: ReadonlyMap<string, string>): ProviderFailure | undefined => {
    // The title generator is another model call, which does not decide about the run.
    if (pairs.get("small") === "true") return undefined
    const id = pairs.get("session.id")
    // A sub-agent's session is unknown until its task has ended; another main conversation does not belong to this run.
    if (id !== undefined && session !== undefined && id !== session && pairs.get("mode") === "primary") return undefined
    if (!hasEvent) session ??= id
    return {
      _tag: "ProviderFailure",
      reason: pairs.get("error.error") ?? pairs.get("error.error.message") ?? pairs.get("error") ?? "stream error",
      provider: pairs.get("providerID"),
      model: pairs.get("modelID"),
      sessionId: id,
      agent: pairs.get("agent")
    }
  }

  const log = (line: string, pairs: ReadonlyMap<string, string> | undefined): ReadonlyArray<Fact> => {
    const id = pairs?.get("run")
    if (id !== undefined) {
      // All lines of one process have the same number, which the model cannot know.
      if (hasRejected && runs.size > 0 && !runs.has(id)) return []
      if (!hasRejected) runs.add(id)
    }
    own.push(`${line}\n`)
    const isFailure = pairs === undefined ? line.endsWith("stream error") : pairs.get("message") === "stream error"
    const fact = isFailure ? failure(pairs ?? olderPairs(line)) : undefined
    return fact === undefined ? [] : [fact]
  }

  /** Reads a line that stands alone. */
  const single = (line: string): ReadonlyArray<Fact> => {
    const pairs = logged(line)
    if (pairs !== undefined || older.test(line)) return log(line, pairs)
    own.push(`${line}\n`)
    const agent = hasRejected ? null : fallback.exec(line)
    return agent === null ? [] : [{
      _tag: "AgentFallback",
      fallback: { agent: copy(agent[1]!), reason: agent[2] === "not found" ? "unknown" : "subagent" },
      isLate: hasEvent
    }]
  }

  const begin = (line: string, permission: RegExpExecArray): void => {
    hasRejected = true
    const isWhole = !permission[0].endsWith("(")
    block = { permission: permission[1]!, lines: [], length: 0, isClosed: isWhole || ends(line) }
    keep(block, line.slice(permission[0].length))
  }

  const doubt = (line: string): void => {
    if (doubtfulLength > maxBlock) return
    doubtfulLength += line.length
    doubtful.push(line)
  }

  const clear = (): ReadonlyArray<string> => {
    const lines = doubtful
    block = undefined
    doubtful = []
    doubtfulLength = 0
    isNested = false
    return lines
  }

  /** Called when the text of the permission has ended without the doubtful lines: returns their facts. */
  const release = (): ReadonlyArray<Fact> => {
    const text = block === undefined ? undefined : oneFeed(block.lines.join("\n"))
    const isModels = text !== undefined && inputs.some((input) => input.includes(text))
    const lines = clear()
    if (isModels) return []
    const facts: Array<Fact> = []
    for (const line of lines) {
      const permission = opening.exec(bare(line))
      if (block !== undefined) add(block, line)
      else if (permission !== null) begin(line, permission)
      else facts.push(...single(bare(line)))
      if (block?.isClosed === true) {
        facts.push(rejected(block))
        block = undefined
      }
    }
    return facts
  }

  const add = (block: Block, line: string): void => {
    keep(block, line)
    block.isClosed = ends(line)
  }

  /** Handles a line after the end of a permission. */
  const behind = (block: Block, line: string): void => {
    doubt(line)
    if (opening.test(bare(line))) isNested = true
    if (!ends(line)) return
    if (isNested) {
      isNested = false
      return
    }
    // This ends a text that no doubtful line has begun, so all of them belong to the permission.
    for (const one of doubtful) keep(block, one)
    doubtful = []
    doubtfulLength = 0
  }

  return {
    lines: (lines, isFresh) => {
      const facts: Array<Fact> = []
      let told = block?.isClosed === true ? block : undefined
      lines.forEach((line, index) => {
        const permission = opening.exec(bare(line))
        // A text at the start of a chunk is a new one, so the previous one has ended.
        if (index === 0 && isFresh && told !== undefined && (permission !== null || isLog(bare(line)))) {
          facts.push(...release())
          told = undefined
        }
        if (block?.isClosed === true) behind(block, line)
        else if (block !== undefined) add(block, line)
        else if (permission !== null) begin(line, permission)
        else facts.push(...single(bare(line)))
      })
      if (block?.isClosed === true && block !== told) facts.push(rejected(block))
      return facts
    },
    event: (event) => {
      switch (event._tag) {
        case "Diagnostic":
        case "PermissionRejected":
        case "ProviderRetry":
          return []
        case "ToolUse":
          if (isRejected(event)) inputs = [...inputs, ...stringsIn(event.input).map(oneFeed)].slice(-maxInputs)
      }
      hasEvent = true
      if (event.sessionId !== undefined) session = event.sessionId
      return doubtful.length === 0 ? [] : release()
    },
    end: () => block?.isClosed === true ? release() : [],
    own: own.read
  }
}
