import type { PermissionAnswer, PermissionRequest } from "effect-opencode/OpenCodeServer"
import * as Effect from "effect/Effect"

/** Who is asked about a run's permissions. */
type Ask = (request: PermissionRequest) => Effect.Effect<PermissionAnswer>

/** The runs of this program that belong to jobs. `OpenCodeServer` is made before the cluster, and asks by run id. */
const asked = new Map<string, Ask>()

export const register = (runId: string, ask: Ask) =>
  Effect.acquireRelease(
    Effect.sync(() => asked.set(runId, ask)),
    () => Effect.sync(() => asked.delete(runId))
  )

/** A run that is no job's has nobody to ask. */
export const ask: Ask = (request) =>
  Effect.suspend(() => asked.get(request.runId)?.(request) ?? Effect.succeed("reject" as const))
