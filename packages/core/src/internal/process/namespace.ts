/**
 * Starts programs in PID namespaces of their own. The kernel ends every process of a namespace when its first one has
 * ended: those with sessions of their own, without parents, without an environment, and those that ignore SIGTERM.
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import * as systemError from "../util/systemError.js"
import type { Wrap } from "./program.js"
import { shell } from "./wholeStdin.js"

/** The name of the first process's script, by which tests with a scripted executor recognize it. */
export const initName = "effect-opencode-init"

/**
 * The first process of a namespace. It starts the program, waits for it, and collects processes without parents.
 *
 * Signals to the run's group reach the program directly, so it only has to survive them: a trap does not change what the
 * program does with them, whereas an ignored signal would be ignored by the program as well. Its stderr is closed,
 * because shells report how a program ended there.
 */
const init = "trap : HUP INT QUIT TERM; exec 3>&2 2> /dev/null; (exec 2>&3 3>&-; exec \"$@\"); exit"

/** The name of the script that tries it, by which tests with a scripted executor recognize it. */
export const trialName = "effect-opencode-namespace"

/**
 * Prints where `unshare` is, and with which options it makes a namespace for this user: without further ones, which takes
 * privileges, or else with a user namespace, in which every file keeps its owner.
 */
const trial = `PATH=/usr/bin:/bin:/usr/sbin:/sbin\${PATH:+:$PATH}
tool=$(command -v unshare)
case $tool in /*) ;; *) exit ;; esac
for mapping in '' '--user --map-current-user'; do
  why=$("$tool" $mapping "$@" ${shell} -c '[ $PPID -eq 1 ]' 2>&1) && { printf '%s\\n' "$tool" $mapping; exit; }
done
printf 'refused\\n%s\\n' "$why"`

/**
 * `unshare` stays outside and waits. It survives SIGTERM and SIGINT, and takes the namespace with it when it is killed.
 * `/proc` shows the namespace. What is mounted later outside is seen inside, and not the other way round.
 */
const fixed = [
  "--pid",
  "--fork",
  "--kill-child",
  "--propagation",
  "slave",
  "--mount-proc",
  "--",
  shell,
  "-c",
  init,
  initName
]

/** How this user makes namespaces. */
export interface Means {
  /** The absolute path of `unshare`. */
  readonly tool: string
  /** Whether it takes a user namespace. */
  readonly user: boolean
}

/** The arguments of `unshare` before the program. */
const before = ({ user }: Means): ReadonlyArray<string> => [...(user ? ["--user", "--map-current-user"] : []), ...fixed]

/** Starts a program in a namespace. */
export const wrap = (means: Means): Wrap => ({ binary, invocation }) => ({
  binary: means.tool,
  invocation: { ...invocation, args: [...before(means), binary, ...invocation.args] },
  isContainer: true
})

/** Finds out whether this user can make namespaces here, by making one; returns the reason if not. */
export const find = (
  { executor }: { readonly executor: CommandExecutor.CommandExecutor }
): Effect.Effect<Means, string> =>
  executor.string(
    Command.feed(Command.make(shell, "-c", trial, trialName, ...fixed), "")
  ).pipe(
    Effect.mapError((error) => `a process namespace could not be tried (${systemError.describe(error)})`),
    Effect.flatMap((text) => {
      const [first = "", ...rest] = text.split("\n").filter((line) => line !== "")
      if (first.startsWith("/")) return Effect.succeed({ tool: first, user: rest.length > 0 })
      return Effect.fail(
        first === ""
          ? "process namespaces need Linux and `unshare` of util-linux, and this machine has no `unshare`"
          : `this machine does not let this user make process namespaces (${rest.at(-1) ?? "no reason was given"}); ` +
            "unprivileged user namespaces can be switched off, and most containers forbid namespaces inside of them"
      )
    })
  )

/** Starts programs in namespaces, or fails if that is not possible here. */
export const make = (
  services: { readonly executor: CommandExecutor.CommandExecutor }
): Effect.Effect<Wrap, OpenCodeConfigError> =>
  find(services).pipe(
    Effect.mapBoth({
      onFailure: (reason) => new OpenCodeConfigError({ path: "containment", reason }),
      onSuccess: wrap
    })
  )
