import * as Duration from "effect/Duration"
import type { RunSnapshot } from "../../OpenCodeError.js"
import * as TokenUsage from "../../TokenUsage.js"

/** Makes the snapshot of a run without events, from the fields that are known. */
export const make = (
  known: Pick<RunSnapshot, "runId" | "cwd"> & { readonly [K in keyof RunSnapshot]?: RunSnapshot[K] }
): RunSnapshot => ({
  eventCount: 0,
  text: "",
  usage: TokenUsage.empty,
  cost: 0,
  steps: 0,
  stderr: "",
  attempts: 1,
  duration: Duration.zero,
  survivors: [],
  ...known
})
