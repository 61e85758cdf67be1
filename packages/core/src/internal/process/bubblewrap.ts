/** The command line of bubblewrap (0.5 or later), which starts a program in a file system of its own. */
import type { Wrap } from "./program.js"
import { shell } from "./wholeStdin.js"

/** What a process finds at a path. Everything else of the machine is there, read-only. */
export type Mount =
  /** The path itself, or another one in its place. */
  | { readonly _tag: "Read" | "Write"; readonly path: string; readonly source?: string | undefined }
  /** An empty directory, read-only. */
  | { readonly _tag: "Hidden"; readonly path: string }

/** A program that runs beside the wrapped one and ends with it. */
export type Companion = readonly [binary: string, ...args: ReadonlyArray<string>]

export interface Layout {
  /** The working directory, without symbolic links. */
  readonly cwd: string
  /** Absolute paths without symbolic links. The deepest one decides about a path; of two for one path the later one. */
  readonly mounts: ReadonlyArray<Mount>
  /** True for a network of its own, which has a loopback interface and nothing else. */
  readonly ownNetwork: boolean
  readonly companions: ReadonlyArray<Companion>
}

const depth = (path: string): number => path.split("/").filter((part) => part !== "").length

/** True if a path is another one, or below it. Both are absolute and have no trailing slash. */
export const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`)

/** Mounts in the order in which they have to be made: the outer ones first, one for each path. */
export const arrange = (mounts: ReadonlyArray<Mount>): ReadonlyArray<Mount> =>
  [...new Map(mounts.map((mount) => [mount.path, mount])).values()].sort((a, b) => depth(a.path) - depth(b.path))

/** The mount that decides about a path; `undefined` if it is there read-only, like everything. */
export const mountOf = (mounts: ReadonlyArray<Mount>, path: string): Mount | undefined =>
  arrange(mounts).filter((mount) => isWithin(path, mount.path)).at(-1)

const devices = ["null", "zero", "full", "random", "urandom"].map((name) => `/dev/${name}`)

/**
 * A device directory without terminals. With them bubblewrap (0.8.0) makes a second user namespace for users other than
 * root, in which nobody can listen on the ports below 1024 of its network.
 */
const devicesAlone = [
  "--tmpfs",
  "/dev",
  ...devices.flatMap((device) => ["--dev-bind", device, device]),
  ...["--dir", "/dev/shm"],
  ...["--symlink", "/proc/self/fd", "/dev/fd"],
  ...["stdin", "stdout", "stderr"].flatMap((name, fd) => ["--symlink", `/proc/self/fd/${fd}`, `/dev/${name}`])
]

/**
 * Settings of the kernel, which root could write without any capability: a program in `core_pattern` runs outside, as
 * root. Bubblewrap (0.8.0) leaves them writable.
 */
const kernel = [
  "acpi",
  "asound",
  "driver",
  "fs",
  "mtrr",
  "pressure",
  "scsi",
  "sys",
  "sysrq-trigger"
].map((name) => `/proc/${name}`)

const argsOfMount = (mount: Mount): ReadonlyArray<string> =>
  mount._tag === "Hidden"
    ? ["--tmpfs", mount.path]
    : [mount._tag === "Read" ? "--ro-bind" : "--bind", mount.source ?? mount.path, mount.path]

/**
 * The arguments before the program. Every path begins with a slash, so none is read as an option.
 *
 * Processes have numbers of their own, and the kernel ends all of them with the first one; it ends that one with the
 * process that started bubblewrap. Root would keep its capabilities, with which it could mount everything again.
 */
export const args = ({ cwd, mounts, ownNetwork }: Omit<Layout, "companions">): ReadonlyArray<string> => {
  const arranged = arrange(mounts)
  return [
    "--unshare-pid",
    "--unshare-ipc",
    "--die-with-parent",
    ...["--cap-drop", "ALL"],
    ...(ownNetwork ? ["--unshare-net", "--cap-add", "CAP_NET_BIND_SERVICE"] : []),
    ...["--ro-bind", "/", "/"],
    ...(ownNetwork ? devicesAlone : ["--dev", "/dev"]),
    ...["--proc", "/proc"],
    ...kernel.flatMap((path) => ["--ro-bind-try", path, path]),
    ...arranged.flatMap(argsOfMount),
    // Only now, because what is inside had to be mounted there.
    ...arranged.flatMap((mount) => mount._tag === "Hidden" ? ["--remount-ro", mount.path] : []),
    ...["--chdir", cwd],
    ...["--setenv", "PWD", cwd],
    "--"
  ]
}

/** A word of a shell. */
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** Starts the companions as children of the first process of the sandbox, then becomes the program. */
const script = (companions: ReadonlyArray<Companion>): string =>
  [...companions.map((companion) => `(${companion.map(quoted).join(" ")} &) </dev/null >/dev/null 2>&1`), "exec \"$@\""]
    .join("\n")

/** What the script is called. */
const name = "effect-opencode-sandbox"

/** Starts programs by a bubblewrap. */
export const wrap = (bubblewrap: string, layout: Layout): Wrap => ({ binary, invocation }) => ({
  binary: bubblewrap,
  invocation: {
    ...invocation,
    args: [
      ...args(layout),
      ...(layout.companions.length === 0 ? [] : [shell, "-c", script(layout.companions), name]),
      binary,
      ...invocation.args
    ]
  },
  isContainer: true
})
