import * as Effect from "effect/Effect"
import * as GlobalValue from "effect/GlobalValue"
import type * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../OpenCodeError.js"

/** The ids of the runs of this program, whatever layer they use, and however often this module is loaded. */
const live = GlobalValue.globalValue(Symbol.for("effect-opencode/liveIds"), () => new Set<string>())

/** Holds the id of a run until the scope closes. Refused while another run of this program holds it. */
export const hold = (runId: string): Effect.Effect<void, OpenCodeConfigError, Scope.Scope> =>
  Effect.uninterruptible(Effect.suspend(() => {
    if (live.has(runId)) {
      return new OpenCodeConfigError({ path: "runId", reason: `the run ${runId} of this program has not ended yet` })
    }
    live.add(runId)
    return Effect.addFinalizer(() => Effect.sync(() => live.delete(runId)))
  }))
