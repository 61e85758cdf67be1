/** A tag in a page. */
export interface Tag {
  readonly name: string
  readonly closes: boolean
  /** Closes itself, or is a void element. */
  readonly empty: boolean
  readonly attributes: ReadonlyMap<string, string>
}

export interface Parsed {
  readonly tags: ReadonlyArray<Tag>
  /** What a strict parser would refuse. */
  readonly problems: ReadonlyArray<string>
  /** The text between the tags, as shown. */
  readonly text: string
}

const entities: { readonly [entity: string]: string } = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": "\"",
  "&#39;": "'"
}

const decoded = (text: string, problems: Array<string>): string =>
  text.replace(/&[^;\s]*;?/g, (entity) => {
    const character = entities[entity]
    if (character === undefined) problems.push(`not an entity of ours: ${entity.slice(0, 20)}`)
    return character ?? entity
  })

const attributePattern = /\s+([a-z][a-z0-9-]*)="([^"<>]*)"/giy

/** Reads a page as strictly as XML: every browser reads alike what passes here. */
export const parse = (page: string): Parsed => {
  const problems: Array<string> = []
  const tags: Array<Tag> = []
  const open: Array<string> = []
  let text = ""
  let at = page.startsWith("<!DOCTYPE html>") ? "<!DOCTYPE html>".length : 0
  if (at === 0) problems.push("no doctype")
  while (at < page.length) {
    const next = page.indexOf("<", at)
    const end = next === -1 ? page.length : next
    text += decoded(page.slice(at, end), problems)
    if (page.slice(at, end).includes(">")) problems.push(`a stray > in ${page.slice(at, end).slice(0, 60)}`)
    if (next === -1) break
    const head = /^<(\/?)([a-z][a-z0-9]*)/i.exec(page.slice(next, next + 40))
    if (head === null) {
      problems.push(`no tag: ${page.slice(next, next + 40)}`)
      break
    }
    const [start, slash, name = ""] = head
    const attributes = new Map<string, string>()
    attributePattern.lastIndex = next + start.length
    let after = attributePattern.lastIndex
    for (let match = attributePattern.exec(page); match !== null; match = attributePattern.exec(page)) {
      const [, key = "", value = ""] = match
      if (attributes.has(key)) problems.push(`${key} is there twice in <${name}>`)
      attributes.set(key, decoded(value, problems))
      after = attributePattern.lastIndex
    }
    const close = /^\s*(\/?)>/.exec(page.slice(after, after + 10))
    if (close === null) {
      problems.push(`a tag that does not end: ${page.slice(next, after + 20)}`)
      break
    }
    // words do not run together at the end of an element
    text += " "
    const tag = { name, closes: slash === "/", empty: close[1] === "/", attributes }
    tags.push(tag)
    at = after + close[0].length
    if (tag.closes) {
      const opened = open.pop()
      if (opened !== name) problems.push(`</${name}> closes <${opened}>`)
    } else if (!tag.empty) {
      open.push(name)
      if (name === "style" || name === "script") at = page.indexOf(`</${name}>`, at)
    }
  }
  if (open.length > 0) problems.push(`not closed: ${open.join(", ")}`)
  return { tags, problems, text }
}
