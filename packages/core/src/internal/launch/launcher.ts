import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as HostEnvironment from "../../HostEnvironment.js"
import type { Isolation } from "../../Isolation.js"
import type { Options } from "../../OpenCode.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { OpenCodeBinaryNotFoundError, QueryError } from "../../OpenCodeError.js"
import type { RunOptions } from "../../RunOptions.js"
import type { Sandbox } from "../../Sandbox.js"
import type { Version } from "../../Version.js"
import type { Dialect } from "../opencode/dialect.js"
import { variableNames } from "../opencode/variables.js"
import type { Leash } from "../process/leash.js"
import * as leashes from "../process/leash.js"
import * as limitMarks from "../process/limitMark.js"
import * as processList from "../process/list.js"
import * as namespace from "../process/namespace.js"
import type { Owner } from "../process/owner.js"
import * as programs from "../process/program.js"
import type { ProcessTable } from "../process/table.js"
import * as table from "../process/table.js"
import * as binary from "./binary.js"
import type { ModelList } from "./modelList.js"
import * as modelList from "./modelList.js"
import * as sandboxTools from "./sandboxTools.js"

/** The version of a binary, and the dialect that drives it. */
export interface Release {
  readonly version: Version
  readonly dialect: Dialect
}

/** The sandbox of a layer, and the tools that make it, found once. */
export interface Sandboxing {
  readonly sandbox: Sandbox
  readonly tools: Effect.Effect<sandboxTools.Tools, OpenCodeConfigError>
}

/** The dependencies for starting OpenCode processes. */
export interface Launcher {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly table: ProcessTable
  readonly modelList: ModelList
  /** Ends everything with the program. */
  readonly leash: Leash
  readonly limitMark: limitMarks.LimitMark
  /** The sandbox of every process of OpenCode; `undefined` for none. */
  readonly sandboxing?: Sandboxing | undefined
  /** What every process of OpenCode is started by. Fails if this machine cannot do that. */
  readonly wrap: Effect.Effect<programs.Wrap, OpenCodeConfigError>
  /** Found once; fails again and again if it cannot be found. */
  readonly binary: Effect.Effect<string, OpenCodeBinaryNotFoundError>
  /** Queried once; queried again after a failure. */
  readonly release: Effect.Effect<Release, QueryError>
  readonly defaults: RunOptions
  readonly isolation: Isolation
  /** True for no warning about a version that was not tested. */
  readonly allowUntested?: boolean | undefined
  readonly forceKillAfter: Duration.Duration
  /** What the child inherits: our environment through the executor, or exactly these variables. */
  readonly environment: {
    readonly extend: boolean
    readonly variables: { readonly [name: string]: string | Redacted.Redacted }
  }
}

/** Variables without secrets. Credentials come from `auth.json`, or deliberately through `extraEnv`. */
const reviewed = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  variableNames.configHome,
  variableNames.cacheHome,
  variableNames.dataHome,
  variableNames.stateHome,
  variableNames.runtimeDirectory,
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "NO_PROXY",
  "USERPROFILE",
  "APPDATA",
  "LOCALAPPDATA",
  "PROGRAMDATA",
  "SYSTEMROOT",
  "COMSPEC",
  "PATHEXT",
  "WINDIR"
]

const environmentOf = (environment: Options["environment"]): Effect.Effect<Launcher["environment"]> => {
  if (environment === undefined || environment === "inherit") return Effect.succeed({ extend: true, variables: {} })
  if (environment !== "reviewed") return Effect.succeed({ extend: false, variables: environment })
  return Effect.map(HostEnvironment.facts, ({ variables }) => ({
    extend: false,
    variables: Object.fromEntries(reviewed.flatMap((name) => {
      const value = variables[name]
      return value === undefined ? [] : [[name, value]]
    }))
  }))
}

/** Caches a success; after a failure the next caller tries again. */
export const once = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<A, E>> =>
  Effect.gen(function*() {
    const lock = yield* Effect.makeSemaphore(1)
    let known: Option.Option<A> = Option.none()
    const ask = Effect.suspend(() =>
      Option.isSome(known) ? Effect.succeed(known.value) : Effect.tap(effect, (value) => {
        known = Option.some(value)
      })
    )
    return Effect.suspend(() => Option.isSome(known) ? Effect.succeed(known.value) : lock.withPermits(1)(ask))
  })

/** Without `/proc` a program is identified by its pid alone, and finding that out costs a process. */
const program = (services: processList.Services): Effect.Effect<Owner | undefined> =>
  Effect.flatMap(
    processList.hasProc(services),
    (hasProc) => hasProc ? processList.self(services) : Effect.succeed(undefined)
  )

const sandboxing = (services: sandboxTools.Services, sandbox: Sandbox): Effect.Effect<Sandboxing> =>
  Effect.map(
    once(Effect.mapError(
      sandboxTools.find(services, (sandbox.network ?? "all") !== "all"),
      (reason) => new OpenCodeConfigError({ path: "sandbox", reason })
    )),
    (tools) => ({ sandbox, tools })
  )

/** Makes the launcher for a layer's options. The version is queried on first use. */
export const make = (
  options: Pick<
    Options,
    "allowUntested" | "binary" | "containment" | "defaults" | "forceKillAfter" | "environment" | "leash" | "sandbox"
  >,
  isolation: Isolation
): Effect.Effect<
  Omit<Launcher, "release">,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path | Scope.Scope
> =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const find = binary.resolve(options.binary).pipe(
      Effect.provideService(FileSystem.FileSystem, fileSystem),
      Effect.provideService(Path.Path, path)
    )
    const self = yield* once(program({ executor, fileSystem, path }))
    const limitMark = path.sep === "\\" ? limitMarks.none : yield* limitMarks.make({ fileSystem })
    return {
      executor,
      fileSystem,
      path,
      table: yield* table.make({ executor, fileSystem, path }),
      leash: options.leash === false
        ? leashes.none(self)
        : yield* leashes.make({ executor, fileSystem, path }, self, limitMark.program),
      limitMark,
      wrap: options.containment === undefined
        ? Effect.succeed(programs.asItIs)
        : yield* once(namespace.make({ executor })),
      sandboxing: options.sandbox === undefined
        ? undefined
        : yield* sandboxing({ executor, fileSystem, path }, options.sandbox),
      modelList: yield* modelList.make(fileSystem),
      binary: yield* once(find),
      defaults: options.defaults ?? {},
      isolation,
      allowUntested: options.allowUntested,
      forceKillAfter: Duration.decode(options.forceKillAfter ?? "5 seconds"),
      environment: yield* environmentOf(options.environment)
    }
  })
