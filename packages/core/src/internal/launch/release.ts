import * as Effect from "effect/Effect"
import { OpenCodeVersionError } from "../../OpenCodeError.js"
import type { OpenCodeBinaryNotFoundError, OpenCodeProcessError, QueryError } from "../../OpenCodeError.js"
import * as Version from "../../Version.js"
import * as dialects from "../opencode/dialects.js"
import type { Launcher, Release } from "./launcher.js"
import * as launcher from "./launcher.js"
import * as query from "./query.js"

const howItEnded = ({ exitCode, hint, signal }: OpenCodeProcessError): string =>
  hint ?? signal ?? (exitCode === undefined ? "the exit code was lost" : `exit code ${exitCode}`)

const probe = (
  ask: Effect.Effect<string, QueryError>,
  find: Effect.Effect<string, OpenCodeBinaryNotFoundError>,
  allowUntested: boolean
): Effect.Effect<Release, QueryError> =>
  Effect.gen(function*() {
    const binary = yield* find
    const text = yield* Effect.catchTag(ask, "OpenCodeProcessError", (error: OpenCodeProcessError) =>
      new OpenCodeVersionError({
        binary,
        reason: `\`--version\` failed (${howItEnded(error)}), so it is probably not OpenCode: ${
          error.partial.stderr.trim().slice(-500) || "nothing on stderr"
        }`
      }))
    const version = Version.parse(text)
    return yield* version === undefined
      ? new OpenCodeVersionError({ binary, reason: "`--version` printed no version" })
      : supported(binary, text, version, allowUntested)
  })

const supported = (
  binary: string,
  printed: string,
  version: Version.Version,
  allowUntested: boolean
): Effect.Effect<Release, OpenCodeVersionError> => {
  const dialect = dialects.forVersion(version)
  const unable = dialects.unable(printed)
  if (dialect === undefined || unable !== undefined) {
    const ranges = `this library supports ${dialects.ranges(({ supported }) => supported)}`
    return new OpenCodeVersionError({
      binary,
      version: Version.format(version),
      reason: unable === undefined ? ranges : `${unable}; ${ranges}`
    })
  }
  return Effect.as(
    allowUntested || dialect.isTested(version) ? Effect.void : Effect.logWarning(
      `OpenCode ${Version.format(version)} (${binary}) was not tested with this library; ` +
        "`effect-opencode conformance` tells what is different in it, and `allowUntested` silences this warning"
    ),
    { version, dialect }
  )
}

/** Finds the version of a layer's binary, or assumes it, once. */
export const make = (
  base: Omit<Launcher, "release">,
  version: string | undefined
): Effect.Effect<Launcher["release"]> => {
  const allowUntested = base.allowUntested === true
  const assumed = version === undefined ? undefined : Version.parse(version)
  return launcher.once(
    assumed === undefined
      // The version needs no data, and a sandbox refuses OpenCode's own directory.
      ? probe(
        query.make(base.sandboxing === undefined ? base : { ...base, isolation: "run" }, ["--version"]),
        base.binary,
        allowUntested
      )
      : Effect.flatMap(base.binary, (binary) => supported(binary, version ?? "", assumed, allowUntested))
  )
}
