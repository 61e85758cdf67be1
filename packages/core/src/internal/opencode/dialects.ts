import * as Version from "../../Version.js"
import * as dialect from "./dialect.js"
import type { Dialect, Range, Server } from "./dialect.js"
import { v1 } from "./v1/dialect.js"
import { v2 } from "./v2/dialect.js"

/** Every supported major version, oldest first. */
export const all: readonly [Dialect, ...ReadonlyArray<Dialect>] = [v1, v2]

/** The dialect of a version, if it is supported. */
export const forVersion = (version: Version.Version): Dialect | undefined =>
  all.find(({ supported }) => dialect.includes(supported, version))

/** Why no version that prints this can be driven, although its number may be in a range. */
export const unable = (printed: string): string | undefined =>
  /(?:^|[\sv])0\.0\.0-(?:beta|next)\b/.test(printed)
    ? "a preview of OpenCode 2 has another server than a release (npm install @opencode/cli)"
    : undefined

/** The dialect of a server's version, if it is supported. */
export const forServer = (version: Version.Version): Dialect | undefined =>
  all.find(({ server }) => server !== undefined && dialect.includes(server.supported, version))

/** Describes the supported versions in words. */
export const ranges = (of: (dialect: Dialect) => Range | undefined): string =>
  all.map(of).filter((range) => range !== undefined).map(({ below, from }) =>
    `${Version.format(from)} and later, below ${Version.format(below)}`
  ).join(
    ", or "
  )

/**
 * The dialect before a version is known. The query for the version needs variables itself, and a server reports its
 * version only after its start, so both use the first dialect: an older OpenCode ignores unknown variables.
 */
export const unversioned: Dialect & { readonly server: Server } = v1
