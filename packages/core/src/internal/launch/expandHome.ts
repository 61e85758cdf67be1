import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Isolation } from "../../Isolation.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import { isBelowHome, problem } from "../opencode/homePath.js"
import * as directories from "./directories.js"

/** `~` and `~/…` stand for the home directory. */
export const expand = (
  path: Path.Path,
  option: string,
  file: string
): Effect.Effect<string, OpenCodeConfigError> => {
  const unknown = problem(option, file)
  if (Option.isSome(unknown)) return new OpenCodeConfigError(unknown.value)
  return isBelowHome(file)
    ? Effect.flatMap(directories.home, (home) =>
      home === undefined
        ? new OpenCodeConfigError({ path: option, reason: "`~` cannot be expanded, because HOME is not set" })
        : Effect.succeed(path.join(home, file.slice(1))))
    : Effect.succeed(file)
}

/** Makes the directory of an isolation absolute; `~` is the home directory. */
export const isolation = (path: Path.Path, isolation: Isolation): Effect.Effect<Isolation, OpenCodeConfigError> =>
  typeof isolation === "object"
    ? Effect.map(
      expand(path, "isolation.directory", isolation.directory),
      (directory) => ({ directory: path.resolve(directory) })
    )
    : Effect.succeed(isolation)
