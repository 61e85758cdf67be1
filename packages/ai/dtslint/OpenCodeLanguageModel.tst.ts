import type { AiError } from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Model from "@effect/ai/Model"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import type { OpenCode, OpenCodeError } from "effect-opencode"
import { OpenCodeLanguageModel, OpenCodeTool } from "effect-opencode-ai"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

class NoStock extends Schema.TaggedError<NoStock>()("NoStock", {}) {}

interface Shop {
  readonly shop: unique symbol
}

declare const Shop: Context.Tag<Shop, string>
declare const aiError: AiError
declare const work: Effect.Effect<"answer", "failure", "requirement">

const Stock = Tool.make("stock", { success: Schema.Number, failure: NoStock, dependencies: [Shop] })

const toolkit = Toolkit.make(Stock)

describe("OpenCodeLanguageModel", () => {
  it("needs an OpenCode and cannot fail to be built", () => {
    expect(OpenCodeLanguageModel.layer()).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, never, OpenCode.OpenCode>
    >()
    expect(OpenCodeLanguageModel.make()).type.toBe<
      Effect.Effect<LanguageModel.Service, never, OpenCode.OpenCode | Scope.Scope>
    >()
    expect(OpenCodeLanguageModel.model("a/b")).type.toBe<
      Model.Model<"opencode", LanguageModel.LanguageModel, OpenCode.OpenCode>
    >()
  })

  it("fails with the error of a handler, and needs its services", () => {
    expect(LanguageModel.generateText({ prompt: "Go", toolkit })).type.toBe<
      Effect.Effect<
        LanguageModel.GenerateTextResponse<{ readonly stock: typeof Stock }>,
        AiError | NoStock,
        LanguageModel.LanguageModel | Tool.HandlersFor<{ readonly stock: typeof Stock }> | Shop
      >
    >()
  })

  it("needs no handler for OpenCode's own tools, whose failures do not end a call", () => {
    expect(LanguageModel.generateText({ prompt: "Go", toolkit: OpenCodeTool.toolkit })).type.toBe<
      Effect.Effect<
        LanguageModel.GenerateTextResponse<Toolkit.Tools<typeof OpenCodeTool.toolkit>>,
        AiError,
        LanguageModel.LanguageModel
      >
    >()
  })

  it("returns the error of a run", () => {
    expect(OpenCodeLanguageModel.errorOf(aiError)).type.toBe<Option.Option<OpenCodeError.OpenCodeError>>()
  })

  it("does not take what a call decides", () => {
    expect(OpenCodeLanguageModel.withConfigOverride(work, { model: "a/b" })).type.toBe<typeof work>()
    expect(OpenCodeLanguageModel.withConfigOverride).type.not.toBeCallableWith(work, { sessionId: "ses_1" })
    expect(OpenCodeLanguageModel.withConfigOverride).type.not.toBeCallableWith(work, { system: "Be brief." })
  })
})
