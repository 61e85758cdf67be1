import * as Option from "effect/Option"
import type { Problem } from "./problem.js"

/** Whether a path begins at the home directory of this user. */
export const isBelowHome = (file: string): boolean => file === "~" || /^~[/\\]/.test(file)

/** `~name` is the home directory of somebody to a shell alone. */
export const problem = (path: string, file: unknown): Option.Option<Problem> => {
  const name = typeof file === "string" && file.startsWith("~") && !isBelowHome(file)
    ? /^[^/\\]*/.exec(file)![0]
    : undefined
  return name === undefined ? Option.none() : Option.some({
    path,
    reason:
      `\`${name}\` is not expanded, only \`~\` alone is; write the directory out, or \`./${name}\` if that is its name`
  })
}
