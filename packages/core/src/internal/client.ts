import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type { Isolation } from "../Isolation.js"
import type { OpenCodeError, OpenCodeSqliteError } from "../OpenCodeError.js"
import type { RunOptions } from "../RunOptions.js"
import type { StartupGate } from "../StartupGate.js"
import type { Version } from "../Version.js"
import type { Lifetime } from "./lifetime.js"
import type { ModelList } from "./modelList.js"
import type { Owner } from "./owner.js"
import type { ProcessTable } from "./processTable.js"
import type { RateGate } from "./rateGate.js"
import type { Transport } from "./transport.js"
import type { Turnstile } from "./turnstile.js"

/** What the runs of one layer share. */
export interface Client {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly gate: StartupGate
  readonly running: Turnstile
  readonly rateGate: RateGate
  readonly defaults: RunOptions
  readonly retry: Schedule.Schedule<unknown, OpenCodeSqliteError>
  readonly transport: Transport
  /** What the runs end with. */
  readonly lifetime: Lifetime
}

/** What is needed to start processes. */
export interface Processes {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly table: ProcessTable
  readonly modelList: ModelList
  /** This program, for those who find its processes after it has died. Found out once. */
  readonly program: Effect.Effect<Owner | undefined>
  /** Found once; fails again and again if it cannot be found. */
  readonly binary: Effect.Effect<string, OpenCodeError>
  /** Asked once; asked again after a failure. */
  readonly version: Effect.Effect<Version, OpenCodeError>
  readonly defaults: RunOptions
  readonly isolation: Isolation
  readonly forceKillAfter: Duration.Duration
  /** The child's inherited environment: ours by the executor, or exactly these variables. */
  readonly environment: {
    readonly extend: boolean
    readonly variables: { readonly [name: string]: string | Redacted.Redacted }
  }
}
