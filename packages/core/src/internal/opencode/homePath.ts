import * as Option from "effect/Option"
import type { Problem } from "./problem.js"

/** True if a path begins at the home directory of this user. */
export const isBelowHome = (file: string): boolean => file === "~" || /^~[/\\]/.test(file)

/** Only a shell expands `~name` to another user's home directory. */
export const problem = (path: string, file: unknown): Option.Option<Problem> => {
  const name = typeof file === "string" && file.startsWith("~") && !isBelowHome(file)
    ? /^[^/\\]*/.exec(file)![0]
    : undefined
  return name === undefined ? Option.none() : Option.some({
    path,
    reason: `\`${name}\` is not expanded, only \`~\` is; write out the directory, or \`./${name}\` if that is its name`
  })
}
