import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { RunConfig } from "effect-opencode"
import * as modelList from "../src/internal/modelList.js"

const model = (name: string) => ({ id: name, cost: { input: 1 }, limit: { context: 1 } })

const list = {
  anthropic: { id: "anthropic", models: { sonnet: model("sonnet"), haiku: model("haiku") } },
  openai: { id: "openai", models: { gpt: model("gpt"), "vendor/gpt": model("vendor/gpt") } },
  google: { id: "google", models: { gemini: model("gemini") } }
}

const fast = (config: RunConfig.RunConfig): modelList.Wanted => {
  const wanted = modelList.wanted({ startupProfile: "fast", ...config })
  if (wanted === undefined) throw new Error("nothing is wanted")
  return wanted
}

const kept = (config: RunConfig.RunConfig, from: typeof list | undefined = list) => {
  const narrowed = modelList.narrow(from, fast(config))
  return narrowed === undefined ? undefined : Object.keys(narrowed)
}

const own = (entry: object) => ({ configOverrides: { provider: { mine: entry } }, model: "mine/m1" })

describe("the list of models of a run", () => {
  it.each<readonly [string, RunConfig.RunConfig]>([
    ["no profile", { model: "anthropic/sonnet" }],
    ["the full profile", { startupProfile: "full", model: "anthropic/sonnet" }],
    ["no model", { startupProfile: "fast" }],
    ["only a default model", { startupProfile: "fast", configOverrides: { model: "anthropic/sonnet" } }],
    ["a command, which can have a model of its own", {
      startupProfile: "fast",
      model: "anthropic/sonnet",
      command: "c"
    }],
    ["another server", { startupProfile: "fast", model: "anthropic/sonnet", attach: "http://h" }]
  ])("is the whole one with %s", (_, config) => {
    expect(modelList.wanted(config)).toBeUndefined()
  })

  it("has the provider of the model", () => {
    expect(modelList.narrow(list, fast({ model: "anthropic/sonnet" }))).toEqual({ anthropic: list.anthropic })
    expect(kept({ model: "openai/vendor/gpt" })).toEqual(["openai"])
  })

  it("has every provider that the configuration speaks of", () => {
    const sonnet = { model: "anthropic/sonnet" }
    expect(kept({ ...sonnet, configOverrides: { small_model: "google/gemini" } })).toEqual(["anthropic", "google"])
    for (const kind of ["agent", "mode", "command"]) {
      const configOverrides = { [kind]: { review: { model: "openai/gpt" }, plan: {} } }
      expect(kept({ ...sonnet, configOverrides })).toEqual(["anthropic", "openai"])
    }
    expect(kept({ ...sonnet, configOverrides: { provider: { google: {} } } })).toEqual(["anthropic", "google"])
    // Not what it has only in its prototype.
    expect(kept({ ...sonnet, configOverrides: { small_model: "constructor/x" } })).toEqual(["anthropic"])
  })

  it("is the whole one where the model is nowhere", () => {
    expect(kept({ model: "anthropic/opus" })).toBeUndefined()
    expect(kept({ model: "unknown/opus" })).toBeUndefined()
    expect(kept({ model: "constructor/name" })).toBeUndefined()
    expect(kept({ model: "anthropic/sonnet" }, undefined)).toBeDefined()
  })

  it("is not needed for a model that the configuration describes", () => {
    expect(kept(own({ models: { m1: {} } }))).toEqual([])
    expect(kept(own({ models: { m2: {} } }))).toBeUndefined()
  })

  it("is only done without where the configuration describes the model completely", () => {
    const without = (entry: object) => modelList.narrow(undefined, fast(own(entry)))
    expect(without({ npm: "x", models: { m1: model("m1") } })).toEqual({})
    expect(without({ models: { m1: model("m1") } })).toBeUndefined()
    expect(without({ npm: "x", models: { m1: { limit: {} } } })).toBeUndefined()
    expect(without({ npm: "x", models: { m1: { cost: {} } } })).toBeUndefined()
    expect(without({ npm: "x" })).toBeUndefined()
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
        const narrowed = modelList.narrow(list, wanted!)
        for (const [name, provider] of Object.entries(narrowed ?? {})) expect(list[name]).toBe(provider)
      }
    ))
  })
})
