import type { Program } from "./program.js"

/**
 * In bytes. The buffer of a new pipe takes this much at once on every platform, so the writer cannot die in the middle;
 * macOS has the smallest one, 8 KiB.
 */
const takenAtOnce = 4096

/**
 * Collects stdin in a file and executes the program with a file as its stdin, unless the first file is shorter than
 * announced, which means that the writer has died. The tools are searched in the usual places first: `PATH` can lack
 * them, or contain the working directory, where a project could place its own.
 */
const script = (stdin: string): string =>
  [
    "(PATH=/usr/bin:/bin${PATH:+:$PATH}; umask 077; cat > \"$1\"; [ $(wc -c < \"$1\") -eq \"$2\" ] || { rm -f \"$1\"; exit 1; })",
    `exec < ${stdin}`,
    "(PATH=/usr/bin:/bin${PATH:+:$PATH}; exec rm -f \"$1\")",
    "shift 2",
    "exec \"$@\""
  ].join(" && ")

/** An absolute path, because a `PATH` with a relative directory would find one in the project. */
export const shell = "/bin/sh"

/** The name of the script, by which tests with a scripted executor recognize it. */
const name = "effect-opencode"

export interface Options {
  /** True if the program must not begin before its stdin arrives, even if that is empty. */
  readonly isHeld?: boolean | undefined
  /** The file for stdin. It must not exist, and is removed before the program starts. */
  readonly file: string
  /** True if the program also acts without any input. */
  readonly actsOnNothing: boolean
}

/**
 * Wraps a program so that it receives its complete stdin or is not started: OpenCode would take what a dead writer left
 * as the whole prompt.
 */
export const guarded = ({ binary, invocation }: Program, options: Options): Program => {
  const bytes = invocation.stdin === "" ? 0 : new TextEncoder().encode(invocation.stdin).length
  const through = (source: string, stdin: string, bytes: number): Program => ({
    binary: shell,
    invocation: {
      ...invocation,
      stdin,
      args: ["-c", script(source), name, options.file, String(bytes), binary, ...invocation.args]
    }
  })
  // The end of an empty stdin would look like the death of its writer.
  if (bytes === 0) return options.isHeld === true ? through("/dev/null", "\n", 1) : { binary, invocation }
  return bytes <= takenAtOnce && !options.actsOnNothing
    ? { binary, invocation }
    : through("\"$1\"", invocation.stdin, bytes)
}
