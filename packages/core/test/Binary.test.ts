import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Binary, HostEnvironment, OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import * as T from "./support/mock.js"

const executable = (file: string, mode = 0o755) => {
  NodeFs.mkdirSync(NodePath.dirname(file), { recursive: true })
  NodeFs.writeFileSync(file, "", { mode })
  return file
}

const started = Effect.andThen(OpenCode.run("x"), Effect.map(T.only, ({ command }) => command))

const answers = [T.answering("x")]

describe("the binary", () => {
  it.scoped("is found by Binary.resolve as by the layer", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const directory = yield* fileSystem.makeTempDirectoryScoped()
      const file = executable(`${directory}/oc`)
      assert.strictEqual(yield* Binary.resolve(file), file)
      const error = yield* Effect.flip(Binary.resolve(`${directory}/nope`))
      assert.strictEqual(error._tag, "OpenCodeBinaryNotFoundError")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("can close its pipes some time before it exits", () =>
    Effect.gen(function*() {
      const directory = yield* FileSystem.FileSystem.pipe(Effect.andThen((files) => files.makeTempDirectoryScoped()))
      const binary = `${directory}/oc`
      NodeFs.writeFileSync(binary, "#!/bin/sh\necho 1.18.34\nexec 1>&- 2>&-\nsleep 0.3\nexit 0\n", { mode: 0o755 })
      const version = yield* Effect.flatMap(OpenCode.OpenCode, ({ version }) => version).pipe(
        Effect.provide(OpenCode.layer({ binary }))
      )
      assert.deepStrictEqual(version, { major: 1, minor: 18, patch: 34 })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("can be named by an absolute path", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      executable(`${root}/somewhere/opencode-nightly`)
      assert.strictEqual(yield* started, `${root}/somewhere/opencode-nightly`)
    }).pipe(Effect.provide(T.layer(answers, ({ root }) => ({ binary: `${root}/somewhere/opencode-nightly` })))))

  it.effect("can be named relative to the working directory", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      executable(`${work}/tools/oc`)
      assert.strictEqual(yield* started, `${work}/tools/oc`)
    }).pipe(Effect.provide(T.layer(answers, { binary: "tools/oc" }))))

  it.effect("can be named below the home directory", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      executable(`${home}/bin/oc`)
      assert.strictEqual(yield* started, `${home}/bin/oc`)
    }).pipe(Effect.provide(T.layer(answers, { binary: "~/bin/oc" }))))

  it.effect("can be named by its name on PATH, where the first executable file counts", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      executable(`${root}/one/oc`, 0o644)
      NodeFs.mkdirSync(`${root}/two/oc`, { recursive: true })
      executable(`${root}/three/oc`)
      executable(`${root}/four/oc`)
      assert.strictEqual(yield* started, `${root}/three/oc`)
    }).pipe(Effect.provide(
      T.layer(answers, { binary: "oc" }, ({ root }) => ({
        PATH: ["one", "two", "missing", "", "three", "four"].map((name) => name && `${root}/${name}`).join(":")
      }))
    )))

  it.effect("is taken from OPENCODE_BINARY before anything else", () =>
    Effect.gen(function*() {
      const { root, work } = yield* T.Machine
      executable(`${work}/node_modules/opencode-ai/bin/opencode.exe`)
      executable(`${root}/mine`)
      assert.strictEqual(yield* started, `${root}/mine`)
    }).pipe(Effect.provide(
      T.layer(answers, { binary: undefined }, ({ root }) => ({ OPENCODE_BINARY: `${root}/mine` }))
    )))

  it.effect("is not taken from OPENCODE_BINARY when the layer names one", () =>
    Effect.gen(function*() {
      const { binary } = yield* T.Machine
      assert.strictEqual(yield* started, binary)
    }).pipe(Effect.provide(T.layer(answers, {}, () => ({ OPENCODE_BINARY: "/nowhere" })))))

  for (const entry of ["", ".", "bin", "./bin"]) {
    it.effect(`is not taken from the working directory, not even with "${entry}" on PATH`, () =>
      Effect.gen(function*() {
        const { work } = yield* T.Machine
        executable(`${work}/oc`)
        executable(`${work}/bin/oc`)
        executable(`${work}/opencode`)
        const error = yield* T.failsWith("OpenCodeBinaryNotFoundError")(OpenCode.run("x"))
        assert.deepStrictEqual(error.searched, [])
      }).pipe(Effect.provide(T.layer([], { binary: "oc" }, () => ({ PATH: entry })))))
  }

  it.effect("is not taken from the working directory by a bare name in OPENCODE_BINARY", () =>
    Effect.gen(function*() {
      const { binary, work } = yield* T.Machine
      executable(`${work}/opencode`)
      assert.strictEqual(yield* started, binary)
    }).pipe(Effect.provide(
      T.layer(answers, { binary: undefined }, () => ({ OPENCODE_BINARY: "opencode" }))
    )))

  it.effect("is taken from a project only by a program of that project", () =>
    Effect.gen(function*() {
      const { binary, root, work } = yield* T.Machine
      executable(`${work}/node_modules/opencode-ai/bin/opencode.exe`)
      executable(`${root}/app/node_modules/opencode-ai/bin/opencode.exe`)
      const found = (mainFile: string | undefined, variables: { readonly [name: string]: string } = {}) =>
        Effect.provideService(
          Binary.resolve(),
          HostEnvironment.HostEnvironment,
          Effect.succeed({ variables: { PATH: NodePath.dirname(binary), ...variables }, mainFile })
        )
      assert.strictEqual(yield* found(`${root}/elsewhere/bin/main.js`), binary)
      const ofProject = `${work}/node_modules/opencode-ai/bin/opencode.exe`
      assert.strictEqual(yield* found(`${work}/node_modules/.bin/program`), ofProject)
      assert.strictEqual(yield* found(`${work}/src/main.js`), ofProject)
      assert.strictEqual(
        yield* found(`${root}/app/dist/main.js`),
        `${root}/app/node_modules/opencode-ai/bin/opencode.exe`
      )
      // Code typed into a prompt belongs to the working directory.
      assert.strictEqual(yield* found(undefined), ofProject)
      assert.strictEqual(yield* found(`${root}/elsewhere/main.js`, { OPENCODE_BINARY: ofProject }), ofProject)
    }).pipe(Effect.provide(T.layer([], { binary: undefined }))))

  it.effect("is refused below another user's home directory", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "binary")
      assert.include(error.reason, "`~root`")
    }).pipe(Effect.provide(T.layer([], { binary: "~root/bin/opencode" }))))

  it.effect("is taken from the program's node_modules or those above, before one on PATH", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      executable(`${root}/node_modules/opencode-ai/bin/opencode.exe`)
      assert.strictEqual(yield* started, `${root}/node_modules/opencode-ai/bin/opencode.exe`)
    }).pipe(Effect.provide(T.layer(answers, { binary: undefined }, () => ({ OPENCODE_BINARY: "" })))))

  it.effect("is otherwise `opencode` on PATH", () =>
    Effect.gen(function*() {
      const { binary } = yield* T.Machine
      assert.strictEqual(yield* started, binary)
    }).pipe(Effect.provide(T.layer(answers, { binary: undefined }))))

  it.effect("is not found: the error lists the places searched", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const error = yield* T.failsWith("OpenCodeBinaryNotFoundError")(OpenCode.run("x"))
      assert.strictEqual(error.binary, "oc")
      assert.strictEqual(error.reason, "not-found")
      assert.deepStrictEqual(error.searched, [`${root}/one`, `${root}/two`])
      assert.include(error.message, `${root}/one, ${root}/two`)
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(
      T.layer(answers, { binary: "oc" }, ({ root }) => ({ PATH: `${root}/one:${root}/two` }))
    )))

  it.effect("is not searched on PATH when it is a path", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeBinaryNotFoundError")(OpenCode.run("x"))
      assert.deepStrictEqual(error.searched, ["/nowhere/opencode"])
    }).pipe(Effect.provide(T.layer(answers, { binary: "/nowhere/opencode" }))))

  it.effect("is refused when it is not executable", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      executable(`${root}/plain`, 0o644)
      const error = yield* T.failsWith("OpenCodeBinaryNotFoundError")(OpenCode.run("x"))
      assert.strictEqual(error.reason, "not-executable")
      assert.strictEqual(error.binary, `${root}/plain`)
      assert.include(error.message, "not an executable file")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(T.layer(answers, ({ root }) => ({ binary: `${root}/plain` })))))

  it.effect("is searched once per layer", () =>
    Effect.gen(function*() {
      const { binary, stats } = yield* T.Machine
      yield* Effect.all([1, 2, 3, 4].map(() => OpenCode.run("x")), { concurrency: "unbounded" })
      assert.strictEqual(stats.filter((file) => file === binary).length, 1)
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

  it.effect("is searched again after a failure", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      yield* T.failsWith("OpenCodeBinaryNotFoundError")(OpenCode.run("x"))
      executable(`${root}/late`)
      assert.strictEqual(yield* started, `${root}/late`)
    }).pipe(Effect.provide(T.layer(answers, ({ root }) => ({ binary: `${root}/late` })))))
})

describe("the version", () => {
  const asking = { version: undefined }
  const says = (text: string, ...steps: ReadonlyArray<Mock.Step>) => Mock.script(Mock.stdout(text), ...steps)
  const version = Effect.flatMap(OpenCode.OpenCode, (service) => service.version)

  it.effect("is queried once, even by concurrent callers", () =>
    Effect.gen(function*() {
      yield* Effect.all([...[1, 2, 3].map(() => OpenCode.run("x")), version], { concurrency: "unbounded" })
      yield* OpenCode.run("x")
      assert.deepStrictEqual((yield* T.commands).map(({ args }) => args[0]), ["--version", "run", "run", "run", "run"])
      assert.deepStrictEqual(yield* version, { major: 1, minor: 17, patch: 19 })
      yield* T.expectClean
    }).pipe(Effect.provide(
      T.layer((command) => command.args[0] === "--version" ? says("1.17.19\n") : T.answering("x"), asking)
    )))

  for (
    const [printed, found] of [
      ["opencode v3.0.3\n", "3.0.3"],
      ["opencode2 v0.0.0-beta-18155\n", "0.0.0"],
      ["1.0.9\n", "1.0.9"],
      ["1.1.64", "1.1.64"]
    ] as const
  ) {
    it.effect(`is refused: ${found}`, () =>
      Effect.gen(function*() {
        const { binary } = yield* T.Machine
        const error = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x"))
        assert.strictEqual(error.version, found)
        assert.strictEqual(error.binary, binary)
        assert.isUndefined(error.option)
        assert.match(error.message, /1\.1\.65 and later, below 2\.0\.0/)
        assert.deepStrictEqual((yield* T.commands).map(({ args }) => args), [["--version"]])
      }).pipe(Effect.provide(T.layer([says(printed)], asking))))
  }

  it.effect("says that a preview of OpenCode 2 is one", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x"))
      assert.match(error.reason, /^a preview of OpenCode 2 .*npm install @opencode\/cli/)
    }).pipe(Effect.provide(T.layer([says("opencode2 v0.0.0-next-16088\n")], asking))))

  it.effect("is accepted from 1.1.65 to 1.99", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* OpenCode.run("x")).text, "x")
    }).pipe(Effect.provide(T.layer([says("1.1.65\n"), T.answering("x")], asking))))

  it.effect("is accepted with one warning if it was not tested, and without one if it was", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const logger = Logger.make(({ message }) => {
        said.push(String(message))
      })
      const askTwice = (given: string, allowUntested?: boolean) =>
        Effect.gen(function*() {
          const service = yield* OpenCode.OpenCode
          yield* service.version
          yield* service.version
        }).pipe(
          Effect.provide(T.layer([], { version: given, allowUntested })),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      yield* askTwice("2.0.14")
      assert.deepStrictEqual(said, [])
      yield* askTwice("2.3.2")
      assert.strictEqual(said.length, 1)
      assert.match(said[0]!, /^OpenCode 2\.3\.2 .* was not tested with this library; `effect-opencode conformance` /)
      yield* askTwice("2.3.2", true)
      assert.strictEqual(said.length, 1)
    }))

  it.effect("is refused when it is unsupported and given by the layer", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x"))
      assert.strictEqual(error.version, "3.1.0")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(T.layer([], { version: "3.1.0" }))))

  it.effect("is not accepted from a program other than OpenCode", () =>
    Effect.gen(function*() {
      const garbage = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x"))
      assert.match(garbage.reason, /printed no version/)
      assert.isUndefined(garbage.version)
      const failing = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x"))
      assert.match(failing.reason, /failed.*unknown option/s)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      says("hello\n"),
      says("1.18.33\n", Mock.stderr("unknown option --version\n"), Mock.exit(2))
    ], asking))))

  it.effect("is queried again after a failure and after an interruption", () =>
    Effect.gen(function*() {
      yield* T.failsWith("OpenCodeSpawnError")(version)
      const fiber = yield* Effect.fork(version)
      yield* T.untilStarted(2)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* version, { major: 1, minor: 18, patch: 33 })
      assert.strictEqual((yield* T.commands).length, 3)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.spawnError("Busy"), Mock.script(Mock.never), says("1.18.33\n")], asking))))

  const lacking = [
    ["1.2.5", { dir: "." }, "dir", "1.2.6"],
    ["1.2.26", { username: "me" }, "username", "1.14.0"],
    ["1.13.0", { pure: true }, "pure", "1.14.0"],
    ["1.13.0", { auto: true }, "auto", "1.14.0"]
  ] as const
  for (const [has, options, option, since] of lacking) {
    it.effect(`${has} lacks \`${option}\``, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("x", options))
        assert.strictEqual(error.option, option)
        assert.strictEqual(error.version, has)
        assert.include(error.message, since)
        assert.deepStrictEqual(yield* T.commands, [])
      }).pipe(Effect.provide(T.layer([], { version: has }))))
  }

  it.effect("decides the name of a flag", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { auto: true, pure: false })
      const { args } = yield* T.only
      assert.include(args, "--dangerously-skip-permissions")
      assert.notInclude(args, "--auto")
    }).pipe(Effect.provide(T.layer([T.answering("x")], { version: "1.16.2" }))))
})
