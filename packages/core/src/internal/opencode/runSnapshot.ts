import type { RunSnapshot } from "../../OpenCodeError.js"
import * as TokenUsage from "../../TokenUsage.js"

/** The facts of something that has shown no event, with whatever is known of it. */
export const make = (
  known: Pick<RunSnapshot, "runId" | "cwd"> & { readonly [K in keyof RunSnapshot]?: RunSnapshot[K] }
): RunSnapshot => ({
  eventCount: 0,
  text: "",
  usage: TokenUsage.empty,
  cost: 0,
  turns: 0,
  stderr: "",
  attempts: 1,
  duration: 0,
  survivors: [],
  ...known
})
