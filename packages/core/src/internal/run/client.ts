import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Schedule from "effect/Schedule"
import type { OpenCodeSqliteError } from "../../OpenCodeError.js"
import type { RunOptions } from "../../RunOptions.js"
import type { FairSemaphore } from "../util/fairSemaphore.js"
import type { Lifetime } from "./lifetime.js"
import type { RateGate } from "./rateGate.js"
import type { Gate } from "./startupGate.js"
import type { Transport } from "./transport.js"

/** The state and services that the runs of one layer share. */
export interface Client {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly gate: Gate
  readonly running: FairSemaphore
  readonly rateGate: RateGate
  readonly defaults: RunOptions
  readonly retry: Schedule.Schedule<unknown, OpenCodeSqliteError>
  readonly transport: Transport
  /** The lifetime that ends the runs. */
  readonly lifetime: Lifetime
}
