/** The errors of scripted processes. */
import type * as Command from "@effect/platform/Command"
import * as PlatformError from "@effect/platform/Error"
import type * as MockCommandExecutor from "../../MockCommandExecutor.js"

/** The text of Node's executor, which contains the whole command line, secrets included. */
export const systemError = (
  command: Command.StandardCommand,
  method: string,
  description: string,
  reason: PlatformError.SystemErrorReason = "Unknown"
): PlatformError.SystemError =>
  new PlatformError.SystemError({
    reason,
    module: "Command",
    method,
    description,
    pathOrDescriptor: `${command.command} ${command.args.join(" ")}`,
    cause: new Error(description)
  })

export const unscripted = (command: MockCommandExecutor.RecordedCommand, why: string): PlatformError.SystemError =>
  new PlatformError.SystemError({
    reason: "Unknown",
    module: "Command",
    method: "spawn",
    description: `MockCommandExecutor has no script for this command: ${why}`,
    pathOrDescriptor: command.command
  })

const codes: Partial<Record<PlatformError.SystemErrorReason, string>> = {
  AlreadyExists: "EEXIST",
  BadResource: "ENOTDIR",
  Busy: "EBUSY",
  NotFound: "ENOENT",
  PermissionDenied: "EACCES"
}

/** The error of a start, with Node's text. */
export const spawnError = (
  command: Command.StandardCommand,
  reason: PlatformError.SystemErrorReason
): PlatformError.SystemError =>
  systemError(command, "spawn", `spawn ${command.command} ${codes[reason] ?? reason}`, reason)
