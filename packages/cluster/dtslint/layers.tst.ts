import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as Sharding from "@effect/cluster/Sharding"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as SocketServer from "@effect/platform/SocketServer"
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Activity from "@effect/workflow/Activity"
import type { OpenCode, OpenCodeError } from "effect-opencode"
import { AgentRun, Cluster, FleetLimits, RunLedger } from "effect-opencode-cluster"
import type { AgentJob, LiveEvent } from "effect-opencode-cluster"
import type * as FleetBudget from "effect-opencode/FleetBudget"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

type Platform = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

type Provided = AgentRun.AgentRun | RunLedger.RunLedger | Sharding.Sharding | MessageStorage.MessageStorage

const job = { id: "a", prompt: "b" } satisfies AgentJob.AgentJob

const handled = () => Effect.succeed("handled" as const)

describe("AgentRun", () => {
  it("needs the service and nothing else, and says how it fails", () => {
    type Failure = AgentJob.JobError | RunLedger.LedgerError
    type Asked = AgentJob.JobUnknownError | RunLedger.LedgerError
    expect(AgentRun.execute(job)).type.toBe<
      Effect.Effect<AgentJob.JobResult, Failure | AgentJob.JobUnknownError, AgentRun.AgentRun>
    >()
    expect(AgentRun.result("a")).type.toBe<
      Effect.Effect<AgentJob.JobResult, Failure | AgentJob.JobUnknownError, AgentRun.AgentRun>
    >()
    expect(AgentRun.submit(job)).type.toBe<Effect.Effect<boolean, Failure, AgentRun.AgentRun>>()
    expect(AgentRun.poll("a")).type.toBe<Effect.Effect<AgentRun.JobState, Asked, AgentRun.AgentRun>>()
    expect(AgentRun.cancel("a", "b")).type.toBe<Effect.Effect<boolean, Asked, AgentRun.AgentRun>>()
    expect(AgentRun.answer("a", "b", "once")).type.toBe<Effect.Effect<boolean, Asked, AgentRun.AgentRun>>()
    expect(AgentRun.events("a")).type.toBe<Stream.Stream<LiveEvent.LiveEvent, Asked, AgentRun.AgentRun>>()
    expect(AgentRun.health).type.toBe<Effect.Effect<AgentRun.Health, RunLedger.LedgerError, AgentRun.AgentRun>>()
    expect(AgentRun.activity("a", job)).type.toBe<
      Activity.Activity<typeof AgentJob.JobResult, typeof AgentRun.ActivityError, AgentRun.AgentRun>
    >()
  })

  it("execute: a handler for each error leaves none", () => {
    expect(Effect.catchTags(AgentRun.execute(job), {
      OpenCodeBinaryNotFoundError: handled,
      OpenCodeVersionError: handled,
      OpenCodeConfigError: handled,
      OpenCodeSpawnError: handled,
      OpenCodeProcessError: handled,
      OpenCodeServerError: handled,
      OpenCodeSqliteError: handled,
      OpenCodeSessionError: handled,
      OpenCodePermissionError: handled,
      OpenCodeIncompleteError: handled,
      OpenCodeTimeoutError: handled,
      OpenCodeBudgetError: handled,
      OpenCodeCancelledError: handled,
      JobLostError: handled,
      JobCancelledError: handled,
      JobConflictError: handled,
      JobUnknownError: handled,
      JobWorkspaceError: handled,
      LedgerError: handled
    })).type.toBe<Effect.Effect<AgentJob.JobResult | "handled", never, AgentRun.AgentRun>>()
  })

  it("takes no options of a run that cannot travel", () => {
    expect(AgentRun.execute).type.not.toBeCallableWith({ ...job, options: { onEvent: handled } })
    expect(AgentRun.execute).type.not.toBeCallableWith({ ...job, options: { runId: "mine" } })
    expect(AgentRun.execute).type.not.toBeCallableWith({ ...job, afterCrash: "repeat" })
  })

  it("layer refuses options, and needs the engine, the ledger and what runs agents", () => {
    expect(AgentRun.layer({ name: "a" })).type.toBe<
      Layer.Layer<
        AgentRun.AgentRun,
        OpenCodeError.OpenCodeConfigError,
        | Sharding.Sharding
        | MessageStorage.MessageStorage
        | RunLedger.RunLedger
        | OpenCode.OpenCode
        | Platform
      >
    >()
    expect(AgentRun.layerClient).type.toBe<
      Layer.Layer<AgentRun.AgentRun, never, Sharding.Sharding | RunLedger.RunLedger>
    >()
  })
})

describe("Cluster", () => {
  it("layerEmbedded needs no database", () => {
    expect(Cluster.layerEmbedded({ filename: "a.db" })).type.toBe<
      Layer.Layer<Provided, Cluster.ClusterConfigError | RunLedger.LedgerError, OpenCode.OpenCode | Platform>
    >()
  })

  it("layerRunner needs a database and what runs agents", () => {
    expect(Cluster.layerRunner({ host: "a", port: 1 })).type.toBe<
      Layer.Layer<
        Provided,
        Cluster.ClusterConfigError | RunLedger.LedgerError | SocketServer.SocketServerError,
        OpenCode.OpenCode | Platform | SqlClient.SqlClient
      >
    >()
    expect(Cluster.layerRunner).type.not.toBeCallableWith({ host: "a" })
  })

  it("layerClient needs a database only", () => {
    expect(Cluster.layerClient()).type.toBe<
      Layer.Layer<Provided, Cluster.ClusterConfigError | RunLedger.LedgerError, SqlClient.SqlClient>
    >()
  })

  it("layerTest needs an OpenCode only", () => {
    expect(Cluster.layerTest()).type.toBe<Layer.Layer<Provided, Cluster.ClusterConfigError, OpenCode.OpenCode>>()
  })
})

describe("FleetLimits and RunLedger", () => {
  it("need a database", () => {
    expect(FleetLimits.layerBudget({ name: "a", cost: 1 })).type.toBe<
      Layer.Layer<FleetBudget.FleetBudget, RunLedger.LedgerError, SqlClient.SqlClient>
    >()
    expect(RunLedger.layerSql).type.toBe<Layer.Layer<RunLedger.RunLedger, RunLedger.LedgerError, SqlClient.SqlClient>>()
  })
})
