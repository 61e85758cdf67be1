import { describe, expect, it } from "@effect/vitest"
import type { RunConfig } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as modelList from "../src/internal/launch/modelList.js"
import { isObject } from "../src/internal/util/object.js"

const model = (name: string) => ({ id: name, cost: { input: 1 }, limit: { context: 1 } })

const list = {
  anthropic: { id: "anthropic", env: ["ANTHROPIC_KEY"], models: { sonnet: model("sonnet"), haiku: model("haiku") } },
  openai: {
    id: "openai",
    env: ["OPENAI_KEY", "OPENAI_TOKEN"],
    models: { gpt: model("gpt"), "vendor/gpt": model("vendor/gpt") }
  },
  google: { id: "google", models: { gemini: model("gemini") } },
  opencode: { id: "opencode", env: [1], models: { free: model("free") } }
}

const fast = (config: RunConfig.RunConfig): modelList.Wanted => {
  const wanted = modelList.wanted({ startupProfile: "fast", ...config })
  if (wanted === undefined) throw new Error("nothing is wanted")
  return wanted
}

/** The providers whose models are kept. */
const kept = (config: RunConfig.RunConfig) => {
  const narrowed = modelList.narrow(list, fast(config))
  if (narrowed === undefined) return undefined
  expect(Object.keys(narrowed)).toEqual(Object.keys(list))
  return Object.entries(narrowed).flatMap(([name, provider]) =>
    Object.keys((provider as { readonly models: object }).models).length === 0 ? [] : [name]
  )
}

const own = (entry: object) => ({ configOverrides: { provider: { mine: entry } }, model: "mine/m1" })

describe("the model list of a run", () => {
  it.each<readonly [string, RunConfig.RunConfig]>([
    ["no profile", { model: "anthropic/sonnet" }],
    ["the full profile", { startupProfile: "full", model: "anthropic/sonnet" }],
    ["no model", { startupProfile: "fast" }],
    ["only a default model", { startupProfile: "fast", configOverrides: { model: "anthropic/sonnet" } }],
    ["a command, which can have its own model", {
      startupProfile: "fast",
      model: "anthropic/sonnet",
      command: "c"
    }],
    ["a command among the further arguments", {
      startupProfile: "fast",
      model: "anthropic/sonnet",
      extraArgs: ["--command=c"]
    }],
    ["another model among the further arguments", {
      startupProfile: "fast",
      model: "anthropic/sonnet",
      extraArgs: ["-m", "openai/gpt"]
    }],
    ["a model that OpenCode reads from a variable", {
      startupProfile: "fast",
      model: "anthropic/sonnet",
      configOverrides: { agent: { review: { model: "{env:REVIEWER}/gpt" } } }
    }],
    ["an invalid name", { startupProfile: "fast", model: "sonnet" }],
    ["another server", { startupProfile: "fast", model: "anthropic/sonnet", attach: "http://h" }]
  ])("is complete with %s", (_, config) => {
    expect(modelList.wanted(config)).toBeUndefined()
  })

  it("contains the provider of the model", () => {
    expect(modelList.narrow(list, fast({ model: "anthropic/sonnet" }))).toEqual({
      anthropic: list.anthropic,
      openai: { ...list.openai, models: {} },
      google: { ...list.google, models: {} },
      opencode: { ...list.opencode, models: {} }
    })
    expect(kept({ model: "openai/vendor/gpt" })).toEqual(["openai"])
  })

  it("contains every provider named in the configuration", () => {
    const sonnet = { model: "anthropic/sonnet" }
    expect(kept({ ...sonnet, configOverrides: { small_model: "google/gemini" } })).toEqual(["anthropic", "google"])
    for (const kind of ["agent", "mode", "command"]) {
      const configOverrides = { [kind]: { review: { model: "openai/gpt" }, plan: {} } }
      expect(kept({ ...sonnet, configOverrides })).toEqual(["anthropic", "openai"])
    }
    expect(kept({ ...sonnet, configOverrides: { provider: { google: {} } } })).toEqual(["anthropic", "google"])
    // Names from the prototype do not count.
    expect(kept({ ...sonnet, configOverrides: { small_model: "constructor/x" } })).toEqual(["anthropic"])
  })

  it("is complete when the model is unknown", () => {
    expect(kept({ model: "anthropic/opus" })).toBeUndefined()
    expect(kept({ model: "unknown/opus" })).toBeUndefined()
    expect(kept({ model: "constructor/name" })).toBeUndefined()
    expect(modelList.narrow(undefined, fast({ model: "anthropic/sonnet" }))).toBeUndefined()
  })

  it("contains every provider with credentials and those that need none", () => {
    const providers = modelList.providers(list)
    expect(providers.map(({ variables }) => variables)).toEqual([
      ["ANTHROPIC_KEY"],
      ["OPENAI_KEY", "OPENAI_TOKEN"],
      [],
      []
    ])
    const whole = (stored: ReadonlyArray<string>, variables: ReadonlyArray<string>) =>
      modelList.withUsable(fast({ model: "google/gemini" }), providers, { stored, variables: new Set(variables) })
        .providers
    expect(whole([], [])).toEqual(["google", "opencode"])
    expect(whole(["anthropic"], ["PATH"])).toEqual(["anthropic", "google", "opencode"])
    expect(whole([], ["OPENAI_TOKEN"])).toEqual(["google", "openai", "opencode"])
    expect(modelList.providers(undefined)).toEqual([])
  })

  it("is not needed for a model that the configuration describes", () => {
    expect(kept(own({ models: { m1: {} } }))).toEqual([])
    expect(kept(own({ models: { m2: {} } }))).toBeUndefined()
  })

  it("is omitted only if the configuration describes the model completely", () => {
    const without = (entry: object) => modelList.narrow(undefined, fast(own(entry)))
    expect(without({ npm: "x", models: { m1: model("m1") } })).toEqual({})
    expect(without({ models: { m1: model("m1") } })).toBeUndefined()
    expect(without({ npm: "x", models: { m1: { limit: {} } } })).toBeUndefined()
    expect(without({ npm: "x", models: { m1: { cost: {} } } })).toBeUndefined()
    expect(without({ npm: "x" })).toBeUndefined()
    // A login for a provider that is in no list ends OpenCode's start.
    const complete = fast(own({ npm: "x", models: { m1: model("m1") } }))
    const login = (name: string) => modelList.withUsable(complete, [], { stored: [name], variables: new Set() })
    expect(modelList.narrow(undefined, login("mine"))).toEqual({})
    expect(modelList.narrow(undefined, login("openai"))).toBeUndefined()
  })

  it("is a part of the list, with the model in it or in the configuration", () => {
    fc.assert(fc.property(
      fc.dictionary(fc.string(), fc.anything()),
      fc.jsonValue(),
      fc.string(),
      (list, content, name) => {
        const wanted = modelList.wanted({
          startupProfile: "fast",
          model: `p/${name}`,
          configOverrides: { provider: content, agent: content }
        })
        if (wanted === undefined) return
        const narrowed = modelList.narrow(list, wanted)
        for (const [name, provider] of Object.entries(narrowed ?? {})) {
          const known = list[name]
          const isKept = wanted.providers.includes(name) || !isObject(known)
          expect(provider).toEqual(isKept ? known : { ...known, models: {} })
        }
      }
    ))
  })
})
