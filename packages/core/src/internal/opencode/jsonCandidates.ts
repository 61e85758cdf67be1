import { afterSpace, scan } from "../util/jsonScan.js"

/** The names of thinking marks in models and prompts; the last forms are those of Kimi, Mistral and Sky-T1. */
const thinking = new RegExp(
  "<(/?)(?:[a-z]+[:_])?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|monologue)" +
    "(?:_(?:content|process|block))?(?:\\s[^<>]{0,200})?>" +
    "|◁(/?)think▷|\\[(/?)THINK\\]|<\\|(?:begin|(end))_of_thought\\|>",
  "gi"
)

const isLineStart = (text: string, at: number): boolean => /(?:^|\n)[ \t]*$/.test(text.slice(Math.max(0, at - 100), at))

/**
 * Removes the model's thinking from an answer, because it can contain values that are revoked later. Marks inside a
 * JSON value belong to the value; a mark in prose that is never closed, or in code, is only mentioned. Text before a
 * closing mark without an opening one is thinking: templates open it in the prompt.
 */
const withoutThinking = (text: string): string => {
  let kept = ""
  let from = 0
  let at = 0
  /** The end of a value that breaks off; marks inside it count, and it is not scanned again. */
  let broken = 0
  /** The start of the open block. */
  let open: number | undefined
  /** Skips the values before an index, and the value around it if that is complete. */
  const skipValues = (index: number): void => {
    while (at < index) {
      const c = text.charCodeAt(at)
      if (c !== 0x7b && c !== 0x5b) at++
      else {
        const { begun, complete, end, opener } = scan(text, at)
        if (!complete && end > index) broken = end
        at = complete || begun ? end : opener + 1
      }
    }
  }
  thinking.lastIndex = 0
  for (let mark = thinking.exec(text); mark !== null; mark = thinking.exec(text)) {
    const end = mark.index + mark[0].length
    if (open === undefined && mark.index >= broken) {
      skipValues(mark.index)
      if (at > mark.index && mark.index >= broken) {
        thinking.lastIndex = at
        continue
      }
    }
    at = end
    if (text.charAt(mark.index - 1) === "`") continue
    const closes = mark.slice(1).some((sign) => sign !== undefined && sign !== "")
    if (!closes) open ??= mark.index
    else {
      kept = open === undefined ? "" : `${kept}${text.slice(from, open)}\n`
      from = end
      open = undefined
    }
  }
  const isOpen = open !== undefined && isLineStart(text, open)
  return kept + (isOpen ? text.slice(from, open) : text.slice(from))
}

const isJson = (text: string): boolean => {
  const { complete, end } = scan(text, 0)
  return complete && end === text.length
}

/** How many candidates of one kind are tried, the last ones. More than that is a listing, not an answer. */
const kept = 100

/** Adds in constant time and drops candidates that will not be tried. */
const push = <A>(found: Array<A>, item: A): void => {
  found.push(item)
  if (found.length === 2 * kept) found.splice(0, kept)
}

const lastFirst = <A>(found: ReadonlyArray<A>): ReadonlyArray<A> => found.slice(-kept).reverse()

/**
 * Finds the objects and arrays in a text, including those that break off. Their inner values are never candidates: a
 * part of a broken answer could decode and would be wrong.
 *
 * Linear, because scanned text is not scanned again, except one string and the brackets before it.
 */
const spans = (text: string): ReadonlyArray<string> => {
  const found: Array<readonly [from: number, to: number]> = []
  let i = 0
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c !== 0x7b && c !== 0x5b) {
      i++
      continue
    }
    const { begun, complete, end, opener } = scan(text, i)
    if (complete || begun) {
      // Includes the wrong character, so that a parser reports the same error for the part as for the whole.
      push(found, [i, complete ? end : end + 1])
      i = end
    } else i = opener + 1
  }
  return lastFirst(found).map(([from, to]) => text.slice(from, to))
}

/** The opening or closing of a fence, at the end of its line except for a word or two. */
interface Marker {
  readonly start: number
  readonly sign: string
  readonly info: string
  /** The start of the next line. */
  readonly next: number
}

const longestInfo = 100

/** Not only at the start of a line, because OpenCode joins texts without a line feed. */
const markers = (text: string): ReadonlyArray<Marker> => {
  const found: Array<Marker> = []
  for (let i = 0; i < text.length;) {
    const c = text.charCodeAt(i)
    if (c !== 0x60 && c !== 0x7e) {
      i++
      continue
    }
    const start = i
    while (text.charCodeAt(i) === c) i++
    if (i - start < 3) continue
    let end = i
    while (end < text.length && end - i <= longestInfo && !"\n`~".includes(text.charAt(end))) end++
    if (end === text.length || text.charAt(end) === "\n") {
      found.push({ start, sign: text.slice(start, start + 3), info: text.slice(i, end).trim(), next: end + 1 })
    }
  }
  return found
}

const isJsonInfo = (info: string): boolean => /^\{?\.?json/i.test(info)

/** The contents of the fences that are marked json, broken ones included, and the JSON values in other fences. */
const fences = (text: string): { readonly json: ReadonlyArray<string>; readonly other: ReadonlyArray<string> } => {
  const all = markers(text)
  const json: Array<string> = []
  const other: Array<string> = []
  let open: string | undefined
  for (let i = 0; i < all.length;) {
    const { info, next, sign } = all[i]
    i++
    if (open === sign && info === "") {
      open = undefined
      continue
    }
    // A fence marked json also counts inside another fence, because whole answers are put into fences.
    open = sign
    const { complete, end } = scan(text, next)
    // A marker inside the value is text of a string. Skipping it also keeps this linear.
    while (i < all.length && all[i].start < end) i++
    const rest = afterSpace(text, end)
    const closed = complete && (rest >= text.length || text.startsWith(sign, rest))
    const content = text.slice(next, closed ? end : all[i]?.start ?? text.length).trim()
    if (isJsonInfo(info)) push(json, content)
    else if (closed) push(other, content)
  }
  return { json: lastFirst(json), other: lastFirst(other) }
}

/** A long line is not a bare scalar, and the pattern is not linear. */
const longestScalar = 1000

/** Returns the last line if it is a scalar, ignoring emphasis and code marks around it. */
const lastScalar = (text: string): ReadonlyArray<string> => {
  const line = text.slice(text.lastIndexOf("\n") + 1)
  if (line.length > longestScalar) return []
  const bare = line.replace(/^[\s`*_]+|[\s`*_]+$/g, "")
  return isJson(bare) ? [bare] : []
}

/**
 * The JSON values in an answer, best first: the answer as a whole if it is one; the fences marked json; other fences that
 * hold a JSON value; objects and arrays in prose; a last line that is a number, a string, `true`, `false` or `null`. Later
 * ones come before earlier ones of their kind.
 *
 * Fences marked json and values that break off are included although they do not parse, because their error is more
 * useful than none. Takes linear time and never throws.
 */
export const candidates = (text: string): ReadonlyArray<string> => {
  const said = text.trim()
  if (isJson(said)) return [said]
  const whole = withoutThinking(said).trim()
  if (isJson(whole)) return [whole]
  const { json, other } = fences(whole)
  return [...new Set([...json, ...other, ...spans(whole), ...lastScalar(whole)])]
}
