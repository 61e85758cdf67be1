/** Parses YAML 1.2 with merge keys, with the place of every value. */
import * as Either from "effect/Either"
import type { Alias, Document, Node, Pair, YAMLMap } from "yaml"
import { isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml"
import type { Located, Member, Range, Scalar, Trouble } from "./located.js"

const rangeOf = (node: Node | null | undefined, fallback: Range): Range =>
  node?.range === null || node?.range === undefined ? fallback : { start: node.range[0], end: node.range[1] }

/** Whether a key is the merge key; in quotes it is an ordinary name. */
const isMergeKey = (key: unknown): boolean =>
  isScalar(key) && typeof key.value === "symbol" && key.value.description === "<<"

class Converter {
  readonly troubles: Array<Trouble> = []
  /** Anchored values being read; meeting one again means that it contains itself. */
  private readonly open = new Set<Node>()
  private readonly done = new Map<Node, Located>()

  constructor(private readonly document: Document) {}

  private trouble(at: Range, reason: string): Located {
    this.troubles.push({ offset: at.start, reason })
    return { _tag: "Scalar", value: null, ...at }
  }

  value(node: unknown, fallback: Range): Located {
    if (isAlias(node)) return this.alias(node, fallback)
    if (isMap(node) || isSeq(node)) {
      const known = this.done.get(node)
      if (known !== undefined) return known
      this.open.add(node)
      const value: Located = isMap(node)
        ? this.map(node, rangeOf(node, fallback))
        : {
          _tag: "List",
          ...rangeOf(node, fallback),
          items: node.items.map((item) => this.value(item, rangeOf(node, fallback)))
        }
      this.open.delete(node)
      this.done.set(node, value)
      return value
    }
    if (!isScalar(node)) return { _tag: "Scalar", value: null, ...fallback }
    const at = rangeOf(node, fallback)
    const { value } = node
    return value === null || ["string", "number", "boolean"].includes(typeof value)
      ? {
        _tag: "Scalar",
        value: value as Scalar,
        ...(typeof value === "number" ? { written: node.source } : {}),
        ...at
      }
      : this.trouble(at, "expected a text, a number, true, false or null")
  }

  private alias(node: Alias, fallback: Range): Located {
    const at = rangeOf(node, fallback)
    const target = node.resolve(this.document)
    if (target === undefined) return this.trouble(at, `no anchor "&${node.source}" before this`)
    if (this.open.has(target)) return this.trouble(at, `"*${node.source}" contains itself`)
    return this.value(target, at)
  }

  private map(node: YAMLMap, at: Range): Located {
    const own: Array<Member> = []
    const merged: Array<Member> = []
    for (const { key, value } of node.items as ReadonlyArray<Pair>) {
      const keyRange = rangeOf(key as Node, at)
      if (isMergeKey(key)) {
        merged.push(...this.merged(this.value(value, keyRange)))
      } else if (isScalar(key) && typeof key.value !== "object" && typeof key.value !== "symbol") {
        own.push({ name: String(key.value), key: keyRange, value: this.value(value, keyRange) })
      } else {
        this.trouble(keyRange, "expected a name")
      }
    }
    const names = new Set(own.map(({ name }) => name))
    const inherited = merged.filter(({ name }) => {
      const isNew = !names.has(name)
      names.add(name)
      return isNew
    })
    return { _tag: "Record", members: [...inherited, ...own], ...at }
  }

  private merged(value: Located): ReadonlyArray<Member> {
    if (value._tag === "Record") return value.members
    if (value._tag === "List" && value.items.every((item) => item._tag === "Record")) {
      return value.items.flatMap((item) => item.members)
    }
    this.trouble(value, "`<<` takes a mapping, or a list of mappings")
    return []
  }
}

/** A limit on aliases: a small file with many aliases of aliases could expand to a huge value. */
const maxAliasCount = 10_000

export const parse = (text: string): Either.Either<Located, ReadonlyArray<Trouble>> => {
  const document = parseDocument(text, { merge: true, prettyErrors: false, stringKeys: false })
  const found = [...document.errors, ...document.warnings]
  if (found.length > 0) {
    return Either.left(found.map(({ message, pos }) => ({ offset: pos[0], reason: message })))
  }
  const converter = new Converter(document)
  const value = converter.value(document.contents, { start: 0, end: text.length })
  if (converter.troubles.length > 0) return Either.left(converter.troubles)
  try {
    document.toJS({ maxAliasCount })
  } catch (error) {
    return Either.left([{ offset: 0, reason: error instanceof Error ? error.message : String(error) }])
  }
  return Either.right(value)
}
