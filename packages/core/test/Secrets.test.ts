import { assert, describe, it } from "@effect/vitest"
import { OpenCode, OpenCodeError } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as NodeFs from "node:fs"
import * as NodeUtil from "node:util"
import * as T from "./support/mock.js"

const canaries = {
  password: "canary-password-8f2k",
  env: "canary-environment-91xz",
  apiKey: "canary-api-key-\"quoted\"-55",
  header: "canary-header-77qq"
}

const options: RunOptions.RunOptions = {
  attach: "http://127.0.0.1:4096",
  model: "openai/gpt-5",
  password: Redacted.make(canaries.password),
  extraEnv: { MY_SECRET: Redacted.make(canaries.env), PLAIN: "not a secret" },
  configOverrides: { provider: { openai: { options: { apiKey: canaries.apiKey } } } },
  mcp: { remote: { headers: { Authorization: canaries.header } } },
  transcript: "run.jsonl",
  keepRaw: true
}

const all = Object.values(canaries)

/** Every spelling of a secret inside another text. */
const spellings = all.flatMap((canary) => [canary, JSON.stringify(canary).slice(1, -1)])

const expectNone = (what: string, text: string) => {
  for (const canary of spellings) assert.isFalse(text.includes(canary), `${canary} is in ${what}`)
}

/** Everything that a program sees of an error. */
const shown = (error: OpenCodeError.OpenCodeError): string =>
  [
    error.message,
    String(error),
    JSON.stringify(error),
    JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(error)),
    NodeUtil.inspect(error, { depth: 20, showHidden: true }),
    String(error.stack),
    String(error.cause)
  ].join("\n")

/** What the program's logs and spans show of a run. */
const watched = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const seen: Array<unknown> = []
    const logger = Logger.make((entry) => {
      seen.push([entry.message, entry.annotations, entry.cause, [...entry.spans].map((span) => span.label)])
    })
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const attributes = new Map<string, unknown>()
        seen.push(name, attributes)
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links: [...links],
          kind,
          attributes,
          status: { _tag: "Started", startTime },
          spanId: "1",
          traceId: "1",
          sampled: true,
          attribute: (key, value) => attributes.set(key, value),
          event: (name, _time, attributes) => seen.push(name, attributes),
          addLinks: () => {},
          // an exporter records the error and its stack
          end: (_time, exit) => {
            if (Exit.isFailure(exit)) seen.push(NodeUtil.inspect(exit.cause, { depth: 20 }), String(exit.cause))
          }
        }
      },
      context: (f) => f()
    })
    const exit = yield* effect.pipe(
      Effect.withSpan("program"),
      Effect.withTracer(tracer),
      Effect.exit,
      Effect.tap((exit) => Exit.isFailure(exit) ? Effect.logError("it failed", exit.cause) : Effect.void),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.provide(Logger.add(logger)),
      Logger.withMinimumLogLevel(LogLevel.All)
    )
    return { exit, seen: NodeUtil.inspect(seen, { depth: 20, maxArrayLength: null, maxStringLength: null }) }
  })

/** An agent that prints everything it knows on every channel. */
const blabbing = (...last: ReadonlyArray<Mock.Step>) =>
  Mock.script(
    Mock.stderr([`error: connecting with ${canaries.password}\n`, `${JSON.stringify(canaries)}\n`]),
    Mock.stderr(
      `timestamp=1 level=ERROR message="stream error" small=false error.error="401 for ${canaries.header}"\n`
    ),
    Mock.stdout(`no json but ${canaries.apiKey}\n`),
    Mock.lines([
      T.stepStart(),
      T.text(`I was told ${all.join(" and ")}`),
      T.toolUse("bash", { input: { command: `echo ${canaries.env}` }, output: canaries.env, title: canaries.env })
    ]),
    ...last
  )

describe("a secret", () => {
  it.effect("travels only in the environment", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { ...options, promptVia: "argv" })
      const { args, command, cwd, env, stdin } = yield* T.only
      expectNone("the command line", [command, ...args, cwd, stdin].join(" "))
      assert.strictEqual(env["OPENCODE_SERVER_PASSWORD"], canaries.password)
      assert.strictEqual(env["MY_SECRET"], canaries.env)
      const content = JSON.parse(env["OPENCODE_CONFIG_CONTENT"]!)
      assert.strictEqual(content.provider.openai.options.apiKey, canaries.apiKey)
      assert.strictEqual(content.mcp.remote.headers.Authorization, canaries.header)
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  const endings: ReadonlyArray<readonly [tag: string, script: Mock.Script, more?: RunOptions.RunOptions]> = [
    ["OpenCodeProcessError", blabbing(Mock.exit(1))],
    ["OpenCodeIncompleteError", blabbing(Mock.exit(0))],
    ["OpenCodeCancelledError", blabbing(Mock.signal("SIGTERM"))],
    [
      "OpenCodeSessionError",
      blabbing(
        Mock.lines([
          T.error("APIError", {
            message: `bad key ${canaries.apiKey}`,
            statusCode: 401,
            responseHeaders: { "set-cookie": canaries.env, "x-request-id": "r1" },
            responseBody: `{"got":"${canaries.header}"}`
          })
        ]),
        Mock.exit(1)
      )
    ],
    ["OpenCodeBudgetError", blabbing(Mock.lines([T.toolUse("read")]), Mock.never), { budget: { toolCalls: 1 } }],
    [
      "OpenCodeSqliteError",
      Mock.script(Mock.stderr(`database is locked (${canaries.password})\n`), Mock.exit(1))
    ],
    ["OpenCodeSpawnError", Mock.spawnError("NotFound")]
  ]
  for (const [tag, script, more] of endings) {
    it.effect(`is missing from ${tag} and from the logs, spans and transcript of that run`, () =>
      Effect.gen(function*() {
        const { work } = yield* T.Machine
        const { exit, seen } = yield* watched(OpenCode.run("x", { ...options, ...more }))
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit) && exit.cause._tag === "Fail") {
          assert.strictEqual(exit.cause.error._tag, tag)
          expectNone("the error", shown(exit.cause.error))
        } else assert.fail("a failure was expected")
        expectNone("logs and spans", seen)
        assert.include(seen, "OpenCode.run")
        const transcript = NodeFs.existsSync(`${work}/run.jsonl`)
          ? NodeFs.readFileSync(`${work}/run.jsonl`, "utf8")
          : ""
        expectNone("the transcript", transcript)
        if (tag === "OpenCodeProcessError") assert.include(transcript, "<redacted>")
      }).pipe(Effect.provide(T.layer([script], { retry: Schedule.stop }))))
  }

  it.effect("is masked in partial.stderr, unlike other text", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", options))
      assert.include(error.partial.stderr, "error: connecting with <redacted>")
      assert.include(error.partial.stderr, "not a secret")
      assert.notInclude(error.partial.stderr, "sk-proj-abcdefghijklmnop")
      assert.notInclude(error.partial.stderr, "hunter2hunter2")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stderr(`error: connecting with ${canaries.password}\nPLAIN is not a secret\n`),
        // never passed to us, but with the look of secrets
        Mock.stderr("OPENAI_API_KEY=sk-proj-abcdefghijklmnop\nhttps://me:hunter2hunter2@host/\n"),
        Mock.exit(1)
      )
    ]))))

  it.effect("is missing from the partial facts of a stream's error", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* watched(Stream.runDrain(OpenCode.stream("x", options)))
      if (Exit.isFailure(exit) && exit.cause._tag === "Fail") {
        expectNone("the error", shown(exit.cause.error))
      } else assert.fail("a failure was expected")
      expectNone("logs and spans", seen)
    }).pipe(Effect.provide(T.layer([blabbing(Mock.exit(1))]))))

  it.effect("is missing from the stderr of a result and from its logs and spans", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* watched(OpenCode.run("x", options))
      assert.isTrue(Exit.isSuccess(exit))
      if (Exit.isSuccess(exit)) expectNone("stderr", exit.value.stderr)
      expectNone("logs and spans", seen)
    }).pipe(Effect.provide(T.layer([blabbing(Mock.lines(T.answer("done")), Mock.exit(0))]))))

  const failing = Mock.script(Mock.stderr(`${all.join("\n")}\n`), Mock.exit(1))

  it.effect("from the layer's defaults is missing from the error of a query", () =>
    Effect.gen(function*() {
      const models = yield* T.failsWith("OpenCodeProcessError")(
        Effect.flatMap(OpenCode.OpenCode, (service) => service.models)
      )
      expectNone("the error", shown(models))
      assert.include(models.partial.stderr, "<redacted>")
      for (const recorded of yield* T.commands) expectNone("the command line", recorded.args.join(" "))
    }).pipe(Effect.provide(T.layer([failing], { defaults: options }))))

  it.effect("from the layer's defaults is missing from the error of a version", () =>
    Effect.gen(function*() {
      const service = yield* OpenCode.OpenCode
      for (const query of [Effect.asVoid(service.models), Effect.asVoid(service.version)]) {
        const error = yield* T.failsWith("OpenCodeVersionError")(query)
        expectNone("the error", shown(error))
        assert.include(error.message, "<redacted>")
      }
      for (const recorded of yield* T.commands) expectNone("the command line", recorded.args.join(" "))
    }).pipe(Effect.provide(T.layer(() => failing, { version: undefined, defaults: options }))))

  it.effect("reaches the environment of a query", () =>
    Effect.gen(function*() {
      yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.models)
      assert.strictEqual((yield* T.only).env["MY_SECRET"], canaries.env)
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.stdout("a/b\n"))], { defaults: options }))))
})
