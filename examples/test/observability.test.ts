/**
 * Runs the program of docs/observability.md unchanged: `runMain` hands the program over instead of starting it, the
 * processes that it starts are scripted, and a collector on loopback keeps what it exports. The tables of the document
 * are compared with that.
 */
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { Events, MockCommandExecutor } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"
import * as trace from "../observability/trace.js"
import { handedOver } from "./support/program.js"

const { awaitStdin, exit, lines, script, stdout } = MockCommandExecutor

const harness: { main: Effect.Effect<unknown, unknown> | undefined } = vi.hoisted(() => ({ main: undefined }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
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
  return replaced(original, harness, (node) => Layer.merge(node, executor))
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
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<
        { readonly name: string; readonly sum?: { readonly isMonotonic: boolean }; readonly histogram?: object }
      >
    }>
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
      yield* handedOver(harness).pipe(
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

      const exportedMetrics = exported.flatMap(({ resourceMetrics = [] }) =>
        resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      ).filter(({ name }) => name.startsWith("effect_opencode_"))
      const metrics = exportedMetrics.map(({ name }) => name)
      // no run was started again
      expect([...new Set([...metrics, "effect_opencode_retries_total"])].sort()).toEqual(
        [...documented("Metrics")].sort()
      )
      // a dashboard asks for a counter by its name, and for the parts of a histogram
      for (const metric of exportedMetrics) {
        const isHistogram = metric.histogram !== undefined
        expect([metric.name, isHistogram || metric.sum?.isMonotonic]).toEqual([metric.name, true])
        expect([metric.name, isHistogram]).toEqual([metric.name, !metric.name.endsWith("_total")])
      }
    }))
})

describe("the picture of a trace", () => {
  it.live("is what the program exports", () =>
    Effect.gen(function*() {
      const spans = yield* trace.exported
      expect(new Set(spans.map(({ name }) => name))).toEqual(
        new Set(["review", "git diff", "post comments", "OpenCode.run", "OpenCode.attempt", "OpenCode.isolation"])
      )
      yield* Effect.promise(() => expect(trace.draw(spans)).toMatchFileSnapshot("../../docs/images/trace.svg"))
    }))
})

describe("the dashboard", () => {
  const text = fs.readFileSync(new URL("../observability/grafana.json", import.meta.url), "utf8")
  const dashboard = JSON.parse(text) as {
    readonly panels: ReadonlyArray<{
      readonly title: string
      readonly description: string
      readonly targets: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>
    }>
  }
  const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  const histograms = documented("Metrics").filter((name) => !name.endsWith("_total"))
  const queryable = new Set([
    ...documented("Metrics").filter((name) => name.endsWith("_total")),
    ...histograms.flatMap((name) => ["bucket", "sum", "count"].map((part) => `${name}_${part}`))
  ])

  it("asks for metrics that are exported, and for each of them", () => {
    const asked = [...text.matchAll(/effect_opencode_\w+/g)].map(([name]) => name)
    expect(asked.filter((name) => !queryable.has(name))).toEqual([])
    const shown = new Set(asked.map((name) => name.replace(/_(?:bucket|sum|count)$/, "")))
    expect([...shown].sort()).toEqual([...documented("Metrics")].sort())
  })

  it("asks for labels that these metrics have", () => {
    const table = fs.readFileSync(new URL("../../docs/observability.md", import.meta.url), "utf8")
    const labelsOf = (metric: string) => {
      const row = table.split("\n").find((line) =>
        line.startsWith(`| \`${metric.replace(/_(?:bucket|sum|count)$/, "")}\``)
      )
      // `job` comes from the service's name, `le` is part of a histogram
      return ["job", "le", ...[...(row?.split("|")[3] ?? "").matchAll(/`(\w+)`/g)].map((match) => match[1])]
    }
    for (const query of queries) {
      const metrics = [...query.matchAll(/effect_opencode_\w+/g)].map(([name]) => name)
      const labels = [
        ...[...query.matchAll(/(\w+)(?:=~|!=|=)"/g)].map((match) => match[1]),
        ...[...query.matchAll(/by \(([^)]*)\)/g)].flatMap((match) => (match[1] ?? "").split(/, */))
      ]
      for (const metric of metrics) {
        expect([query, labels.filter((label) => !labelsOf(metric).includes(label))]).toEqual([query, []])
      }
    }
  })

  it("explains each panel", () => {
    expect(dashboard.panels.filter(({ description }) => !/\.$/.test(description))).toEqual([])
    expect(new Set(dashboard.panels.map(({ title }) => title)).size).toBe(dashboard.panels.length)
  })
})
