/** The programs that make a sandbox. */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as HostEnvironment from "../../HostEnvironment.js"
import * as bubblewrap from "../process/bubblewrap.js"
import { shell } from "../process/wholeStdin.js"
import * as inTime from "../util/inTime.js"
import * as systemError from "../util/systemError.js"

export interface Services {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

/** Absolute paths of programs. */
export interface Tools {
  readonly bubblewrap: string
  /** Only for a network of its own. */
  readonly socat: string | undefined
}

/** Before `PATH`, in which a package manager can have put a directory of a project. */
const usual = ["/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin"]

const located = ({ fileSystem, path }: Services, name: string): Effect.Effect<string | undefined> =>
  Effect.gen(function*() {
    const { variables } = yield* HostEnvironment.facts
    const directories = [...usual, ...(variables["PATH"] ?? "").split(":").filter((one) => path.isAbsolute(one))]
    for (const directory of directories) {
      const file = path.join(directory, name)
      const isThere = yield* fileSystem.stat(file).pipe(
        Effect.map((info) => info.type === "File" && (info.mode & 0o111) !== 0),
        Effect.orElseSucceed(() => false)
      )
      if (isThere) return file
    }
    return undefined
  })

/** How long a first start may take; usual are 20 milliseconds. */
const patience = Duration.seconds(30)

/** The start of a process does not go by the clock of a test. */
const kernelClock = Clock.make()

/** Starts a program that does nothing, in the same way as a run. */
const tried = ({ executor }: Services, binary: string, ownNetwork: boolean): Effect.Effect<void, string> =>
  Effect.scoped(Effect.gen(function*() {
    const args = [...bubblewrap.args({ cwd: "/", mounts: [], ownNetwork }), shell, "-c", ":"]
    const process = yield* executor.start(Command.make(binary, ...args))
    const [said, code] = yield* Effect.all([
      Stream.mkString(Stream.decodeText(process.stderr)),
      process.exitCode
    ], { concurrency: 2 })
    if (code !== 0) return yield* Effect.fail(said.trim().split("\n", 1)[0] || `exit code ${code}`)
  })).pipe(
    Effect.mapError((error) => typeof error === "string" ? error : systemError.describe(error)),
    inTime.orFail(patience, () => `not within ${Duration.format(patience)}`),
    Effect.withClock(kernelClock),
    Effect.mapError((reason) =>
      `${binary} cannot make a sandbox on this machine (${reason}); in a container, user namespaces or CAP_SYS_ADMIN have to be allowed`
    )
  )

/** Finds the tools and tries them; fails with the reason why there is no sandbox. */
export const find = (services: Services, ownNetwork: boolean): Effect.Effect<Tools, string> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const isLinux = path.sep === "/" && (yield* Effect.orElseSucceed(fileSystem.exists("/proc/self/ns"), () => false))
    if (!isLinux) return yield* Effect.fail("only Linux has this sandbox")
    const binary = yield* located(services, "bwrap")
    if (binary === undefined) return yield* Effect.fail("there is no bubblewrap; install it (apt install bubblewrap)")
    const socat = ownNetwork ? yield* located(services, "socat") : undefined
    if (ownNetwork && socat === undefined) {
      return yield* Effect.fail("a `network` other than \"all\" needs socat; install it (apt install socat)")
    }
    yield* tried(services, binary, ownNetwork)
    return { bubblewrap: binary, socat }
  })
