/** Why a run cannot go over a server of the program. */
import * as OpenCodeServer from "effect-opencode/OpenCodeServer"
import type { RunOptions } from "effect-opencode/RunOptions"

export interface ServerProblem {
  /** The option, dotted. */
  readonly path: string
  readonly reason: string
}

/** The library names layers, which a command line does not have. */
const ownReasons: { readonly [path: string]: string } = {
  attach: "the run already has a server, so it is one or the other",
  username: "it is for --attach",
  password: "it is for --attach",
  port: "the servers of --server choose free ports"
}

/** The first option that needs a process of its own. */
export const serverProblem = (options: RunOptions): ServerProblem | undefined => {
  const problem = OpenCodeServer.check(options)
  return problem === undefined
    ? undefined
    : { path: problem.path, reason: `not with --server: ${ownReasons[problem.path] ?? problem.reason}` }
}
