/**
 * JSON as in RFC 8259, with the place of every value. `JSON.parse` returns no places, and does not report the place of
 * an error reliably.
 */
import * as Either from "effect/Either"
import type { Located, Member, Trouble } from "./located.js"

/** Far below the stack's limit, and deeper than anybody writes. */
const maxDepth = 500

const escapes: { readonly [letter: string]: string } = {
  "\"": "\"",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t"
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

// eslint-disable-next-line no-control-regex -- JSON forbids control characters inside a string
const unescaped = /[^"\\\u0000-\u001f]*/y

class JsonError extends Error {
  constructor(readonly offset: number, message: string) {
    super(message)
  }
}

const shown = (text: string, offset: number): string => {
  const point = text.codePointAt(offset)
  if (point === undefined) return "the end of the text"
  return point < 0x20 || point === 0x7f
    ? `the character U+${point.toString(16).toUpperCase().padStart(4, "0")}`
    : `\`${String.fromCodePoint(point)}\``
}

class Reader {
  private at: number
  readonly troubles: Array<Trouble> = []

  constructor(private readonly text: string, start: number, private readonly end: number) {
    this.at = start
  }

  private fail(message: string, offset = this.at): never {
    throw new JsonError(offset, message)
  }

  private here(offset = this.at): string {
    return offset >= this.end ? "the end of the text" : shown(this.text, offset)
  }

  private space(): void {
    while (this.at < this.end && " \t\n\r".includes(this.text[this.at]!)) this.at++
  }

  private eat(character: string): boolean {
    if (this.at >= this.end || this.text[this.at] !== character) return false
    this.at++
    return true
  }

  document(): Located {
    const value = this.value(0)
    this.space()
    if (this.at < this.end) this.fail(`expected nothing after the value, found ${this.here()}`)
    return value
  }

  private value(depth: number): Located {
    this.space()
    if (depth > maxDepth) this.fail(`values are nested deeper than ${maxDepth}`)
    const start = this.at
    switch (this.at < this.end ? this.text[this.at] : undefined) {
      case "{":
        return this.record(start, depth)
      case "[":
        return this.list(start, depth)
      case "\"":
        return { _tag: "Scalar", value: this.string(), start, end: this.at }
      default: {
        for (const [word, value] of [["true", true], ["false", false], ["null", null]] as const) {
          if (this.text.startsWith(word, start) && start + word.length <= this.end) {
            this.at += word.length
            return { _tag: "Scalar", value, start, end: this.at }
          }
        }
        number.lastIndex = start
        const digits = start < this.end ? number.exec(this.text)?.[0] : undefined
        if (digits === undefined) return this.fail(`expected a value, found ${this.here()}`)
        this.at += digits.length
        return { _tag: "Scalar", value: Number(digits), written: digits, start, end: this.at }
      }
    }
  }

  private list(start: number, depth: number): Located {
    this.at++
    const items: Array<Located> = []
    this.space()
    if (!this.eat("]")) {
      do {
        items.push(this.value(depth + 1))
        this.space()
      } while (this.eat(","))
      if (!this.eat("]")) this.fail(`expected \`,\` or \`]\`, found ${this.here()}`)
    }
    return { _tag: "List", items, start, end: this.at }
  }

  private record(start: number, depth: number): Located {
    this.at++
    const members: Array<Member> = []
    const names = new Set<string>()
    this.space()
    if (!this.eat("}")) {
      do {
        this.space()
        const key = this.at
        if (this.text[this.at] !== "\"" || this.at >= this.end) {
          this.fail(`expected a name in double quotes, found ${this.here()}`)
        }
        const name = this.string()
        const range = { start: key, end: this.at }
        if (names.has(name)) {
          this.troubles.push({ offset: key, reason: `duplicate name ${JSON.stringify(name)}` })
        }
        names.add(name)
        this.space()
        if (!this.eat(":")) this.fail(`expected \`:\`, found ${this.here()}`)
        members.push({ name, key: range, value: this.value(depth + 1) })
        this.space()
      } while (this.eat(","))
      if (!this.eat("}")) this.fail(`expected \`,\` or \`}\`, found ${this.here()}`)
    }
    return { _tag: "Record", members, start, end: this.at }
  }

  private string(): string {
    const start = this.at
    this.at++
    let value = ""
    for (;;) {
      unescaped.lastIndex = this.at
      const run = unescaped.exec(this.text)![0]
      value += run
      this.at += run.length
      if (this.at >= this.end) this.fail("the string that begins here is never closed", start)
      if (this.eat("\"")) return value
      if (!this.eat("\\")) this.fail(`a string cannot contain ${this.here()}; write it as an escape`)
      const letter = this.at < this.end ? this.text[this.at] : undefined
      if (letter === "u") {
        const digits = this.text.slice(this.at + 1, Math.min(this.at + 5, this.end))
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("`\\u` needs four hexadecimal digits", this.at - 1)
        value += String.fromCharCode(Number.parseInt(digits, 16))
        this.at += 5
      } else if (letter !== undefined && Object.hasOwn(escapes, letter)) {
        value += escapes[letter]
        this.at++
      } else {
        this.fail(`invalid escape: \`\\\` before ${this.here()}`, this.at - 1)
      }
    }
  }
}

/** Parses the part of a text between two offsets, by default all of it, as one value. */
export const parse = (
  text: string,
  start = 0,
  end = text.length
): Either.Either<Located, ReadonlyArray<Trouble>> => {
  const reader = new Reader(text, start, end)
  try {
    const value = reader.document()
    return reader.troubles.length === 0 ? Either.right(value) : Either.left(reader.troubles)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    return Either.left([...reader.troubles, { offset: error.offset, reason: error.message }])
  }
}
