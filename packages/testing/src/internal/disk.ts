import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The binary on the fake disk. */
export const binary = "/effect-opencode-testing/opencode"

const info = (type: FileSystem.File.Type, mode: number): FileSystem.File.Info => ({
  type,
  mtime: Option.none(),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0,
  ino: Option.none(),
  mode,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: FileSystem.Size(0),
  blksize: Option.none(),
  blocks: Option.none()
})

const sink: FileSystem.File = {
  [FileSystem.FileTypeId]: FileSystem.FileTypeId,
  fd: FileSystem.FileDescriptor(0),
  stat: Effect.succeed(info("File", 0o644)),
  seek: () => Effect.void,
  sync: Effect.void,
  read: () => Effect.succeed(FileSystem.Size(0)),
  readAlloc: () => Effect.succeed(Option.none()),
  truncate: () => Effect.void,
  write: (buffer) => Effect.succeed(FileSystem.Size(buffer.length)),
  writeAll: () => Effect.void
}

/**
 * A fake disk on which everything that the library looks for exists and everything that it writes is discarded. `/proc`
 * exists and is empty, so that no process is started to list processes.
 */
export const disk: FileSystem.FileSystem = FileSystem.makeNoop({
  exists: () => Effect.succeed(true),
  stat: (path) => Effect.succeed(path === binary ? info("File", 0o755) : info("Directory", 0o755)),
  access: () => Effect.void,
  makeDirectory: () => Effect.void,
  makeTempDirectory: () => Effect.succeed("/effect-opencode-testing/tmp"),
  makeTempDirectoryScoped: () => Effect.succeed("/effect-opencode-testing/tmp"),
  makeTempFile: () => Effect.succeed("/effect-opencode-testing/tmp/file"),
  makeTempFileScoped: () => Effect.succeed("/effect-opencode-testing/tmp/file"),
  readDirectory: () => Effect.succeed([]),
  readFile: () => Effect.succeed(new Uint8Array()),
  readFileString: () => Effect.succeed(""),
  writeFile: () => Effect.void,
  writeFileString: () => Effect.void,
  symlink: () => Effect.void,
  copyFile: () => Effect.void,
  rename: () => Effect.void,
  chmod: () => Effect.void,
  open: () => Effect.succeed(sink),
  remove: () => Effect.void
})
