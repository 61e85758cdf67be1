/**
 * A program whose runs are under way when it is ended, for tests of what is left. What it does and how it ends come as
 * JSON by environment. Narrow imports: a test starts many of these programs.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeServer from "effect-opencode/OpenCodeServer"
import * as RunConfig from "effect-opencode/RunConfig"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"

const Plan = Schema.parseJson(Schema.Struct({
  binary: Schema.optional(Schema.String),
  cwd: Schema.String,
  options: RunConfig.RunConfig,
  runs: Schema.Number,
  server: Schema.optional(Schema.Boolean),
  leash: Schema.optional(Schema.Boolean),
  containment: Schema.optional(Schema.Literal("namespace")),
  /** Once this file is there the program ends itself, in the way that is its content. */
  order: Schema.String
}))

const plan = Schema.decodeSync(Plan)(process.env["PLAN"] ?? "")

fs.writeFileSync(`${plan.order}.pid`, String(process.pid))

const given = {
  ...(plan.binary === undefined ? {} : { binary: plan.binary }),
  leash: plan.leash,
  containment: plan.containment
}

const runtime = ManagedRuntime.make(
  plan.server === true
    ? OpenCodeServer.layer(given).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
    : OpenCode.layer({ ...given, version: "1.18.33", startup: { concurrency: "unbounded" } }).pipe(
      Layer.provide(NodeContext.layer)
    )
)

const endings: Record<string, () => void> = {
  exit: () => process.exit(3),
  exception: () => {
    throw new Error("nobody catches this")
  },
  rejection: () => void Promise.reject(new Error("nobody handles this")),
  abort: () => process.abort()
}

const watch = setInterval(() => {
  if (!fs.existsSync(plan.order)) return
  clearInterval(watch)
  endings[fs.readFileSync(plan.order, "utf8").trim()]!()
}, 10)

await runtime.runPromise(Effect.forEach(
  Array.from({ length: plan.runs }, (_, index) => index),
  (index) =>
    Effect.ignore(
      OpenCode.run(`task ${index}`, { ...plan.options, cwd: plan.cwd, startupTimeout: "1 day", idleTimeout: "1 day" })
    ),
  { concurrency: "unbounded" }
))
// Nothing is disposed of: a program that has nothing left to do exits by itself.
clearInterval(watch)
