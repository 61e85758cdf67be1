import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpServer from "@effect/platform/HttpServer"
import type * as Path from "@effect/platform/Path"
import type { OpenCode } from "effect-opencode"
import type { MockCommandExecutor } from "effect-opencode-testing"
import { FaultyOpenCode, ModelProvider, OpenCodeTest, Recording } from "effect-opencode-testing"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "tstyche"

describe("layers", () => {
  it("of OpenCodeTest need nothing", () => {
    expect(OpenCodeTest.layer({})).type.toBe<Layer.Layer<OpenCode.OpenCode | OpenCodeTest.OpenCodeTest>>()
    expect(OpenCodeTest.layerProcess([])).type.toBe<
      Layer.Layer<OpenCode.OpenCode | MockCommandExecutor.MockCommandExecutor>
    >()
    expect(OpenCodeTest.layerExecutor()).type.toBe<
      Layer.Layer<OpenCode.OpenCode, never, CommandExecutor.CommandExecutor>
    >()
    expect(OpenCodeTest.layer).type.not.toBeCallableWith({ prompt: 1 })
  })

  it("of Recording.replay need a file system only for a directory", () => {
    expect(Recording.replay([])).type.toBe<
      Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor.MockCommandExecutor>
    >()
    expect(Recording.replay("directory")).type.toBe<
      Layer.Layer<
        CommandExecutor.CommandExecutor | MockCommandExecutor.MockCommandExecutor,
        Recording.RecordingError | PlatformError.PlatformError,
        FileSystem.FileSystem | Path.Path
      >
    >()
  })

  it("of Recording.record stand between an executor and a program", () => {
    expect(Recording.record({ directory: "x" })).type.toBe<
      Layer.Layer<
        CommandExecutor.CommandExecutor,
        PlatformError.PlatformError,
        CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
      >
    >()
  })

  it("of FaultyOpenCode need a platform", () => {
    expect(FaultyOpenCode.layerOpenCode([FaultyOpenCode.sqliteCrash])).type.toBe<
      Layer.Layer<
        OpenCode.OpenCode | FaultyOpenCode.FaultyOpenCode,
        PlatformError.PlatformError,
        CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
      >
    >()
  })

  it("of ModelProvider need a server", () => {
    expect(ModelProvider.layer({ respond: () => ModelProvider.Reply.never })).type.toBe<
      Layer.Layer<ModelProvider.ModelProvider, never, HttpServer.HttpServer>
    >()
  })
})

describe("OpenCodeTest.Failure", () => {
  it("takes the fields of its error, and a partial if the error has one", () => {
    expect(OpenCodeTest.Failure.timeout).type.toBeCallableWith({ phase: "idle", partial: { text: "x" } })
    expect(OpenCodeTest.Failure.timeout).type.not.toBeCallableWith({ phase: "never" })
    expect(OpenCodeTest.Failure.config).type.not.toBeCallableWith({ partial: { text: "x" } })
  })
})
