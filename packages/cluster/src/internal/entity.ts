import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { LiveEvent } from "../LiveEvent.js"

const Position = Schema.Struct({ epoch: Schema.String, sequence: Schema.Number })

/** What a person says to a request for permission. */
export const Reply = Schema.Union(
  Schema.Literal("once", "reject"),
  Schema.Struct({ reject: Schema.String })
)

/** An event with its place in the feed of the runner; a gap has none. */
export const Sent = Schema.Struct({ position: Schema.optional(Position), event: LiveEvent })

/**
 * A job in the cluster: the entity's id is the job's, so that everything about a job reaches the runner that has it. Only
 * `run` is stored. It carries no content and no result, those are in the ledger: it never changes with a release, and a
 * delivery more costs nothing but a look.
 */
export const JobEntity = Entity.make("OpenCode/Job", [
  Rpc.make("run", {
    payload: { delivery: Schema.String },
    primaryKey: ({ delivery }) => delivery
  }).annotate(ClusterSchema.Persisted, true).annotate(ClusterSchema.Uninterruptible, true),
  Rpc.make("events", {
    payload: { after: Schema.optional(Position) },
    success: Sent,
    stream: true
  }),
  Rpc.make("cancel", { payload: { reason: Schema.String }, success: Schema.Boolean }),
  Rpc.make("answer", { payload: { ask: Schema.String, reply: Reply }, success: Schema.Boolean })
])

/** The key of a job's first delivery. */
export const firstDelivery = "1"
