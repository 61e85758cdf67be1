/** Decides what a sandboxed process of OpenCode can reach. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as HostEnvironment from "../../HostEnvironment.js"
import type { Isolation } from "../../Isolation.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { RunConfig } from "../../RunConfig.js"
import type { Sandbox } from "../../Sandbox.js"
import type { Problem } from "../opencode/problem.js"
import { revealed, variableNames } from "../opencode/variables.js"
import * as bubblewrap from "../process/bubblewrap.js"
import type { Mount } from "../process/bubblewrap.js"
import type { Wrap } from "../process/program.js"
import * as systemError from "../util/systemError.js"
import * as directories from "./directories.js"
import * as environment from "./environment.js"
import * as expandHome from "./expandHome.js"
import * as gitDirectories from "./gitDirectories.js"
import * as hiddenPaths from "./hiddenPaths.js"
import type { Launcher } from "./launcher.js"
import * as logins from "./logins.js"
import * as relays from "./relays.js"

/** A process that is going to be started. */
export interface Task {
  readonly binary: string
  /** Where it starts. */
  readonly cwd: string
  /** The variables that `environment.make` has prepared for it. */
  readonly env: { readonly [name: string]: string }
  /** The working directory of the agent; `undefined` for a process without one, which writes its own data only. */
  readonly work: string | undefined
  /** Files that it has to see. */
  readonly files: ReadonlyArray<string>
  /** What its provider and its MCP servers are found by. */
  readonly config: RunConfig
  /** Where it keeps its data. */
  readonly isolation: Isolation
}

const ownData: Problem = {
  path: "isolation",
  reason: "with \"none\" the tools of a sandbox could change the logins and the programs that OpenCode keeps for " +
    "everybody; set it to \"run\" or to a directory"
}

/** What a run cannot have in a sandbox. */
export const problem = (
  client: Pick<Launcher, "isolation" | "sandboxing">,
  options: { readonly attach?: string | undefined }
): Option.Option<Problem> => {
  if (client.sandboxing === undefined) return Option.none()
  if (options.attach !== undefined) {
    return Option.some({ path: "attach", reason: "the tools run in the server, outside of the layer's `sandbox`" })
  }
  return client.isolation === "none" ? Option.some(ownData) : Option.none()
}

const refused = (path: string, reason: string) => new OpenCodeConfigError({ path: `sandbox.${path}`, reason })

type Services = Pick<
  Launcher,
  "environment" | "executor" | "fileSystem" | "forceKillAfter" | "leash" | "path" | "sandboxing" | "table" | "wrap"
>

/** The path without symbolic links; `undefined` if it does not exist. */
const realOf = ({ fileSystem }: Pick<Services, "fileSystem">, file: string): Effect.Effect<string | undefined> =>
  Effect.map(Effect.option(fileSystem.realPath(file)), Option.getOrUndefined)

interface Given {
  /** The option, for errors. */
  readonly option: string
  /** As it was given, absolute. */
  readonly path: string
  readonly real: string
}

/** The paths of an option. One that does not exist cannot be mounted, and one that is to be hidden need not be. */
const given = (
  client: Services,
  sandbox: Sandbox,
  name: "write" | "read" | "hide"
): Effect.Effect<ReadonlyArray<Given>, OpenCodeConfigError> =>
  Effect.map(
    Effect.forEach(sandbox[name] ?? [], (file, index) =>
      Effect.gen(function*() {
        const option = `${name}.${index}`
        const path = client.path.resolve(yield* expandHome.expand(client.path, `sandbox.${option}`, file))
        const real = yield* realOf(client, path)
        if (real === undefined) {
          return name === "hide" ? [] : yield* refused(option, `${path} does not exist; create it first`)
        }
        const special = ["/", "/proc", "/dev"].find((one) =>
          real === one || (one !== "/" && real !== "/dev/shm" && bubblewrap.isWithin(real, one))
        )
        return special === undefined
          ? [{ option, path, real }]
          : yield* refused(option, `${real} cannot be one, because every sandbox has its own ${special}`)
      })),
    (found) => found.flat()
  )

/**
 * An agent can replace what is in a writable directory by a link to somewhere else, and the next run would open that. So
 * a writable path that begins in a writable directory has to end in it.
 */
const leaving = (written: ReadonlyArray<Given>): Given | undefined =>
  written.find((one) =>
    written.some((around) =>
      [around.path, around.real].some((directory) =>
        one.path !== directory && bubblewrap.isWithin(one.path, directory)
      ) &&
      !bubblewrap.isWithin(one.real, around.real)
    )
  )

/** The home directory that the system has for our user, whatever `HOME` says. */
const systemHome = ({ fileSystem }: Pick<Services, "fileSystem">): Effect.Effect<string | undefined> =>
  Effect.gen(function*() {
    const { uid } = yield* fileSystem.stat("/proc/self")
    if (Option.isNone(uid)) return undefined
    const users = yield* fileSystem.readFileString("/etc/passwd")
    return users.split("\n").map((line) => line.split(":")).find((fields) => fields[2] === String(uid.value))?.[5]
  }).pipe(Effect.orElseSucceed(() => undefined))

/** Where a package is that a program belongs to: with the packages beside it. */
const packageOf = (path: Services["path"], file: string): string => {
  const directory = path.dirname(file)
  const parts = directory.split("/")
  const index = parts.indexOf("node_modules")
  return index === -1 ? directory : parts.slice(0, index + 1).join("/")
}

/** The directories that OpenCode has in its environment, see `environment.make`. */
const ownDirectories = (path: Services["path"], env: Task["env"]): ReadonlyArray<string> => {
  const data = env[variableNames.dataHome]!
  const unpacked = env[variableNames.bunTemporary]
  return [
    path.dirname(env[variableNames.stateHome]!),
    data,
    path.join(data, "opencode"),
    ...(unpacked === undefined ? [] : [unpacked])
  ]
}

/**
 * Makes what OpenCode makes at its start and cannot in a sandbox; without it, it ends (1.18.33): its directories, and a file
 * in each directory with a configuration.
 */
const furnished = (
  { fileSystem, path }: Services,
  { cache, configs }: { readonly cache: string; readonly configs: readonly [own: string, ...ReadonlyArray<string>] }
): Effect.Effect<void> => {
  const make = (directory: string) => Effect.ignore(fileSystem.makeDirectory(directory, { recursive: true }))
  return Effect.all([make(path.join(cache, "bin")), make(configs[0])], { discard: true }).pipe(
    Effect.andThen(Effect.forEach(configs, (directory) =>
      // It follows no link, and only fills a directory that is there.
      fileSystem.writeFileString(
        path.join(directory, ".gitignore"),
        "node_modules\npackage.json\npackage-lock.json\nbun.lock\n.gitignore",
        { flag: "wx" }
      ).pipe(Effect.ignore), { discard: true }))
  )
}

/** The directories around one, from its parent up. */
const around = (path: Services["path"], directory: string): ReadonlyArray<string> => {
  const parent = path.dirname(directory)
  return parent === directory ? [] : [parent, ...around(path, parent)]
}

/** Decides about all paths. */
const mountsOf = (
  client: Services,
  sandbox: Sandbox,
  task: Task,
  cwd: string,
  /** A private directory, which the sandbox does not see. */
  control: string
): Effect.Effect<ReadonlyArray<Mount>, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const { fileSystem, path } = client
    const facts = yield* HostEnvironment.facts
    const child = { ...(client.environment.extend ? facts.variables : {}), ...task.env }
    const homes = [
      ...new Set(
        [child["HOME"], facts.variables["HOME"], yield* systemHome(client)].filter((home) => home?.startsWith("/"))
      )
    ] as ReadonlyArray<string>
    const write = yield* given(client, sandbox, "write")
    const read = yield* given(client, sandbox, "read")
    const hide = yield* given(client, sandbox, "hide")
    const work = task.work === undefined ? undefined : yield* realOf(client, task.work)
    if (task.work !== undefined && work === undefined) {
      return yield* new OpenCodeConfigError({ path: "cwd", reason: `${task.work} does not exist` })
    }
    if (work === "/") {
      return yield* new OpenCodeConfigError({
        path: "cwd",
        reason: "in a sandbox the working directory is writable, which / must not be"
      })
    }
    const area = work === undefined ? [] : [{ option: "write", path: task.work!, real: work }]
    const own = yield* Effect.map(
      Effect.forEach(ownDirectories(path, task.env), (path) =>
        Effect.map(realOf(client, path), (real) => real === undefined ? [] : [{ option: "write", path, real }])),
      (found) =>
        found.flat()
    )
    const outside = leaving([...area, ...write, ...own])
    if (outside !== undefined) {
      return yield* refused(
        outside.option,
        `${outside.path} leads out of the writable directory around it, to ${outside.real}, which an agent can have done`
      )
    }

    const shared = [
      path.join(child[variableNames.configHome] || path.join(homes[0] ?? "/", ".config"), "opencode"),
      path.join(child[variableNames.cacheHome] || path.join(homes[0] ?? "/", ".cache"), "opencode")
    ] as const
    yield* furnished(client, {
      cache: shared[1],
      configs: [
        shared[0],
        ...homes.map((home) => path.join(home, ".opencode")),
        ...(work === undefined ? [] : around(path, work).map((directory) => path.join(directory, ".opencode")))
      ]
    })
    const [replacement, empty] = [path.join(control, "tmp"), path.join(control, "empty")]
    yield* fileSystem.makeDirectory(replacement).pipe(
      Effect.andThen(fileSystem.writeFileString(empty, "")),
      Effect.mapError((error) => new OpenCodeConfigError({ path: "sandbox", reason: systemError.describe(error) }))
    )

    const real = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
      Effect.map(
        Effect.forEach(paths, (path) => realOf(client, path), { concurrency: "unbounded" }),
        (found) => [...new Set(found.filter((one) => one !== undefined))]
      )
    const isDirectory = (file: string) =>
      Effect.match(fileSystem.stat(file), {
        onFailure: () => false,
        onSuccess: ({ type }) => type === "Directory"
      })
    const hidden = (paths: ReadonlyArray<string>) =>
      Effect.forEach(paths, (path) =>
        Effect.map(isDirectory(path), (isDirectory): Mount =>
          isDirectory ? { _tag: "Hidden", path } : { _tag: "Read", path, source: empty }), { concurrency: "unbounded" })
    const all = (tag: "Read" | "Write", paths: ReadonlyArray<string>) =>
      paths.map((path): Mount => ({ _tag: tag, path }))

    const replaced: ReadonlyArray<Mount> = [
      ...all("Write", yield* real(hiddenPaths.temporary)).map((mount) =>
        ({ ...mount, source: replacement }) as Mount
      ),
      ...(yield* hidden(yield* real(hiddenPaths.runtime)))
    ]
    const isReplaced = (mounts: ReadonlyArray<Mount>, file: string): boolean => {
      const mount = bubblewrap.mountOf(mounts, file)
      return mount !== undefined && replaced.some(({ path }) =>
        path === mount.path
      )
    }
    const shown = [
      ...replaced,
      ...all("Read", yield* real(hiddenPaths.ofRuntime)),
      // A home directory in a directory for temporary files.
      ...all("Read", (yield* real(homes)).filter((home) => replaced.every(({ path }) => path !== home)))
        .filter(({ path }) => isReplaced(replaced, path))
    ]
    const credentials = (yield* real(hiddenPaths.expanded({ directories: homes, variables: [facts.variables, child] })))
      .filter((file) => file !== "/" && !isReplaced(shown, file))
    const works = [
      ...shown,
      ...(yield* hidden(credentials)),
      ...all("Read", yield* real(shared)),
      // Where the process starts, if that is not where the agent works.
      ...all("Read", bubblewrap.mountOf(shown, cwd) === undefined ? [] : [cwd]),
      ...(work === undefined ? [] : all("Write", [work])),
      ...(work === undefined || read.some(({ real }) => real === work)
        ? []
        : yield* gitDirectories.mounts(client, work)),
      ...all("Write", own.map(({ real }) => real)),
      // Only if temporary directories are made where the agent works.
      ...(yield* real([control])).flatMap((path): ReadonlyArray<Mount> =>
        isReplaced(shown, path) ? [] : [{ _tag: "Hidden", path }]
      )
    ]

    // The program, and the files that it was given, in a directory that is replaced.
    const visible = yield* Effect.forEach(task.files, (file) =>
      Effect.gen(function*() {
        const absolute = path.resolve(task.cwd, file)
        const [source, directory] = [yield* realOf(client, absolute), yield* realOf(client, path.dirname(absolute))]
        if (source === undefined || directory === undefined) return []
        const target = path.join(directory, path.basename(absolute))
        const mount = bubblewrap.mountOf(works, source)
        // The name may be that of a link to something hidden.
        if (!isReplaced(works, source) && (mount?._tag === "Hidden" || mount?.source === empty)) return []
        return [
          ...(isReplaced(works, source) ? all("Read", [source]) : []),
          ...(isReplaced(works, target) && target !== source ? [{ _tag: "Read", path: target, source } as const] : [])
        ]
      }))
    const program = yield* realOf(client, task.binary)
    const isSeen = program === undefined ||
      !(bubblewrap.mountOf(works, program)?._tag === "Hidden" || isReplaced(works, program))
    const conflict = hide.find(({ real }) =>
      [...write, ...read, ...area, ...own].some((one) => one.real === real) || real === cwd
    )
    if (conflict !== undefined) {
      return yield* refused(conflict.option, `${conflict.real} is needed, or another option wants it visible`)
    }
    return [
      ...works,
      ...visible.flat(),
      ...(isSeen ? [] : all("Read", [packageOf(path, program)])),
      ...all("Read", read.map(({ real }) => real)),
      ...all("Write", write.map(({ real }) => real)),
      ...(yield* hidden(hide.map(({ real }) => real)))
    ]
  })

/** The copies of the logins that the process finds by the links in its data directory. */
const loginsOf = (
  client: Services,
  task: Task,
  control: string
): Effect.Effect<ReadonlyArray<Mount>, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const { path } = client
    const home = yield* directories.dataHome(
      path,
      revealed({ ...client.environment.variables, ...task.config.extraEnv })
    )
    const data = task.env[variableNames.dataHome]!
    if (home === undefined) return []
    const own = path.resolve(task.cwd, home)
    const real = yield* realOf(client, own)
    if (real !== undefined && real === (yield* realOf(client, data))) {
      return yield* new OpenCodeConfigError({
        path: "isolation",
        reason:
          `${own} is OpenCode's own data directory, whose logins and programs the tools of a sandbox could change; ` +
          "name another one"
      })
    }
    const copies = yield* logins.copied(
      client,
      path.join(own, "opencode"),
      path.join(data, "opencode"),
      path.join(control, "logins")
    ).pipe(
      Effect.mapError((error) =>
        new OpenCodeConfigError({
          path: "sandbox",
          reason: `the stored logins could not be copied (${systemError.describe(error)})`
        })
      )
    )
    return copies.map((mount) => ({ _tag: "Write" as const, ...mount }))
  })

/** What a process is started by: the sandbox of the layer, or what the layer has without one. */
export const wrap = (
  client: Services,
  task: Task
): Effect.Effect<Wrap, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const { sandboxing } = client
    if (sandboxing === undefined) return yield* client.wrap
    if (task.isolation === "none") return yield* new OpenCodeConfigError(ownData)
    const { sandbox } = sandboxing
    const { network = "all" } = sandbox
    const tools = yield* sandboxing.tools
    const cwd = (yield* realOf(client, task.cwd)) ?? task.cwd
    // Not where the agent can write, who could leave a link there that we would follow.
    const control = yield* directories.temporary(client)
    const mounts = yield* mountsOf(client, sandbox, task, cwd, control)
    for (const tool of [tools.bubblewrap, tools.socat]) {
      if (tool !== undefined && bubblewrap.mountOf(mounts, tool)?._tag === "Write") {
        return yield* refused("write", `the agent could replace ${tool}, which makes the sandbox`)
      }
    }
    const relayed = network === "all" || tools.socat === undefined || task.work === undefined
      ? { mounts: [], companions: [] }
      : yield* relays.make(client, {
        socat: tools.socat,
        allow: network === "none" ? undefined : network.allow,
        config: task.config,
        valueOf: (name) => environment.valueOf(client, task.env, name),
        env: task.env,
        directory: control
      })
    return bubblewrap.wrap(tools.bubblewrap, {
      cwd,
      mounts: [...mounts, ...(yield* loginsOf(client, task, control)), ...relayed.mounts],
      ownNetwork: network !== "all",
      companions: relayed.companions
    })
  })

/** Checks the shape of the option. */
export const shape = (sandbox: Sandbox | undefined): Option.Option<Problem> => {
  if (sandbox === undefined) return Option.none()
  const wrong = (path: string, reason: string) => Option.some({ path: `sandbox${path}`, reason })
  if (typeof sandbox !== "object" || sandbox === null) return wrong("", "must be an object; `{}` is one with defaults")
  const unknown = Object.keys(sandbox).find((key) => !["write", "read", "hide", "network"].includes(key))
  if (unknown !== undefined) return wrong(`.${unknown}`, "unknown option")
  for (const name of ["write", "read", "hide"] as const) {
    const paths: unknown = sandbox[name] ?? []
    if (!Array.isArray(paths)) return wrong(`.${name}`, "must be a list of paths")
    const index = paths.findIndex((file) => typeof file !== "string" || file === "" || file.includes("\0"))
    if (index !== -1) return wrong(`.${name}.${index}`, "must be a path")
  }
  const { network } = sandbox
  if (network === undefined || network === "none" || network === "all") return Option.none()
  if (typeof network !== "object" || network === null || !Array.isArray(network.allow)) {
    return wrong(".network", "must be \"none\", \"all\" or `{ allow: [...] }`")
  }
  for (const [index, host] of network.allow.entries()) {
    const reason = Either.match(relays.parse(host), { onLeft: (reason) => reason, onRight: () => undefined })
    if (reason !== undefined) return wrong(`.network.allow.${index}`, reason)
  }
  return Option.none()
}
