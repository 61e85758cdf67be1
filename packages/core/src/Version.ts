/**
 * OpenCode's version.
 *
 * @since 0.1.0
 */
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"

/**
 * @since 0.1.0
 * @category models
 */
export interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Version: Schema.Schema<Version> = Schema.Struct({
  major: Schema.Number,
  minor: Schema.Number,
  patch: Schema.Number
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (major: number, minor: number, patch: number): Version => ({ major, minor, patch })

/**
 * Reads what `opencode --version` prints: `1.18.33` on 1.x, `opencode v2.0.3` on 2.x.
 *
 * @example
 * ```ts
 * import { Version } from "effect-opencode"
 *
 * console.log(Version.parse("opencode v2.0.3")) // { major: 2, minor: 0, patch: 3 }
 * console.log(Version.parse("opencode")) // undefined
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const parse = (text: string): Version | undefined => {
  const match = /(?:^|[\sv])(\d+)\.(\d+)\.(\d+)/.exec(text)
  return match === null ? undefined : make(Number(match[1]), Number(match[2]), Number(match[3]))
}

/**
 * @since 0.1.0
 * @category conversions
 */
export const format = (self: Version): string => `${self.major}.${self.minor}.${self.patch}`

/**
 * @since 0.1.0
 * @category instances
 */
export const order: Order.Order<Version> = Order.combineAll([
  Order.mapInput(Order.number, (v: Version) => v.major),
  Order.mapInput(Order.number, (v: Version) => v.minor),
  Order.mapInput(Order.number, (v: Version) => v.patch)
])

/**
 * @since 0.1.0
 * @category predicates
 */
export const isAtLeast = (self: Version, that: Version): boolean => order(self, that) >= 0
