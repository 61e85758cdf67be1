import type * as Command from "@effect/platform/Command"

/**
 * Whether a command is the library's watchdog, which ends real processes with the program: `/bin/sh -c <script>
 * effect-opencode-leash <arguments>`. Where all processes are scripts there is nothing to watch.
 */
export const isWatchdog = ({ args, command }: Command.StandardCommand): boolean =>
  command === "/bin/sh" && args[2] === "effect-opencode-leash"

/** What the watchdog says instead. */
export const nothingToWatch = "nothing to watch\n"

/** Whether a command tries to make a process namespace: `/bin/sh -c <script> effect-opencode-namespace <arguments>`. */
export const isTrial = ({ args, command }: Command.StandardCommand): boolean =>
  command === "/bin/sh" && args[2] === "effect-opencode-namespace"

/** What such a command prints if it works: scripted processes need no real namespace. */
export const unshare = "/usr/bin/unshare\n"

/** How many arguments come before the program that one of the library's own starts; 0 for another program. */
const ownArguments = ({ args, command }: Command.StandardCommand): number => {
  if (command.endsWith("/unshare")) return args.indexOf("effect-opencode-init") + 1
  if (command !== "/bin/sh") return 0
  return args[2] === "effect-opencode-limit" ? 4 : args[2] === "effect-opencode" ? 5 : 0
}

/**
 * The program that a command starts. The library puts a shell before OpenCode that limits its file locks, by which its
 * processes are found, and one that waits for the whole of a long prompt: `/bin/sh -c <script> effect-opencode-limit
 * <limit> <program> <arguments>`, `/bin/sh -c <script> effect-opencode <file> <bytes> <program> <arguments>`. A program in a
 * process namespace is started by `unshare <options> -- /bin/sh -c <script> effect-opencode-init <program> <arguments>`.
 */
export const started = (command: Command.StandardCommand): Command.StandardCommand => {
  const own = ownArguments(command)
  if (own === 0) return command
  const [program, ...args] = command.args.slice(own)
  return program === undefined
    ? command
    : started(Object.assign(Object.create(Object.getPrototypeOf(command)), command, { command: program, args }))
}
