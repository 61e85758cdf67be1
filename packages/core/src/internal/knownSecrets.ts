/** The secrets that a process of ours has without being told: inherited variables, and what somebody has logged in with. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as directories from "./directories.js"
import * as redact from "./redact.js"
import { variables } from "./variable.js"

/** The secret values among the variables of this process. */
export const inherited: Effect.Effect<ReadonlyArray<string>> = Effect.map(variables, redact.secretsOfVariables)

/** Where OpenCode keeps logins, in its data directory (1.18.33). */
const files = ["auth.json", "mcp-auth.json"]

/** The keys and tokens of the logins that a child with these variables finds; and of those in a directory of its own. */
export const stored = (
  { fileSystem, path }: { readonly fileSystem: FileSystem.FileSystem; readonly path: Path.Path },
  env: { readonly [name: string]: string },
  own?: string
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const source = yield* directories.dataHome(path, env)
    const homes = new Set([source, own].flatMap((home) => home === undefined ? [] : [path.resolve(home)]))
    const texts = yield* Effect.forEach(
      [...homes].flatMap((home) => files.map((file) => path.join(home, "opencode", file))),
      (file) => Effect.orElseSucceed(fileSystem.readFileString(file), () => ""),
      { concurrency: "unbounded" }
    )
    return texts.flatMap(redact.secretsOfLogins)
  })
