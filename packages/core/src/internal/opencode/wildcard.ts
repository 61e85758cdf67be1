/** True if a name or pattern of a permission rule contains wildcards. */
export const hasWildcard = (key: string): boolean => /[*?]/.test(key)

/** OpenCode's matcher (1.18.33): `*` is any text, `?` any character, and a trailing ` *` may be missing. */
export const matches = (pattern: string, text: string): boolean => {
  const source = pattern.replaceAll("\\", "/").replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(
    /\?/g,
    "."
  )
  return new RegExp(`^${source.endsWith(" .*") ? `${source.slice(0, -3)}( .*)?` : source}$`, "s").test(
    text.replaceAll("\\", "/")
  )
}

/** True if two keys can match the same name; two patterns always can. */
export const overlap = (a: string, b: string): boolean =>
  hasWildcard(a) ? hasWildcard(b) || matches(a, b) : hasWildcard(b) ? matches(b, a) : a === b

/** Returns an unused spelling of a pattern that matches the same; `undefined` without `*` in the pattern. */
export const respelled = (pattern: string, isUsed: (key: string) => boolean): string | undefined => {
  const at = pattern.indexOf("*")
  if (at < 0) return undefined
  let other = pattern
  do other = `${other.slice(0, at)}*${other.slice(at)}`
  while (isUsed(other))
  return other
}
