import type { CommandExecutor, FileSystem, Path } from "@effect/platform"
import { Config, Effect, Redacted, Stream } from "effect"
import type { ConfigError, Layer, Scope } from "effect"
import { FleetBudget, OpenCode, Permission, RunConfig, RunEvent, StartupGate } from "effect-opencode"
import type { OpenCodeError, RunOptions, RunResult, Session, TokenUsage, Version } from "effect-opencode"
import { describe, expect, it } from "tstyche"

type Platform = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

declare const service: OpenCode.Service
declare const event: RunEvent.RunEvent
declare const work: Effect.Effect<"answer", "failure", "requirement">

describe("run", () => {
  it("needs the service and nothing else", () => {
    expect(OpenCode.run("x")).type.toBe<
      Effect.Effect<RunResult.RunResult, OpenCodeError.OpenCodeError, OpenCode.OpenCode>
    >()
  })

  it("of the service needs nothing", () => {
    expect(service.run("x")).type.toBe<Effect.Effect<RunResult.RunResult, OpenCodeError.OpenCodeError>>()
  })

  it("accepts its options", () => {
    expect(OpenCode.run).type.toBeCallableWith("x")
    expect(OpenCode.run).type.toBeCallableWith("x", {})
    expect(OpenCode.run).type.toBeCallableWith("x", {
      model: "anthropic/claude",
      cwd: "~/src",
      files: ["a.ts"],
      password: Redacted.make("secret"),
      extraEnv: { A: "1", B: Redacted.make("2") },
      permission: { edit: "deny", bash: { "*": "deny", "git log*": "allow" } },
      timeout: "5 minutes",
      idleTimeout: 1000,
      exitGrace: Infinity,
      budget: { steps: 10, cost: 1.5, tokens: undefined },
      promptVia: "argv",
      logLevel: "DEBUG"
    })
    expect(OpenCode.run).type.toBeCallableWith("x", { model: undefined, timeout: undefined, budget: undefined })
  })

  it("refuses what is none of its options", () => {
    expect(OpenCode.run).type.not.toBeCallableWith()
    expect(OpenCode.run).type.not.toBeCallableWith(["x"])
    expect(OpenCode.run).type.not.toBeCallableWith("x", { modle: "anthropic/claude" })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { password: "secret" })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { timeout: "soon" })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { budget: { dollars: 1 } })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { promptVia: "fax" })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { logLevel: "TRACE" })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { extraEnv: { A: 1 } })
  })

  it("has options that are the configuration and more", () => {
    expect<RunOptions.RunOptions>().type.toBeAssignableTo<RunConfig.RunConfig>()
    expect<RunConfig.RunConfig>().type.toBeAssignableTo<RunOptions.RunOptions>()
  })
})

describe("stream", () => {
  it("needs the service and nothing else", () => {
    expect(OpenCode.stream("x")).type.toBe<
      Stream.Stream<RunEvent.RunEvent, OpenCodeError.OpenCodeError, OpenCode.OpenCode>
    >()
    expect(service.stream("x", { timeout: 1 })).type.toBe<
      Stream.Stream<RunEvent.RunEvent, OpenCodeError.OpenCodeError>
    >()
  })
})

describe("the other methods", () => {
  it("ask and converse", () => {
    expect(service.version).type.toBe<Effect.Effect<Version.Version, OpenCodeError.OpenCodeError>>()
    expect(service.models).type.toBe<Effect.Effect<ReadonlyArray<string>, OpenCodeError.OpenCodeError>>()
    expect(service.session()).type.toBe<
      Effect.Effect<Session.Session, OpenCodeError.OpenCodeError, Scope.Scope>
    >()
    expect(OpenCode.session()).type.toBe<
      Effect.Effect<Session.Session, OpenCodeError.OpenCodeError, OpenCode.OpenCode | Scope.Scope>
    >()
  })
})

describe("layers", () => {
  it("leave the platform open and cannot fail", () => {
    expect(OpenCode.layer()).type.toBe<Layer.Layer<OpenCode.OpenCode, never, Platform>>()
    expect(OpenCode.layer({ concurrency: 4, isolation: { directory: "/data" } })).type.toBe<
      Layer.Layer<OpenCode.OpenCode, never, Platform>
    >()
    expect(OpenCode.make()).type.toBe<Effect.Effect<OpenCode.Service, never, Platform | Scope.Scope>>()
  })

  it("of a configuration fail where that does", () => {
    expect(OpenCode.layerConfig({ concurrency: Config.integer("AGENTS") })).type.toBe<
      Layer.Layer<OpenCode.OpenCode, ConfigError.ConfigError, Platform>
    >()
    expect(OpenCode.layerConfig).type.toBeCallableWith({ defaults: { model: Config.string("MODEL") } })
    expect(OpenCode.layerConfig).type.toBeCallableWith(Config.succeed({ concurrency: 4 }))
    expect(OpenCode.layerConfig).type.not.toBeCallableWith({ concurrency: Config.string("AGENTS") })
  })

  it("refuse what is none of their options", () => {
    expect(OpenCode.layer).type.not.toBeCallableWith({ isolation: "sometimes" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ concurrency: "many" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ environment: "none" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ startup: { permits: 1 } })
  })

  it("of a fleet's budget need nothing, and no run needs one", () => {
    expect(FleetBudget.layer({ cost: 1 })).type.toBe<Layer.Layer<FleetBudget.FleetBudget>>()
    expect(OpenCode.run("x").pipe(Effect.provide(FleetBudget.layer({ cost: 1 })))).type.toBe<
      Effect.Effect<RunResult.RunResult, OpenCodeError.OpenCodeError, OpenCode.OpenCode>
    >()
  })

  it("the gate is used in a scope", () => {
    expect(StartupGate.make()).type.toBe<Effect.Effect<StartupGate.StartupGate>>()
    expect<StartupGate.StartupGate["enter"]>().type.toBe<Effect.Effect<StartupGate.Pass, never, Scope.Scope>>()
  })
})

describe("errors", () => {
  it("are told apart by their tags, each with its own facts", () => {
    const handled = OpenCode.run("x").pipe(
      Effect.as("done" as const),
      Effect.catchTags({
        OpenCodeTimeoutError: (error) => {
          expect(error.phase).type.toBe<"startup" | "idle" | "total">()
          expect(error.partial).type.toBe<OpenCodeError.RunSnapshot>()
          expect(error.partial.usage).type.toBe<TokenUsage.TokenUsage>()
          return Effect.succeed("late" as const)
        },
        OpenCodeSessionError: (error) => {
          expect(error.kind).type.toBe<RunEvent.SessionErrorKind>()
          return Effect.succeed("told" as const)
        },
        OpenCodeBudgetError: (error) => {
          expect(error.partial).type.toBe<OpenCodeError.RunSnapshot | undefined>()
          return Effect.succeed("poor" as const)
        },
        OpenCodeConfigError: (error) => {
          expect(error).type.not.toHaveProperty("partial")
          expect(error.path).type.toBe<string>()
          return Effect.fail(error)
        }
      })
    )
    expect(handled).type.toBe<
      Effect.Effect<
        "done" | "late" | "told" | "poor",
        | Exclude<
          OpenCodeError.OpenCodeError,
          | OpenCodeError.OpenCodeTimeoutError
          | OpenCodeError.OpenCodeSessionError
          | OpenCodeError.OpenCodeBudgetError
          | OpenCodeError.OpenCodeConfigError
        >
        | OpenCodeError.OpenCodeConfigError,
        OpenCode.OpenCode
      >
    >()
  })

  it("have no other tags", () => {
    expect(Effect.catchTag).type.not.toBeCallableWith(service.run("x"), "OpenCodeNothingError", () => Effect.void)
  })

  it("of a stream are the same", () => {
    expect(Stream.catchTag(service.stream("x"), "OpenCodeProcessError", () => Stream.empty)).type.toBe<
      Stream.Stream<
        RunEvent.RunEvent,
        Exclude<OpenCodeError.OpenCodeError, OpenCodeError.OpenCodeProcessError>
      >
    >()
  })
})

describe("RunEvent.is", () => {
  it("narrows an event", () => {
    if (RunEvent.is("ToolUse")(event)) {
      expect(event).type.toBe<RunEvent.ToolUse>()
      expect(event.status).type.toBe<"completed" | "error">()
    }
    if (!RunEvent.is("Text")(event)) {
      expect(event).type.toBe<Exclude<RunEvent.RunEvent, RunEvent.Text>>()
    }
  })

  it("narrows a list and a stream", () => {
    expect([event].filter(RunEvent.is("Text"))).type.toBe<Array<RunEvent.Text>>()
    expect(service.stream("x").pipe(Stream.filter(RunEvent.is("StepFinish")))).type.toBe<
      Stream.Stream<RunEvent.StepFinish, OpenCodeError.OpenCodeError>
    >()
  })

  it("refuses what is no event", () => {
    expect(RunEvent.is).type.not.toBeCallableWith("Tool")
  })
})

describe("permission rules", () => {
  it("are allow or deny, at any depth", () => {
    expect<"allow">().type.toBeAssignableTo<Permission.Rules>()
    expect<{ readonly edit: { readonly "*.py": "deny" } }>().type.toBeAssignableTo<Permission.Rules>()
    expect<"ask">().type.not.toBeAssignableTo<Permission.Rules>()
    expect<{ readonly edit: "ask" }>().type.not.toBeAssignableTo<Permission.Rules>()
    expect<{ readonly bash: { readonly "rm *": "ask" } }>().type.not.toBeAssignableTo<Permission.Rules>()
    expect(OpenCode.run).type.not.toBeCallableWith("x", { permission: { bash: { "rm *": "ask" } } })
  })

  it("come as profiles", () => {
    expect(Permission.readOnly).type.toBeAssignableTo<Permission.Rules>()
    expect(OpenCode.run).type.toBeCallableWith("x", { permission: Permission.denyAll })
    expect(OpenCode.run).type.toBeCallableWith("x", { permission: Permission.make({ edit: "allow" }) })
  })
})

describe("withRunConfig", () => {
  it("keeps what an effect gives, how it fails and what it needs", () => {
    expect(RunConfig.withRunConfig(work, { agent: "plan" })).type.toBe<
      Effect.Effect<"answer", "failure", "requirement">
    >()
    expect(work.pipe(RunConfig.withRunConfig({ agent: "plan" }))).type.toBe<
      Effect.Effect<"answer", "failure", "requirement">
    >()
  })

  it("takes configuration, not the options of a run", () => {
    expect(RunConfig.withRunConfig).type.not.toBeCallableWith(work, { timeout: "5 minutes" })
    expect(RunConfig.withRunConfig).type.not.toBeCallableWith(work, { permission: "ask" })
  })

  it("merges data-first and data-last", () => {
    expect(RunConfig.merge({ agent: "a" }, { agent: "b" })).type.toBe<RunConfig.RunConfig>()
    expect(RunConfig.merge({ agent: "b" })).type.toBe<(self: RunConfig.RunConfig) => RunConfig.RunConfig>()
  })
})
