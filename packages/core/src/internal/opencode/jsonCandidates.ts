import { afterSpace, scan } from "../util/jsonScan.js"

/** The names that models and prompts have for thinking aloud; the last forms are those of Kimi, Mistral and Sky-T1. */
const thinking = new RegExp(
  "<(/?)(?:[a-z]+[:_])?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|monologue)" +
    "(?:_(?:content|process|block))?(?:\\s[^<>]{0,200})?>" +
    "|◁(/?)think▷|\\[(/?)THINK\\]|<\\|(?:begin|(end))_of_thought\\|>",
  "gi"
)

const isLineStart = (text: string, at: number): boolean => /(?:^|\n)[ \t]*$/.test(text.slice(Math.max(0, at - 100), at))

/**
 * An answer without what its model thought aloud, which it can take back in the next sentence. A mark inside of a JSON
 * value is the value's, one in a line of prose that is never closed is only spoken of, and so is one in code. What stands
 * before a mark that closes and was never opened was thought: templates open it in the prompt.
 */
const withoutThinking = (text: string): string => {
  let kept = ""
  let from = 0
  let at = 0
  /** Until here goes a value that breaks off; its marks count, and it is not looked at again. */
  let broken = 0
  /** Where the block that is open begins. */
  let open: number | undefined
  /** Leaves the values before an index behind, and that in which it is if it is whole. */
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

/** Candidates of one kind that are looked at: the last ones. More is not an answer, it is a listing. */
const kept = 100

/** Adds in constant time without keeping what will not be looked at. */
const push = <A>(found: Array<A>, item: A): void => {
  found.push(item)
  if (found.length === 2 * kept) found.splice(0, kept)
}

const lastFirst = <A>(found: ReadonlyArray<A>): ReadonlyArray<A> => found.slice(-kept).reverse()

/**
 * The objects and arrays in a text, and what should have been one and breaks off. What is inside of either is never a
 * candidate: a part of a broken answer could decode, and would be a lie.
 *
 * Linear: what was scanned is left behind, or was one string and the brackets before it.
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
      // With the character that is wrong, so that a parser says the same of the part as of the whole.
      push(found, [i, complete ? end : end + 1])
      i = end
    } else i = opener + 1
  }
  return lastFirst(found).map(([from, to]) => text.slice(from, to))
}

/** What opens or closes a fence: the last thing in its line except for a word or two. */
interface Marker {
  readonly start: number
  readonly sign: string
  readonly info: string
  /** Where the next line begins. */
  readonly next: number
}

const longestInfo = 100

/** Not only at the beginning of a line: OpenCode's texts are put together without a line feed between them. */
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
    // A fence marked json counts inside of another fence as well: whole answers are put into fences.
    open = sign
    const { complete, end } = scan(text, next)
    // Where the value goes on, a marker is text inside of a string. Skipping it also keeps this linear.
    while (i < all.length && all[i].start < end) i++
    const rest = afterSpace(text, end)
    const closed = complete && (rest >= text.length || text.startsWith(sign, rest))
    const content = text.slice(next, closed ? end : all[i]?.start ?? text.length).trim()
    if (isJsonInfo(info)) push(json, content)
    else if (closed) push(other, content)
  }
  return { json: lastFirst(json), other: lastFirst(other) }
}

/** A long line is no bare scalar, and the pattern is not linear. */
const longestScalar = 1000

/** The last line, where it is a scalar by itself; the marks of emphasis and code around it do not count. */
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
 * A fence marked json and a value that breaks off are here too, although they do not parse: it is better to say what is
 * wrong with them than that there was nothing. Takes linear time and never throws.
 */
export const candidates = (text: string): ReadonlyArray<string> => {
  const said = text.trim()
  if (isJson(said)) return [said]
  const whole = withoutThinking(said).trim()
  if (isJson(whole)) return [whole]
  const { json, other } = fences(whole)
  return [...new Set([...json, ...other, ...spans(whole), ...lastScalar(whole)])]
}
