import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import {
  FleetBudget,
  Isolation,
  OpenCode,
  OpenCodeError,
  Permission,
  RunConfig,
  RunEvent,
  StartupGate,
  StructuredOutput
} from "effect-opencode"
import type { Conversation, RunOptions, RunResult, Session, TokenUsage, Version } from "effect-opencode"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

type Platform = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

declare const service: OpenCode.Service
declare const event: RunEvent.RunEvent
declare const session: Session.Session
declare const conversation: Conversation.Conversation
declare const events: Stream.Stream<"event", "failure", "requirement">
declare const work: Effect.Effect<"answer", "failure", "requirement">

type Handled<A, E = never> = Effect.Effect<A | "handled", E, OpenCode.OpenCode>

const handled = () => Effect.succeed("handled" as const)

const queryHandlers = {
  OpenCodeBinaryNotFoundError: handled,
  OpenCodeVersionError: handled,
  OpenCodeConfigError: handled,
  OpenCodeSpawnError: handled,
  OpenCodeProcessError: handled,
  OpenCodeServerError: handled
}

const runHandlers = {
  ...queryHandlers,
  OpenCodeSqliteError: handled,
  OpenCodeSessionError: handled,
  OpenCodePermissionError: handled,
  OpenCodeIncompleteError: handled,
  OpenCodeTimeoutError: handled,
  OpenCodeBudgetError: handled,
  OpenCodeCancelledError: handled
}

describe("run", () => {
  it("needs the service and nothing else", () => {
    expect(OpenCode.run("x")).type.toBe<
      Effect.Effect<RunResult.RunResult, OpenCodeError.RunError, OpenCode.OpenCode>
    >()
  })

  it("of the service needs nothing", () => {
    expect(service.run("x")).type.toBe<Effect.Effect<RunResult.RunResult, OpenCodeError.RunError>>()
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

  it("refuses unknown options", () => {
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

  it("has options that are data, and those that are named as functions", () => {
    expect<keyof RunOptions.RunOptions>().type.toBe<keyof RunOptions.Data | RunOptions.CallbackName>()
    expect<keyof RunOptions.Data & RunOptions.CallbackName>().type.toBe<never>()
    expect<Omit<RunOptions.RunOptions, RunOptions.CallbackName>>().type.toBeAssignableTo<RunOptions.Data>()
    expect<RunOptions.Data>().type.toBeAssignableTo<RunOptions.RunOptions>()
    expect<keyof RunOptions.Budget>().type.toBe<keyof NonNullable<RunOptions.Data["budget"]>>()
    expect<keyof RunOptions.SchemaOptions>().type.toBe<keyof RunOptions.SchemaData | RunOptions.CallbackName>()
    expect<RunOptions.SchemaData>().type.toBeAssignableTo<RunOptions.SchemaOptions>()
  })

  it("has results and errors whose slim forms are those of the same types", () => {
    expect<typeof RunResult.Slim.Type>().type.toBe<RunResult.RunResult>()
    expect(OpenCodeError.Slim(OpenCodeError.RunError)).type.toBe<
      Schema.Schema<OpenCodeError.RunError, typeof OpenCodeError.RunError.Encoded>
    >()
    expect(OpenCodeError.Slim(OpenCodeError.QueryError)).type.toBe<
      Schema.Schema<OpenCodeError.QueryError, typeof OpenCodeError.QueryError.Encoded>
    >()
  })

  it("has the options of the configuration and more", () => {
    expect<RunOptions.RunOptions>().type.toBeAssignableTo<RunConfig.RunConfig>()
    expect<RunConfig.RunConfig>().type.toBeAssignableTo<RunOptions.RunOptions>()
  })
})

describe("stream", () => {
  it("needs the service and nothing else", () => {
    expect(OpenCode.stream("x")).type.toBe<
      Stream.Stream<RunEvent.RunEvent, OpenCodeError.RunError, OpenCode.OpenCode>
    >()
    expect(service.stream("x", { timeout: 1 })).type.toBe<
      Stream.Stream<RunEvent.RunEvent, OpenCodeError.RunError>
    >()
  })
})

describe("the other methods", () => {
  it("ask and converse", () => {
    expect(service.version).type.toBe<Effect.Effect<Version.Version, OpenCodeError.QueryError>>()
    expect(service.models).type.toBe<Effect.Effect<ReadonlyArray<string>, OpenCodeError.QueryError>>()
    expect(service.session()).type.toBe<
      Effect.Effect<Session.Session, OpenCodeError.SessionOpenError, Scope.Scope>
    >()
    expect(OpenCode.session()).type.toBe<
      Effect.Effect<Session.Session, OpenCodeError.SessionOpenError, OpenCode.OpenCode | Scope.Scope>
    >()
    expect(OpenCode.importSession).type.toBeCallableWith(conversation, { isolation: { directory: "/data" } })
    expect(OpenCode.importSession(conversation)).type.toBe<
      Effect.Effect<Session.Location, OpenCodeError.QueryError, OpenCode.OpenCode>
    >()
  })

  it("take an id for a run and for a turn, and a data directory for a run and for a session", () => {
    expect(OpenCode.run).type.toBeCallableWith("x", { runId: "a", isolation: { directory: "/data" } })
    expect(OpenCode.session).type.toBeCallableWith({ isolation: "none" })
    expect(OpenCode.session).type.not.toBeCallableWith({ runId: "a" })
    expect(OpenCode.resume).type.not.toBeCallableWith({ sessionId: "ses_1" }, { isolation: "none" })
    expect(session.run).type.toBeCallableWith("x", { runId: "a" })
    expect(session.run).type.not.toBeCallableWith("x", { isolation: "none" })
    expect(OpenCode.run).type.toBeCallableWith("x", { onStart: () => Effect.void })
    expect(OpenCode.run).type.not.toBeCallableWith("x", { onStart: () => Effect.fail("no") })
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

  it("of a configuration fail when it does", () => {
    expect(OpenCode.layerConfig({ concurrency: Config.integer("AGENTS") })).type.toBe<
      Layer.Layer<OpenCode.OpenCode, ConfigError.ConfigError, Platform>
    >()
    expect(OpenCode.layerConfig).type.toBeCallableWith({ defaults: { model: Config.string("MODEL") } })
    expect(OpenCode.layerConfig).type.toBeCallableWith(Config.succeed({ concurrency: 4 }))
    expect(OpenCode.layerConfig).type.not.toBeCallableWith({ concurrency: Config.string("AGENTS") })
  })

  it("refuse unknown options", () => {
    expect(OpenCode.layer).type.not.toBeCallableWith({ isolation: "sometimes" })
    expect(OpenCode.layer).type.toBeCallableWith({ containment: "namespace" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ containment: "cgroup" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ concurrency: "many" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ environment: "none" })
    expect(OpenCode.layer).type.not.toBeCallableWith({ startup: { permits: 1 } })
  })

  it("of a fleet's budget need nothing, and runs need no such layer", () => {
    expect(FleetBudget.layer({ cost: 1 })).type.toBe<Layer.Layer<FleetBudget.FleetBudget>>()
    expect(Effect.map(FleetBudget.FleetBudget, (budget) => budget)).type.toBe<Effect.Effect<FleetBudget.Service>>()
    expect(OpenCode.run("x").pipe(Effect.provide(FleetBudget.layer({ cost: 1 })))).type.toBe<
      Effect.Effect<RunResult.RunResult, OpenCodeError.RunError, OpenCode.OpenCode>
    >()
  })
})

it("what runs are built from is internal", () => {
  expect(Isolation).type.not.toHaveProperty("make")
  expect(StartupGate).type.not.toHaveProperty("make")
  expect(StructuredOutput).type.not.toHaveProperty("candidates")
  expect(StructuredOutput).type.not.toHaveProperty("combine")
})

describe("errors", () => {
  it("are distinguished by their tags, each with its own facts", () => {
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
          OpenCodeError.RunError,
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

  it("of a run are those of the union, and no other", () => {
    expect(OpenCode.run("x").pipe(Effect.catchTags(runHandlers))).type.toBe<Handled<RunResult.RunResult>>()
    expect(session.run("x").pipe(Effect.catchTags(runHandlers))).type.toBe<
      Effect.Effect<RunResult.RunResult | "handled">
    >()
    expect(Stream.runDrain(OpenCode.stream("x")).pipe(Effect.catchTags(runHandlers))).type.toBe<Handled<void>>()
    const { OpenCodeTimeoutError: _, ...others } = runHandlers
    expect(OpenCode.run("x").pipe(Effect.catchTags(others))).type.toBe<
      Handled<RunResult.RunResult, OpenCodeError.OpenCodeTimeoutError>
    >()
    expect(Effect.catchTag).type.not.toBeCallableWith(service.run("x"), "OpenCodeOutputError", handled)
  })

  it("of a run with a schema are those of a run, and that of the answer", () => {
    const asked = OpenCode.runSchema(Schema.Number, "x")
    const handlers = { ...runHandlers, OpenCodeOutputError: handled }
    expect(asked.pipe(Effect.map(({ value }) => value), Effect.catchTags(handlers))).type.toBe<Handled<number>>()
    expect(asked.pipe(Effect.map(({ value }) => value), Effect.catchTags(runHandlers))).type.toBe<
      Handled<number, OpenCodeError.OpenCodeOutputError>
    >()
    expect<OpenCodeError.SchemaError>().type.toBe<OpenCodeError.RunError | OpenCodeError.OpenCodeOutputError>()
  })

  it("of a question are those of the union, and no other", () => {
    expect(service.version.pipe(Effect.catchTags(queryHandlers))).type.toBe<
      Effect.Effect<Version.Version | "handled">
    >()
    expect(service.models.pipe(Effect.catchTags(queryHandlers))).type.toBe<
      Effect.Effect<ReadonlyArray<string> | "handled">
    >()
    expect(session.export().pipe(Effect.as(1 as const), Effect.catchTags(queryHandlers))).type.toBe<
      Effect.Effect<1 | "handled">
    >()
    const { OpenCodeServerError: _, ...others } = queryHandlers
    expect(service.version.pipe(Effect.catchTags(others))).type.toBe<
      Effect.Effect<Version.Version | "handled", OpenCodeError.OpenCodeServerError>
    >()
    expect(Effect.catchTag).type.not.toBeCallableWith(service.version, "OpenCodeBudgetError", handled)
  })

  it("of opening a session are those of the union, and no other", () => {
    const openHandlers = { OpenCodeBinaryNotFoundError: handled, OpenCodeConfigError: handled }
    for (const opened of [service.session(), service.resume({ sessionId: "ses_1" })]) {
      expect(opened.pipe(Effect.catchTags(openHandlers))).type.toBe<
        Effect.Effect<Session.Session | "handled", never, Scope.Scope>
      >()
      expect(opened.pipe(Effect.catchTags({ OpenCodeConfigError: handled }))).type.toBe<
        Effect.Effect<Session.Session | "handled", OpenCodeError.OpenCodeBinaryNotFoundError, Scope.Scope>
      >()
    }
    expect(session.fork()).type.toBe<
      Effect.Effect<Session.Session, OpenCodeError.OpenCodeConfigError, Scope.Scope>
    >()
  })

  it("are all in one union", () => {
    expect<OpenCodeError.OpenCodeError>().type.toBe<
      | OpenCodeError.RunError
      | OpenCodeError.SchemaError
      | OpenCodeError.QueryError
      | OpenCodeError.SessionOpenError
    >()
    expect<typeof OpenCodeError.RunError.Type>().type.toBe<OpenCodeError.RunError>()
    expect<typeof OpenCodeError.SchemaError.Type>().type.toBe<OpenCodeError.SchemaError>()
    expect<typeof OpenCodeError.QueryError.Type>().type.toBe<OpenCodeError.QueryError>()
    expect<typeof OpenCodeError.SessionOpenError.Type>().type.toBe<OpenCodeError.SessionOpenError>()
    expect<typeof OpenCodeError.OpenCodeError.Type>().type.toBe<OpenCodeError.OpenCodeError>()
  })

  it("have no other tags", () => {
    expect(Effect.catchTag).type.not.toBeCallableWith(service.run("x"), "OpenCodeNothingError", () => Effect.void)
  })

  it("of a stream are the same", () => {
    expect(Stream.catchTag(service.stream("x"), "OpenCodeProcessError", () => Stream.empty)).type.toBe<
      Stream.Stream<
        RunEvent.RunEvent,
        Exclude<OpenCodeError.RunError, OpenCodeError.OpenCodeProcessError>
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
      Stream.Stream<RunEvent.StepFinish, OpenCodeError.RunError>
    >()
  })

  it("refuses anything but an event", () => {
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

  it("can be profiles", () => {
    expect(Permission.readOnly).type.toBeAssignableTo<Permission.Rules>()
    expect(OpenCode.run).type.toBeCallableWith("x", { permission: Permission.denyAll })
    expect(OpenCode.run).type.toBeCallableWith("x", { permission: Permission.make({ edit: "allow" }) })
  })
})

describe("withRunConfig", () => {
  it("keeps the success, error and requirements of an effect", () => {
    expect(RunConfig.withRunConfig(work, { agent: "plan" })).type.toBe<
      Effect.Effect<"answer", "failure", "requirement">
    >()
    expect(work.pipe(RunConfig.withRunConfig({ agent: "plan" }))).type.toBe<
      Effect.Effect<"answer", "failure", "requirement">
    >()
  })

  it("of a stream keeps what it emits, how it fails and what it needs", () => {
    expect(RunConfig.withRunConfigStream(events, { agent: "plan" })).type.toBe<
      Stream.Stream<"event", "failure", "requirement">
    >()
    expect(events.pipe(RunConfig.withRunConfigStream({ agent: "plan" }))).type.toBe<
      Stream.Stream<"event", "failure", "requirement">
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
