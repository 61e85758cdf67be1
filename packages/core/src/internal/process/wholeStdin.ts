/**
 * In bytes. The buffer of a new pipe takes this much at once on every platform, so the writer cannot die in the middle;
 * macOS has the smallest one, 8 KiB.
 */
const takenAtOnce = 4096

/**
 * Collects stdin in a file and becomes the program with the file as its stdin, unless that is shorter than announced:
 * then the writer has died. The tools are looked for in the usual places first: `PATH` can name none, or the working
 * directory, where a project could put its own.
 */
const script = [
  "(PATH=/usr/bin:/bin${PATH:+:$PATH}; umask 077; cat > \"$1\"; [ $(wc -c < \"$1\") -eq \"$2\" ] || { rm -f \"$1\"; exit 1; })",
  "exec < \"$1\"",
  "(PATH=/usr/bin:/bin${PATH:+:$PATH}; exec rm -f \"$1\")",
  "shift 2",
  "exec \"$@\""
].join(" && ")

/** Not by its name alone: a `PATH` with a relative directory would find one in the project. */
export const shell = "/bin/sh"

/** What the script is called, by which tests with a scripted executor see through it. */
const name = "effect-opencode"

/** Everything that a process is started with. */
export interface Invocation {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
  readonly stdin: string
}

/** A program and its input. */
export interface Program {
  readonly binary: string
  readonly invocation: Invocation
}

export interface Options {
  /** Does not exist, and is removed before the program starts. */
  readonly file: string
  /** The program would do something without any input too. */
  readonly actsOnNothing: boolean
}

/**
 * Makes sure that a program sees all of its stdin or is not started: OpenCode takes what a dead writer has left for the
 * whole prompt.
 */
export const guarded = ({ binary, invocation }: Program, options: Options): Program => {
  const bytes = invocation.stdin === "" ? 0 : new TextEncoder().encode(invocation.stdin).length
  return bytes === 0 || (bytes <= takenAtOnce && !options.actsOnNothing) ? { binary, invocation } : {
    binary: shell,
    invocation: {
      ...invocation,
      args: ["-c", script, name, options.file, String(bytes), binary, ...invocation.args]
    }
  }
}
