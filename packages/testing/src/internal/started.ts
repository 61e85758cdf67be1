import type * as Command from "@effect/platform/Command"

/**
 * Whether a command is the library's watchdog, which ends real processes with the program: `/bin/sh -c <script>
 * effect-opencode-leash <arguments>`. Where all processes are scripts there is nothing to watch.
 */
export const isWatchdog = ({ args, command }: Command.StandardCommand): boolean =>
  command === "/bin/sh" && args[2] === "effect-opencode-leash"

/** What the watchdog says instead. */
export const nothingToWatch = "nothing to watch\n"

/**
 * The program that a command starts. The library puts a shell before OpenCode that limits its file locks, by which its
 * processes are found, and one that waits for the whole of a long prompt: `/bin/sh -c <script> effect-opencode-limit
 * <limit> <program> <arguments>`, `/bin/sh -c <script> effect-opencode <file> <bytes> <program> <arguments>`.
 */
export const started = (command: Command.StandardCommand): Command.StandardCommand => {
  const [, , name, ...rest] = command.args
  const own = name === "effect-opencode-limit" ? 1 : name === "effect-opencode" ? 2 : undefined
  if (command.command !== "/bin/sh" || own === undefined) return command
  const [program, ...args] = rest.slice(own)
  return program === undefined
    ? command
    : started(Object.assign(Object.create(Object.getPrototypeOf(command)), command, { command: program, args }))
}
