/**
 * A form of any value that JSON keeps. What JSON has itself stays as it is. An `Error`, a `Date`, a bigint, and a number
 * that JSON lacks (`Infinity`, `NaN`, -0) become an object with the single key {@link mark}, and are restored from it.
 */
import * as Redacted from "effect/Redacted"
import * as json from "./json.js"
import { isObject, set } from "./object.js"
import type { WireObject } from "./object.js"

const mark = "effect-opencode/value"

/** What is in the way of an encoding, with its path. */
export interface Obstacle {
  readonly path: ReadonlyArray<PropertyKey>
  readonly reason: string
}

/** Numbers that JSON lacks, as words. */
export type NumberWord = "Infinity" | "-Infinity" | "NaN" | "-0"

export const numberWords: ReadonlyArray<NumberWord> = ["Infinity", "-Infinity", "NaN", "-0"]

export const encodeNumber = (value: number): number | NumberWord =>
  Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value) as NumberWord

export const secretInTheWay = "a secret cannot be encoded; send its name instead, and set it where the run is started"

/** The text that `JSON.stringify` makes of a `Redacted` value. */
export const redacted: string = String(Redacted.make(""))

const marked = (kind: string, value: unknown): unknown => ({ [mark]: [kind, value] })

const isMarked = (value: WireObject): boolean => Object.hasOwn(value, mark) && Object.keys(value).length === 1

/** An error without its stack, which names paths of this machine, and without its fields, which can hold secrets. */
const ofError = (error: Error): WireObject => ({
  name: error.name,
  message: error.message,
  ...(error.cause === undefined ? {} : { cause: error.cause })
})

const write = (root: unknown, instead: (obstacle: Obstacle, marker: unknown) => unknown): unknown => {
  const path: Array<PropertyKey> = []
  const ancestors = new Set<unknown>()
  const stop = (reason: string, marker: unknown) => instead({ path: [...path], reason }, marker)
  const below = (key: PropertyKey, value: unknown): unknown => {
    path.push(key)
    const written = any(value)
    path.pop()
    return written
  }
  const fields = (value: object): unknown => {
    const copy: Record<string, unknown> = {}
    let isSame = Object.getPrototypeOf(value) === Object.prototype
    for (const [key, item] of Object.entries(value)) {
      const written = below(key, item)
      if (written !== item || written === undefined) isSame = false
      if (written !== undefined) set(copy, key, written)
    }
    return isSame ? value : copy
  }
  const items = (value: ReadonlyArray<unknown>): unknown => {
    // `Array.from`, because `map` leaves out holes.
    const copy = Array.from(value, (item, index) => item === undefined ? marked("Undefined", null) : below(index, item))
    return copy.every((item, index) => item === value[index]) ? value : copy
  }
  const inside = (value: object): unknown => {
    if (value instanceof Error) return marked("Error", fields(ofError(value)))
    if (value instanceof Date) return marked("Date", encodeNumber(value.getTime()))
    if (Array.isArray(value)) return items(value)
    if ("toJSON" in value && typeof value.toJSON === "function") return any(value.toJSON())
    const written = fields(value)
    return isObject(written) && isMarked(written) ? marked("Object", written) : written
  }
  const any = (value: unknown): unknown => {
    switch (typeof value) {
      case "number": {
        const written = encodeNumber(value)
        return written === value && typeof written === "number" ? value : marked("Number", written)
      }
      case "bigint":
        return marked("BigInt", String(value))
      case "function":
      case "symbol":
        return stop(`a ${typeof value} cannot be encoded`, undefined)
      case "object": {
        if (value === null) return null
        if (Redacted.isRedacted(value)) return stop(secretInTheWay, redacted)
        if (ancestors.has(value)) return stop("contains itself", json.circular)
        if (ancestors.size >= json.maxDepth) return stop("nested too deeply", json.tooDeep)
        ancestors.add(value)
        const written = inside(value)
        ancestors.delete(value)
        return written
      }
      default:
        return value
    }
  }
  return any(root)
}

/** Encodes any value; a marker replaces what has no portable form. Total. */
export const encode = (value: unknown): unknown => {
  try {
    return write(value, (_, marker) => marker)
  } catch {
    // A getter or a `toJSON` throws.
    return JSON.parse(json.stringify(value))
  }
}

/** Encodes a value, and names everything in it that has no portable form: secrets, functions, cycles. */
export const strict = (
  value: unknown
): { readonly encoded: unknown; readonly obstacles: ReadonlyArray<Obstacle> } => {
  const obstacles: Array<Obstacle> = []
  try {
    return { encoded: write(value, (obstacle) => void obstacles.push(obstacle)), obstacles }
  } catch {
    return { encoded: undefined, obstacles: [...obstacles, { path: [], reason: "cannot be read" }] }
  }
}

const toError = (value: WireObject): Error => {
  const { cause, message, name } = value
  const error = new Error(String(message), cause === undefined ? undefined : { cause })
  if (name !== error.name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true })
  // That of the decoder would mislead.
  Object.defineProperty(error, "stack", { value: String(error), configurable: true, writable: true })
  return error
}

/** An encoded value takes three levels at most. */
const maxEncodedDepth = 3 * json.maxDepth

const decodeFields = (value: WireObject, depth: number): WireObject => {
  const copy: Record<string, unknown> = {}
  let isSame = true
  for (const [key, item] of Object.entries(value)) {
    const read = decodeAt(item, depth + 1)
    if (read !== item) isSame = false
    set(copy, key, read)
  }
  return isSame ? value : copy
}

const decodeItems = (value: ReadonlyArray<unknown>, depth: number): ReadonlyArray<unknown> => {
  const items = value.map((item) => decodeAt(item, depth + 1))
  return items.every((item, index) => item === value[index]) ? value : items
}

/** Restores a marked value; `undefined` if it is not one of ours. */
const restored = (kind: unknown, value: unknown, depth: number): { readonly value: unknown } | undefined => {
  switch (kind) {
    case "Undefined":
      return { value: undefined }
    case "Number":
      return { value: Number(value) }
    case "BigInt":
      return typeof value === "string" && /^-?\d+$/.test(value) ? { value: BigInt(value) } : undefined
    case "Date":
      return { value: new Date(Number(value)) }
    case "Error":
      return isObject(value) ? { value: toError(decodeFields(value, depth)) } : undefined
    case "Object":
      return isObject(value) ? { value: decodeFields(value, depth) } : undefined
    default:
      return undefined
  }
}

const decodeAt = (value: unknown, depth: number): unknown => {
  // Only what others have written can be deeper.
  if (depth > maxEncodedDepth) return value
  if (Array.isArray(value)) return decodeItems(value, depth)
  if (!isObject(value)) return value
  const pair = isMarked(value) ? value[mark] : undefined
  const found = Array.isArray(pair) && pair.length === 2 ? restored(pair[0], pair[1], depth) : undefined
  return found === undefined ? decodeFields(value, depth) : found.value
}

/** Restores what {@link encode} has encoded; any other value stays as it is. */
export const decode = (value: unknown): unknown => decodeAt(value, 0)
