import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import { makeDirectories } from "../src/internal/util/makeDirectories.js"

const make = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fileSystem.makeTempDirectoryScoped()
  return {
    within: (...names: ReadonlyArray<string>) => path.join(root, ...names),
    directory: (directory: string) => makeDirectories({ fileSystem, path }, directory)
  }
})

describe("makeDirectories", () => {
  it.scopedLive("creates what is missing, also twice at once", () =>
    Effect.gen(function*() {
      const { directory, within } = yield* make
      const target = within("a", "b", "c")
      yield* Effect.all([directory(target), directory(target)], { concurrency: 2 })
      yield* directory(target)
      expect(NodeFs.statSync(target).isDirectory()).toBe(true)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("fails at a file, and at a place where nothing can be created", () =>
    Effect.gen(function*() {
      const { directory, within } = yield* make
      NodeFs.writeFileSync(within("file"), "")
      for (
        const target of [
          within("file"),
          within("file", "a"),
          ...(process.platform === "linux" ? ["/proc/nowhere/a"] : [])
        ]
      ) {
        const error = yield* Effect.flip(directory(target))
        expect(error._tag).toBe("SystemError")
      }
    }).pipe(Effect.provide(NodeContext.layer)))
})
