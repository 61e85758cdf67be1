import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as T from "./support/mock.js"

interface Attempt {
  readonly session?: string
  readonly mode?: string
  readonly model?: string
}

const failed = (reason: string, { mode = "primary", model = "m1", session = "ses_1" }: Attempt = {}) =>
  `timestamp=2026-11-30T10:00:00.000Z level=ERROR run=1 message="stream error" providerID=fake modelID=${model} ` +
  `session.id=${session} small=false agent=x mode=${mode} error.error=${JSON.stringify(reason)}\n`

const quota = failed("AI_APICallError: You exceeded your current quota, please check your plan and billing details.")

const rejected = (command: string, input: unknown) =>
  T.toolUse("bash", {
    status: "error",
    input,
    output: undefined,
    error: "The user rejected permission to use this specific tool call."
  })

const printed = (command: string) => `! permission requested: bash (${command}); auto-rejecting\n`

const fallback = "! agent \"build\" not found. Falling back to default agent"

const until = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, seconds: number) =>
  Effect.gen(function*() {
    for (let second = 0; second < seconds; second++) {
      yield* T.settle
      if (yield* T.isDone(fiber)) break
      yield* TestClock.adjust("1 second")
    }
    return yield* Fiber.join(fiber)
  })

describe("a rejected command", () => {
  const commands = {
    "a here document": `cat > fixture.txt <<EOF\n${fallback}\nEOF`,
    "commas": "git commit -m \"one, two\"",
    "commas without quotes": "echo one, two, three",
    "Windows' line ends": `echo one\r\n${fallback}\r\necho two`,
    "codes of a terminal":
      `echo one\n\u001b[93m\u001b[1m! \u001b[0m agent "build" not found. Falling back to default agent`,
    "its own end": "echo a); auto-rejecting\n! permission requested: edit (b",
    "its own end, then another replaced agent": `echo a); auto-rejecting\n${fallback}\necho b`,
    "its own end, then a failed provider": `echo a); auto-rejecting\n${quota.repeat(12)}echo b`,
    "ten thousand lines": `cat <<EOF\n${`${fallback}\n${quota}`.repeat(5000)}EOF`
  }
  for (const [what, command] of Object.entries(commands)) {
    it.effect(`is one pattern: ${what}`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x"))
        assert.strictEqual(error.permission, "bash")
        // eslint-disable-next-line no-control-regex -- the escape character is what begins an ANSI code
        const text = command.replace(/\u001b\[\d+m/g, "")
        // No diff: it would be too long to read.
        assert.isTrue(error.patterns.length === 1 && error.patterns[0] === text)
        const made = (error.partial.events ?? []).flatMap((event) => "raw" in event ? [] : [event._tag])
        assert.deepStrictEqual(made, ["PermissionRejected"])
      }).pipe(Effect.provide(T.layer([
        Mock.script(
          Mock.lines([T.stepStart()]),
          Mock.stderr(printed(command)),
          Mock.lines([rejected(command, { command }), T.stepFinish("tool-calls")])
        )
      ]))))
  }

  it.effect("is complete when the call lacks its input", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x"))
      assert.deepStrictEqual(error.patterns, [commands["a here document"]])
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.stderr(printed(commands["a here document"])),
        Mock.lines([rejected("", {}), T.stepFinish("tool-calls")])
      )
    ]))))

  it.effect("is not a source of hints or model names", () =>
    Effect.gen(function*() {
      const exited = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.isUndefined(exited.hint)
      assert.include(exited.partial.stderr, "Session not found")
      const failed = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x"))
      assert.strictEqual(failed.kind, "other")
      assert.notInclude(failed.reason, "fake/x")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.stderr(printed("cat <<EOF\nError: Session not found\nno space left: ENOSPC\nEOF")),
        Mock.lines([T.stepFinish("tool-calls"), T.stepStart("msg_2"), T.stepFinish("stop")]),
        Mock.exit(1)
      ),
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.stderr(printed("cat <<EOF\nError: Model not found: fake/x\nEOF")),
        Mock.lines([T.error("UnknownError", { message: "Unexpected server error. Check server logs for details." })]),
        Mock.exit(1)
      )
    ]))))

  it.effect("is not taken for a database crash", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x"))
      assert.strictEqual(error.partial.attempts, 1)
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.stderr(printed("cat <<EOF\nError: Unexpected error\n\ndatabase is locked\nEOF")), Mock.exit(1))
    ]))))
})

describe("consecutive failed attempts", () => {
  const child = (n: number) => failed("AI_APICallError: slow down", { session: `ses_child_${n}`, mode: "subagent" })
  const task = (n: number, state = {}) => T.toolUse("task", { metadata: { sessionId: `ses_child_${n}` }, ...state })
  const done = [T.stepFinish("tool-calls"), T.stepStart("msg_2"), T.text("all done"), T.stepFinish("stop")]

  it.effect("count per conversation: three recovering sub-agents do not end a run", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "all done")
      const retries = result.events.filter((event) => event._tag === "ProviderRetry")
      assert.strictEqual(retries.length, 12)
      assert.deepInclude(retries[0], { attempt: 1, sessionId: "ses_child_1", agent: "x", kind: "rate-limit" })
      assert.deepInclude(retries[11], { attempt: 4, sessionId: "ses_child_3" })
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.sleep(0),
        Mock.stderr([1, 2, 3].map(child).join("").repeat(4)),
        Mock.sleep(0),
        Mock.lines([...[1, 2, 3].map((n) => task(n, n === 2 ? { metadata: undefined } : {})), ...done])
      )
    ]))))

  it.effect("of one sub-agent end a run", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { maxProviderRetries: 4 }))
      assert.strictEqual(error.errorName, "ProviderRetryLimit")
      assert.strictEqual(error.providerRetries, 4)
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart()]), Mock.stderr([1, 2, 3].map(child).join("").repeat(4)), Mock.never)
    ]))))

  it.effect("start again at 0 after the sub-agent's task has ended", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const goOn = [1, 2].map(() => Effect.unsafeMakeLatch(false))
      yield* Effect.provide(
        OpenCode.stream("x", { maxProviderRetries: 4 }).pipe(
          Stream.runForEach((event) => {
            seen.push(event._tag)
            const retries = seen.filter((tag) => tag === "ProviderRetry").length
            return retries === 3 && event._tag === "ProviderRetry"
              ? goOn[0]!.open
              : event._tag === "ToolUse"
              ? goOn[1]!.open
              : Effect.void
          })
        ),
        T.layer([
          Mock.script(
            Mock.lines([T.stepStart()]),
            Mock.stderr(child(1).repeat(3)),
            Mock.waitFor(goOn[0]!.await),
            Mock.lines([task(1, { status: "error", error: "Subagent failed" })]),
            Mock.waitFor(goOn[1]!.await),
            Mock.stderr(child(1).repeat(3)),
            Mock.sleep(0),
            Mock.lines(done)
          )
        ])
      )
      assert.strictEqual(seen.filter((tag) => tag === "ProviderRetry").length, 6)
    }))

  it.effect("are limited to six in a sub-agent at any time", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      const result = yield* until(fiber, 40)
      assert.strictEqual(result.text, "all done")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        ...Array.from({ length: 14 }, () => [Mock.sleep("2 seconds"), Mock.stderr(child(1))]).flat(),
        Mock.lines([task(1), ...done])
      )
    ]))))
})

describe("a permanent refusal by a provider", () => {
  const ending = (...steps: ReadonlyArray<Mock.Step>) => T.layer([Mock.script(...steps)])

  it.effect("ends the run of an exhausted account", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x")))
      const error = yield* until(fiber, 2)
      assert.strictEqual(error.kind, "quota")
      assert.strictEqual(error.errorName, "ProviderRefusal")
      assert.isFalse(error.retryable)
      assert.strictEqual(error.providerRetries, 1)
      assert.include(error.reason, "You exceeded your current quota")
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(ending(Mock.stderr(quota), Mock.never))))

  it.effect("is reported with OpenCode's own error if there is one", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x")))
      const error = yield* until(fiber, 30)
      assert.strictEqual(error.errorName, "APIError")
      assert.strictEqual(error.statusCode, 401)
    }).pipe(Effect.provide(ending(
      Mock.stderr(failed("AI_APICallError: Incorrect API key provided")),
      Mock.sleep("500 millis"),
      Mock.lines([T.error("APIError", { message: "Incorrect API key provided", statusCode: 401, isRetryable: false })]),
      Mock.sleep("10 seconds"),
      Mock.exit(1)
    ))))

  it.effect("is not assumed for a provider that has answered since", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      assert.strictEqual((yield* until(fiber, 30)).text, "hello")
    }).pipe(Effect.provide(ending(
      Mock.stderr(quota),
      Mock.sleep("500 millis"),
      Mock.lines([T.stepStart()]),
      Mock.sleep("10 seconds"),
      Mock.lines([T.text("hello"), T.stepFinish("stop")])
    ))))

  const waits = {
    "a limit per minute": failed("Quota exceeded for quota metric 'Generate requests per minute'"),
    "a limit that Google does not name": failed(
      "You exceeded your current quota. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
    ),
    "a sub-agent with its own model": failed("insufficient_quota", {
      session: "ses_child",
      mode: "subagent",
      model: "m2"
    }),
    "a conversation that OpenCode shortens": failed("prompt is too long: 210000 tokens > 200000 maximum"),
    "a model not found once": failed("The model `m1` does not exist or you do not have access to it.")
  }
  for (const [what, line] of Object.entries(waits)) {
    it.effect(`is not assumed for ${what}`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x", { model: "fake/m1" }))
        assert.strictEqual((yield* until(fiber, 30)).text, "hello")
      }).pipe(Effect.provide(ending(
        Mock.lines([T.stepStart()]),
        Mock.sleep("1 second"),
        Mock.stderr(line),
        Mock.sleep("10 seconds"),
        Mock.lines([T.text("hello"), T.stepFinish("stop")])
      ))))
  }

  it.effect("is recognised for a sub-agent with the run's own model", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { model: "fake/m1" })))
      assert.strictEqual((yield* until(fiber, 10)).kind, "quota")
    }).pipe(Effect.provide(ending(
      Mock.lines([T.stepStart()]),
      Mock.sleep("1 second"),
      Mock.stderr(failed("insufficient_quota", { session: "ses_child", mode: "subagent" })),
      Mock.never
    ))))
})
