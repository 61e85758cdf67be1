import * as Version from "../../Version.js"
import * as dialect from "./dialect.js"
import type { Dialect, Range } from "./dialect.js"
import { v1 } from "./v1/dialect.js"

/** Every supported major version, oldest first. */
export const all: readonly [Dialect, ...ReadonlyArray<Dialect>] = [v1]

/** The dialect of a version, if it is supported. */
export const forVersion = (version: Version.Version): Dialect | undefined =>
  all.find(({ supported }) => dialect.includes(supported, version))

/** The dialect of a server's version, if it is supported. */
export const forServer = (version: Version.Version): Dialect | undefined =>
  all.find(({ server }) => dialect.includes(server.supported, version))

/** Describes the supported versions in words. */
export const ranges = (of: (dialect: Dialect) => Range): string =>
  all.map(of).map(({ below, from }) => `${Version.format(from)} and later, below ${Version.format(below)}`).join(
    ", or "
  )

/**
 * The dialect before a version is known. The query for the version needs variables itself, and a server reports its
 * version only after its start, so both use the first dialect: an older OpenCode ignores unknown variables.
 */
export const unversioned: Dialect = all[0]
