import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as opencode2 from "../support/opencode2.js"
import { asked, real as realOf, Reply, run, steps, tags } from "./support.js"
import type { Options } from "./support.js"

const real = (name: string, body: Parameters<typeof realOf>[1], options: Options = {}) =>
  realOf(name, body, {
    ...options,
    client: { binary: opencode2.binary, version: opencode2.version, ...options.client }
  })

describe.skipIf(opencode2.binary === undefined)(`a run with OpenCode 2${opencode2.why}`, () => {
  real("answers, with every event", () =>
    Effect.gen(function*() {
      const prompt = "--help \"quoted\" $HOME\n  second line"
      const result = yield* run(prompt, { keepRaw: true })
      expect((yield* asked).map(({ prompt }) => prompt)).toEqual([prompt])
      expect(result).toMatchObject({ answer: "done", finishReason: "stop", forced: false, steps: 1, attempts: 1 })
      expect(tags(result.events)).toEqual(["StepStart", "Text", "StepFinish"])
      expect(result.cost).toBeGreaterThan(0)
    }))
})
