/**
 * Merges permission rules of several layers into one set. The last matching rule decides, so the rules of an inner
 * layer come after those of an outer one: the inner layer decides everything that it mentions, the outer one the rest.
 * A rule for one name or pattern therefore never allows another.
 *
 * An object cannot contain a name twice, so a rule that moves after a later one takes along what it needs.
 */
import { fromEntries, isPlain } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import * as wildcard from "./wildcard.js"

type Entry = readonly [key: string, rule: unknown]

const isRules = (u: unknown): u is string | WireObject => typeof u === "string" || isPlain(u)

/** A string stands for a rule about everything. */
const entriesOf = (rules: string | WireObject): ReadonlyArray<Entry> =>
  typeof rules === "string" ? [["*", rules]] : Object.entries(rules)

/** True if the rule of a name decides about every pattern. */
export const isTotal = (rule: unknown): boolean => !isPlain(rule) || Object.hasOwn(rule, "*")

/** Merges the patterns of one name: those of `that` come after those of `self`. */
export const patterns = (self: unknown, that: unknown): unknown => {
  if (isTotal(that) || !isRules(self) || !isRules(that)) return that
  const result = new Map(entriesOf(self))
  for (const [pattern, action] of entriesOf(that)) {
    result.delete(pattern)
    result.set(pattern, action)
  }
  return fromEntries(result)
}

const append = (entries: Array<Entry>, name: string, rule: unknown): void => {
  const at = entries.findIndex(([other]) => other === name)
  const own = entries[at]?.[1]
  const later = at < 0 ? [] : entries.slice(at + 1).filter(([other]) => wildcard.overlap(other, name))
  if (later.length === 0) {
    if (at < 0) entries.push([name, rule])
    else entries[at] = [name, patterns(own, rule)]
    return
  }
  if (isTotal(rule)) {
    entries.splice(at, 1)
    entries.push([name, rule])
  } else if (!wildcard.hasWildcard(name)) {
    entries.splice(at, 1)
    entries.push([name, [...later.map(([, between]) => between), rule].reduce(patterns, own)])
  } else {
    const other = wildcard.respelled(name, (key) => entries.some(([used]) => used === key))
    // `?` has no other spelling, so it is denied first and no earlier rule applies again.
    if (other === undefined) entries.splice(at, 1)
    entries.push(other === undefined ? [name, patterns("deny", rule)] : [other, rule])
  }
}

/**
 * Returns the rules of `self`, then those of `that`, without modifying either. A `that` that is not a set of rules
 * replaces `self`.
 */
export const rules = (self: unknown, that: unknown): unknown => {
  if (that === undefined) return self
  if (!isRules(self) || !isRules(that) || typeof that === "string") return that
  const entries = [...entriesOf(self)]
  for (const [name, rule] of entriesOf(that)) append(entries, name, rule)
  return fromEntries(entries)
}
