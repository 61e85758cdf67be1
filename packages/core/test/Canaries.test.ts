import { assert, describe, it } from "@effect/vitest"
import { HostEnvironment, OpenCode, OpenCodeError, RunEvent } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import * as NodePaths from "node:path"
import * as NodeUtil from "node:util"
import * as T from "./support/mock.js"

/** Any four consecutive characters of it count as a leak. */
const canary = "Zq7-Wv9-Kj3-Xp5-Hd8-Tm2"

/** Every part of a canary in a text. */
const partsIn = (text: string, secret = canary): ReadonlyArray<string> =>
  Array.from({ length: secret.length - 3 }, (_, at) => secret.slice(at, at + 4)).filter((part) => text.includes(part))

const expectNone = (what: string, text: string, secret?: string) =>
  assert.deepStrictEqual({ what, parts: partsIn(text, secret) }, { what, parts: [] })

/** Everything that a program sees of an error. */
const shown = (error: OpenCodeError.OpenCodeError): string =>
  [
    error.message,
    String(error),
    JSON.stringify(error),
    JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(error)),
    NodeUtil.inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    String(error.stack),
    String(error.cause)
  ].join("\n")

const transcript = Effect.map(T.Machine, ({ work }) => NodeFs.readFileSync(`${work}/run.jsonl`, "utf8"))

const options: RunOptions.RunOptions = { transcript: "run.jsonl", keepRaw: true }

/** Variables of the process, which every child inherits. */
const inheriting = (variables: { readonly [name: string]: string }) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(HostEnvironment.facts, (facts) =>
    Effect.provideService(
      effect,
      HostEnvironment.HostEnvironment,
      Effect.succeed({ ...facts, variables: { ...facts.variables, ...variables } })
    ))

/** A child that prints a text on every channel. */
const saying = (text: string, ...last: ReadonlyArray<Mock.Step>) =>
  Mock.script(
    Mock.stderr([`stderr: ${text}\n`]),
    Mock.stderr(`timestamp=1 level=ERROR message="stream error" small=false error.error=${JSON.stringify(text)}\n`),
    Mock.stdout(`no json: ${text}\n`),
    Mock.lines([
      T.stepStart(),
      T.text(text),
      T.toolUse("bash", {
        input: { command: "env", [text]: [text] },
        output: text,
        title: text,
        metadata: { [text]: text }
      })
    ]),
    ...last
  )

describe("an inherited secret", () => {
  const variables: ReadonlyArray<readonly [name: string, value: string, said?: string]> = [
    ["ACME_API_KEY", canary],
    ["ACME_GH_PAT", canary],
    ["NPM_CONFIG__AUTH", canary],
    ["ACME_SIGNING_KEY", `  ${canary}\n`, canary],
    ["ACME_DATABASE_URL", `postgres://me:${canary}@db/x`, canary],
    ["ACME_COOKIE", canary, Buffer.from(canary).toString("base64")],
    ["OPENCODE_AUTH_CONTENT", JSON.stringify({ a: { type: "oauth", refresh: canary, access: "other" } }), canary],
    ["OPENCODE_CONFIG_CONTENT", JSON.stringify({ provider: { a: { options: { apiKey: canary } } } }), canary]
  ]
  for (const [name, value, said = value] of variables) {
    it.effect(`is in neither the error nor the transcript: ${name}`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", options))
        const written = yield* transcript
        expectNone("the error", shown(error))
        expectNone("the transcript", written)
        for (const text of [shown(error), written]) assert.notInclude(text, said.trim())
        assert.include(error.partial.stderr, "stderr: <redacted>")
        assert.include(error.partial.text, "<redacted>")
      }).pipe(inheriting({ [name]: value }), Effect.provide(T.layer([saying(said, Mock.exit(1))]))))
  }

  it.effect("stays in the caller's own result, except in stderr", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", options)
      assert.include(result.text, canary)
      assert.include(JSON.stringify(result.events), canary)
      expectNone("stderr", result.stderr)
      expectNone("the transcript", yield* transcript)
    }).pipe(
      inheriting({ ACME_API_KEY: canary }),
      Effect.provide(T.layer([saying(canary, Mock.lines(T.answer("done")), Mock.exit(0))]))
    ))

  it.effect("is recognised when only a reference names its variable", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", {
        ...options,
        configOverrides: { provider: { a: { options: { apiKey: "{env:ACME_ACCESS}" } } } }
      }))
      expectNone("the error", shown(error))
    }).pipe(inheriting({ ACME_ACCESS: canary }), Effect.provide(T.layer([saying(canary, Mock.exit(1))]))))

  it.effect("is not assumed for a value that is short, common, a path or the user's name", () =>
    Effect.gen(function*() {
      const text = "1 true local /usr/bin production jfkennedy ctrl+x"
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", {
        ...options,
        configOverrides: { keybinds: { leader: "ctrl+x" } }
      }))
      assert.include(error.partial.stderr, text)
      assert.include(error.partial.text, text)
    }).pipe(
      inheriting({
        ACME_TOKEN: "1",
        ACME_SECRET: "true",
        ACME_KEY: "local",
        ACME_CREDENTIALS: "/usr/bin",
        ACME_AUTH: "production",
        ACME_PASSWORD: "jfkennedy",
        USER: "jfkennedy",
        TOKENIZERS_PARALLELISM: "true"
      }),
      Effect.provide(T.layer([saying("1 true local /usr/bin production jfkennedy ctrl+x", Mock.exit(1))]))
    ))
})

describe("a secret from a login", () => {
  const login = (file: string, content: unknown) =>
    Effect.flatMap(T.Machine, ({ home }) =>
      Effect.sync(() => {
        const directory = NodePaths.join(home, ".local", "share", "opencode")
        NodeFs.mkdirSync(directory, { recursive: true })
        NodeFs.writeFileSync(NodePaths.join(directory, file), JSON.stringify(content))
      }))
  const logins: ReadonlyArray<readonly [file: string, content: unknown]> = [
    ["auth.json", { a: { type: "api", key: canary } }],
    ["auth.json", { a: { type: "oauth", access: canary, refresh: "other", expires: 1 } }],
    ["mcp-auth.json", { a: { tokens: { accessToken: canary }, serverUrl: "https://a" } }],
    ["mcp-auth.json", { a: { clientInfo: { clientId: "b", clientSecret: canary } } }]
  ]
  for (const [index, [file, content]] of logins.entries()) {
    for (const isolation of ["run", "none"] as const) {
      it.effect(`is in neither the error nor the transcript: ${file} (${index}), isolation ${isolation}`, () =>
        Effect.gen(function*() {
          yield* login(file, content)
          const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", options))
          expectNone("the error", shown(error))
          expectNone("the transcript", yield* transcript)
        }).pipe(Effect.provide(T.layer([saying(canary, Mock.exit(1))], { isolation }))))
    }
  }
})

describe("a secret at a boundary", () => {
  const secret = Redacted.make(canary)
  const own: RunOptions.RunOptions = { ...options, extraEnv: { ACME: secret } }
  const failing = T.layer(
    Array.from({ length: canary.length + 2 }, (_, index) =>
      Mock.script(
        Mock.lines([T.error("APIError", {
          message: `${"m".repeat(1999 - index)}${canary}`,
          statusCode: 400,
          responseBody: `${"x".repeat(2000 - index)}${canary} and more`,
          [canary]: "x",
          metadata: { [`${"k".repeat(1990)}${canary}`]: 1 },
          responseHeaders: { "x-request-id": `${"r".repeat(1990)}${canary}`, "set-cookie": "unknown-session" }
        })]),
        Mock.exit(1)
      )),
    { retry: Schedule.stop }
  )

  it.effect("is masked before the body of an error is cut", () =>
    Effect.gen(function*() {
      for (let index = 0; index < canary.length + 2; index++) {
        const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", own))
        expectNone(`the error, ${index}`, shown(error))
        // the lines as printed are in it, too
        assert.notInclude(shown(error), "unknown-session")
        assert.include(JSON.stringify(error.partial.rawLines), "x-request-id")
      }
      const written = yield* transcript
      expectNone("the transcript", written)
      assert.notInclude(written, "unknown-session")
    }).pipe(Effect.provide(failing)))

  const limit = 64 * 1024
  const key = `-----BEGIN PRIVATE KEY-----\n${canary}\nAb3Cd4\n-----END PRIVATE KEY-----`
  for (const inside of [1, 4, 12, canary.length - 1]) {
    it.effect(`is masked before stderr is cut, ${inside} characters inside`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", own))
        expectNone("the error", shown(error))
        assert.isAtMost(error.partial.stderr.length, limit)
        assert.isAtLeast(error.partial.stderr.length, limit - 100)
      }).pipe(Effect.provide(T.layer([Mock.script(
        Mock.stderr(`first\n${canary}${"y".repeat(limit - 1 - inside)}\n`),
        Mock.exit(1)
      )]))))

    it.effect(`is masked before the text of a stream is cut, ${inside} characters inside`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(Stream.runDrain(OpenCode.stream("x", own)))
        expectNone("the error", shown(error))
        assert.include(error.partial.text, "yyyy")
      }).pipe(Effect.provide(T.layer([Mock.script(
        Mock.lines([T.stepStart(), T.text(`${canary}${"y".repeat(limit - inside)}`)]),
        Mock.exit(1)
      )]))))
  }

  it.effect("is masked line by line if it has several lines", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(
        OpenCode.run("x", { ...options, extraEnv: { ACME: Redacted.make(key) } })
      )
      expectNone("the error", shown(error))
      assert.notInclude(shown(error), "Ab3Cd4")
    }).pipe(Effect.provide(T.layer([Mock.script(
      Mock.stderr(`${key}\n${"y".repeat(limit - 40)}\n`),
      Mock.stdout(`${canary}\n`),
      Mock.exit(1)
    )]))))

  it.effect("is masked across pieces of a pipe, and in the output of a query", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(
        Effect.flatMap(OpenCode.OpenCode, ({ models }) => models)
      )
      expectNone("the error", shown(error))
      assert.include(error.partial.stderr, "<redacted>")
    }).pipe(Effect.provide(T.layer([Mock.script(
      Mock.stderr([canary.slice(0, 5), canary.slice(5), "y".repeat(limit - 5), `\n${canary}`]),
      Mock.exit(1)
    )], { defaults: own }))))

  it.effect("stays in an event passed to the caller", () =>
    Effect.gen(function*() {
      const seen: Array<RunEvent.RunEvent> = []
      yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", {
        ...own,
        onEvent: (event) => Effect.sync(() => void seen.push(event))
      }))
      assert.include(JSON.stringify(seen.filter(RunEvent.is("SessionError"))), canary)
    }).pipe(Effect.provide(failing)))
})

describe("a secret in an answer that does not decode", () => {
  const own = { ...options, extraEnv: { ACME: Redacted.make(canary) }, repairs: 1 }
  const answers: ReadonlyArray<readonly [string, string]> = [
    ["without JSON", `${canary} and more than the engine shows of a text`],
    ["with broken JSON", `\`\`\`json\n{"a": ${canary}}\n\`\`\``],
    ...[0, 5, 20].map((before) =>
      [
        `that is cut, ${before}`,
        JSON.stringify({ n: `${"y".repeat(7960 - before)}${canary}${"z".repeat(100)}` })
      ] as const
    )
  ]
  for (const [what, answer] of answers) {
    it.effect(`is not in the error of an answer ${what}`, () =>
      Effect.gen(function*() {
        const { runSchema } = yield* OpenCode.OpenCode
        const error = yield* T.failsWith("OpenCodeOutputError")(
          runSchema(Schema.Struct({ n: Schema.Number }), "x", own)
        )
        expectNone("the error", shown(error))
        expectNone("the transcript", yield* transcript)
      }).pipe(Effect.provide(T.layer(() => T.answering(answer)))))
  }
})

describe("a deep line", () => {
  it.effect("does not overflow the stack on its way into an error", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(
        OpenCode.run("x", { extraEnv: { ACME: Redacted.make(canary) } })
      )
      assert.strictEqual(error.partial.events?.length, 2)
    }).pipe(Effect.provide(T.layer([Mock.script(
      Mock.stdout(
        `${JSON.stringify(T.stepStart())}\n` +
          JSON.stringify(T.toolUse("x", { input: { a: "DEEP" } })).replace(
            "\"DEEP\"",
            `${"[".repeat(5000)}"${canary}"${"]".repeat(5000)}`
          ) + "\n"
      ),
      Mock.exit(1)
    )]))))
})
