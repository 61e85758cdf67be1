import { describe, expect, it } from "@effect/vitest"
import { RunConfig, RunOptions } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as util from "node:util"
import * as arbitraries from "./support/arbitraries.js"
import { meaning } from "./support/meaning.js"

const canary = "canary-key-5b2c"

const encode = Schema.encodeEither(RunOptions.Data)

const decode = Schema.decodeUnknownEither(RunOptions.Data)

const send = (options: RunOptions.Data): RunOptions.Data =>
  Either.getOrThrow(decode(JSON.parse(JSON.stringify(Either.getOrThrow(encode(options))))))

const issuesOf = (result: Either.Either<unknown, ParseResult.ParseError>) =>
  ParseResult.ArrayFormatter.formatErrorSync(Either.getOrThrow(Either.flip(result)))

const bothWays = (options: unknown): ReadonlyArray<Either.Either<unknown, ParseResult.ParseError>> => [
  decode(options),
  Schema.encodeUnknownEither(RunOptions.Data)(options)
]

const numbers = fc.oneof(fc.double(), fc.constantFrom(0, -0, 1, Infinity, -Infinity, NaN))

const durations: fc.Arbitrary<Duration.DurationInput> = fc.oneof(
  fc.oneof(fc.nat(), fc.double()),
  fc.constantFrom(0, -0, -1, NaN, Infinity, Duration.infinity, Duration.zero),
  fc.bigInt(),
  fc.bigInt().map(Duration.nanos),
  fc.nat().map(Duration.seconds),
  fc.tuple(fc.nat(), fc.nat()).map(([seconds, nanos]): readonly [number, number] => [seconds, nanos]),
  fc.tuple(
    fc.oneof(fc.nat(), fc.double({ min: 0, max: 1000, noNaN: true }).map((n) => Number(n.toFixed(2)))),
    fc.constantFrom("millis" as const, "nanos" as const, "seconds" as const, "minutes" as const, "weeks" as const)
  ).map(([count, unit]) => `${count} ${unit}` as const)
)

/** Names, also those of the prototype of objects. */
const anyName = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString"))

const names = anyName.filter((name) => name !== "__proto__")

const rules: fc.Arbitrary<RunConfig.RunConfig["permission"]> = fc.oneof(
  fc.constantFrom("allow" as const, "deny" as const),
  fc.dictionary(names, fc.constantFrom("allow" as const, "deny" as const), { maxKeys: 3 }),
  fc.constant({ bash: { "*": "deny", "git log*": "allow" } } as const)
)

const object = fc.dictionary(anyName, arbitraries.anyValue, { maxKeys: 3 })

const anyData = {
  agent: fc.string({ unit: "binary" }),
  model: fc.string(),
  command: fc.string(),
  title: fc.string(),
  files: fc.array(fc.oneof(
    fc.string(),
    fc.record({ mediaType: fc.string(), data: fc.uint8Array(), name: fc.string() }, {
      requiredKeys: ["mediaType", "data"]
    })
  )),
  system: fc.string(),
  sessionId: fc.string(),
  continueSession: fc.boolean(),
  fork: fc.boolean(),
  forkAfter: fc.string(),
  share: fc.boolean(),
  thinking: fc.boolean(),
  variant: fc.string(),
  printLogs: fc.boolean(),
  logLevel: fc.constantFrom("DEBUG" as const, "INFO" as const, "WARN" as const, "ERROR" as const),
  attach: fc.string(),
  password: fc.constant(undefined),
  username: fc.string(),
  dir: fc.string(),
  port: numbers,
  pure: fc.boolean(),
  auto: fc.boolean(),
  extraEnv: fc.dictionary(names, fc.string(), { maxKeys: 3 }),
  disableAutoupdate: fc.boolean(),
  startupProfile: fc.constantFrom("full" as const, "fast" as const),
  permission: rules,
  mcp: object,
  tools: object,
  instructions: fc.array(fc.string()),
  configOverrides: object,
  extraArgs: fc.array(fc.string()),
  cwd: fc.string(),
  runId: fc.string(),
  isolation: fc.oneof(fc.constantFrom("run" as const, "none" as const), fc.record({ directory: fc.string() })),
  timeout: durations,
  startupTimeout: durations,
  idleTimeout: durations,
  exitGrace: durations,
  budget: fc.record({
    steps: numbers,
    cost: numbers,
    unpriced: fc.constantFrom("warn" as const, "error" as const, "allow" as const),
    tokens: numbers,
    toolCalls: fc.option(numbers, { nil: undefined })
  }, { requiredKeys: [] }),
  maxProviderRetries: numbers,
  transcript: fc.string(),
  promptVia: fc.constantFrom("stdin" as const, "argv" as const),
  recover: fc.constant("export" as const),
  usage: fc.constant("deep" as const),
  keepRaw: fc.option(fc.boolean(), { nil: undefined })
} satisfies { readonly [K in keyof RunOptions.Data]-?: fc.Arbitrary<RunOptions.Data[K]> }

const options: fc.Arbitrary<RunOptions.Data> = fc.record(anyData, { requiredKeys: [] })

const timers = ["timeout", "startupTimeout", "idleTimeout", "exitGrace"] as const

/** A text, a number and a `Duration` can mean the same time. */
const meant = (options: RunOptions.Data): string =>
  meaning({
    ...options,
    ...Object.fromEntries(timers.map((name) => {
      const time = options[name]
      return [name, time === undefined ? undefined : Duration.decode(time)]
    }))
  })

describe("RunOptions.Data", () => {
  it.prop("comes back from JSON with the same meaning", { options }, ({ options }) => {
    const before = meant(options)
    expect(meant(send(options))).toBe(before)
    expect(meant(options)).toBe(before)
  }, { fastCheck: { numRuns: 300 } })

  it("has a case here for every option", () => {
    expect(Object.keys(anyData).sort()).toEqual(Object.keys(RunOptions.Data.fields).sort())
  })

  it("is compact JSON of milliseconds and words", () => {
    const given: RunOptions.RunOptions = {
      timeout: "5 minutes",
      startupTimeout: 1500,
      idleTimeout: Infinity,
      exitGrace: Duration.infinity,
      budget: { steps: Infinity, cost: 1.5 },
      maxProviderRetries: Infinity
    }
    expect(Either.getOrThrow(encode(given))).toEqual({
      timeout: 300_000,
      startupTimeout: 1500,
      idleTimeout: "Infinity",
      exitGrace: "Infinity",
      budget: { steps: "Infinity", cost: 1.5 },
      maxProviderRetries: "Infinity"
    })
  })

  it("decodes durations as people write them", () => {
    const { idleTimeout, timeout } = Either.getOrThrow(decode({ timeout: "5 minutes", idleTimeout: 10 }))
    expect([timeout, idleTimeout].map(meaning)).toEqual([Duration.minutes(5), Duration.millis(10)].map(meaning))
    for (const timeout of ["soon", "", null, true, {}, [1]]) {
      expect(issuesOf(decode({ timeout }))[0]?.path).toEqual(["timeout"])
    }
    expect(issuesOf(Schema.encodeUnknownEither(RunOptions.Data)({ timeout: "soon" }))[0]?.path).toEqual(["timeout"])
  })

  it.prop(
    "refuses an unknown option on both ways and names it",
    {
      options,
      name: fc.string().filter((name) => !(name in RunOptions.Data.fields) && name !== "__proto__"),
      inside: fc.boolean()
    },
    ({ inside, name, options }) => {
      const [wrong, path] = inside
        ? [{ ...options, budget: { ...options.budget, [`${name}?`]: 1 } }, ["budget", `${name}?`]]
        : [{ ...options, [name]: 1 }, [name]]
      const encoded = Either.getOrThrow(encode(options))
      expect(issuesOf(Schema.encodeUnknownEither(RunOptions.Data)(wrong))[0]?.path).toEqual(path)
      expect(
        issuesOf(decode({
          ...encoded,
          ...(inside ? { budget: { ...encoded.budget, [`${name}?`]: 1 } } : { [name]: 1 })
        }))[0]?.path
      ).toEqual(path)
    }
  )

  it("refuses the one name that a record loses", () => {
    const named: object = Object.fromEntries([["__proto__", "deny"]])
    for (const options of [{ permission: named }, { permission: { bash: named } }, { extraEnv: named }]) {
      for (const result of bothWays(options)) {
        expect(issuesOf(result).map(({ path }) => path.at(-1))).toContain("__proto__")
      }
    }
  })

  it("refuses an option that is a function", () => {
    const { budget, ...rest } = { onEvent: () => undefined, budget: { steps: 1 } }
    expect(issuesOf(Schema.encodeUnknownEither(RunOptions.Data)({ ...rest, budget }))).toMatchObject([
      { _tag: "Unexpected", path: ["onEvent"] }
    ])
    expect(issuesOf(encode({ configOverrides: { provider: { call: () => 1 } } }))).toMatchObject([
      { _tag: "Forbidden", path: ["configOverrides", "provider", "call"], message: "a function cannot be encoded" }
    ])
  })

  const places = fc.oneof(
    fc.constantFrom(["password"], ["extraEnv", "KEY"]),
    fc.tuple(
      fc.constantFrom("configOverrides", "mcp", "tools"),
      fc.array(fc.oneof(fc.string({ minLength: 1 }), fc.nat(2)), { maxLength: 5 })
    ).map(([name, path]): ReadonlyArray<string | number> => [name, "inner", ...path])
  )

  const put = (into: unknown, [key, ...path]: ReadonlyArray<string | number>, value: unknown): unknown => {
    if (key === undefined) return value
    if (typeof key === "number") {
      const items: Array<unknown> = Array.isArray(into) ? [...into as ReadonlyArray<unknown>] : []
      while (items.length < key) items.push(null)
      items[key] = put(items[key], path, value)
      return items
    }
    const fields = typeof into === "object" && into !== null && !Array.isArray(into) ? into : {}
    return Object.fromEntries([
      ...Object.entries(fields).filter(([name]) => name !== key),
      [key, put((fields as { readonly [name: string]: unknown })[key], path, value)]
    ])
  }

  it.prop("refuses a secret anywhere, and names its place and not its value", { options, path: places }, (given) => {
    const { options, path } = given
    const secret = put(options, path, Redacted.make(canary)) as RunOptions.Data
    const refused = Schema.encodeEither(RunOptions.Data)(secret, { errors: "all" })
    expect(Either.isLeft(refused)).toBe(true)
    const issues = issuesOf(refused)
    expect(issues.map(({ path }) => path)).toContainEqual(path)
    expect(issues.every(({ _tag }) => _tag === "Forbidden")).toBe(true)
    const error = Either.getOrThrow(Either.flip(refused))
    for (const text of [error.message, String(error), JSON.stringify(error), util.inspect(error, { depth: 30 })]) {
      expect(text).not.toContain(canary)
    }
    // The same options without it pass.
    expect(Either.isRight(encode(put(options, path, "text") as RunOptions.Data)) || path[0] === "password").toBe(true)
  })

  it("refuses the text that JSON makes of a secret", () => {
    const options = JSON.parse(JSON.stringify({
      password: Redacted.make(canary),
      extraEnv: { KEY: Redacted.make(canary) }
    })) as object
    const issues = issuesOf(Schema.decodeUnknownEither(RunOptions.Data, { errors: "all" })(options))
    expect(issues.map(({ path }) => path)).toEqual([["password"], ["extraEnv", "KEY"]])
  })

  it("shows no value that can be a secret", () => {
    const wrong = [
      canary,
      [canary],
      { password: [canary] },
      { password: { value: canary } },
      { extraEnv: canary },
      { extraEnv: [canary] },
      { extraEnv: { KEY: [canary] } },
      { extraEnv: { KEY: { value: canary } } },
      ...["mcp", "tools", "configOverrides"].flatMap((name) => [{ [name]: canary }, { [name]: [canary] }])
    ]
    for (const options of wrong) {
      for (const result of bothWays(options)) {
        const { message } = Either.getOrThrow(Either.flip(result))
        expect(message).not.toContain(canary)
        expect(message).toMatch(/was expected|unexpected/)
      }
    }
    const nested = Redacted.make({ value: canary }) as unknown
    for (const options of [{ password: nested }, { extraEnv: { KEY: nested } }]) {
      const { message } = Either.getOrThrow(Either.flip(Schema.encodeUnknownEither(RunOptions.Data)(options)))
      expect(message).not.toContain(canary)
    }
  })

  it("decodes a secret from a text, as a file has it", () => {
    const { extraEnv, password } = Either.getOrThrow(decode({ password: canary, extraEnv: { KEY: canary } }))
    expect([password === undefined ? "" : Redacted.value(password), extraEnv]).toEqual([canary, { KEY: canary }])
  })
})

describe("RunOptions.SchemaData", () => {
  it("has the repairs, too", () => {
    const encoded = Schema.encodeSync(RunOptions.SchemaData)({ repairs: 3, timeout: "1 second" })
    expect(encoded).toEqual({ repairs: 3, timeout: 1000 })
    expect(issuesOf(decode(encoded))[0]?.path).toEqual(["repairs"])
    expect(issuesOf(Schema.decodeUnknownEither(RunOptions.SchemaData)({ repair: 3 }))[0]?.path).toEqual(["repair"])
  })
})

describe("RunConfig", () => {
  it("refuses what the options refuse", () => {
    expect(issuesOf(Schema.decodeUnknownEither(RunConfig.RunConfig)({ timeout: 1 }))[0]?.path).toEqual(["timeout"])
    const encode = Schema.encodeEither(RunConfig.RunConfig)
    for (const config of [{ password: Redacted.make(canary) }, { extraEnv: { KEY: Redacted.make(canary) } }]) {
      expect(issuesOf(encode(config))[0]?._tag).toBe("Forbidden")
    }
    expect(Either.getOrThrow(encode({ model: "a/b", extraEnv: { KEY: "1" } }))).toEqual({
      model: "a/b",
      extraEnv: { KEY: "1" }
    })
  })
})
