/**
 * Draws a trace: what the exporter of OpenTelemetry sends for a program with two agents, whose processes are scripted and
 * whose clock is a `TestClock`, so that the picture is always the same.
 *
 *   node --import tsx examples/observability/trace.ts > docs/images/trace.svg
 */
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { Console, Effect, Fiber, Layer, TestClock, TestContext } from "effect"
import { OpenCode, Permission } from "effect-opencode"
import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import { pathToFileURL } from "node:url"

const { sleep } = MockCommandExecutor
const { Reply } = OpenCodeTest

const review = (aspect: string) =>
  OpenCode.run(`Review the last commit for ${aspect}`, { model: "acme/large", permission: Permission.readOnly })

/** A program with spans of its own around the runs. */
const program = Effect.gen(function*() {
  yield* Effect.withSpan(Effect.sleep("1 second"), "git diff")
  yield* Effect.forEach(["bugs", "misleading names"], review, { concurrency: 2 })
  yield* Effect.withSpan(Effect.sleep("2 seconds"), "post comments")
}).pipe(Effect.withSpan("review", { attributes: { commit: "HEAD" } }))

/** One agent reads and searches; the other one's OpenCode crashes at its first start. */
const Agents = OpenCodeTest.layer(({ prompt }) =>
  prompt.endsWith("bugs")
    ? Reply.events([
      ...[sleep("4 seconds"), Events.turn(Events.tool({ tool: "read" }), { cost: 0.01 })],
      ...[sleep("7 seconds"), Events.turn(Events.tool({ tool: "grep" }), { cost: 0.01 })],
      ...[sleep("6 seconds"), Events.turn(Events.tool({ tool: "read" }), { cost: 0.01 })],
      ...[sleep("5 seconds"), Events.turn("Two bugs.", { cost: 0.02 })]
    ])
    : Reply.attempts([
      Reply.events([
        sleep("2 seconds"),
        MockCommandExecutor.stderr(Events.stderr.sqliteCrash()),
        MockCommandExecutor.exit(1)
      ]),
      Reply.events([
        ...[sleep("5 seconds"), Events.turn(Events.tool({ tool: "glob" }), { cost: 0.01 })],
        ...[sleep("4 seconds"), Events.turn("One name.", { cost: 0.01 })]
      ])
    ])
)

interface Attribute {
  readonly key: string
  readonly value: { readonly [type: string]: unknown }
}

/** A span as OTLP's JSON has it. */
interface Span {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<Attribute>
  /** 2 if it failed. */
  readonly status: { readonly code: number }
  readonly events: ReadonlyArray<{
    readonly name: string
    readonly timeUnixNano: string
    readonly attributes: ReadonlyArray<Attribute>
  }>
}

/** Everything that the program exports. */
export const exported: Effect.Effect<ReadonlyArray<Span>> = Effect.gen(function*() {
  const spans: Array<Span> = []
  const collector = HttpClient.make((request) =>
    Effect.sync(() => {
      const { body } = request
      const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "{}"
      for (const { scopeSpans } of JSON.parse(text).resourceSpans ?? []) {
        for (const { spans: sent } of scopeSpans) spans.push(...sent)
      }
      return HttpClientResponse.fromWeb(request, new Response("{}"))
    })
  )
  const tracer = OtlpTracer.layer({ url: "http://collector/v1/traces", resource: { serviceName: "reviewer" } }).pipe(
    Layer.provide([Layer.succeed(HttpClient.HttpClient, collector), OtlpSerialization.layerJson])
  )
  const fiber = yield* Effect.fork(Effect.provide(program, Layer.provideMerge(Agents, tracer)))
  yield* TestClock.adjust("5 minutes")
  yield* Fiber.join(fiber)
  return spans
}).pipe(Effect.orDie, Effect.provide(TestContext.TestContext))

const valueOf = (attributes: ReadonlyArray<Attribute>, key: string): string => {
  const value = attributes.find((attribute) => attribute.key === key)?.value
  return value === undefined ? "" : String(Object.values(value)[0])
}

const seconds = (nanos: string): number => Number(BigInt(nanos) / 1_000_000n) / 1000

/** What is worth a word beside the name of a span. */
const remark = ({ attributes, name, status }: Span): string => {
  switch (name) {
    case "review":
      return `commit ${valueOf(attributes, "commit")}`
    case "OpenCode.run":
      return `${valueOf(attributes, "gen_ai.request.model")} · $${valueOf(attributes, "opencode.cost_usd")}`
    case "OpenCode.attempt":
      return `attempt ${valueOf(attributes, "opencode.attempt")}${status.code === 2 ? ", failed" : ""}`
    default:
      return ""
  }
}

interface Row {
  readonly span: Span
  readonly depth: number
}

const rowsOf = (spans: ReadonlyArray<Span>, parent?: string, depth = 0): ReadonlyArray<Row> =>
  spans.filter(({ parentSpanId }) => parentSpanId === parent)
    .sort((a, b) => seconds(a.startTimeUnixNano) - seconds(b.startTimeUnixNano))
    .flatMap((span) => [{ span, depth }, ...rowsOf(spans, span.spanId, depth + 1)])

const [width, left, right, height, top] = [960, 330, 24, 30, 44] as const

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** A waterfall: a row for each span, a mark for each tool call. */
export const draw = (spans: ReadonlyArray<Span>): string => {
  const rows = rowsOf(spans.filter(({ name }) => name !== "OpenCode.isolation"))
  const start = Math.min(...spans.map((span) => seconds(span.startTimeUnixNano)))
  const end = Math.max(...spans.map((span) => seconds(span.endTimeUnixNano)))
  const x = (time: number) => Math.round((left + ((time - start) / (end - start)) * (width - left - right)) * 10) / 10
  const bottom = top + rows.length * height
  const grid = Array.from({ length: Math.floor((end - start) / 5) + 1 }, (_, index) => index * 5).map((second) =>
    `<line class="grid" x1="${x(start + second)}" x2="${x(start + second)}" y1="${top - 8}" y2="${bottom}"/>` +
    `<text class="quiet" text-anchor="middle" x="${x(start + second)}" y="${top - 16}">${second} s</text>`
  )
  const lines = rows.flatMap(({ depth, span }, index) => {
    const y = top + index * height
    const [from, to] = [x(seconds(span.startTimeUnixNano)), x(seconds(span.endTimeUnixNano))]
    const kind = span.status.code === 2
      ? "failed"
      : span.name === "OpenCode.run"
      ? "run"
      : span.name === "OpenCode.attempt"
      ? "attempt"
      : "own"
    return [
      `<text x="${16 + depth * 18}" y="${y + 19}">${escaped(span.name)} <tspan class="quiet">${
        escaped(remark(span))
      }</tspan></text>`,
      `<rect class="${kind}" x="${from}" y="${y + 7}" width="${
        Math.max(2, to - from).toFixed(1)
      }" height="16" rx="3"/>`,
      ...span.events.filter(({ name }) => name === "gen_ai.tool.call").map(({ attributes, timeUnixNano }) => {
        const at = x(seconds(timeUnixNano))
        return `<path class="tool" d="M${at} ${y + 9}l6 6l-6 6l-6 -6z"/>` +
          `<text class="label" text-anchor="end" x="${at - 9}" y="${y + 19}">${
            escaped(valueOf(attributes, "gen_ai.tool.name"))
          }</text>`
      })
    ]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 40}" width="${width}" height="${
    bottom + 40
  }" role="img" aria-label="A trace: the span review of a program, and in it two runs of OpenCode with their attempts and tool calls">
<style>
svg { font: 13px system-ui, sans-serif; --page: #fff; --text: #1b1f24; --quiet: #5b6470; --grid: #e1e4e8; --own: #8f9aa6; --run: #2f7fd6; --attempt: #a9cdf3; --failed: #d9644a; --tool: #b35900; --label: #fff; }
@media (prefers-color-scheme: dark) { svg { --page: #14171a; --text: #e4e7ea; --quiet: #9aa3ad; --grid: #2b3036; --own: #6b7580; --run: #2f6fb5; --attempt: #24425f; --failed: #b04a33; --tool: #f0a24d; } }
.page { fill: var(--page); } text { fill: var(--text); } .quiet { fill: var(--quiet); font-size: 12px; } .grid { stroke: var(--grid); }
.own { fill: var(--own); } .run { fill: var(--run); } .attempt { fill: var(--attempt); } .failed { fill: var(--failed); } .tool { fill: var(--tool); stroke: var(--page); } .label { fill: var(--label); font-size: 11px; }
</style>
<rect class="page" width="${width}" height="${bottom + 40}"/>
${[...grid, ...lines].join("\n")}
<path class="tool" d="M22 ${bottom + 12}l6 6l-6 6l-6 -6z"/>
<text class="quiet" x="36" y="${bottom + 22}">gen_ai.tool.call, an event of the run</text>
</svg>
`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  Effect.runFork(Effect.flatMap(exported, (spans) => Console.log(draw(spans).trimEnd())))
}
