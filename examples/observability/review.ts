import * as Otlp from "@effect/opentelemetry/Otlp"
import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode, Permission } from "effect-opencode"

const review = (aspect: string) =>
  OpenCode.run(`Review the last commit for ${aspect}`, { model: "acme/large", permission: Permission.readOnly })

const program = Effect.gen(function*() {
  const results = yield* Effect.forEach(["bugs", "misleading names"], review, { concurrency: 2 })
  for (const { answer } of results) yield* Console.log(answer)
}).pipe(
  // a span of your own around the runs
  Effect.withSpan("review", { attributes: { commit: "HEAD" } })
)

const TelemetryLive = Layer.unwrapEffect(Effect.map(
  Config.withDefault(Config.string("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://127.0.0.1:4318"),
  (baseUrl) => Otlp.layerJson({ baseUrl, resource: { serviceName: "reviewer" } })
)).pipe(Layer.provide(FetchHttpClient.layer))

const OpenCodeLive = OpenCode.layer().pipe(Layer.provide(NodeContext.layer))

program.pipe(
  Effect.provide(OpenCodeLive),
  Effect.provide(TelemetryLive),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
