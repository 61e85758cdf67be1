import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunConfig } from "effect-opencode"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { optionIn } from "./support/facts.js"
import * as T from "./support/mock.js"

const args = Effect.map(T.commands, (all) => all.at(-1)!.args)

/** Without `agent`, which repeats the rules and has its own tests. */
const contentOf = Effect.map(T.commands, (all) => {
  const { agent: _, ...content } = JSON.parse(all.at(-1)!.env["OPENCODE_CONFIG_CONTENT"]!)
  return content
})

const layerConfig = (
  options: Config.Config.Wrap<OpenCode.Options>,
  values: (machine: T.Machine) => Record<string, string>
) =>
  Layer.unwrapEffect(Effect.map(T.Machine, (machine) =>
    OpenCode.layerConfig(options).pipe(
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(values(machine))))))
    ))).pipe(Layer.provideMerge(T.platform(() => T.answering("x"))))

describe("layerConfig", () => {
  it.effect("takes options from the configuration", () =>
    Effect.gen(function*() {
      const { binary } = yield* T.Machine
      yield* OpenCode.run("x")
      const recorded = yield* T.only
      assert.strictEqual(recorded.command, binary)
      assert.includeMembers([...recorded.args], ["--model=openai/gpt-5"])
      assert.isFalse(recorded.extendEnv)
      assert.strictEqual(recorded.env["ONLY"], "this")
    }).pipe(Effect.provide(layerConfig({
      binary: Config.string("AGENT_BINARY"),
      version: Config.succeed("1.18.33"),
      environment: Config.map(Config.withDefault(Config.string("NOT_SET"), "this"), (ONLY) => ({ ONLY })),
      defaults: {
        model: Config.string("AGENT_MODEL"),
        timeout: Config.withDefault(Config.duration("AGENT_TIMEOUT"), "20 minutes")
      }
    }, ({ binary }) => ({ AGENT_BINARY: binary, AGENT_MODEL: "openai/gpt-5" })))))

  it.effect("checks configured options like given ones", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "concurrency")
    }).pipe(Effect.provide(
      layerConfig({ concurrency: Config.integer("AGENTS") }, () => ({ AGENTS: "0" }))
    )))

  it.effect("fails to build when a value is missing", () =>
    Effect.gen(function*() {
      const built = yield* Effect.either(Effect.scoped(Layer.build(
        layerConfig({ defaults: { model: Config.string("AGENT_MODEL") } }, () => ({}))
      )))
      const error = Either.getOrThrow(Either.flip(built))
      assert.isTrue(ConfigError.isConfigError(error))
      assert.include(String(error), "AGENT_MODEL")
    }))
})

describe("configuration", () => {
  const defaults = {
    model: "default/m",
    agent: "plan",
    title: "default",
    permission: { edit: "deny", bash: "deny" }
  } as const

  it.effect("of the run takes precedence over that of the region, and that over the layer's", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x")
      assert.deepStrictEqual((yield* args).slice(5), ["--model=default/m", "--agent=plan", "--title=default"])
      yield* OpenCode.run("x", { title: "run" }).pipe(RunConfig.withRunConfig({ model: "region/m", title: "region" }))
      assert.deepStrictEqual((yield* args).slice(5), ["--model=region/m", "--agent=plan", "--title=run"])
      // the region has an end
      yield* OpenCode.run("x")
      assert.deepStrictEqual((yield* args).slice(5), ["--model=default/m", "--agent=plan", "--title=default"])
    }).pipe(Effect.provide(T.layer(() => T.answering("x"), { defaults }))))

  it.effect("of nested regions is merged, objects recursively", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { permission: { bash: { "git log*": "allow" } } }).pipe(
        RunConfig.withRunConfig({ agent: "build", permission: { webfetch: "deny" }, extraEnv: { A: "inner" } }),
        RunConfig.withRunConfig({ agent: "outer", mcp: { x: { enabled: true } }, extraEnv: { A: "outer", B: "outer" } })
      )
      assert.deepStrictEqual((yield* args).slice(5), ["--model=default/m", "--agent=build", "--title=default"])
      assert.deepStrictEqual(yield* contentOf, {
        permission: { edit: "deny", webfetch: "deny", bash: { "*": "deny", "git log*": "allow" } },
        mcp: { x: { enabled: true } }
      })
      const { env } = yield* T.only
      assert.strictEqual(env["A"], "inner")
      assert.strictEqual(env["B"], "outer")
    }).pipe(Effect.provide(T.layer(() => T.answering("x"), { defaults }))))

  it.effect("of a region applies to the fibers and streams started in it", () =>
    Effect.gen(function*() {
      yield* Effect.all([1, 2].map((n) => OpenCode.run("x").pipe(RunConfig.withRunConfig({ title: `${n}` }))), {
        concurrency: 2
      })
      const titles = (yield* T.commands).map((recorded) => optionIn(recorded.args, "--title"))
      assert.sameMembers(titles, ["1", "2"])
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

  it.effect("of a region around a stream holds for its runs, and an inner region lies over an outer one", () =>
    Effect.gen(function*() {
      const titled = RunConfig.withRunConfigStream({ title: "inner" })
      yield* OpenCode.stream("x").pipe(
        titled,
        RunConfig.withRunConfigStream({ title: "outer", agent: "build" }),
        Stream.concat(OpenCode.stream("x")),
        Stream.runDrain
      )
      const seen = (yield* T.commands).map(({ args }) => [optionIn(args, "--title"), optionIn(args, "--agent")])
      assert.deepStrictEqual(seen, [["inner", "build"], [undefined, undefined]])
      yield* Stream.runDrain(titled(OpenCode.stream("x"))).pipe(RunConfig.withRunConfig({ title: "outer" }))
      assert.strictEqual(optionIn((yield* T.commands)[2]!.args, "--title"), "inner")
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

  it.effect("that is undefined changes nothing", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { model: undefined, agent: undefined, permission: undefined })
      assert.deepStrictEqual((yield* args).slice(5, 7), ["--model=default/m", "--agent=plan"])
      assert.isTrue(Option.isSome(Option.fromNullable((yield* contentOf).permission)))
    }).pipe(Effect.provide(T.layer(() => T.answering("x"), { defaults }))))

  it.effect("is not changed by a run", () =>
    Effect.gen(function*() {
      const options = { permission: { edit: "deny" }, configOverrides: { permission: { bash: "deny" } } } as const
      const before = JSON.stringify(options)
      yield* OpenCode.run("x", options)
      assert.strictEqual(JSON.stringify(options), before)
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))
})
