import type { Version } from "effect-opencode/Version"
import type { Scenario } from "./scenario.js"
import * as v1 from "./v1/scenarios.js"
import * as v2 from "./v2/scenarios.js"

/** The scenarios of a version's major. */
export const of = ({ major }: Version): ReadonlyArray<Scenario> => major < 2 ? v1.scenarios : v2.scenarios
