import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import * as T from "./support/mock.js"

/** What the process finds on the disk while it runs. */
interface Seen {
  readonly data: string | undefined
  readonly tmp: string
  readonly temporaryExists: boolean
  readonly auth: string | undefined
  readonly isLink: boolean
}

const look = (env: Readonly<Record<string, string>>): Seen => {
  const data = env["XDG_DATA_HOME"]
  const auth = data === undefined ? undefined : NodePath.join(data, "opencode", "auth.json")
  const isThere = auth !== undefined && NodeFs.existsSync(auth)
  return {
    data,
    tmp: env["TMPDIR"]!,
    temporaryExists: NodeFs.statSync(env["TMPDIR"]!).isDirectory() && env["TMP"] === env["TMPDIR"] &&
      env["TEMP"] === env["TMPDIR"],
    auth: isThere ? NodeFs.readFileSync(auth, "utf8") : undefined,
    isLink: isThere && NodeFs.lstatSync(auth).isSymbolicLink()
  }
}

const credentials = (directory: string, content: string) => {
  NodeFs.mkdirSync(NodePath.join(directory, "opencode"), { recursive: true })
  NodeFs.writeFileSync(NodePath.join(directory, "opencode", "auth.json"), content)
}

const looking = (options: OpenCode.Options | ((machine: T.Machine) => OpenCode.Options), script = T.answering("x")) => {
  const seen: Array<Seen> = []
  const layer = T.layer((command) => {
    seen.push(look(command.env))
    // what OpenCode leaves behind
    NodeFs.writeFileSync(NodePath.join(command.env["TMPDIR"]!, "library.so"), "x")
    return script
  }, options)
  return { seen, layer }
}

describe("isolation \"run\"", () => {
  it.effect("gives every run directories of its own, and removes them", () => {
    const { layer, seen } = looking({})
    return Effect.gen(function*() {
      const { tmp } = yield* T.Machine
      yield* OpenCode.run("x")
      yield* Stream.runDrain(OpenCode.stream("x"))
      assert.strictEqual(seen.length, 2)
      for (const one of seen) {
        assert.isTrue(one.temporaryExists)
        assert.isTrue(one.data!.startsWith(`${tmp}/`))
        assert.isTrue(one.tmp.startsWith(`${tmp}/`))
        assert.isUndefined(one.auth)
      }
      assert.notStrictEqual(seen[0]!.data, seen[1]!.data)
      assert.notStrictEqual(seen[0]!.tmp, seen[1]!.tmp)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("removes them on failure", () => {
    const { layer, seen } = looking({}, Mock.script(Mock.exit(3)))
    return Effect.gen(function*() {
      yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.strictEqual(seen.length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("removes them on interruption, timeout and early end, after the process", () => {
    const { layer, seen } = looking({}, Mock.script(Mock.lines([T.stepStart()]), Mock.never))
    return Effect.gen(function*() {
      const interrupted = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilStarted(1)
      yield* Fiber.interrupt(interrupted)
      yield* T.expectClean
      yield* Stream.runDrain(Stream.take(OpenCode.stream("x"), 1))
      yield* T.expectClean
      const timed = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { timeout: 1000 })))
      yield* T.untilStarted(3)
      yield* T.untilSleep(1000)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(timed)
      assert.strictEqual(seen.length, 3)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("removes them when the process cannot be spawned, or never is", () => {
    const { layer, seen } = looking({}, Mock.spawnError("PermissionDenied"))
    return Effect.gen(function*() {
      yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("x"))
      yield* T.expectClean
      yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { extraArgs: ["a\0b"] }))
      assert.strictEqual(seen.length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("links the stored credentials", () => {
    const { layer, seen } = looking({})
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      credentials(NodePath.join(home, ".local", "share"), "{\"anthropic\":1}")
      yield* OpenCode.run("x")
      assert.strictEqual(seen[0]!.auth, "{\"anthropic\":1}")
      assert.isTrue(seen[0]!.isLink)
      // the link goes, the file stays
      assert.strictEqual(
        NodeFs.readFileSync(NodePath.join(home, ".local/share/opencode/auth.json"), "utf8"),
        "{\"anthropic\":1}"
      )
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("hides the data from a tool that empties its temporary directory", () => {
    const { layer, seen } = looking({})
    return Effect.gen(function*() {
      yield* OpenCode.run("x")
      const [one] = seen
      assert.match(NodePath.relative(one!.tmp, one!.data!), /^\.[^./]/)
    }).pipe(Effect.provide(layer))
  })

  it.effect("takes a stored link into nowhere for none", () => {
    const { layer, seen } = looking(({ root }) => ({ isolation: { directory: `${root}/kept` } }))
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      const stored = NodePath.join(home, ".local/share/opencode")
      NodeFs.mkdirSync(stored, { recursive: true })
      NodeFs.symlinkSync(NodePath.join(stored, "nowhere"), NodePath.join(stored, "auth.json"))
      yield* OpenCode.run("x")
      yield* OpenCode.run("x")
      assert.deepStrictEqual(seen.map(({ auth, isLink }) => [auth, isLink]), [[undefined, false], [undefined, false]])
    }).pipe(Effect.provide(layer))
  })

  it.effect("finds them where XDG_DATA_HOME says, ours or the run's", () => {
    const seen: Array<Seen> = []
    const layer = T.layer(
      (command) => {
        seen.push(look(command.env))
        return T.answering("x")
      },
      {},
      ({ root }) => ({ XDG_DATA_HOME: `${root}/ours` })
    )
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      credentials(`${root}/ours`, "ours")
      credentials(`${root}/given`, "given")
      yield* OpenCode.run("x")
      assert.strictEqual(seen[0]!.auth, "ours")
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses to go on in a session that cannot be there", () =>
    Effect.gen(function*() {
      const id = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { sessionId: "ses_1" }))
      assert.strictEqual(id.path, "sessionId")
      const last = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { continueSession: true }))
      assert.strictEqual(last.path, "continueSession")
      assert.deepStrictEqual(yield* T.commands, [])
      // a server has its own data
      yield* OpenCode.run("x", { sessionId: "ses_1", attach: "http://127.0.0.1:4096" })
      assert.strictEqual((yield* T.commands).length, 1)
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))
})

describe("isolation \"none\"", () => {
  it.effect("leaves OpenCode's data directory alone, but not its temporary one", () => {
    const { layer, seen } = looking({ isolation: "none" })
    return Effect.gen(function*() {
      const { tmp } = yield* T.Machine
      yield* OpenCode.run("x", { sessionId: "ses_1" })
      assert.isUndefined(seen[0]!.data)
      assert.isTrue(seen[0]!.tmp.startsWith(`${tmp}/`))
      assert.includeMembers([...(yield* T.only).args], ["--session=ses_1"])
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })
})

describe("isolation in a directory", () => {
  it.effect("is kept, made where needed, and shared by the runs", () => {
    const { layer, seen } = looking(({ root }) => ({ isolation: { directory: `${root}/kept/data` } }))
    return Effect.gen(function*() {
      const { home, root } = yield* T.Machine
      credentials(`${home}/.local/share`, "stored")
      yield* OpenCode.run("x")
      NodeFs.writeFileSync(`${root}/kept/data/opencode/opencode.db`, "sessions")
      yield* OpenCode.run("x", { continueSession: true })
      assert.deepStrictEqual(seen.map((one) => [one.data, one.auth, one.isLink]), [
        [`${root}/kept/data`, "stored", true],
        [`${root}/kept/data`, "stored", true]
      ])
      assert.strictEqual(NodeFs.readFileSync(`${root}/kept/data/opencode/opencode.db`, "utf8"), "sessions")
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps credentials of its own", () => {
    const { layer, seen } = looking(({ root }) => ({ isolation: { directory: `${root}/kept` } }))
    return Effect.gen(function*() {
      const { home, root } = yield* T.Machine
      credentials(`${home}/.local/share`, "stored")
      credentials(`${root}/kept`, "own")
      yield* OpenCode.run("x")
      assert.strictEqual(seen[0]!.auth, "own")
      assert.isFalse(seen[0]!.isLink)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is a typed error where it cannot be made", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "isolation")
      assert.deepStrictEqual(yield* T.commands, [])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([], ({ binary }) => ({ isolation: { directory: `${binary}/below/a/file` } })))))
})
