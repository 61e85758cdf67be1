import * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
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
    // OpenCode's own files
    NodeFs.writeFileSync(NodePath.join(command.env["TMPDIR"]!, "library.so"), "x")
    return script
  }, options)
  return { seen, layer }
}

describe("isolation \"run\"", () => {
  it.effect("gives every run its own directories and removes them", () => {
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

  it.effect("removes them on interruption, timeout and early end, after the process has ended", () => {
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
      yield* T.advance("1 second")
      yield* Fiber.join(timed)
      assert.strictEqual(seen.length, 3)
      yield* T.expectClean
    }).pipe(Effect.provide(layer))
  })

  it.effect("removes them when the process cannot be spawned or is refused", () => {
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
      // the link is removed, the file stays
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

  it.effect("ignores a stored link to nowhere", () => {
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

  it.effect("finds them by XDG_DATA_HOME, the host's or the run's", () => {
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

  it.effect("refuses to continue a session that cannot exist there", () =>
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
  it.effect("keeps it, creates it when needed, and shares it between runs", () => {
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

  it.effect("fails with a typed error when it cannot be created", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "isolation")
      assert.deepStrictEqual(yield* T.commands, [])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([], ({ binary }) => ({ isolation: { directory: `${binary}/below/a/file` } })))))
})

const loginsOf = (directory: string) =>
  NodeFs.readdirSync(directory).sort().map((name) => {
    const isLink = NodeFs.lstatSync(NodePath.join(directory, name)).isSymbolicLink()
    return isLink ? `${name} → ${NodeFs.readFileSync(NodePath.join(directory, name), "utf8")}` : name
  })

const dataOf = (env: Readonly<Record<string, string>>) => NodePath.join(env["XDG_DATA_HOME"]!, "opencode")

describe("logins", () => {
  const store = (directory: string, files: Readonly<Record<string, string>>) => {
    NodeFs.mkdirSync(NodePath.join(directory, "opencode"), { recursive: true })
    for (const [name, content] of Object.entries(files)) {
      NodeFs.writeFileSync(NodePath.join(directory, "opencode", name), content, { mode: 0o600 })
    }
  }

  it.effect("are all linked, unlike data", () => {
    const seen: Array<ReadonlyArray<string>> = []
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, {
        "auth.json": "A",
        "mcp-auth.json": "B",
        "plugin-accounts.json": "C",
        "opencode.db": "D",
        "author.json": "E"
      })
      yield* OpenCode.run("x")
      assert.deepStrictEqual(seen, [["auth.json → A", "mcp-auth.json → B", "plugin-accounts.json → C"]])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(({ env }) => {
      seen.push(loginsOf(dataOf(env)))
      return T.answering("x")
    })))
  })

  it.effect("are found in a directory relative to that of the run", () => {
    const seen: Array<ReadonlyArray<string>> = []
    return Effect.gen(function*() {
      const { work } = yield* T.Machine
      store(`${work}/below/share`, { "auth.json": "A" })
      yield* OpenCode.run("x", { cwd: "below", extraEnv: { XDG_DATA_HOME: "share" } })
      assert.deepStrictEqual(seen, [["auth.json → A"]])
    }).pipe(Effect.provide(T.layer(({ env }) => {
      seen.push(loginsOf(dataOf(env)))
      return T.answering("x")
    })))
  })

  /** Replaces the link, as a plugin does that rewrites the file. */
  const renewing =
    (content: (stored: string) => string) => ({ env }: { readonly env: Readonly<Record<string, string>> }) => {
      const file = NodePath.join(dataOf(env), "auth.json")
      const stored = NodeFs.realpathSync(file)
      NodeFs.writeFileSync(`${file}.new`, content(stored))
      NodeFs.renameSync(`${file}.new`, file)
      return T.answering("x")
    }

  const before = JSON.stringify({ a: { token: 1 }, b: { token: 1 }, c: { token: 1 } })

  it.effect("are copied back when the link was replaced, without losing other changes", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, { "auth.json": before })
      const file = `${home}/.local/share/opencode/auth.json`
      yield* OpenCode.run("x")
      assert.deepStrictEqual(JSON.parse(NodeFs.readFileSync(file, "utf8")), {
        a: { token: 2 },
        b: { token: 3 },
        d: { token: 1 }
      })
      assert.strictEqual(NodeFs.statSync(file).mode & 0o777, 0o600)
      assert.deepStrictEqual(NodeFs.readdirSync(NodePath.dirname(file)), ["auth.json"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(renewing((stored) => {
      // Meanwhile another run refreshes another token.
      NodeFs.writeFileSync(stored, JSON.stringify({ a: { token: 1 }, b: { token: 3 }, c: { token: 1 } }))
      return JSON.stringify({ a: { token: 2 }, b: { token: 1 }, d: { token: 1 } })
    })))))

  it.effect("are not copied back when they are damaged", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, { "auth.json": before })
      yield* OpenCode.run("x")
      assert.strictEqual(NodeFs.readFileSync(`${home}/.local/share/opencode/auth.json`, "utf8"), before)
    }).pipe(Effect.provide(T.layer(renewing(() => "{\"a\":")))))

  it.effect("stay in place when they are written through the link", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, { "auth.json": before })
      yield* OpenCode.run("x")
      assert.strictEqual(NodeFs.readFileSync(`${home}/.local/share/opencode/auth.json`, "utf8"), "{\"a\":2}")
    }).pipe(Effect.provide(T.layer(({ env }) => {
      NodeFs.writeFileSync(NodePath.join(dataOf(env), "auth.json"), "{\"a\":2}")
      return T.answering("x")
    }))))

  it.effect("are copied when links are not allowed, and copied back", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, { "auth.json": before })
      yield* OpenCode.run("x")
      assert.deepStrictEqual(JSON.parse(NodeFs.readFileSync(`${home}/.local/share/opencode/auth.json`, "utf8")).a, {
        token: 2
      })
    }).pipe(Effect.provide(T.layerOf(
      (base) => ({ symlink: (from) => base.readLink(from) }),
      ({ env }) => {
        assert.strictEqual(NodeFs.readFileSync(NodePath.join(dataOf(env), "auth.json"), "utf8"), before)
        NodeFs.writeFileSync(NodePath.join(dataOf(env), "auth.json"), "{\"a\":{\"token\":2}}")
        return T.answering("x")
      }
    ))))

  it.effect("are linked once by concurrent runs in one directory", () => {
    const seen: Array<ReadonlyArray<string>> = []
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      store(`${home}/.local/share`, { "auth.json": "A", "mcp-auth.json": "B" })
      yield* Effect.all([1, 2, 3, 4].map(() => OpenCode.run("x")), { concurrency: "unbounded" })
      for (const one of seen) assert.deepStrictEqual(one, ["auth.json → A", "mcp-auth.json → B"])
      assert.strictEqual(NodeFs.readFileSync(`${home}/.local/share/opencode/auth.json`, "utf8"), "A")
    }).pipe(Effect.provide(T.layer(
      ({ env }) => {
        seen.push(loginsOf(dataOf(env)))
        return T.answering("x")
      },
      ({ root }) => ({ isolation: { directory: `${root}/kept` } })
    )))
  })
})

describe("the temporary directory", () => {
  /** What Bun unpacks at the start, and its directory. */
  const unpacking = (seen: Array<string>) => ({ env }: { readonly env: Readonly<Record<string, string>> }) => {
    const named = env["BUN_TMPDIR"]
    const directory = named === undefined || named === "" ? env["TMPDIR"]! : named
    NodeFs.writeFileSync(NodePath.join(directory, "library.so"), "x")
    seen.push(directory)
    return T.answering("x")
  }

  const cases = [
    ["BUN_TMPDIR of the machine", "bun", (root: string) => ({ BUN_TMPDIR: `${root}/bun` }), () => ({})],
    ["BUN_TMPDIR of the run", "bun", () => ({}), (root: string) => ({ BUN_TMPDIR: `${root}/bun` })],
    ["a BUN_TMPDIR that the run empties", "tmp", (root: string) => ({ BUN_TMPDIR: `${root}/bun` }), () => ({
      BUN_TMPDIR: ""
    })],
    ["TMPDIR of the run", "bun", () => ({}), (root: string) => ({ TMPDIR: `${root}/bun` })],
    ["a missing BUN_TMPDIR", "tmp", () => ({ BUN_TMPDIR: "/nowhere" }), () => ({})]
  ] as const
  for (const [name, below, inherited, extraEnv] of cases) {
    it.effect(`is private with ${name}`, () => {
      const seen: Array<string> = []
      return Effect.gen(function*() {
        const { root } = yield* T.Machine
        NodeFs.mkdirSync(`${root}/bun`)
        yield* OpenCode.run("x", { extraEnv: extraEnv(root) })
        assert.strictEqual(seen.length, 1)
        assert.isTrue(seen[0]!.startsWith(`${root}/${below}/effect-opencode-`), seen[0])
        assert.deepStrictEqual(NodeFs.readdirSync(`${root}/bun`), [])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer(unpacking(seen), {}, ({ root }) => inherited(root))))
    })
  }

  /** What the system does to everybody but root: nothing can be removed from a closed directory. */
  const guarded = (base: FileSystem.FileSystem): Partial<FileSystem.FileSystem> => {
    const closed = (directory: string): boolean => {
      const info = NodeFs.lstatSync(directory)
      if (!info.isDirectory()) return false
      const names = NodeFs.readdirSync(directory)
      return ((info.mode & 0o200) === 0 && names.length > 0) || names.some((name) => closed(`${directory}/${name}`))
    }
    return {
      remove: (file, options) =>
        Effect.suspend(() =>
          NodeFs.existsSync(file) && closed(file)
            ? new PlatformError.SystemError({ reason: "PermissionDenied", module: "FileSystem", method: "remove" })
            : base.remove(file, options)
        )
    }
  }

  it.effect("is removed with closed trees inside, and the targets of its links stay", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      NodeFs.mkdirSync(`${root}/elsewhere/deep`, { recursive: true })
      NodeFs.chmodSync(`${root}/elsewhere`, 0o555)
      yield* OpenCode.run("x", { extraEnv: { ELSEWHERE: `${root}/elsewhere` } })
      yield* T.expectClean
      assert.strictEqual(NodeFs.statSync(`${root}/elsewhere`).mode & 0o777, 0o555)
      NodeFs.chmodSync(`${root}/elsewhere`, 0o755)
    }).pipe(Effect.provide(T.layerOf(guarded, ({ env }) => {
      const cache = `${env["TMPDIR"]}/go/pkg/mod`
      NodeFs.mkdirSync(`${cache}/example.org/module@v1/internal`, { recursive: true })
      NodeFs.writeFileSync(`${cache}/example.org/module@v1/internal/file.go`, "", { mode: 0o444 })
      NodeFs.symlinkSync(env["ELSEWHERE"]!, `${cache}/link`)
      for (const name of ["example.org/module@v1/internal", "example.org/module@v1", "example.org", "."]) {
        NodeFs.chmodSync(`${cache}/${name}`, 0o555)
      }
      NodeFs.chmodSync(`${env["TMPDIR"]}/go`, 0)
      return T.answering("x")
    }))))

  it.effect("is named in a warning when it cannot be removed", () => {
    const warnings: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === LogLevel.Warning) warnings.push(String(message))
    })
    return Effect.gen(function*() {
      yield* Effect.provide(OpenCode.run("x"), Logger.replace(Logger.defaultLogger, logger))
      const { made, tmp } = yield* T.Machine
      assert.deepStrictEqual(NodeFs.readdirSync(tmp).map((name) => `${tmp}/${name}`), made)
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, made[0]!)
      assert.include(warnings[0]!, "EROFS")
    }).pipe(Effect.provide(T.layerOf({
      remove: () =>
        new PlatformError.SystemError({
          reason: "Unknown",
          module: "FileSystem",
          method: "remove",
          cause: Object.assign(new Error(), { code: "EROFS" })
        })
    }, [T.answering("x")])))
  })
})

describe("paths", () => {
  it.effect("with `~` are resolved below the home directory", () => {
    const seen: Array<string> = []
    return Effect.gen(function*() {
      const { home } = yield* T.Machine
      NodeFs.mkdirSync(`${home}/src/deep`, { recursive: true })
      NodeFs.writeFileSync(`${home}/notes.txt`, "")
      yield* OpenCode.run("x", {
        cwd: "~/src",
        dir: "~/src/deep",
        files: ["~/notes.txt"],
        transcript: "~/run.jsonl"
      })
      const { args, cwd } = yield* T.only
      assert.strictEqual(cwd, `${home}/src`)
      const text = args.join(" ")
      assert.match(text, new RegExp(`--dir[= ]${home}/src/deep( |$)`))
      assert.match(text, new RegExp(`[= ]${home}/notes.txt( |$)`))
      assert.isTrue(NodeFs.existsSync(`${home}/run.jsonl`))
      assert.deepStrictEqual(seen, [`${home}/kept`])
    }).pipe(Effect.provide(T.layer(({ env }) => {
      seen.push(env["XDG_DATA_HOME"]!)
      return T.answering("x")
    }, { isolation: { directory: "~/kept" } })))
  })

  it.effect("with `~` are refused without a home directory", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { cwd: "~/src" }))
      assert.strictEqual(error.path, "cwd")
      assert.include(error.reason, "HOME is not set")
    }).pipe(Effect.provide(T.layer([], {}, () => ({ HOME: "" })))))

  it.effect("to a data directory below another user's home are refused", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "isolation.directory")
      assert.include(error.reason, "`./~ada`")
      assert.deepStrictEqual(NodeFs.readdirSync(work), [])
    }).pipe(Effect.provide(T.layer([], { isolation: { directory: "~ada/data" } }))))

  it.effect("that begin with `~` literally are written with `./`", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      NodeFs.mkdirSync(`${work}/~ada`)
      yield* OpenCode.run("x", { cwd: "./~ada" })
      assert.strictEqual((yield* T.only).cwd, `${work}/~ada`)
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("on a server's machine are passed on unchanged", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { attach: "http://127.0.0.1:4096", dir: "~ada/src" })
      assert.match((yield* T.only).args.join(" "), /--dir[= ]~ada\/src/)
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))
})
