/** Environment files, parsed by Node. */
import * as Either from "effect/Either"
import { parseEnv } from "node:util"

/** Whether a line belongs to no pair; Node ignores it. */
const isStray = (line: string, values: ReadonlyArray<string>): boolean => {
  const text = line.trim().replace(/["'`](\s*#.*)?$/, "").replaceAll("\\n", "\n")
  return text !== "" && !text.startsWith("#") && !text.includes("=") && !values.some((value) => value.includes(text))
}

/**
 * Parses variables. Node ignores invalid lines or reads them as names; they are refused here, so that no variable is
 * silently missing. A failure shows nothing of the file, which can hold secrets.
 */
export const parse = (text: string): Either.Either<ReadonlyArray<readonly [string, string]>, string> => {
  const content = text.replace(/^\uFEFF/, "")
  const found = Object.entries(parseEnv(content)).map(([name, value = ""]) => [name, value] as const)
  const wrong = found.find(([name]) => !/^[A-Za-z_]\w*$/.test(name))
  const values = found.map(([, value]) => value)
  // Node prepends an invalid line to the next name.
  const start = wrong?.[0].split(/\r?\n/, 1)[0]
  const at = content.split(/\r?\n/).findIndex((line) =>
    start === undefined ? isStray(line, values) : line.includes(start)
  )
  if (at !== -1) return Either.left(`line ${at + 1} is not name=value`)
  return found.length === 0 && /^\s*[^\s#]/m.test(content)
    ? Either.left("it contains no name=value line")
    : Either.right(found)
}
