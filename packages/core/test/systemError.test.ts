import * as PlatformError from "@effect/platform/Error"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as systemError from "../src/internal/util/systemError.js"
import * as T from "./support/mock.js"

/** As the platform makes it from an error of Node. */
const unknown = (code: string, module: "Command" | "FileSystem" = "FileSystem") =>
  new PlatformError.SystemError({
    reason: "Unknown",
    module,
    method: "spawn",
    description: `${code}: words of the system, spawn /x/opencode`,
    cause: Object.assign(new Error("words"), { code })
  })

const codes = [
  "EAGAIN",
  "EDQUOT",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOSPC",
  "EROFS",
  "EIO",
  "ETXTBSY",
  "ENOEXEC",
  "E2BIG"
]

describe("a system error", () => {
  for (const code of codes) {
    it(`keeps the code ${code} and has a hint`, () => {
      assert.strictEqual(systemError.reasonOf(unknown(code)), code)
      assert.match(systemError.describe(unknown(code)), new RegExp(`^${code}: .{10,}`))
    })
  }

  it("without a hint still has its code", () => {
    assert.strictEqual(systemError.describe(unknown("EXDEV")), "EXDEV")
  })

  it("is recognised from its message if nothing else identifies it", () => {
    const error = new PlatformError.SystemError({
      reason: "Unknown",
      module: "Command",
      method: "spawn",
      description: "spawn /home/EDGAR/opencode EMFILE"
    })
    assert.strictEqual(systemError.reasonOf(error), "EMFILE")
  })

  it("keeps the platform's reason if it has one", () => {
    const error = new PlatformError.SystemError({
      reason: "PermissionDenied",
      module: "Command",
      method: "spawn",
      cause: Object.assign(new Error("words"), { code: "EACCES" })
    })
    assert.strictEqual(systemError.describe(error), "PermissionDenied")
  })

  it.effect("is the reason of a process that cannot be started", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("x"))
      assert.strictEqual(error.reason, "EMFILE")
      assert.match(error.message, /EMFILE\. Hint: too many files are open.*ulimit -n/)
    }).pipe(Effect.provide(T.layer([Mock.spawnError(unknown("EMFILE", "Command"))]))))

  it.effect("is the reason of a data directory that cannot be created", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "isolation")
      assert.match(error.reason, /EROFS: the file system is read-only/)
    }).pipe(Effect.provide(T.layerOf(
      { makeDirectory: () => Effect.fail(unknown("EROFS")) },
      [],
      ({ root }) => ({ isolation: { directory: `${root}/kept` } })
    ))))

  it.effect("is the reason of a temporary directory that cannot be created", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.match(error.reason, /ENOSPC: the disk is full.*TMPDIR/)
    }).pipe(Effect.provide(T.layerOf({ makeTempDirectory: () => Effect.fail(unknown("ENOSPC")) }, []))))

  it.effect("is the reason of a transcript that cannot be opened", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { transcript: "run.jsonl" }))
      assert.strictEqual(error.path, "transcript")
      assert.match(error.reason, /EDQUOT: the disk quota/)
    }).pipe(Effect.provide(T.layerOf({ open: () => Effect.fail(unknown("EDQUOT")) }, []))))
})
