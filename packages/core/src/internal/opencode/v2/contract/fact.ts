import type { Fact, Recording } from "../../contract.js"
import { always } from "../../contract.js"

type Rest = Partial<Pick<Fact, "usedBy" | "weight">>

/** Makes facts of a scenario, which hold in every version of 2.x that was tested. */
export const of = (scenario: string, shared: Pick<Fact, "usedBy">) =>
(
  id: string,
  says: string,
  value: unknown,
  observe: (recording: Recording) => unknown,
  otherwise: string,
  rest: Rest = {}
): Fact => ({
  id,
  says,
  scenario,
  weight: "matters",
  expected: always(value),
  observe,
  usedBy: shared.usedBy,
  otherwise,
  ...rest
})
