import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import { OpenCodeServer } from "effect-opencode"
import type { OpenCode, RunEvent } from "effect-opencode"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

type Files = FileSystem.FileSystem | HttpClient.HttpClient | Path.Path

describe("a server of the layer", () => {
  it("provides the service over the platform", () => {
    expect(OpenCodeServer.layer()).type.toBe<
      Layer.Layer<OpenCode.OpenCode, never, CommandExecutor.CommandExecutor | Files>
    >()
    expect(OpenCodeServer.make()).type.toBe<
      Effect.Effect<OpenCode.Service, never, CommandExecutor.CommandExecutor | Files | Scope.Scope>
    >()
  })

  it("accepts its options", () => {
    expect(OpenCodeServer.layer).type.toBeCallableWith({
      concurrency: "unbounded",
      isolation: { directory: "data" },
      environment: "reviewed",
      defaults: { model: "anthropic/claude", extraEnv: { KEY: Redacted.make("x") } },
      rateLimitGate: true,
      ask: ["bash", "edit"],
      maxServers: 2,
      idleTimeToLive: "1 minute",
      startTimeout: undefined
    })
    expect(OpenCodeServer.layer).type.not.toBeCallableWith({ startup: { concurrency: 1 } })
    expect(OpenCodeServer.layer).type.not.toBeCallableWith({ url: "http://localhost:4096" })
  })
})

describe("an attached server", () => {
  it("needs no processes", () => {
    expect(OpenCodeServer.layerAttach({ url: "http://localhost:4096" })).type.toBe<
      Layer.Layer<OpenCode.OpenCode, never, Files>
    >()
  })

  it("gets its password as a Redacted", () => {
    const url = "http://localhost:4096"
    expect(OpenCodeServer.layerAttach).type.toBeCallableWith({ url, password: Redacted.make("x"), username: "me" })
    expect(OpenCodeServer.layerAttach).type.not.toBeCallableWith({ url, password: "x" })
    expect(OpenCodeServer.layerAttach).type.not.toBeCallableWith({})
  })
})

describe("a permission", () => {
  it("is granted once or not at all", () => {
    expect<"once" | "reject" | { readonly reject: string }>().type.toBe<OpenCodeServer.PermissionAnswer>()
    expect(OpenCodeServer.layer).type.toBeCallableWith({
      onPermission: ({ cwd, metadata, patterns, permission }: OpenCodeServer.PermissionRequest) =>
        Effect.succeed(
          permission === "bash" && patterns.length === 1 && metadata["command"] !== cwd
            ? "once" as const
            : { reject: "no" }
        )
    })
    expect(OpenCodeServer.layer).type.not.toBeCallableWith({ onPermission: () => Effect.succeed("always") })
    expect(OpenCodeServer.layer).type.not.toBeCallableWith({ onPermission: () => Effect.fail("boom") })
  })
})

describe("events that only a server sends", () => {
  it("are among the others", () => {
    expect<RunEvent.TextDelta>().type.toBeAssignableTo<RunEvent.RunEvent>()
    expect<RunEvent.PermissionAsked>().type.toBeAssignableTo<RunEvent.RunEvent>()
    expect<RunEvent.TextDelta["kind"]>().type.toBe<"text" | "reasoning">()
  })
})
