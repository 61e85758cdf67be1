import type { Version } from "../../Version.js"
import type { Contract } from "./contract.js"
import type { Dialect } from "./dialect.js"
import * as dialects from "./dialects.js"
import { contract as v1Contract } from "./v1/contract/contract.js"
import { v1 } from "./v1/dialect.js"
import { contract as v2Contract } from "./v2/contract/contract.js"
import { v2 } from "./v2/dialect.js"

/** The contract of every dialect that has one. */
const all: ReadonlyArray<readonly [Dialect, Contract]> = [[v1, v1Contract], [v2, v2Contract]]

/** The contract of a version, if it is supported. */
export const forVersion = (version: Version): Contract | undefined => {
  const dialect = dialects.forVersion(version)
  return all.find(([one]) => one === dialect)?.[1]
}
