import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { optionIn } from "./support/facts.js"
import * as T from "./support/mock.js"

const list = {
  anthropic: { env: ["ANTHROPIC_API_KEY"], models: { sonnet: { cost: {} } } },
  openai: { env: ["OPENAI_API_KEY"], models: { gpt: { cost: {} } } },
  google: { env: ["GOOGLE_KEY", "GEMINI_KEY"], models: { gemini: { cost: {} } } }
}

/** The list with the models of these providers only. */
const part = (...names: ReadonlyArray<keyof typeof list>) =>
  Object.fromEntries(
    Object.entries(list).map(([name, provider]) => [
      name,
      names.some((one) => one === name) ? provider : { ...provider, models: {} }
    ])
  )

/** Puts a list of models into OpenCode's cache. */
const cache = (directory: string, content: string) => {
  NodeFs.mkdirSync(NodePath.join(directory, "opencode"), { recursive: true })
  NodeFs.writeFileSync(NodePath.join(directory, "opencode", "models.json"), content)
}

/** The list that each process receives. */
const running = (options: OpenCode.Options, env: Parameters<typeof T.layer>[2] = () => ({})) => {
  const seen: Array<unknown> = []
  const layer = T.layer(
    (command) => {
      const file = command.env["OPENCODE_MODELS_PATH"]
      seen.push(file === undefined || !NodeFs.existsSync(file) ? file : JSON.parse(NodeFs.readFileSync(file, "utf8")))
      return T.answering("x")
    },
    options,
    env
  )
  return { layer, seen }
}

const fast = { startupProfile: "fast", model: "anthropic/sonnet" } as const

const titleOf = (args: ReadonlyArray<string>) => optionIn(args, "--title")

describe("startupProfile", () => {
  it.effect("\"full\" changes nothing and is the default", () => {
    const { layer } = running({})
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* OpenCode.run("x", { model: "anthropic/sonnet" })
      yield* OpenCode.run("x", { model: "anthropic/sonnet", startupProfile: "full" })
      for (const { args, env } of yield* T.commands) {
        assert.isUndefined(titleOf(args))
        assert.notProperty(env, "OPENCODE_DISABLE_MODELS_FETCH")
        assert.notProperty(env, "OPENCODE_MODELS_PATH")
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("\"fast\" fetches no list, passes a part of it on and requests no title", () => {
    const { layer, seen } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      const result = yield* OpenCode.run("a prompt")
      const { args, env } = yield* T.only
      assert.strictEqual(env["OPENCODE_DISABLE_MODELS_FETCH"], "1")
      assert.deepStrictEqual(seen, [part("anthropic")])
      assert.strictEqual(titleOf(args), `effect-opencode ${result.runId}`)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("reads the list again only when it has changed", () => {
    const { layer, seen } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* Effect.all([OpenCode.run("x"), OpenCode.run("x")], { concurrency: "unbounded" })
      yield* OpenCode.run("x", { model: "openai/gpt" })
      assert.deepStrictEqual(seen, [
        part("anthropic"),
        part("anthropic"),
        part("openai")
      ])
      const later = { anthropic: { models: { sonnet: { cost: { input: 1 } } } } }
      cache(`${home}/.cache`, JSON.stringify(later))
      yield* OpenCode.run("x")
      assert.deepStrictEqual(seen.at(-1), later)
    }).pipe(Effect.provide(layer))
  })

  it.effect("passes the whole list when it is missing, invalid or without the model", () => {
    const { layer, seen } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      yield* OpenCode.run("x")
      for (const content of ["{", "[]", "null", JSON.stringify({ openai: list.openai })]) {
        cache(`${home}/.cache`, content)
        yield* OpenCode.run("x")
      }
      assert.deepStrictEqual(seen, Array.from({ length: 5 }, () => undefined))
    }).pipe(Effect.provide(layer))
  })

  it.effect("yields to explicit settings", () => {
    const { layer, seen } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* OpenCode.run("x", { title: "mine", extraEnv: { OPENCODE_DISABLE_MODELS_FETCH: "0" } })
      yield* OpenCode.run("x", { extraEnv: { OPENCODE_MODELS_PATH: "/mine" } })
      yield* OpenCode.run("x", { extraEnv: { OPENCODE_MODELS_URL: Redacted.make("http://mine") } })
      const [first] = yield* T.commands
      assert.strictEqual(titleOf(first!.args), "mine")
      assert.strictEqual(first!.env["OPENCODE_DISABLE_MODELS_FETCH"], "0")
      assert.deepStrictEqual(seen, [part("anthropic"), "/mine", undefined])
    }).pipe(Effect.provide(layer))
  })

  it.effect("yields to variables that the child inherits", () => {
    const { layer, seen } = running({ defaults: fast }, ({ root }) => ({
      OPENCODE_DISABLE_MODELS_FETCH: "0",
      OPENCODE_MODELS_PATH: "/inherited",
      XDG_CACHE_HOME: `${root}/cache`
    }))
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      cache(`${root}/cache`, JSON.stringify(list))
      yield* OpenCode.run("x")
      const { env } = yield* T.only
      assert.notProperty(env, "OPENCODE_DISABLE_MODELS_FETCH")
      assert.deepStrictEqual(seen, [undefined])
    }).pipe(Effect.provide(layer))
  })

  it.effect("ignores variables that the child does not inherit", () => {
    const { layer, seen } = running(
      { defaults: { ...fast, extraEnv: { XDG_CACHE_HOME: "/nowhere" } }, environment: {} },
      () => ({ OPENCODE_DISABLE_MODELS_FETCH: "0", OPENCODE_MODELS_PATH: "/inherited" })
    )
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      cache(`${root}/cache`, JSON.stringify(list))
      yield* OpenCode.run("x", { extraEnv: { XDG_CACHE_HOME: `${root}/cache` } })
      const { env } = yield* T.only
      assert.strictEqual(env["OPENCODE_DISABLE_MODELS_FETCH"], "1")
      assert.deepStrictEqual(seen, [part("anthropic")])
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps the models of all providers with credentials", () => {
    const { layer, seen } = running({ defaults: fast }, () => ({ GEMINI_KEY: "secret" }))
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* OpenCode.run("x")
      yield* OpenCode.run("x", { extraEnv: { OPENAI_API_KEY: Redacted.make("secret") } })
      yield* OpenCode.run("x", { extraEnv: { OPENCODE_AUTH_CONTENT: "{\"openai\":{}}" } })
      const data = NodePath.join(home, ".local", "share", "opencode")
      NodeFs.mkdirSync(data, { recursive: true })
      NodeFs.writeFileSync(NodePath.join(data, "auth.json"), "{\"openai\":{}}")
      yield* OpenCode.run("x")
      assert.deepStrictEqual(seen, [
        part("anthropic", "google"),
        part("anthropic", "google", "openai"),
        part("anthropic", "google", "openai"),
        part("anthropic", "google", "openai")
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("passes the whole list when the logins are unreadable", () => {
    const { layer, seen } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* OpenCode.run("x", { extraEnv: { OPENCODE_AUTH_CONTENT: "{" } })
      const data = NodePath.join(home, ".local", "share", "opencode")
      NodeFs.mkdirSync(data, { recursive: true })
      NodeFs.writeFileSync(NodePath.join(data, "auth.json"), "[]")
      yield* OpenCode.run("x")
      assert.deepStrictEqual(seen, [undefined, undefined])
    }).pipe(Effect.provide(layer))
  })

  it.effect("sets no title for a continued session", () => {
    const { layer } = running({ defaults: fast, isolation: "none" })
    return Effect.gen(function*() {
      yield* OpenCode.run("x", { sessionId: "ses_1" })
      yield* OpenCode.run("x", { continueSession: true })
      for (const { args } of yield* T.commands) assert.isUndefined(titleOf(args))
    }).pipe(Effect.provide(layer))
  })

  it.effect("queries OpenCode for all models when all models are requested", () => {
    const { layer } = running({ defaults: fast })
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      cache(`${home}/.cache`, JSON.stringify(list))
      yield* Effect.flatMap(OpenCode.OpenCode, ({ models }) => models)
      const { args, env } = yield* T.only
      assert.deepStrictEqual([...args], ["models"])
      assert.notProperty(env, "OPENCODE_MODELS_PATH")
    }).pipe(Effect.provide(layer))
  })
})
