/**
 * Values with their place in a text, so that a problem can be reported there. Offsets are in UTF-16 units, as in
 * JavaScript and editors.
 */

export interface Position {
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

/** The start and the end of a value. */
export interface Range {
  readonly start: number
  readonly end: number
}

export type Scalar = string | number | boolean | null

export type Located =
  | (Range & {
    readonly _tag: "Scalar"
    readonly value: Scalar
    /** A number as written, because JavaScript numbers lose digits and zeros. */
    readonly written?: string | undefined
  })
  | (Range & { readonly _tag: "List"; readonly items: ReadonlyArray<Located> })
  | Fields

export interface Fields extends Range {
  readonly _tag: "Record"
  readonly members: ReadonlyArray<Member>
}

export interface Member {
  readonly name: string
  readonly key: Range
  readonly value: Located
}

/** A problem and its place. */
export interface Trouble {
  readonly offset: number
  readonly reason: string
}

/** A text that converts offsets into lines and columns. */
export interface Source {
  /** The name for people, such as a file name. */
  readonly name: string
  readonly text: string
  readonly position: (offset: number) => Position
}

export const source = (name: string, text: string): Source => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return {
    name,
    text,
    position: (offset) => {
      let [low, high] = [0, starts.length - 1]
      while (low < high) {
        const middle = Math.ceil((low + high) / 2)
        if (starts[middle]! <= offset) low = middle
        else high = middle - 1
      }
      return { line: low + 1, column: offset - starts[low]! + 1 }
    }
  }
}

/** The plain value, without places. */
export const plain = (located: Located): unknown => {
  switch (located._tag) {
    case "Scalar":
      return located.value
    case "List":
      return located.items.map(plain)
    case "Record":
      // Not by assignment, because `__proto__` is an ordinary name here.
      return Object.fromEntries(located.members.map(({ name, value }) => [name, plain(value)]))
  }
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The value as compact JSON, with numbers as written. */
export const toJson = (located: Located): string => {
  switch (located._tag) {
    case "Scalar":
      return located.written !== undefined && jsonNumber.test(located.written)
        ? located.written
        : JSON.stringify(located.value)
    case "List":
      return `[${located.items.map(toJson).join(",")}]`
    case "Record":
      return `{${located.members.map(({ name, value }) => `${JSON.stringify(name)}:${toJson(value)}`).join(",")}}`
  }
}

/** Maps the texts of a value. */
export const mapTexts = (located: Located, f: (text: string, at: Range) => Scalar): Located => {
  switch (located._tag) {
    case "Scalar":
      return typeof located.value === "string" ? { ...located, value: f(located.value, located) } : located
    case "List":
      return { ...located, items: located.items.map((item) => mapTexts(item, f)) }
    case "Record":
      return {
        ...located,
        members: located.members.map((member) => ({ ...member, value: mapTexts(member.value, f) }))
      }
  }
}

/** Resolves a path: to the value at its end, or to the last existing value on the way. */
export const find = (located: Located, path: ReadonlyArray<PropertyKey>): Range => {
  const [first, ...rest] = path
  if (first === undefined) return located
  switch (located._tag) {
    case "Scalar":
      return located
    case "List": {
      const item = located.items[Number(first)]
      return item === undefined ? located : find(item, rest)
    }
    case "Record": {
      const member = located.members.find(({ name }) => name === String(first))
      return member === undefined ? located : find(member.value, rest)
    }
  }
}

/** The place of the name of the last member on a path. */
export const findKey = (located: Located, path: ReadonlyArray<PropertyKey>): Range => {
  const parent = path.slice(0, -1).reduce<Located | undefined>((inner, name) =>
    inner?._tag === "Record"
      ? inner.members.find((member) => member.name === String(name))?.value
      : inner?._tag === "List"
      ? inner.items[Number(name)]
      : undefined, located)
  const member = parent?._tag === "Record"
    ? parent.members.find(({ name }) => name === String(path[path.length - 1]))
    : undefined
  return member?.key ?? find(located, path)
}
