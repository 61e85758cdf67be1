/** Variables in a file, as Node reads them. */
import * as Either from "effect/Either"
import { parseEnv } from "node:util"

/** A line that is no part of a pair, and that Node passes over. */
const isStray = (line: string, values: ReadonlyArray<string>): boolean => {
  const text = line.trim().replace(/["'`](\s*#.*)?$/, "").replaceAll("\\n", "\n")
  return text !== "" && !text.startsWith("#") && !text.includes("=") && !values.some((value) => value.includes(text))
}

/**
 * Node passes over what it does not understand, or makes a name of it; a variable that was meant must not be missing
 * silently. A failure shows nothing of the file: it can be a secret.
 */
export const parse = (text: string): Either.Either<ReadonlyArray<readonly [string, string]>, string> => {
  const content = text.replace(/^\uFEFF/, "")
  const found = Object.entries(parseEnv(content)).map(([name, value = ""]) => [name, value] as const)
  const wrong = found.find(([name]) => !/^[A-Za-z_]\w*$/.test(name))
  const values = found.map(([, value]) => value)
  // What is no pair of its own begins the name of the next one.
  const start = wrong?.[0].split(/\r?\n/, 1)[0]
  const at = content.split(/\r?\n/).findIndex((line) =>
    start === undefined ? isStray(line, values) : line.includes(start)
  )
  if (at !== -1) return Either.left(`line ${at + 1} is not a name=value`)
  return found.length === 0 && /^\s*[^\s#]/m.test(content)
    ? Either.left("there is no name=value in it")
    : Either.right(found)
}
