/**
 * Runs the program of docs/observability.md unchanged: `runMain` hands the program over instead of starting it, the
 * processes that it starts are scripted, and a collector on loopback keeps what it exports. The tables of the document
 * are compared with that.
 */
import type { Runtime } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, FiberId, Layer } from "effect"
import { Events, MockCommandExecutor } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"

const { awaitStdin, exit, lines, script, stdout } = MockCommandExecutor

const harness: { main: Effect.Effect<unknown, unknown> | undefined } = vi.hoisted(() => ({ main: undefined }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const executor = MockCommandExecutor.layer((command) =>
    command.args.includes("--version")
      ? script(stdout("1.18.33\n"))
      : script(
        awaitStdin,
        lines(Events.turn(Events.tool({ tool: "read" }))),
        lines(Events.turn("Nothing found.")),
        exit(0)
      )
  )
  return {
    ...original,
    NodeContext: { ...original.NodeContext, layer: Layer.merge(original.NodeContext.layer, executor) },
    NodeRuntime: {
      ...original.NodeRuntime,
      runMain: (options: { readonly teardown: Runtime.Teardown }) => (main: Effect.Effect<unknown, unknown>) => {
        harness.main = main
        options.teardown(Exit.interrupt(FiberId.none), (code) => expect(code).toBe(130))
      }
    }
  }
})

/** The part of OTLP's JSON that is read here. */
interface Attribute {
  readonly key: string
  readonly value: { readonly [type: string]: unknown }
}

interface Span {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  readonly attributes: ReadonlyArray<Attribute>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: ReadonlyArray<Attribute> }>
}

interface Exported {
  readonly resourceSpans?: ReadonlyArray<
    { readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }> }
  >
  readonly resourceMetrics?: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<{ readonly name: string }> }>
  }>
}

/** A collector in memory. */
const collector = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly exported: ReadonlyArray<Exported>; readonly close: () => void }>(
    (resume) => {
      const exported: Array<Exported> = []
      const server = createServer((request, response) => {
        const pieces: Array<Buffer> = []
        request.on("data", (piece: Buffer) => pieces.push(piece))
        request.on("end", () => {
          exported.push(JSON.parse(Buffer.concat(pieces).toString()) as Exported)
          response.end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, exported, close: () => server.close() }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

const keys = (attributes: ReadonlyArray<Attribute>) => attributes.map(({ key }) => key)

/** The names in backticks in the first column of a document's table below a heading. */
const documented = (heading: string): ReadonlyArray<string> => {
  const document = fs.readFileSync(new URL("../../docs/observability.md", import.meta.url), "utf8")
  const section = document.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""
  return [...section.matchAll(/^\| `([\w.]+)`/gm)].map((match) => match[1] ?? "")
}

describe("the program of docs/observability.md", () => {
  it.scopedLive("exports its spans and metrics, and the document has all of them", () =>
    Effect.gen(function*() {
      const { exported, url } = yield* collector
      yield* Effect.promise(() => import("../observability/review.js"))
      yield* (harness.main ?? Effect.dieMessage("the example does not call runMain")).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["OTEL_EXPORTER_OTLP_ENDPOINT", url]])))
      )

      const spans = exported.flatMap(({ resourceSpans = [] }) =>
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      )
      const path = (span: Span): string => {
        const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
        return parent === undefined ? span.name : `${path(parent)} > ${span.name}`
      }
      const paths = spans.map(path)
      expect(paths.filter((path) => path === "review > OpenCode.run")).toHaveLength(2)
      expect(paths.filter((path) => path === "review > OpenCode.run > OpenCode.attempt")).toHaveLength(2)
      expect(paths).toContain("review > OpenCode.run > OpenCode.attempt > OpenCode.isolation")

      const runs = spans.filter(({ name }) => name === "OpenCode.run")
      const [run] = runs
      expect(run?.events.map(({ name }) => name)).toEqual(["gen_ai.tool.call"])
      expect(run?.attributes).toContainEqual({ key: "gen_ai.request.model", value: { stringValue: "acme/large" } })

      const attributes = spans.filter(({ name }) => name.startsWith("OpenCode.")).flatMap((span) => [
        ...keys(span.attributes),
        ...span.events.flatMap((event) => keys(event.attributes))
      ])
      // these need an agent, a model without a price, and a failure
      const others = ["gen_ai.agent.name", "opencode.cost_unknown", "error.type"]
      expect([...new Set([...attributes, ...others])].sort()).toEqual([...documented("Attributes")].sort())

      const metrics = exported.flatMap(({ resourceMetrics = [] }) =>
        resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      ).map(({ name }) => name).filter((name) => name.startsWith("effect_opencode_"))
      // no run was started again
      expect([...new Set([...metrics, "effect_opencode_retries_total"])].sort()).toEqual(
        [...documented("Metrics")].sort()
      )
    }))
})
