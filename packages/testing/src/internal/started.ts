import type * as Command from "@effect/platform/Command"

/**
 * Returns the program that a command starts. The library wraps OpenCode in a shell that waits for the whole of a long
 * prompt: `/bin/sh -c <script> effect-opencode <file> <bytes> <program> <arguments>`.
 */
export const started = (command: Command.StandardCommand): Command.StandardCommand => {
  const [, , name, , , program, ...args] = command.args
  return command.command === "/bin/sh" && name === "effect-opencode" && program !== undefined
    ? Object.assign(Object.create(Object.getPrototypeOf(command)), command, { command: program, args })
    : command
}
