/**
 * Token counts of a step or of a whole run, and their sum.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as schemas from "./internal/util/schemas.js"

/**
 * Token counts as OpenCode reports them. `total` is OpenCode's own figure, which includes cached tokens; without one,
 * as with some providers, it is the sum of the parts.
 *
 * @since 0.1.0
 * @category models
 */
export interface TokenUsage {
  readonly total: number
  readonly input: number
  readonly output: number
  readonly reasoning: number
  readonly cacheRead: number
  readonly cacheWrite: number
}

/**
 * The Schema of a {@link TokenUsage}. In JSON: numbers.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TokenUsage: Schema.Schema<
  TokenUsage,
  { readonly [K in keyof TokenUsage]: number | "Infinity" | "-Infinity" | "NaN" | "-0" }
> = Schema
  .Struct({
    total: schemas.AnyNumber,
    input: schemas.AnyNumber,
    output: schemas.AnyNumber,
    reasoning: schemas.AnyNumber,
    cacheRead: schemas.AnyNumber,
    cacheWrite: schemas.AnyNumber
  })

/**
 * No tokens at all: the neutral element of {@link add}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: TokenUsage = { total: 0, input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 }

/**
 * Adds two counts field by field.
 *
 * @example
 * ```ts
 * import { TokenUsage } from "effect-opencode"
 *
 * const step = { ...TokenUsage.empty, input: 100, output: 20, total: 120 }
 * console.log(TokenUsage.add(step, step).total) // 240
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const add = (self: TokenUsage, that: TokenUsage): TokenUsage => ({
  total: self.total + that.total,
  input: self.input + that.input,
  output: self.output + that.output,
  reasoning: self.reasoning + that.reasoning,
  cacheRead: self.cacheRead + that.cacheRead,
  cacheWrite: self.cacheWrite + that.cacheWrite
})

/**
 * Subtracts one count from another field by field: what was spent in between.
 *
 * @since 0.1.0
 * @category combinators
 */
export const subtract = (self: TokenUsage, that: TokenUsage): TokenUsage => ({
  total: self.total - that.total,
  input: self.input - that.input,
  output: self.output - that.output,
  reasoning: self.reasoning - that.reasoning,
  cacheRead: self.cacheRead - that.cacheRead,
  cacheWrite: self.cacheWrite - that.cacheWrite
})
