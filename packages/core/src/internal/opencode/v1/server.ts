import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import type { Range } from "../dialect.js"

/** The versions whose server is supported, measured with 1.18.33. */
export const supported: Range = { from: Version.make(1, 18, 0), below: Version.make(2, 0, 0) }

export const args = (
  { more, port }: { readonly port: number; readonly more: ReadonlyArray<string> }
): ReadonlyArray<string> => ["serve", "--hostname", "127.0.0.1", "--port", String(port), ...more]

export const options = ({ extraArgs, logLevel, printLogs, pure }: RunConfig): ReadonlyArray<string> => [
  ...(printLogs === true ? ["--print-logs"] : []),
  ...(logLevel === undefined ? [] : ["--log-level", logLevel]),
  ...(pure === true ? ["--pure"] : []),
  ...(extraArgs ?? [])
]

export const address = (line: string): string | undefined => /listening on (https?:\/\/\S+)/.exec(line)?.[1]
