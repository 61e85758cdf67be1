import { describe, expect, it } from "@effect/vitest"
import type { RunConfig } from "effect-opencode"
import { OpenCode, Version } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as dialects from "../src/internal/opencode/dialects.js"
import * as T from "./support/mock.js"

const newest = Version.make(1, 18, 33)

const unattended = (config: RunConfig.RunConfig, version: Version.Version = newest) =>
  dialects.forVersion(version)!.unattended(config, version)

describe("a run that nobody watches", () => {
  it("is as it was given in a new session", () => {
    for (const config of [{}, { model: "a/b", permission: "allow" }, { tools: { bash: false } }] as const) {
      expect(unattended(config)).toBe(config)
    }
  })

  it("has no tool that asks the user in a session that exists, because only `opencode run` denies it", () => {
    for (const existing of [{ fork: true }, { sessionId: "ses_1" }, { continueSession: true }]) {
      expect(unattended({ ...existing, tools: { bash: false } })).toEqual({
        ...existing,
        tools: { bash: false, question: false }
      })
    }
  })

  it("denies it after all rules, if there are any", () => {
    const of = (config: RunConfig.RunConfig) => unattended({ sessionId: "ses_1", ...config })
    expect(of({ permission: "allow" }).permission).toEqual({ "*": "allow", question: "deny" })
    expect(Object.entries(of({ permission: { question: "allow", bash: "allow" } }).permission!)).toEqual([
      ["question", "deny"],
      ["bash", "allow"]
    ])
    const overrides = of({ configOverrides: { permission: { "*": "allow" } } })
    expect(dialects.forVersion(newest)!.variables(overrides)["OPENCODE_PERMISSION"]).toMatch(/"question":"deny"/)
  })

  it("has none in any session of a version that offers it everywhere", () => {
    expect(unattended({}, Version.make(1, 2, 27)).tools).toEqual({ question: false })
    expect(unattended({}, Version.make(1, 14, 0))).toEqual({})
  })

  it("asks its own model for titles where another provider's would be asked", () => {
    const old = Version.make(1, 1, 65)
    expect(unattended({ model: "a/b" }, old).configOverrides).toEqual({ small_model: "a/b" })
    expect(unattended({ model: "a/b", configOverrides: { small_model: "c/d" } }, old).configOverrides)
      .toEqual({ small_model: "c/d" })
    expect(unattended({}, old).configOverrides).toBeUndefined()
    expect(unattended({ model: "a/b" }, Version.make(1, 2, 27)).configOverrides).toBeUndefined()
  })

  it("is left alone with `attach`, and by OpenCode 2, whose sessions have rules", () => {
    expect(unattended({ attach: "http://127.0.0.1:1", sessionId: "ses_1" })).not.toHaveProperty("tools")
    expect(unattended({ sessionId: "ses_1" }, Version.make(2, 0, 14))).toEqual({ sessionId: "ses_1" })
  })

  it.effect("reaches OpenCode", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      yield* OpenCode.run("Go", { sessionId: "ses_1", fork: true, isolation: { directory: `${root}/kept` } })
      const { env } = yield* T.only
      expect(JSON.parse(env["OPENCODE_CONFIG_CONTENT"] ?? "{}")).toEqual({ tools: { question: false } })
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))
})
