import * as Otlp from "@effect/opentelemetry/Otlp"
import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const program = OpenCode.run("Say hello").pipe(
  Effect.flatMap(({ answer }) => Console.log(answer)),
  Effect.withSpan("greeting")
)

/** Traces, metrics and logs to a collector; the default address is that of one on this machine. */
const TelemetryLive = Layer.unwrapEffect(Effect.map(
  Config.withDefault(Config.string("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://127.0.0.1:4318"),
  (baseUrl) => Otlp.layerJson({ baseUrl, resource: { serviceName: "greeter" } })
)).pipe(Layer.provide(FetchHttpClient.layer))

program.pipe(
  scripted(() => ModelProvider.Reply.text("Hello.")),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  Effect.provide(TelemetryLive),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
