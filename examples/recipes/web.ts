import { FetchHttpClient, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import type { RunEvent } from "effect-opencode"
import { OpenCode, OpenCodeServer, Permission } from "effect-opencode"
import { createServer } from "node:http"

// #region web
const Question = Schema.Struct({ prompt: Schema.NonEmptyString.pipe(Schema.maxLength(10_000)) })

/** An event of an event stream. JSON has no line break that could end it early. */
const sent = (event: string, value: unknown) => `event: ${event}\ndata: ${JSON.stringify(value)}\n\n`

/** Texts, also piece by piece, and the names of tools; no inputs, outputs or paths of this machine. */
const shown = (event: RunEvent.RunEvent): string | undefined => {
  switch (event._tag) {
    case "TextDelta":
      return sent("delta", { text: event.text })
    case "Text":
      return sent("text", { text: event.text })
    case "ToolUse":
      return sent("tool", { tool: event.tool })
    default:
      return undefined
  }
}

const answer = (prompt: string) =>
  OpenCode.stream(prompt, { permission: Permission.readOnly, timeout: "10 minutes", budget: { cost: 0.5 } }).pipe(
    Stream.filterMap((event) => Option.fromNullable(shown(event))),
    Stream.catchAll((error) => Stream.make(sent("failed", { tag: error._tag }))),
    Stream.concat(Stream.make(sent("end", {}))),
    Stream.encodeText
  )

/** A client that goes away interrupts the response, and with it the run. */
export const router = HttpRouter.empty.pipe(
  HttpRouter.post(
    "/questions",
    Effect.gen(function*() {
      const { prompt } = yield* HttpServerRequest.schemaBodyJson(Question)
      const context = yield* Effect.context<OpenCode.OpenCode>()
      return HttpServerResponse.stream(Stream.provideContext(answer(prompt), context), {
        contentType: "text/event-stream",
        headers: { "cache-control": "no-store" }
      })
    }).pipe(
      Effect.catchTag("ParseError", () => HttpServerResponse.text("Send {\"prompt\": \"…\"}.", { status: 400 }))
    )
  )
)
// #endregion

HttpServer.serve(router).pipe(
  HttpServer.withLogAddress,
  // over a server, so that answers arrive piece by piece
  Layer.provide(OpenCodeServer.layer({ concurrency: 16 })),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 3000 })),
  Layer.provide([NodeContext.layer, FetchHttpClient.layer]),
  Layer.launch,
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
