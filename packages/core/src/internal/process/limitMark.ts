import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { Program } from "./program.js"
import { shell } from "./wholeStdin.js"

/**
 * A mark that an empty environment does not remove. Every process has a limit of file locks, which Linux has not enforced
 * since 2.4.25. Children inherit it through every `fork`, `exec` and `setsid`, nobody without privileges can raise it, and
 * everybody can read it in `/proc`. A process that we start gets a limit of its own: 18 digits, of which the first nine
 * are those of the program.
 */
export interface LimitMark {
  /** The digits of the program, which no other program on the machine has; empty if processes cannot be marked. */
  readonly program: string
  /** The next limit; `undefined` if processes cannot be marked. */
  readonly next: () => string | undefined
}

/** Marks nothing. */
export const none: LimitMark = { program: "", next: () => undefined }

/** What the script is called, by which tests with a scripted executor see through it. */
export const name = "effect-opencode-limit"

/** The option is `-w` in dash and BusyBox, `-x` in bash and zsh. */
const script = "ulimit -w \"$1\" 2> /dev/null || ulimit -x \"$1\" 2> /dev/null; shift; exec \"$@\""

/** A program that is started with a limit, which stands for itself. */
export const wrap = ({ binary, invocation }: Program, limit: string | undefined): Program =>
  limit === undefined ? { binary, invocation } : {
    binary: shell,
    invocation: { ...invocation, args: ["-c", script, name, limit, binary, ...invocation.args] }
  }

/** The hard limit, as `/proc/PID/limits` has it. */
export const parse = (limits: string): string | undefined => /^Max file locks\s+\S+\s+(\S+)/m.exec(limits)?.[1]

/** The limit of a process. */
export const read = (
  { fileSystem }: { readonly fileSystem: FileSystem.FileSystem },
  pid: string
): Effect.Effect<string | undefined> =>
  fileSystem.readFile(`/proc/${pid}/limits`).pipe(
    Effect.map((bytes) => parse(new TextDecoder("latin1").decode(bytes))),
    Effect.orElseSucceed(() => undefined)
  )

/** Nine digits, the first of which is not zero. */
const digits = (number: number): string => String(100_000_000 + number % 900_000_000)

/**
 * The marks of this program. A program that has a limit already is inside a run, whose end must find its runs, too: it
 * passes that limit on.
 */
export const make = (services: { readonly fileSystem: FileSystem.FileSystem }): Effect.Effect<LimitMark> =>
  Effect.map(read(services, "self"), (own) => {
    if (own !== "unlimited") return none
    // Not `Random`: programs with the same seed would have the same digits.
    const [first, second] = globalThis.crypto.getRandomValues(new Uint32Array(2))
    const program = digits(first!)
    let count = second!
    return { program, next: () => `${program}${digits(count++)}` }
  })
