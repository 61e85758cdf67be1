import { describe, expect } from "@effect/vitest"
import { OpenCodeError, RunConfig } from "effect-opencode"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as fs from "node:fs"
import * as path from "node:path"
import { inspect } from "node:util"
import { announcing, asked, bash, during, failing, leader, processes, real, Reply, respond, run } from "./support.js"

const canaries = {
  password: "canary-password-7f3a",
  apiKey: "canary-apikey-91bc",
  variable: "canary-variable-e25d",
  inherited: "canary-inherited-60fa"
}

/** Fails with the names of the canaries in a text. */
const expectClean = (where: string, text: string) =>
  expect({ where, shown: Object.entries(canaries).filter(([, value]) => text.includes(value)).map(([name]) => name) })
    .toEqual({ where, shown: [] })

/** Records everything that an exporter can read from a span. */
const recording = (seen: Array<string>): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const note = (...values: ReadonlyArray<unknown>) => seen.push(inspect([name, ...values], { depth: 20 }))
      return {
        _tag: "Span",
        name,
        spanId: `${seen.length}`,
        traceId: "trace",
        parent,
        context,
        status: { _tag: "Started", startTime },
        attributes,
        links,
        sampled: true,
        kind,
        end: (_, exit) => note("end", Exit.isFailure(exit) ? Cause.pretty(exit.cause) : exit),
        attribute: (key, value) => note(key, value),
        event: (event, _, attributes) => note(event, attributes),
        addLinks: () => {}
      }
    },
    context: (execution) => execution()
  })

describe("secrets", () => {
  real("stay out of arguments, errors, spans, logs and the transcript", (box) =>
    Effect.gen(function*() {
      const spans: Array<string> = []
      const logs: Array<string> = []
      const logger = Logger.make(({ annotations, cause, message }) => {
        logs.push(
          inspect([message, annotations], { depth: 20 }),
          Cause.pretty(cause),
          Inspectable.toStringUnknown(message)
        )
      })
      process.env["EO_ACME_API_KEY"] = canaries.inherited
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["EO_ACME_API_KEY"]
        })
      )
      const transcript = path.join(box.root, "run.jsonl")
      const released = yield* Deferred.make<void>()
      const echo = `Incorrect API key provided: ${canaries.apiKey}, also known as ${canaries.variable}`
      const provider = yield* announcing(Effect.as(
        Deferred.await(released),
        Reply.httpError(401, { error: { message: echo, headers: { authorization: `Bearer ${canaries.apiKey}` } } }, {
          "set-cookie": `session=${canaries.apiKey}`,
          "x-echo": canaries.apiKey
        })
      ))
      yield* respond((request) =>
        request.step === 0 ? bash("echo one; echo \"$CANARY $EO_ACME_API_KEY\"") : provider.respond(request)
      )
      const running = yield* Effect.andThen(
        Effect.logInfo("a line"),
        run("Hello", {
          password: RunConfig.secret(canaries.password),
          extraEnv: { CANARY: RunConfig.secret(canaries.variable) },
          transcript
        })
      ).pipe(
        failing("OpenCodeSessionError"),
        Effect.withTracer(recording(spans)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.All),
        Effect.fork
      )
      yield* during(provider.asked, running)
      const alive = processes(box)
      const { environment } = leader(box)
      yield* Deferred.succeed(released, undefined)
      const error = yield* Fiber.join(running)

      // They have reached their targets …
      for (const canary of Object.values(canaries)) expect(environment).toContain(canary)
      expect((yield* asked).map(({ authorization }) => authorization)).toEqual(
        Array.from({ length: 2 }, () => `Bearer ${canaries.apiKey}`)
      )
      expect(error).toMatchObject({ kind: "authentication", statusCode: 401, partial: { steps: 1 } })
      // … and nowhere else.
      expectClean("arguments", alive.map(({ command }) => command).join("\n"))
      expectClean("message", `${error.message}\n${String(error)}\n${error.stack}`)
      expectClean("error", inspect(error, { depth: 20 }))
      expectClean("encoded", JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(error)))
      expect(spans.some((span) => span.includes("gen_ai.tool.name"))).toBe(true)
      expectClean("spans", spans.join("\n"))
      expect(logs.join("\n")).toContain("a line")
      expectClean("logs", logs.join("\n"))
      const written = fs.readFileSync(transcript, "utf8")
      expect(written).toContain("<redacted>")
      expectClean("transcript", written)
    }), { apiKey: canaries.apiKey })
})
