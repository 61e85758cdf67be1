import * as Duration from "effect/Duration"
import * as Fleet from "../../src/fleet/Fleet.js"
import { result, stepFinish, stepStart, text, tool, usage } from "./results.js"

const { FleetEvent } = Fleet

const names = [
  "fix-auth-redirect",
  "日本語のテスト",
  "add-docs",
  "upgrade-deps",
  "a very long name that never ends at all",
  ...Array.from({ length: 15 }, (_, index) => `job-${index + 5}`)
]

/** Twenty jobs: one in each state, five at work. */
export const events: ReadonlyArray<Fleet.FleetEvent> = [
  ...names.map((name, index) => FleetEvent.Queued({ id: `${index}`, name })),
  FleetEvent.Skipped({ id: "19" }),
  ...[0, 1, 2, 3, 4, 5, 6].map((index) => FleetEvent.Started({ id: `${index}`, at: 1000 * index })),
  FleetEvent.Observed({ id: "0", event: stepStart, at: 8000 }),
  FleetEvent.Observed({ id: "0", event: tool("edit", "src/auth/redirect.ts"), at: 9000 }),
  FleetEvent.Observed({
    id: "0",
    event: stepFinish({ reason: "tool-calls", total: 12_345, cost: 0.0312 }),
    at: 10_000
  }),
  FleetEvent.Observed({
    id: "1",
    event: text("日本語の文章がここにあります。とても長いので、切り取られます。"),
    at: 11_000
  }),
  FleetEvent.Observed({ id: "2", event: text("a bell\u0007 and a flag 🇩🇪\nsecond line"), at: 12_000 }),
  FleetEvent.Observed({ id: "3", event: stepStart, at: 12_000 }),
  FleetEvent.Observed({ id: "3", event: text("Done."), at: 12_000 }),
  FleetEvent.Observed({ id: "3", event: stepFinish({ reason: "stop", total: 1_234_567, cost: 12.3 }), at: 12_000 }),
  FleetEvent.Ended({
    id: "5",
    at: 20_000,
    result: result({
      id: "5",
      index: 5,
      name: "job-5",
      cost: 0.12,
      steps: 4,
      usage: usage(5000),
      duration: Duration.seconds(15),
      answer: "All tests pass now."
    })
  }),
  FleetEvent.Ended({
    id: "6",
    at: 20_000,
    result: result({
      id: "6",
      index: 6,
      name: "job-6",
      outcome: "OpenCodeTimeoutError",
      message: "The run was ended after 10 minutes.",
      cost: 0.2,
      steps: 9,
      usage: usage(50_000),
      duration: Duration.seconds(72)
    })
  })
]

export const fleet: Fleet.Fleet = events.reduce(Fleet.update, Fleet.empty)

/** Twelve runs in a matrix of two by three; two of them failed. */
export const matrix = Array.from({ length: 12 }, (_, index) =>
  result({
    id: `${index}`,
    index,
    name: `task ${index + 1}`,
    cell: {
      model: index < 6 ? "openai/gpt-5" : "anthropic/claude-sonnet",
      agent: ["build", "plan", "review"][index % 3] ?? ""
    },
    cost: index / 10,
    steps: index,
    usage: usage(index * 1000),
    duration: Duration.seconds(index * 10),
    ...(index % 5 === 4 ? { outcome: "OpenCodeBudgetError", message: "The run reached its budget of 3 steps." } : {})
  }))
