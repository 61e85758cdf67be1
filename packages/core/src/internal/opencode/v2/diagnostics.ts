import { variableNames } from "../variables.js"

/**
 * 2.x drops what it cannot read in its configuration and continues without it, so that a rule that denies something can be
 * missing. The log reports that, and nothing else does (2.0.14).
 */
const mark = "message=\"configuration normalization diagnostic\""

const value = (line: string, name: string): string | undefined => {
  const found = new RegExp(`(?:^| )${name}=("(?:[^"\\\\]|\\\\.)*"|\\S+)`).exec(line)?.[1]
  return found?.replace(/^"|"$/g, "")
}

/** The path of a part of our own configuration that OpenCode has dropped, by a line of its log. */
export const dropped = (line: string): string | undefined =>
  /^timestamp=\S+ level=WARN /.test(line) && line.includes(mark) &&
    value(line, "source") === variableNames.configContent && value(line, "kind") === "invalid"
    ? value(line, "path") ?? "$"
    : undefined
