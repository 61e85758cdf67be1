/** Walks values of any depth without recursion: an agent's output can be nested too deeply for the stack. */
import * as json from "./json.js"
import { isObject } from "./object.js"

/** The handlers for the parts of a value. `under` is the name of the field that holds the object, or its list. */
export interface Visitor {
  readonly text: (text: string, name: string, under: string) => string
  readonly name: (name: string) => string
  /** Returns true to drop a field. */
  readonly drop?: ((name: string, under: string) => boolean) | undefined
}

interface Frame {
  readonly source: ReadonlyArray<unknown> | { readonly [name: string]: unknown }
  readonly keys: ReadonlyArray<string> | undefined
  /** The name of the field that holds this value, and of the field above. */
  readonly name: string
  readonly under: string
  readonly names: Array<string>
  readonly items: Array<unknown>
  changed: boolean
  renamed: boolean
  next: number
}

/** Only plain data: instances of a class, such as `Redacted`, are not containers. */
const isContainer = (value: unknown): value is Frame["source"] => Array.isArray(value) || isObject(value)

const frame = (source: Frame["source"], name: string, under: string): Frame => ({
  source,
  keys: Array.isArray(source) ? undefined : Object.keys(source),
  name,
  under,
  names: [],
  items: [],
  changed: false,
  renamed: false,
  next: 0
})

/** Keeps names distinct, because two equal names after masking would lose a value. */
const free = (name: string, taken: ReadonlyArray<string>): string => {
  let candidate = name
  for (let count = 2; taken.includes(candidate); count++) candidate = `${name} ${count}`
  return candidate
}

const build = ({ changed, items, keys, names, source }: Frame): unknown => {
  if (!changed) return source
  if (keys === undefined) return items
  const copy = Object.fromEntries(names.map((name, index) => [name, items[index]]))
  const prototype: unknown = Object.getPrototypeOf(source)
  return prototype === Object.prototype ? copy : Object.setPrototypeOf(copy, prototype as object | null)
}

/** Returns the value with its texts and names mapped by the visitor; unchanged parts are returned as they are. */
export const map = (value: unknown, visitor: Visitor, isOpaque: (value: unknown) => boolean): unknown => {
  if (typeof value === "string") return visitor.text(value, "", "")
  if (!isContainer(value) || isOpaque(value)) return value
  const stack: Array<Frame> = [frame(value, "", "")]
  const ancestors = new Set<unknown>([value])
  for (;;) {
    const top = stack[stack.length - 1]!
    const { keys, source } = top
    const length = keys === undefined ? source.length as number : keys.length
    if (top.next === length) {
      stack.pop()
      ancestors.delete(source)
      const built = build(top)
      const parent = stack[stack.length - 1]
      if (parent === undefined) return built
      if (built !== top.source) parent.changed = true
      parent.items.push(built)
      continue
    }
    const index = top.next++
    const key = keys === undefined ? undefined : keys[index]!
    if (key !== undefined && visitor.drop?.(key, top.name) === true) {
      top.changed = true
      continue
    }
    const item: unknown = key === undefined
      ? (source as ReadonlyArray<unknown>)[index]
      : (source as { readonly [name: string]: unknown })[key]
    if (key !== undefined) {
      const name = visitor.name(key)
      if (name !== key) top.changed = top.renamed = true
      top.names.push(top.renamed ? free(name, top.names) : name)
    }
    // Items of a list are judged by the list's name.
    const name = key ?? top.name
    const under = key === undefined ? top.under : top.name
    if (typeof item === "string") {
      const text = visitor.text(item, name, under)
      if (text !== item) top.changed = true
      top.items.push(text)
    } else if (isContainer(item) && !isOpaque(item)) {
      if (ancestors.has(item)) {
        top.changed = true
        top.items.push(json.circular)
      } else {
        ancestors.add(item)
        stack.push(frame(item, name, under))
      }
    } else top.items.push(item)
  }
}
