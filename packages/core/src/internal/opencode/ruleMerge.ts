/**
 * How permission rules of several layers become one set of rules. The last rule that matches decides, so the rules of an
 * inner layer come after those of an outer one: the inner layer decides wherever it says something, and where it is
 * silent the outer one does. A rule for one name or pattern therefore never opens another one.
 *
 * An object cannot hold a name twice, so a rule that has to move behind a later one takes along what it needs.
 */
import { fromEntries, isPlain } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import * as wildcard from "./wildcard.js"

type Entry = readonly [key: string, rule: unknown]

const isRules = (u: unknown): u is string | WireObject => typeof u === "string" || isPlain(u)

/** A text stands for a rule about everything. */
const entriesOf = (rules: string | WireObject): ReadonlyArray<Entry> =>
  typeof rules === "string" ? [["*", rules]] : Object.entries(rules)

/** Whether a rule of a name decides about every pattern. */
export const isTotal = (rule: unknown): boolean => !isPlain(rule) || Object.hasOwn(rule, "*")

/** The patterns of one name: those of `that` come after those of `self`. */
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
    // `?` has no other spelling: closed first, so that nothing of before comes back.
    if (other === undefined) entries.splice(at, 1)
    entries.push(other === undefined ? [name, patterns("deny", rule)] : [other, rule])
  }
}

/** The rules of `self`, then those of `that`; neither is changed. What is not a set of rules replaces. */
export const rules = (self: unknown, that: unknown): unknown => {
  if (that === undefined) return self
  if (!isRules(self) || !isRules(that) || typeof that === "string") return that
  const entries = [...entriesOf(self)]
  for (const [name, rule] of entriesOf(that)) append(entries, name, rule)
  return fromEntries(entries)
}
