import { OpenCodeVersionError } from "../../OpenCodeError.js"
import * as Version from "../../Version.js"
import type { Lacking } from "../opencode/dialect.js"

/** The error for an option that a version of OpenCode lacks. */
export const error = (
  binary: string,
  version: Version.Version,
  { option, refused, since, until }: Lacking
): OpenCodeVersionError =>
  new OpenCodeVersionError({
    binary,
    version: Version.format(version),
    option,
    reason: refused !== undefined
      ? `the option \`${option}\` is not supported: ${refused}`
      : since !== undefined
      ? `the option \`${option}\` needs ${Version.format(since)} or later`
      : `the option \`${option}\` does not exist${until === undefined ? "" : ` since ${Version.format(until)}`}`
  })
