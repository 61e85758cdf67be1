/**
 * Answers that are data: what the agent is told about the Schema of its answer, how the answer is found in what it
 * wrote, and how it is asked again when the answer does not decode.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import { TreeFormatter } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as jsonMessage from "./internal/util/jsonMessage.js"
import * as limits from "./internal/util/limits.js"
import { isObject } from "./internal/util/object.js"
import * as tail from "./internal/util/tail.js"
import { OpenCodeConfigError, OpenCodeOutputError } from "./OpenCodeError.js"
import { RunResult } from "./RunResult.js"
import * as TokenUsage from "./TokenUsage.js"

/**
 * Why no value came out of an answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  /** There was no JSON, it was not valid, or it was valid and not what the Schema asks for. */
  readonly reason: "no-json" | "invalid-json" | "mismatch"
  /** For a mismatch, the issues as a tree; the first 8,000 characters. */
  readonly issues: string
}

/**
 * What the agent is told: to end its answer with one JSON value in a fence, and the JSON Schema of that value.
 *
 * Throws where the encoded side cannot be written as a JSON Schema; a recursive Schema needs an `identifier`
 * annotation for that.
 *
 * @example
 * ```ts
 * import { StructuredOutput } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const Review = Schema.Struct({
 *   verdict: Schema.Literal("approve", "reject"),
 *   at: Schema.Date
 * })
 * console.log(StructuredOutput.instruction(Review))
 * ```
 *
 * @since 0.1.0
 * @category prompts
 */
export const instruction = <A, I>(schema: Schema.Schema<A, I>): string =>
  `End your answer with exactly one JSON value in a fenced block that is marked json:

\`\`\`json
(the value)
\`\`\`

The value must be strict JSON (no comments, no trailing commas; dates as ISO 8601 strings) and must satisfy this JSON Schema:

${JSON.stringify(JSONSchema.make(schema), null, 2)}

Use no other block marked json, and write nothing after it.`

/** A tree quotes the values that it complains about, and a model can write a megabyte of those. */
const keptIssues = 8000

const problem = (reason: Problem["reason"], issues: string): Problem => ({
  reason,
  issues: issues.length > keptIssues ? `${issues.slice(0, keptIssues)}…` : issues
})

/**
 * What the agent is told when its answer did not decode.
 *
 * @since 0.1.0
 * @category prompts
 */
export const repairPrompt = (problem: Problem): string => {
  const what = {
    "no-json": "Your last answer has no JSON value in it.",
    "invalid-json": "The JSON value in your last answer is not valid JSON.",
    "mismatch": "The JSON value in your last answer does not satisfy the JSON Schema that you were given."
  }
  return `${what[problem.reason]}${problem.reason === "no-json" ? "" : `\n\n${problem.issues}`}

Do not do the work again. Answer with the whole corrected value, once, in a fenced block that is marked json, and write nothing after it.`
}

/** How far the JSON value goes that begins somewhere, or should. */
interface Scan {
  readonly complete: boolean
  /** The index after the value, or of the first character that no JSON value can have there. */
  readonly end: number
  /** Whether what breaks off was more than brackets and a word: only then was it meant as JSON. */
  readonly begun: boolean
  /** The innermost bracket that was opened last. */
  readonly opener: number
}

const afterSpace = (text: string, from: number): number => {
  let i = from
  for (;; i++) {
    const c = text.charCodeAt(i)
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i
  }
}

const isDigit = (c: string): boolean => c >= "0" && c <= "9"

const afterDigits = (text: string, from: number): number => {
  let i = from
  while (isDigit(text.charAt(i))) i++
  return i
}

/** The index after the token; the complement (`~`) of the index at which it breaks off. */
const afterString = (text: string, from: number): number => {
  let i = from + 1
  for (;;) {
    const c = text.charCodeAt(i)
    if (c === 0x22) return i + 1
    if (c === 0x5c) {
      const escaped = text.charAt(i + 1)
      if (escaped === "u") {
        if (!/^[0-9a-fA-F]{4}$/.test(text.slice(i + 2, i + 6))) return ~i
        i += 6
      } else if (escaped !== "" && "\"\\/bfnrt".includes(escaped)) i += 2
      else return ~i
    } else if (c >= 0x20) i++
    // A control character, or the end of the text.
    else return ~Math.min(i, text.length)
  }
}

const afterNumber = (text: string, from: number): number => {
  const first = text.charAt(from) === "-" ? from + 1 : from
  if (!isDigit(text.charAt(first))) return ~first
  let i = text.charAt(first) === "0" ? first + 1 : afterDigits(text, first)
  if (text.charAt(i) === ".") {
    if (!isDigit(text.charAt(i + 1))) return ~(i + 1)
    i = afterDigits(text, i + 1)
  }
  if (text.charAt(i) === "e" || text.charAt(i) === "E") {
    const sign = text.charAt(i + 1)
    const digits = sign === "+" || sign === "-" ? i + 2 : i + 1
    if (!isDigit(text.charAt(digits))) return ~digits
    i = afterDigits(text, digits)
  }
  return i
}

const afterScalar = (text: string, from: number): number => {
  const c = text.charAt(from)
  if (c === "\"") return afterString(text, from)
  for (const word of ["true", "false", "null"]) {
    if (text.startsWith(word, from)) return from + word.length
  }
  return afterNumber(text, from)
}

/**
 * A JSON parser that makes no values and needs no stack of its own calls: `JSON.parse` cannot tell where a value ends
 * that has text after it.
 */
const scan = (text: string, start: number): Scan => {
  /** Whether each open bracket is a brace. */
  const open: Array<boolean> = []
  let expect: "value" | "item" | "name" | "first name" | "more" = "value"
  let opener = start
  let begun = false
  let i = start
  const result = (complete: boolean, end: number): Scan => ({ complete, end, begun, opener })
  for (;;) {
    i = afterSpace(text, i)
    const c = text.charAt(i)
    const closes = open.length > 0 && expect !== "value" && expect !== "name" &&
      c === (open[open.length - 1] ? "}" : "]")
    if (closes) {
      open.pop()
      i++
      if (open.length === 0) return result(true, i)
      begun = true
      expect = "more"
    } else if (expect === "more") {
      if (c !== ",") return result(false, i)
      begun = true
      i++
      expect = open[open.length - 1] ? "name" : "value"
    } else if (expect === "name" || expect === "first name") {
      const end = c === "\"" ? afterString(text, i) : ~i
      if (end < 0) return result(false, ~end)
      i = afterSpace(text, end)
      if (text.charAt(i) !== ":") return result(false, i)
      begun = true
      i++
      expect = "value"
    } else if (c === "{" || c === "[") {
      open.push(c === "{")
      opener = i
      i++
      expect = c === "{" ? "first name" : "item"
    } else {
      const end = afterScalar(text, i)
      if (end < 0) return result(false, ~end)
      if (open.length === 0) return result(true, end)
      i = end
      expect = "more"
    }
  }
}

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
 * The JSON values in an answer, best first: the answer as a whole where it is one; the fences marked json; other
 * fences that hold a JSON value; objects and arrays in prose; a last line that is a number, a string, `true`, `false`
 * or `null`. Later ones come before earlier ones of their kind, and the last 100 of each kind are looked at. What stands
 * in a block of thinking (`<think>…</think>` and its kin) is not looked at.
 *
 * A fence marked json and a value that breaks off are here too, although they do not parse: it is better to say what
 * is wrong with them than that there was nothing. Takes linear time and never throws.
 *
 * @example
 * ```ts
 * import { StructuredOutput } from "effect-opencode"
 *
 * const text = "I looked at {curly} things [1]. The answer is {\"ok\": true}."
 * console.log(StructuredOutput.candidates(text)) // ["{\"ok\": true}", "[1]"]
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const candidates = (text: string): ReadonlyArray<string> => {
  const said = text.trim()
  if (isJson(said)) return [said]
  const whole = withoutThinking(said).trim()
  if (isJson(whole)) return [whole]
  const { json, other } = fences(whole)
  return [...new Set([...json, ...other, ...spans(whole), ...lastScalar(whole)])]
}

const parse = (candidate: string, clean: (text: string) => string): Either.Either<unknown, Problem> =>
  Either.try({
    try: (): unknown => JSON.parse(candidate),
    catch: (cause) => {
      const message = cause instanceof Error ? cause.message : String(cause)
      return problem("invalid-json", clean(candidate) === candidate ? message : jsonMessage.withoutExcerpt(message))
    }
  })

/** Whether two JSON values are the same, whatever the order of their keys. */
const isSame = (self: unknown, that: unknown): boolean => {
  if (Array.isArray(self)) {
    return Array.isArray(that) && self.length === that.length && self.every((item, i) => isSame(item, that[i]))
  }
  if (!isObject(self) || !isObject(that)) return self === that
  const keys = Object.keys(self)
  return keys.length === Object.keys(that).length &&
    keys.every((key) => Object.hasOwn(that, key) && isSame(self[key], that[key]))
}

/** Whether a value is the JSON Schema of the value: agents repeat what they were told, and a lenient Schema decodes it. */
const isQuoted = <A, I>(schema: Schema.Schema<A, I>): (value: unknown) => boolean => {
  let told: unknown
  try {
    told = JSON.parse(JSON.stringify(JSONSchema.make(schema)))
  } catch {
    // Nobody can have been told it.
    return () => false
  }
  if (!isObject(told)) return () => false
  const { $schema: _, ...bare } = told
  return (value) => isSame(value, told) || isSame(value, bare)
}

/**
 * Finds the value in an answer: the first of the {@link candidates} that decodes and is not the JSON Schema itself, which
 * agents repeat. The problem is that of the first candidate, the one that was most probably meant.
 *
 * An answer is the final message of a run: see `RunResult.answer`.
 *
 * @example
 * ```ts
 * import { StructuredOutput } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const decode = StructuredOutput.decode(Schema.Struct({ ok: Schema.Boolean }))
 * console.log(decode("It works: {\"ok\": true}")) // Either.right({ ok: true })
 * console.log(decode("It works.")) // Either.left({ reason: "no-json", … })
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = <A, I>(schema: Schema.Schema<A, I>): (text: string) => Either.Either<A, Problem> =>
  decoder(schema, (text) => text)

/** The issues are cleaned before they are cut. */
const decoder = <A, I>(
  schema: Schema.Schema<A, I>,
  clean: (text: string) => string
): (text: string) => Either.Either<A, Problem> => {
  const decodeValue = Schema.decodeUnknownEither(schema, { errors: "all" })
  const decodeCandidate = (value: unknown): Either.Either<A, Problem> => {
    try {
      return Either.mapLeft(
        decodeValue(value),
        (error) => problem("mismatch", clean(TreeFormatter.formatErrorSync(error)))
      )
    } catch (cause) {
      // Schema calls itself for every level of a recursive value, and the stack is finite.
      if (cause instanceof RangeError) {
        return Either.left(problem("mismatch", `The value could not be decoded: ${cause.message}`))
      }
      throw cause
    }
  }
  const isTold = isQuoted(schema)
  const decodeAnswer = (value: unknown): Either.Either<A, Problem> =>
    isTold(value)
      ? Either.left(problem("mismatch", "This is the JSON Schema itself; a value that satisfies it is asked for."))
      : decodeCandidate(value)
  return (text) => {
    let first: Problem | undefined
    for (const candidate of candidates(text)) {
      const decoded = Either.flatMap(parse(candidate, clean), decodeAnswer)
      if (Either.isRight(decoded)) return decoded
      first ??= decoded.left
    }
    return Either.left(first ?? problem("no-json", "The answer has no JSON value in it."))
  }
}

/**
 * One result of several turns: what they used, took and showed is added up; the answer and how the process ended are
 * those of the last turn; the ids are those of the first.
 *
 * @since 0.1.0
 * @category folding
 */
export const combine = (results: Arr.NonEmptyReadonlyArray<RunResult>): RunResult => {
  if (results.length === 1) return results[0]
  const sum = (of: (result: RunResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const last = Arr.lastNonEmpty(results)
  const stderr = tail.make(limits.kept)
  for (const result of results) stderr.push(result.stderr, true)
  const rawLines = results.flatMap((result) => result.rawLines ?? [])
  return new RunResult({
    runId: results[0].runId,
    answer: last.answer,
    text: last.text,
    events: results.flatMap((result) => result.events),
    sessionId: results.find((result) => result.sessionId !== undefined)?.sessionId,
    usage: results.reduce((total, result) => TokenUsage.add(total, result.usage), TokenUsage.empty),
    cost: sum((result) => result.cost),
    ...(results.some(({ unpriced }) => unpriced) ? { unpriced: true } : {}),
    steps: sum((result) => result.steps),
    finishReason: last.finishReason,
    exitCode: last.exitCode,
    forced: results.some((result) => result.forced),
    recovered: results.some((result) => result.recovered),
    lostLines: sum((result) => result.lostLines),
    stderr: stderr.read(),
    rawLines: results.some((result) => result.rawLines !== undefined) ? rawLines : undefined,
    attempts: sum((result) => result.attempts),
    duration: results.reduce((total, result) => Duration.sum(total, result.duration), Duration.zero)
  }, { disableValidation: true })
}

/**
 * A decoded answer and the run that gave it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<A> {
  readonly value: A
  /** All turns together, see {@link combine}. */
  readonly result: RunResult
}

/**
 * What {@link loop} asks, whom, and how often.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoopOptions<A, I, E, R> {
  readonly schema: Schema.Schema<A, I>
  readonly prompt: string
  /** How often the agent may correct its answer. Default: 2. */
  readonly repairs?: number | undefined
  /** One turn of one and the same conversation. */
  readonly turn: (prompt: string) => Effect.Effect<RunResult, E, R>
  /** Cleans what is said of an answer that does not decode, before it is cut. Default: nothing is cleaned. */
  readonly clean?: ((text: string) => string) | undefined
}

const explain = <A, I>(schema: Schema.Schema<A, I>): Effect.Effect<string, OpenCodeConfigError> =>
  Effect.try({
    try: () => instruction(schema),
    catch: (cause) =>
      new OpenCodeConfigError({
        path: "schema",
        reason: `it has no JSON Schema: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

const failure = (problem: Problem, results: Arr.NonEmptyReadonlyArray<RunResult>): OpenCodeOutputError => {
  const result = combine(results)
  return new OpenCodeOutputError({
    reason: problem.reason,
    issues: problem.issues,
    attempts: results.length,
    runId: result.runId,
    sessionId: result.sessionId,
    answer: result.answer,
    usage: result.usage,
    cost: result.cost,
    ...(result.unpriced === true ? { unpriced: true } : {}),
    steps: result.steps,
    duration: result.duration
  })
}

/**
 * Asks for a value, and gives what is wrong with it back to the agent until it decodes. The value is that of the final
 * message: what the agent drafted before its last step is none. Options that cannot be used
 * fail before the first turn; a turn that fails ends the loop with its own error.
 *
 * @example
 * ```ts
 * import { OpenCode, StructuredOutput } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * // Every turn is a conversation of its own here, so there is nothing to correct: no repairs.
 * export const program = StructuredOutput.loop({
 *   schema: Schema.Struct({ bugs: Schema.Array(Schema.String) }),
 *   prompt: "Which bugs does src/ have?",
 *   repairs: 0,
 *   turn: (prompt) => OpenCode.run(prompt)
 * })
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const loop = <A, I, E, R>(
  options: LoopOptions<A, I, E, R>
): Effect.Effect<Answer<A>, E | OpenCodeConfigError | OpenCodeOutputError, R> =>
  Effect.gen(function*() {
    const repairs = options.repairs ?? 2
    if (!Number.isInteger(repairs) || repairs < 0) {
      return yield* new OpenCodeConfigError({ path: "repairs", reason: "it must be a whole number, zero or greater" })
    }
    const decodeText = decoder(options.schema, options.clean ?? ((text) => text))
    const ask = (
      prompt: string,
      earlier: ReadonlyArray<RunResult>
    ): Effect.Effect<Answer<A>, E | OpenCodeOutputError, R> =>
      Effect.flatMap(options.turn(prompt), (result) => {
        const results = Arr.append(earlier, result)
        return Either.match(decodeText(result.answer), {
          onRight: (value) => Effect.succeed({ value, result: combine(results) }),
          onLeft: (problem): Effect.Effect<Answer<A>, E | OpenCodeOutputError, R> =>
            results.length > repairs ? failure(problem, results) : ask(repairPrompt(problem), results)
        })
      })
    return yield* ask(`${options.prompt}\n\n${yield* explain(options.schema)}`, [])
  })
