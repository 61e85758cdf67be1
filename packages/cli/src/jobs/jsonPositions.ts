/** Parses JSON as in RFC 8259, with the place of every value. `JSON.parse` does not report places reliably. */
import * as Either from "effect/Either"
import type { Node } from "jsonc-parser"
import { parseTree, printParseErrorCode, visit } from "jsonc-parser"
import type { Located, Range, Trouble } from "./located.js"

/** Far below the stack's limit, and deeper than anybody writes. */
const maxDepth = 500

const expected: { readonly [code: string]: string } = {
  PropertyNameExpected: "a name in double quotes",
  ValueExpected: "a value",
  ColonExpected: "`:`",
  EndOfFileExpected: "nothing after the value"
}

const closings: { readonly [code: string]: string } = { CloseBraceExpected: "}", CloseBracketExpected: "]" }

const shown = (text: string, offset: number): string => {
  const point = text.codePointAt(offset)
  if (point === undefined) return "the end of the text"
  return point < 0x20 || point === 0x7f
    ? `the character U+${point.toString(16).toUpperCase().padStart(4, "0")}`
    : `\`${String.fromCodePoint(point)}\``
}

// eslint-disable-next-line no-control-regex -- JSON forbids control characters inside a string
const valid = /"(?:[^"\\\u0000-\u001f]+|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*/y

/** The mistake in a string, of which the library reports the beginning. */
const inString = (text: string, start: number): Trouble => {
  valid.lastIndex = start
  const offset = start + (valid.exec(text)?.[0].length ?? 0)
  if (offset === text.length) return { offset: start, reason: "the string that begins here is never closed" }
  if (text[offset] !== "\\") {
    return { offset, reason: `a string cannot contain ${shown(text, offset)}; write it as an escape` }
  }
  const reason = text[offset + 1] === "u"
    ? "`\\u` needs four hexadecimal digits"
    : `invalid escape: \`\\\` before ${shown(text, offset + 1)}`
  return { offset, reason }
}

/** The duplicate names up to the first mistake, and that mistake. */
const check = (text: string): ReadonlyArray<Trouble> => {
  const duplicates: Array<Trouble> = []
  const mistakes: Array<Trouble> = []
  /** The names of each open object; `undefined` for an array. */
  const open: Array<Set<string> | undefined> = []
  /** The first words that are not JSON; the library reads on after them. */
  let strange: Range | undefined
  const begin = (offset: number, names?: Set<string>) => {
    if (open.push(names) <= maxDepth + 1) return
    if (strange === undefined) mistakes.push({ offset, reason: `values are nested deeper than ${maxDepth}` })
    throw mistakes
  }
  const onError = (code: string, start: number, length: number) => {
    if (strange !== undefined && text.slice(strange.end, start).trim() !== "") throw mistakes
    const offset = strange?.start ?? start
    if (/^Invalid(Symbol|CommentToken)$/.test(code)) {
      strange = { start: offset, end: start + length }
      return
    }
    const closing = code === "CommaExpected" ? open.at(-1) === undefined ? "]" : "}" : closings[code]
    const next = /[[{]\s*$/.test(text.slice(0, start))
      ? expected[closing === "]" ? "ValueExpected" : "PropertyNameExpected"]
      : `\`,\` or \`${closing}\``
    const wanted = closing === undefined ? expected[code] : next
    mistakes.push(
      wanted === undefined
        ? text[start] === "\"" ? inString(text, start) : { offset, reason: "invalid number" }
        : { offset, reason: `expected ${wanted}, found ${shown(text, offset)}` }
    )
    throw mistakes
  }
  try {
    visit(text, {
      onArrayBegin: (offset) => begin(offset),
      onObjectBegin: (offset) => begin(offset, new Set()),
      onArrayEnd: () => void open.pop(),
      onObjectEnd: () => void open.pop(),
      onObjectProperty: (name, offset) => {
        const names = open.at(-1)
        if (names?.has(name) === true) duplicates.push({ offset, reason: `duplicate name ${JSON.stringify(name)}` })
        names?.add(name)
      },
      onError: (code, offset, length) => onError(printParseErrorCode(code), offset, length)
    }, { disallowComments: true })
  } catch (error) {
    if (error !== mistakes) throw error
  }
  const [first = strange && { offset: strange.start, reason: `unexpected ${shown(text, strange.start)}` }] = mistakes
  if (first === undefined) return duplicates
  return [...duplicates.filter(({ offset }) => offset < first.offset), first]
}

const locate = (node: Node, text: string, base: number): Located => {
  const rangeOf = ({ length, offset }: Node): Range => ({ start: base + offset, end: base + offset + length })
  const range = rangeOf(node)
  const children = node.children ?? []
  switch (node.type) {
    case "array":
      return { _tag: "List", items: children.map((item) => locate(item, text, base)), ...range }
    case "object":
      return {
        _tag: "Record",
        members: children.map(({ children: [key, value] = [] }) => ({
          name: key!.value,
          key: rangeOf(key!),
          value: locate(value!, text, base)
        })),
        ...range
      }
    case "number":
      return { _tag: "Scalar", value: node.value, written: text.slice(range.start, range.end), ...range }
    default:
      return { _tag: "Scalar", value: node.value, ...range }
  }
}

/** Parses the part of a text between two offsets, by default all of it, as one value. */
export const parse = (
  text: string,
  start = 0,
  end = text.length
): Either.Either<Located, ReadonlyArray<Trouble>> => {
  const part = text.slice(start, end)
  const troubles = check(part)
  const root = troubles.length === 0 ? parseTree(part) : undefined
  return root === undefined
    ? Either.left(troubles.map(({ offset, reason }) => ({ offset: start + offset, reason })))
    : Either.right(locate(root, text, start))
}
