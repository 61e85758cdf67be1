/** The contract of the ledger, held by both implementations. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

const layers = {
  memory: RunLedger.layerMemory,
  SQLite: RunLedger.layerSql.pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })))
}

const job = { id: "a", payload: "{}", version: 1 }

const verdict = (id: string, number: number | undefined, outcome = "\"done\"") =>
  ({ id, number, status: "succeeded", outcome }) as const

for (const [name, layer] of Object.entries(layers)) {
  describe(`the ledger in ${name}`, () => {
    const test = (
      title: string,
      body: (ledger: RunLedger.Service) => Effect.Effect<void, RunLedger.LedgerError>
    ) => it.live(title, () => Effect.provide(Effect.flatMap(RunLedger.RunLedger, body), layer))

    test("accepts an id once", (ledger) =>
      Effect.gen(function*() {
        assert.isTrue((yield* ledger.accept(job)).isNew)
        const again = yield* ledger.accept({ ...job, payload: "other" })
        assert.deepStrictEqual([again.isNew, again.job.payload, again.job.state], [false, "{}", "accepted"])
        assert.isTrue(Option.isNone(yield* ledger.job("b")))
      }))

    test("lets no attempt begin after one has claimed the job, and only the current one claim it", (ledger) =>
      Effect.gen(function*() {
        yield* ledger.accept(job)
        yield* ledger.begin({ id: "a", number: 1, runId: "r1", runner: "one" })
        yield* ledger.begin({ id: "a", number: 2, runId: "r2", runner: "two" })
        assert.isFalse(yield* ledger.claim({ id: "a", number: 1, outcome: "first" }))
        assert.isTrue(yield* ledger.claim({ id: "a", number: 2, outcome: "second" }))
        assert.isFalse(yield* ledger.begin({ id: "a", number: 3, runId: "r3", runner: "one" }))
        const attempts = yield* ledger.attempts("a")
        assert.deepStrictEqual(attempts.map(({ claimed }) => claimed), [undefined, "second"])
        assert.isTrue(yield* ledger.settle(verdict("a", 2)))
        assert.isFalse(yield* ledger.claim({ id: "a", number: 2, outcome: "late" }))
      }))

    test("takes each number of an attempt once, and declares earlier ones lost", (ledger) =>
      Effect.gen(function*() {
        yield* ledger.accept(job)
        assert.isTrue(yield* ledger.begin({ id: "a", number: 1, runId: "r1", runner: "one" }))
        assert.isFalse(yield* ledger.begin({ id: "a", number: 1, runId: "r1b", runner: "two" }))
        assert.isTrue(yield* ledger.prompted({ id: "a", number: 1, cwd: "/w", directory: undefined }))
        yield* ledger.session({ id: "a", number: 1, sessionId: "ses_1" })
        assert.isTrue(yield* ledger.begin({ id: "a", number: 2, runId: "r2", runner: "two" }))
        assert.isFalse(yield* ledger.prompted({ id: "a", number: 1, cwd: "/w", directory: undefined }))
        const attempts = yield* ledger.attempts("a")
        assert.deepStrictEqual(
          attempts.map(({ cwd, number, prompted, runId, sessionId, state }) => ({
            cwd,
            number,
            prompted,
            runId,
            sessionId,
            state
          })),
          [
            { cwd: "/w", number: 1, prompted: true, runId: "r1", sessionId: "ses_1", state: "lost" },
            { cwd: undefined, number: 2, prompted: false, runId: "r2", sessionId: undefined, state: "begun" }
          ]
        )
        assert.isFalse(yield* ledger.begin({ id: "unknown", number: 1, runId: "r", runner: "one" }))
      }))

    test("stores the first verdict, and none of an attempt that is not the current one", (ledger) =>
      Effect.gen(function*() {
        yield* ledger.accept(job)
        yield* ledger.begin({ id: "a", number: 1, runId: "r1", runner: "one" })
        yield* ledger.begin({ id: "a", number: 2, runId: "r2", runner: "two" })
        assert.isFalse(yield* ledger.settle(verdict("a", 1, "\"stale\"")))
        assert.isTrue(yield* ledger.settle(verdict("a", 2)))
        assert.isFalse(yield* ledger.settle(verdict("a", 2, "\"again\"")))
        assert.isFalse(yield* ledger.settle(verdict("a", undefined, "\"lost\"")))
        assert.isFalse(yield* ledger.begin({ id: "a", number: 3, runId: "r3", runner: "two" }))
        const { outcome, settledAt, state, status } = Option.getOrThrow(yield* ledger.job("a"))
        assert.deepStrictEqual([outcome, state, status], ["\"done\"", "settled", "succeeded"])
        assert.isNumber(settledAt)
        assert.deepStrictEqual((yield* ledger.attempts("a")).map(({ state }) => state), ["lost", "ended"])
      }))

    test("a verdict after an interruption counts as one of the current attempt", (ledger) =>
      Effect.gen(function*() {
        yield* ledger.accept(job)
        yield* ledger.begin({ id: "a", number: 1, runId: "r1", runner: "one" })
        yield* ledger.interrupted({ id: "a", number: 1 })
        assert.deepStrictEqual((yield* ledger.attempts("a")).map(({ state }) => state), ["interrupted"])
        assert.isTrue(yield* ledger.settle(verdict("a", undefined)))
        yield* ledger.interrupted({ id: "a", number: 1 })
        assert.deepStrictEqual((yield* ledger.attempts("a")).map(({ state }) => state), ["lost"])
      }))

    test("keeps the first reason to cancel, and tells those who have the job in hand", (ledger) =>
      Effect.gen(function*() {
        yield* ledger.accept(job)
        yield* ledger.accept({ ...job, id: "b" })
        assert.deepStrictEqual(yield* ledger.seen(["a", "b", "unknown"]), [])
        assert.strictEqual(yield* ledger.cancel("a", "first"), "requested")
        assert.strictEqual(yield* ledger.cancel("a", "second"), "requested")
        assert.deepStrictEqual(yield* ledger.seen(["a", "b"]), [{ id: "a", cancel: "first" }])
        yield* ledger.settle(verdict("a", undefined))
        assert.strictEqual(yield* ledger.cancel("a", "late"), "settled")
        assert.strictEqual(yield* ledger.cancel("unknown", "x"), "unknown")
      }))

    test("says what is settled or gone, and how much there is", (ledger) =>
      Effect.gen(function*() {
        yield* Effect.forEach(["a", "b", "c"], (id) => ledger.accept({ ...job, id }))
        yield* ledger.begin({ id: "b", number: 1, runId: "r1", runner: "one" })
        yield* ledger.settle(verdict("c", undefined))
        assert.deepStrictEqual(yield* ledger.settledOf(["a", "b", "c", "gone"]), ["c", "gone"])
        assert.deepStrictEqual(yield* ledger.settledOf([]), [])
        const { accepted, running, settled, stuck } = yield* ledger.counts
        assert.deepStrictEqual([accepted, running, settled, stuck], [1, 1, 1, 0])
        assert.deepStrictEqual((yield* ledger.list({ state: "running" })).map(({ id }) => id), ["b"])
        assert.lengthOf(yield* ledger.list({ limit: 2 }), 2)
      }))

    test("finds what nobody has in hand, and removes what is old", (ledger) =>
      Effect.gen(function*() {
        yield* Effect.forEach(["a", "b"], (id) => ledger.accept({ ...job, id }))
        yield* ledger.begin({ id: "b", number: 1, runId: "r1", runner: "one" })
        yield* ledger.settle(verdict("b", 1))
        yield* Effect.sleep("20 millis")
        assert.deepStrictEqual(yield* ledger.unseen("10 millis"), ["a"])
        yield* ledger.seen(["a"])
        assert.deepStrictEqual(yield* ledger.unseen("1 minute"), [])
        assert.deepStrictEqual(yield* ledger.retain("1 minute"), [])
        assert.deepStrictEqual(yield* ledger.retain("10 millis"), ["b"])
        assert.isTrue(Option.isNone(yield* ledger.job("b")))
        assert.deepStrictEqual(yield* ledger.attempts("b"), [])
        assert.isTrue(Option.isSome(yield* ledger.job("a")))
      }))
  })
}
