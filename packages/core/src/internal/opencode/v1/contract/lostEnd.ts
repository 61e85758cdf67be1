import * as Version from "../../../../Version.js"
import type { Expectation } from "../../contract.js"
import * as invocation from "../invocation.js"

const isBefore = (a: Version.Version | undefined, b: Version.Version): boolean =>
  a === undefined || !Version.isAtLeast(a, b)

const isAfter = (a: Version.Version | undefined, b: Version.Version): boolean =>
  a === undefined || Version.order(a, b) > 0

/** Splits expectations at the versions that lose the end of their output: how much they lose is by chance. */
export const lostEnd = (expected: ReadonlyArray<Expectation>): ReadonlyArray<Expectation> =>
  invocation.losesEnd.reduce<ReadonlyArray<Expectation>>(
    (all, range) =>
      all.flatMap((one) => {
        if (!isAfter(one.below, range.from) || !isBefore(one.from, range.below)) return [one]
        const before = isBefore(one.from, range.from) ? [{ ...one, below: range.from }] : []
        const after = isAfter(one.below, range.below) ? [{ ...one, from: range.below }] : []
        return [
          ...before,
          {
            ...one,
            from: before.length > 0 ? range.from : one.from,
            below: after.length > 0 ? range.below : one.below,
            varies: true
          },
          ...after
        ]
      }),
    expected
  )
