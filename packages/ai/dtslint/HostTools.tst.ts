import { Tool, Toolkit } from "@effect/ai"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpServer from "@effect/platform/HttpServer"
import type * as Path from "@effect/platform/Path"
import type { OpenCode, OpenCodeError, RunEvent, RunResult, StructuredOutput } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import type { HostToolsError } from "effect-opencode-ai"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

class Shop extends Context.Tag("Shop")<Shop, string>() {}

class NoStock extends Schema.TaggedError<NoStock>()("NoStock", {}) {}

class Told extends Schema.TaggedError<Told>()("Told", {}) {}

const Stock = Tool.make("stock", { failure: NoStock, dependencies: [Shop] })

const Hint = Tool.make("hint", { failure: Told, failureMode: "return" })

const toolkit = Toolkit.make(Stock, Hint)

type Needed =
  | HostTools.HostTools
  | OpenCode.OpenCode
  | Shop
  | Tool.Handler<"stock">
  | Tool.Handler<"hint">

describe("HostTools", () => {
  it("layer needs a server and the platform", () => {
    expect(HostTools.layer()).type.toBe<
      Layer.Layer<HostTools.HostTools, never, HttpServer.HttpServer | FileSystem.FileSystem | Path.Path>
    >()
    expect(HostTools.layer).type.not.toBeCallableWith({ names: "host" })
  })

  it("runs fail with the failures that end a run, and need the handlers and their services", () => {
    expect(HostTools.run("Go", { toolkit })).type.toBe<
      Effect.Effect<
        RunResult.RunResult,
        OpenCodeError.RunError | HostToolsError.HostToolsError | NoStock,
        Needed
      >
    >()
    expect(HostTools.stream("Go", { toolkit })).type.toBe<
      Stream.Stream<RunEvent.RunEvent, OpenCodeError.RunError | HostToolsError.HostToolsError | NoStock, Needed>
    >()
    expect(HostTools.runSchema(Schema.NumberFromString, "Go", { toolkit, repairs: 1 })).type.toBe<
      Effect.Effect<
        StructuredOutput.Answer<number>,
        OpenCodeError.SchemaError | HostToolsError.HostToolsError | NoStock,
        Needed
      >
    >()
  })

  it("sessions need the services once, and their turns fail like runs", () => {
    expect(HostTools.session({ toolkit, title: "t" })).type.toBe<
      Effect.Effect<
        HostTools.Session<NoStock>,
        OpenCodeError.SessionOpenError | HostToolsError.HostToolsError,
        Needed | Scope.Scope
      >
    >()
    const session = undefined as unknown as HostTools.Session<NoStock>
    expect(session.run("Go")).type.toBe<
      Effect.Effect<RunResult.RunResult, OpenCodeError.RunError | HostToolsError.HostToolsError | NoStock>
    >()
  })

  it("takes a toolkit with its handlers", () => {
    const resolved = undefined as unknown as Toolkit.WithHandler<{ readonly hint: typeof Hint }>
    expect(HostTools.serve(resolved)).type.toBe<
      Effect.Effect<
        HostTools.Served<never>,
        HostToolsError.HostToolsError,
        HostTools.HostTools | OpenCode.OpenCode | Scope.Scope
      >
    >()
  })

  it("needs a toolkit", () => {
    expect(HostTools.run).type.not.toBeCallableWith("Go", {})
    expect(HostTools.run).type.not.toBeCallableWith("Go", { toolkit: {} })
    expect(HostTools.run).type.not.toBeCallableWith("Go", { toolkit, timeuot: 1 })
  })
})
