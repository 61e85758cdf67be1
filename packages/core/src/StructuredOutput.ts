/**
 * Structured answers: the instruction that describes the Schema to the agent, the search for the value in its answer,
 * and the repair prompt if the value does not decode.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { combine } from "./internal/opencode/combineResults.js"
import * as jsonCandidates from "./internal/opencode/jsonCandidates.js"
import * as jsonMessage from "./internal/util/jsonMessage.js"
import { isObject } from "./internal/util/object.js"
import * as schemaText from "./internal/util/schemaText.js"
import { OpenCodeConfigError, OpenCodeOutputError } from "./OpenCodeError.js"
import type { RunResult } from "./RunResult.js"

/**
 * Why an answer has no valid value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  /** Without JSON, with invalid JSON, or with JSON that does not match the Schema. */
  readonly reason: "no-json" | "invalid-json" | "mismatch"
  /** For a mismatch, the issues as a tree; the first 8,000 characters. */
  readonly issues: string
}

/**
 * Returns the instruction for the agent: to end its answer with one JSON value in a fence, and the JSON Schema of that
 * value.
 *
 * Throws if the encoded side cannot be written as a JSON Schema; a recursive Schema needs an `identifier` annotation
 * for that.
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

${JSON.stringify(schemaText.jsonSchema(schema), null, 2)}

Use no other block marked json, and write nothing after it.`

/** An issue tree quotes the offending values, and a model can write megabytes of them. */
const keptIssues = 8000

const problem = (reason: Problem["reason"], issues: string): Problem => ({
  reason,
  issues: issues.length > keptIssues ? `${issues.slice(0, keptIssues)}…` : issues
})

/**
 * Returns the prompt that asks the agent to correct an answer that did not decode.
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

const parse = (candidate: string, clean: (text: string) => string): Either.Either<unknown, Problem> =>
  Either.try({
    try: (): unknown => JSON.parse(candidate),
    catch: (cause) => {
      const message = cause instanceof Error ? cause.message : String(cause)
      return problem("invalid-json", clean(candidate) === candidate ? message : jsonMessage.withoutExcerpt(message))
    }
  })

/** True if two JSON values are equal, ignoring the order of keys. */
const isSame = (self: unknown, that: unknown): boolean => {
  if (Array.isArray(self)) {
    return Array.isArray(that) && self.length === that.length && self.every((item, i) => isSame(item, that[i]))
  }
  if (!isObject(self) || !isObject(that)) return self === that
  const keys = Object.keys(self)
  return keys.length === Object.keys(that).length &&
    keys.every((key) => Object.hasOwn(that, key) && isSame(self[key], that[key]))
}

/** True if a value is the JSON Schema itself: agents repeat it, and a lenient Schema decodes it. */
const isQuoted = <A, I>(schema: Schema.Schema<A, I>): (value: unknown) => boolean => {
  let told: unknown
  try {
    told = JSON.parse(JSON.stringify(schemaText.jsonSchema(schema)))
  } catch {
    // Without a JSON Schema the agent cannot have repeated it.
    return () => false
  }
  if (!isObject(told)) return () => false
  const { $schema: _, ...bare } = told
  return (value) => isSame(value, told) || isSame(value, bare)
}

/**
 * Finds the value in an answer: the first JSON value that decodes and is not the JSON Schema itself, which agents
 * repeat. If none decodes, the problem is that of the first candidate, which is the most probable one.
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

/** Mask before cutting: a cut could split a secret. */
const decoder = <A, I>(
  schema: Schema.Schema<A, I>,
  clean: (text: string) => string
): (text: string) => Either.Either<A, Problem> => {
  const decodeValue = Schema.decodeUnknownEither(schema, { errors: "all" })
  const decodeCandidate = (value: unknown): Either.Either<A, Problem> => {
    try {
      return Either.mapLeft(
        decodeValue(value),
        (error) => problem("mismatch", clean(schemaText.tree(error)))
      )
    } catch (cause) {
      // Schema recurses into a recursive value and can overflow the stack.
      if (cause instanceof RangeError) {
        return Either.left(problem("mismatch", `The value could not be decoded: ${cause.message}`))
      }
      throw cause
    }
  }
  const isTold = isQuoted(schema)
  const decodeAnswer = (value: unknown): Either.Either<A, Problem> =>
    isTold(value)
      ? Either.left(
        problem("mismatch", "This is the JSON Schema itself; the answer must be a value that satisfies it.")
      )
      : decodeCandidate(value)
  return (text) => {
    let first: Either.Either<A, Problem> | undefined
    for (const candidate of jsonCandidates.candidates(text)) {
      const decoded = Either.flatMap(parse(candidate, clean), decodeAnswer)
      if (Either.isRight(decoded)) return decoded
      first ??= decoded
    }
    return first ?? Either.left(problem("no-json", "The answer has no JSON value in it."))
  }
}

/**
 * A decoded answer and the run that produced it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<A> {
  readonly value: A
  /**
   * The combined result of all turns: usage, durations and events are added up; the answer and the exit are those of
   * the last turn, the ids those of the first.
   */
  readonly result: RunResult
}

/**
 * The options of {@link loop}.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoopOptions<A, I, E, R> {
  readonly schema: Schema.Schema<A, I>
  readonly prompt: string
  /** How often the agent may correct its answer. Default: 2. */
  readonly repairs?: number | undefined
  /** Runs one turn; all turns belong to the same conversation. */
  readonly turn: (prompt: string) => Effect.Effect<RunResult, E, R>
  /** Masks secrets in the issues of an answer before they are cut. Default: nothing is masked. */
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
 * Asks for a value and returns its problems to the agent until it decodes. The value is taken from the final message:
 * drafts in earlier steps do not count. Invalid options fail before the first turn; a turn that fails ends the loop
 * with its own error.
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
      return yield* new OpenCodeConfigError({ path: "repairs", reason: "must be an integer, 0 or greater" })
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
