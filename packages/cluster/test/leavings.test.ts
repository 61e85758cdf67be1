/** What killed runners leave on their disks. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as leavings from "../src/internal/leavings.js"

describe("what a killed runner has left", () => {
  it.scoped("is removed a day after its job has ended, and not before; what another ledger may have, after a month", () =>
    Effect.gen(function*() {
      const root = fs.mkdtempSync(path.join(os.tmpdir(), "eo-leavings-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(root, { recursive: true })))
      const ledger = yield* RunLedger.RunLedger
      const [trees, sessions] = [path.join(root, "trees"), path.join(root, "sessions")]
      for (const id of ["lost", "running", "gone"]) {
        if (id !== "gone") yield* ledger.accept({ id, payload: "{}", version: 1 })
        for (const parent of [trees, sessions]) {
          yield* leavings.own(path.join(parent, id), id)
          fs.mkdirSync(path.join(parent, id))
          fs.writeFileSync(path.join(parent, id, "file"), "")
        }
      }
      const noted = (seconds: number) => {
        for (const parent of [trees, sessions]) fs.utimesSync(path.join(parent, "gone.job"), seconds, seconds)
      }
      noted(0)
      yield* ledger.settle({ id: "lost", number: undefined, status: "lost", outcome: "{}" })
      const collect = leavings.collect(ledger, [trees, sessions, path.join(root, "nowhere")], Duration.days(1))
      const left = () => [trees, sessions].map((parent) => fs.readdirSync(parent).sort())
      yield* TestClock.adjust("23 hours")
      yield* collect
      const kept = ["gone", "gone.job", "lost", "lost.job", "running", "running.job"]
      assert.deepStrictEqual(left(), [kept, kept])
      yield* TestClock.adjust("2 hours")
      yield* collect
      const others = ["gone", "gone.job", "running", "running.job"]
      assert.deepStrictEqual(left(), [others, others])
      yield* TestClock.adjust("30 days")
      // A note that was written a moment ago is one of a runner at work.
      noted(31 * 24 * 60 * 60)
      yield* collect
      assert.deepStrictEqual(left(), [others, others])
      noted(0)
      yield* collect
      assert.deepStrictEqual(left(), [["running", "running.job"], ["running", "running.job"]])
      yield* leavings.remove(path.join(trees, "running"))
      assert.deepStrictEqual(fs.readdirSync(trees), [])
    }).pipe(Effect.provide(Layer.merge(RunLedger.layerMemory, NodeContext.layer))))
})
