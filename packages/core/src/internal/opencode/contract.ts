/**
 * The facts that this library relies on about OpenCode, as data: each is a check of a recording of the real binary. The
 * facts of a major version are next to its dialect; this module has what all majors share.
 */
import * as Version from "../../Version.js"
import { stringify } from "../util/json.js"
import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"

/** One process of OpenCode, from its start to its end. */
export interface ProcessRecord {
  readonly args: ReadonlyArray<string>
  readonly stdout: string
  readonly stderr: string
  /** Absent if a signal ended it. */
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  /** True if it did not end within the scenario's patience. */
  readonly stopped?: boolean | undefined
}

/** A request to the scripted model provider. */
export interface ModelRequest {
  readonly isTitle: boolean
  readonly authorization: string | undefined
  readonly roles: ReadonlyArray<string>
  /** The texts of the user's messages. */
  readonly prompts: ReadonlyArray<string>
  /** The names of the offered tools. */
  readonly tools: ReadonlyArray<string>
}

/** What one scenario has left: output of its processes, requests to its provider, and further observations. */
export interface Recording {
  readonly scenario: string
  readonly processes: { readonly [name: string]: ProcessRecord }
  readonly requests: ReadonlyArray<ModelRequest>
  /** Observations that are in no output, by name: files, survivors, replies of a server. */
  readonly observed: { readonly [name: string]: unknown }
}

/** A value that a fact has in a range of versions; the default range is every supported version. */
export interface Expectation {
  readonly from?: Version.Version | undefined
  readonly below?: Version.Version | undefined
  /** A value of JSON. */
  readonly value: unknown
  /** True if the value is another one in some runs of these versions, so that no value is unexpected. */
  readonly varies?: boolean | undefined
}

/** The same value in every supported version. */
export const always = (value: unknown): ReadonlyArray<Expectation> => [{ value }]

/** A value from a version on; the fact does not apply to older ones. */
export const since = (major: number, minor: number, value: unknown): ReadonlyArray<Expectation> => [{
  from: Version.make(major, minor, 0),
  value
}]

/** One value before a version, and another from it on. */
export const changedIn = (
  major: number,
  minor: number,
  values: { readonly before: unknown; readonly since: unknown }
): ReadonlyArray<Expectation> => {
  const version = Version.make(major, minor, 0)
  return [{ below: version, value: values.before }, { from: version, value: values.since }]
}

/** One value before a version, and from it on the values of another list. */
export const until = (
  major: number,
  minor: number,
  value: unknown,
  later: ReadonlyArray<Expectation>
): ReadonlyArray<Expectation> => {
  const version = Version.make(major, minor, 0)
  return [{ below: version, value }, ...later.map((one, index) => index === 0 ? { ...one, from: version } : one)]
}

/**
 * - `matters`: the library misbehaves if the fact does not hold
 * - `note`: the library notices, or has another way
 */
export type Weight = "matters" | "note"

/** A fact about OpenCode. */
export interface Fact {
  /** Unique, with its subject first: `stdin.verbatim`. */
  readonly id: string
  /** One sentence, which is true if the newest expectation holds. */
  readonly says: string
  /** The scenario whose recording shows it. */
  readonly scenario: string
  readonly weight: Weight
  /** Oldest first. In a version without one the fact does not apply. */
  readonly expected: ReadonlyArray<Expectation>
  /** Reads the fact from a recording, as a value of JSON; `undefined` if the recording does not show it. */
  readonly observe: (recording: Recording, version: Version.Version) => unknown
  /** The files of the library that rely on it. */
  readonly usedBy: ReadonlyArray<string>
  /** The consequence for users if it differs. */
  readonly otherwise: string
}

/** The facts of one major version. */
export interface Contract {
  readonly facts: ReadonlyArray<Fact>
  /** The ids of the facts that matter most, all of them from two scenarios. */
  readonly most: ReadonlyArray<string>
}

/**
 * - `holds`: as expected of the newest tested version
 * - `known`: otherwise than in the newest version, as expected of this version
 * - `differs`: not as expected
 * - `untried`: the recording does not show it
 */
export type Status = "holds" | "known" | "differs" | "untried"

/** The result of checking one fact. */
export interface Judgement {
  readonly fact: Fact
  readonly status: Status
  readonly expected: unknown
  readonly seen: unknown
  /** Why a fact could not be tried. */
  readonly reason?: string | undefined
}

const includes = ({ below, from }: Expectation, version: Version.Version): boolean =>
  (from === undefined || Version.isAtLeast(version, from)) &&
  (below === undefined || !Version.isAtLeast(version, below))

/** The expectation of a fact for a version. */
export const expectation = ({ expected }: Fact, version: Version.Version): Expectation | undefined =>
  expected.find((one) => includes(one, version))

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  return isObject(value)
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
    : value
}

/** The JSON of a value, with its keys in order; `undefined` is nothing. */
export const textOf = (value: unknown): string => value === undefined ? "nothing" : stringify(sorted(value))

const isEqual = (a: unknown, b: unknown): boolean => textOf(a) === textOf(b)

/** A scenario that was not recorded, and why. */
export interface Missing {
  readonly reason: string
}

/** Checks a fact; `undefined` if it does not apply to the version. */
export const judge = (
  fact: Fact,
  version: Version.Version,
  recording: Recording | Missing
): Judgement | undefined => {
  const wanted = expectation(fact, version)
  if (wanted === undefined) return undefined
  const expected = wanted.value
  if (!("scenario" in recording)) {
    return { fact, status: "untried", expected, seen: undefined, reason: recording.reason }
  }
  const seen = fact.observe(recording, version)
  if (seen === undefined) {
    return { fact, status: "untried", expected, seen, reason: `the scenario "${fact.scenario}" did not get that far` }
  }
  const newest = fact.expected[fact.expected.length - 1]
  if (!isEqual(seen, expected)) {
    return { fact, status: wanted.varies === true ? "known" : "differs", expected, seen }
  }
  return { fact, status: isEqual(expected, newest?.value) ? "holds" : "known", expected, seen }
}

/** Reads a field of an object, along a path. */
export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (inner, key) =>
      typeof key === "number"
        ? Array.isArray(inner) ? inner[key] : undefined
        : isObject(inner) && Object.hasOwn(inner, key)
        ? inner[key]
        : undefined,
    value
  )

/** The names of an object's fields, in order. */
export const keysOf = (value: unknown): ReadonlyArray<string> => isObject(value) ? Object.keys(value).sort() : []

/** What a value is, without the value itself. */
export const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value

/** The kinds of some fields of an object; a missing field is `undefined`. */
export const kindsOf = (value: unknown, fields: ReadonlyArray<string>): WireObject =>
  Object.fromEntries(fields.map((field) => [field, kindOf(at(value, field))]))
