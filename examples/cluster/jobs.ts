import { NodeContext } from "@effect/platform-node"
import { Workflow } from "@effect/workflow"
import { Config, Console, Effect, Layer, Schema, Stream } from "effect"
import { OpenCodeServer } from "effect-opencode"
import { AgentRun, Cluster } from "effect-opencode-cluster"

// #region watch
export const watch = (id: string) =>
  Stream.runForEach(AgentRun.events(id), (event) => {
    switch (event._tag) {
      case "Started":
        return Console.log(`attempt ${event.attempt} on ${event.runner}`)
      case "Progress":
        return event.event._tag === "Text" ? Console.log(event.event.text) : Effect.void
      case "Asked":
        return Effect.asVoid(AgentRun.answer(id, event.ask, { reject: "nobody may push today" }))
      case "Gap":
        return Console.log("… (events are missing)")
      case "Ended":
        return Console.log(event.status)
    }
  })
// #endregion

// #region runner
export const Runner = Layer.unwrapEffect(Effect.gen(function*() {
  return Cluster.layerRunner({
    host: yield* Config.string("POD_IP"),
    port: 34431,
    agents: 8,
    secrets: { DEPLOY_TOKEN: yield* Config.redacted("DEPLOY_TOKEN") },
    dataDirectory: "/shared/opencode",
    drain: "1 hour"
  })
})).pipe(
  Layer.provide(OpenCodeServer.layer({ ask: ["bash"], onPermission: AgentRun.onPermission })),
  Layer.provideMerge(NodeContext.layer)
)
// #endregion

// #region workflow
const Release = Workflow.make({
  name: "Release",
  payload: { version: Schema.String },
  idempotencyKey: ({ version }) => version,
  success: Schema.String,
  error: AgentRun.ActivityError
})

export const ReleaseLive = Release.toLayer(({ version }) =>
  Effect.gen(function*() {
    const notes = yield* AgentRun.activity("notes", { id: `notes/${version}`, prompt: `Write the notes of ${version}` })
    const review = yield* AgentRun.activity("review", { id: `review/${version}`, prompt: `Review: ${notes.answer}` })
    return review.answer
  })
)
// #endregion

export const release = (version: string) => Release.execute({ version })
