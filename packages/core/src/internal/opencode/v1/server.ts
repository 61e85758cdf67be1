import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import type { Range } from "../dialect.js"
import { variableNames } from "../variables.js"

/** The versions whose server is supported, measured with 1.18.33. */
export const supported: Range = { from: Version.make(1, 18, 0), below: Version.make(2, 0, 0) }

/** The default here, and unknown to 2.x, which so ends before it opens a database that it would ruin. */
const onlyHere = "--mdns=false"

export const args = (
  { more, port }: { readonly port: number; readonly more: ReadonlyArray<string> }
): ReadonlyArray<string> => ["serve", "--hostname", "127.0.0.1", "--port", String(port), onlyHere, ...more]

export const isForeign = (stderr: string): boolean => /Unrecognized flag: --mdns\b/.test(stderr)

export const options = ({ extraArgs, logLevel, printLogs, pure }: RunConfig): ReadonlyArray<string> => [
  ...(printLogs === true ? ["--print-logs"] : []),
  ...(logLevel === undefined ? [] : ["--log-level", logLevel]),
  ...(pure === true ? ["--pure"] : []),
  ...(extraArgs ?? [])
]

/** They are arguments. */
export const inVariables = [] as const

/** The process has to be ended. */
export const endsWithInput = false

export const credentials = (username: string, password: string): { readonly [name: string]: string } => ({
  [variableNames.serverUsername]: username,
  [variableNames.serverPassword]: password
})

export const address = (line: string): string | undefined => /listening on (https?:\/\/\S+)/.exec(line)?.[1]
