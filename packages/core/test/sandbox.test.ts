/** What a sandboxed process finds at a path, decided on a real disk but started nowhere. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import { HostEnvironment, OpenCode, Sandbox } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import * as hiddenPaths from "../src/internal/launch/hiddenPaths.js"
import * as logins from "../src/internal/launch/logins.js"
import * as sandboxes from "../src/internal/launch/sandbox.js"
import * as leash from "../src/internal/process/leash.js"
import * as program from "../src/internal/process/program.js"
import * as table from "../src/internal/process/table.js"
import * as orphanedServers from "../src/internal/transport/server/orphanedServers.js"
import { lasting } from "./support/lasting.js"

interface Place {
  readonly root: string
  readonly home: string
  readonly work: string
  readonly temporary: string
}

const place = Effect.acquireRelease(
  Effect.sync((): Place => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(lasting, ".sandbox-")))
    const [home, work, temporary] = ["home", "work", "tmp"].map((name) => path.join(root, name))
    for (const directory of [home!, work!, path.join(temporary!, ".data", "opencode")]) {
      fs.mkdirSync(directory, { recursive: true })
    }
    return { root, home: home!, work: work!, temporary: temporary! }
  }),
  ({ root }) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

const put = (file: string, text = ""): string => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
  return file
}

const client = (sandbox: Sandbox.Sandbox) =>
  Effect.gen(function*() {
    const services = {
      executor: yield* CommandExecutor.CommandExecutor,
      fileSystem: yield* FileSystem.FileSystem,
      path: yield* Path.Path
    }
    return {
      ...services,
      table: yield* table.make(services),
      leash: leash.none(Effect.succeed(undefined)),
      environment: { extend: false, variables: {} },
      forceKillAfter: Duration.seconds(1),
      wrap: Effect.succeed(program.asItIs),
      sandboxing: { sandbox, tools: Effect.succeed({ bubblewrap: "/usr/bin/bwrap", socat: undefined }) }
    }
  })

const task = ({ home, temporary, work }: Place): sandboxes.Task => ({
  binary: "/usr/bin/env",
  cwd: work,
  env: {
    HOME: home,
    XDG_DATA_HOME: path.join(temporary, ".data"),
    XDG_STATE_HOME: path.join(temporary, ".state")
  },
  work,
  files: [],
  config: {},
  isolation: "run"
})

/** How a path is mounted: the option of bubblewrap, and what is there if not the path itself. */
type Mounted = ReadonlyMap<string, readonly [option: string, source?: string]>

const mounted = (args: ReadonlyArray<string>): Mounted => {
  const own = args.slice(args.indexOf("--proc") + 2, args.indexOf("--chdir"))
  const found = new Map<string, readonly [string, string?]>()
  for (let index = 0; index < own.length;) {
    const option = own[index]!
    if (option === "--tmpfs") found.set(own[index + 1]!, [option])
    if (option === "--bind" || option === "--ro-bind") {
      found.set(own[index + 2]!, own[index + 1] === own[index + 2] ? [option] : [option, own[index + 1]!])
    }
    index += option.includes("bind") ? 3 : 2
  }
  return found
}

const decide = (sandbox: Sandbox.Sandbox, given: sandboxes.Task) =>
  Effect.gen(function*() {
    const wrap = yield* sandboxes.wrap(yield* client(sandbox), given)
    return mounted(
      wrap({ binary: given.binary, invocation: { args: [], env: given.env, stdin: "" } }, given.cwd).invocation.args
    )
  }).pipe(
    Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables({})),
    Effect.provide(NodeContext.layer)
  )

const reason = (sandbox: Sandbox.Sandbox, given: sandboxes.Task) =>
  Effect.map(Effect.flip(decide(sandbox, given)), ({ path, reason }) => `${path}: ${reason}`)

describe("the mounts of a sandbox", () => {
  it.scoped("let the working directory and the directories of the run be written, and hide credentials", () =>
    Effect.gen(function*() {
      const box = yield* place
      put(path.join(box.home, ".ssh", "id_rsa"))
      put(path.join(box.home, ".netrc"))
      const found = yield* decide({}, task(box))
      assert.deepStrictEqual(found.get(box.work), ["--bind"])
      assert.deepStrictEqual(found.get(box.temporary), ["--bind"])
      assert.deepStrictEqual(found.get(path.join(box.home, ".ssh")), ["--tmpfs"])
      assert.match(found.get(path.join(box.home, ".netrc"))!.join(" "), /^--ro-bind .*\/empty$/)
      assert.match(found.get("/tmp")!.join(" "), /^--bind .*\/tmp$/)
      assert.isFalse(found.has(path.join(box.home, ".aws")))
    }))

  it.scoped("follow links: of the working directory, of a writable path, of credentials", () =>
    Effect.gen(function*() {
      const box = yield* place
      const [real, secret, out] = ["real", "secret", "out"].map((name) => path.join(box.root, name)) as [
        string,
        string,
        string
      ]
      for (const directory of [real, secret, out]) fs.mkdirSync(directory)
      fs.symlinkSync(real, path.join(box.root, "linked-work"))
      fs.symlinkSync(out, path.join(box.root, "linked-out"))
      fs.symlinkSync(secret, path.join(box.home, ".ssh"))
      const found = yield* decide({ write: [path.join(box.root, "linked-out")] }, {
        ...task(box),
        cwd: path.join(box.root, "linked-work"),
        work: path.join(box.root, "linked-work")
      })
      assert.deepStrictEqual([real, out, secret].map((one) => found.get(one)), [["--bind"], ["--bind"], ["--tmpfs"]])
      assert.isFalse(found.has(path.join(box.root, "linked-work")))
    }))

  it.scoped("do not follow a link out of a writable directory, which an agent could have made", () =>
    Effect.gen(function*() {
      const box = yield* place
      fs.symlinkSync(box.home, path.join(box.work, "out"))
      assert.match(
        yield* reason({ write: [path.join(box.work, "out")] }, task(box)),
        /^sandbox\.write\.0: .* leads out of the writable directory/
      )
      fs.mkdirSync(path.join(box.work, "in"))
      fs.symlinkSync(path.join(box.work, "in"), path.join(box.work, "fine"))
      yield* decide({ write: [path.join(box.work, "fine")] }, task(box))
    }))

  it.scoped("are decided by the deepest path, whichever option it stands in", () =>
    Effect.gen(function*() {
      const box = yield* place
      const secret = put(path.join(box.work, ".env"))
      const cache = path.dirname(put(path.join(box.home, ".cache", "go", "x")))
      const found = yield* decide({ hide: [secret, box.home], write: [cache] }, task(box))
      assert.strictEqual(found.get(secret)?.[0], "--ro-bind")
      assert.deepStrictEqual(found.get(box.home), ["--tmpfs"])
      assert.deepStrictEqual(found.get(cache), ["--bind"])
      // OpenCode needs it in any case.
      assert.deepStrictEqual(found.get(path.join(box.home, ".config", "opencode")), ["--ro-bind"])
    }))

  it.scoped("show hidden credentials that are named, and refuse to hide what is needed", () =>
    Effect.gen(function*() {
      const box = yield* place
      const aws = path.dirname(put(path.join(box.home, ".aws", "credentials")))
      assert.deepStrictEqual((yield* decide({ read: [aws] }, task(box))).get(aws), ["--ro-bind"])
      for (
        const [sandbox, needed] of [
          [{ hide: [box.work] }, box.work],
          [{ hide: [path.join(box.temporary, ".data")] }, ".data"],
          [{ hide: [aws], read: [aws] }, aws],
          [{ hide: [aws], write: [aws] }, aws]
        ] as const
      ) {
        const text = yield* reason(sandbox, task(box))
        assert.match(text, /^sandbox\.hide\.0: /)
        assert.include(text, needed)
      }
    }))

  it.scoped("ignore a hidden path that does not exist, and refuse others", () =>
    Effect.gen(function*() {
      const box = yield* place
      const nothing = path.join(box.root, "nothing")
      assert.isFalse((yield* decide({ hide: [nothing] }, task(box))).has(nothing))
      for (const name of ["write", "read"] as const) {
        assert.match(yield* reason({ [name]: [nothing] }, task(box)), /does not exist/)
      }
      for (const special of ["/", "/proc/1", "/dev"]) {
        assert.match(yield* reason({ write: [special] }, task(box)), /every sandbox has its own/)
      }
      assert.match(yield* reason({ write: ["~other/x"] }, task(box)), /is not expanded/)
      assert.match(yield* reason({ write: ["/usr/bin"] }, task(box)), /could replace \/usr\/bin\/bwrap/)
      assert.match(yield* reason({}, { ...task(box), cwd: "/", work: "/" }), /^cwd: /)
    }))

  it.scoped("are refused for the data directory of OpenCode itself, wherever the process is started", () =>
    Effect.gen(function*() {
      const box = yield* place
      assert.match(yield* reason({}, { ...task(box), isolation: "none" }), /^isolation: with "none" the tools/)
      const directory = path.join(box.home, ".local", "share")
      fs.mkdirSync(path.join(directory, "opencode"), { recursive: true })
      const named = { ...task(box), isolation: { directory } }
      const env = { ...named.env, XDG_DATA_HOME: directory }
      assert.match(
        yield* reason({}, { ...named, env, config: { extraEnv: { HOME: box.home } } }),
        /^isolation: .* is OpenCode's own data/
      )
    }))

  it.scoped("let a process without a working directory write its own data only", () =>
    Effect.gen(function*() {
      const box = yield* place
      const found = yield* decide({}, { ...task(box), work: undefined })
      assert.isFalse(found.has(box.work))
      assert.deepStrictEqual(found.get(box.temporary), ["--bind"])
    }))

  it.scoped("hide what variables name, and show what is needed in a directory for temporary files", () =>
    Effect.gen(function*() {
      const box = yield* place
      const agent = put(path.join(box.root, "agent.sock"))
      const directory = fs.realpathSync(fs.mkdtempSync("/tmp/sandbox-test-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(directory, { recursive: true })))
      const binary = put(path.join(directory, "node_modules", "opencode-ai", "bin", "opencode"))
      const file = put(path.join(directory, "given.txt"))
      const found = yield* decide({}, {
        ...task(box),
        binary,
        files: [file],
        env: { ...task(box).env, SSH_AUTH_SOCK: agent }
      })
      assert.strictEqual(found.get(agent)?.[0], "--ro-bind")
      assert.deepStrictEqual(found.get(path.join(directory, "node_modules")), ["--ro-bind"])
      assert.deepStrictEqual(found.get(file), ["--ro-bind"])
    }))

  it.scoped("do not follow a data directory that an agent of an earlier run has replaced by a link", () =>
    Effect.gen(function*() {
      const box = yield* place
      const data = path.join(box.temporary, ".data", "opencode")
      fs.rmSync(data, { recursive: true })
      fs.symlinkSync(box.home, data)
      assert.match(yield* reason({}, task(box)), /^sandbox\.write: .* leads out of the writable directory/)
    }))

  it.scoped("show the directory in which a process starts, if the agent works in another one", () =>
    Effect.gen(function*() {
      const box = yield* place
      const cwd = fs.realpathSync(fs.mkdtempSync("/tmp/sandbox-test-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(cwd, { recursive: true })))
      const found = yield* decide({}, { ...task(box), cwd })
      assert.deepStrictEqual([found.get(cwd), found.get(box.work)], [["--ro-bind"], ["--bind"]])
    }))

  it.scoped("have what OpenCode writes at its start, wherever it finds a configuration", () =>
    Effect.gen(function*() {
      const box = yield* place
      fs.mkdirSync(path.join(box.root, ".opencode"))
      yield* decide({}, task(box))
      for (const directory of [path.join(box.root, ".opencode"), path.join(box.home, ".config", "opencode")]) {
        assert.deepStrictEqual(fs.readdirSync(directory), [".gitignore"])
      }
      assert.isTrue(fs.existsSync(path.join(box.home, ".cache", "opencode", "bin")))
      assert.isFalse(fs.existsSync(path.join(box.home, ".opencode")))
    }))

  it.scoped("give git what a commit needs, and keep settings and hooks as they are", () =>
    Effect.gen(function*() {
      const box = yield* place
      const git = path.join(box.work, ".git")
      put(path.join(git, "config"))
      put(path.join(git, "hooks", "x"))
      const found = yield* decide({}, task(box))
      assert.deepStrictEqual(["", "config", "hooks"].map((name) => found.get(path.join(git, name))?.[0]), [
        "--bind",
        "--ro-bind",
        "--ro-bind"
      ])
    }))

  it.scoped("follow a worktree to its repository only if that names the worktree, too", () =>
    Effect.gen(function*() {
      const box = yield* place
      const git = path.join(box.root, "repository", ".git")
      const own = path.join(git, "worktrees", "one")
      for (const name of ["objects", "refs"]) fs.mkdirSync(path.join(git, name), { recursive: true })
      put(path.join(own, "gitdir"), `${box.work}/.git\n`)
      put(path.join(own, "commondir"), "../..\n")
      put(path.join(box.work, ".git"), `gitdir: ${own}\n`)
      const found = yield* decide({}, task(box))
      assert.deepStrictEqual([own, path.join(git, "objects"), path.join(git, "logs")].map((one) => found.get(one)), [
        ["--bind"],
        ["--bind"],
        ["--bind"]
      ])
      assert.deepStrictEqual(found.get(path.join(own, "commondir")), ["--ro-bind"])
      assert.isFalse(found.has(git))

      // An agent of an earlier run has put another repository there.
      put(path.join(own, "gitdir"), `${box.root}/other/.git\n`)
      assert.isFalse((yield* decide({}, task(box))).has(own))
    }))

  it.scoped("replace linked logins by copies", () =>
    Effect.gen(function*() {
      const box = yield* place
      const file = put(
        path.join(box.home, ".local", "share", "opencode", "auth.json"),
        "{\"a\":{\"type\":\"api\",\"key\":\"k\"}}"
      )
      fs.symlinkSync(file, path.join(box.temporary, ".data", "opencode", "auth.json"))
      const given = { ...task(box), config: { extraEnv: { HOME: box.home } } }
      const [option, copy = ""] = (yield* decide({}, given)).get(file)!
      assert.strictEqual(option, "--bind")
      assert.strictEqual(fs.readFileSync(copy, "utf8"), fs.readFileSync(file, "utf8"))
      assert.strictEqual(fs.statSync(copy).mode & 0o777, 0o600)

      // An agent of an earlier run has replaced the link in a kept data directory.
      const link = path.join(box.temporary, ".data", "opencode", "auth.json")
      const key = put(path.join(box.home, ".ssh", "auth.json"), "secret")
      fs.rmSync(link)
      fs.symlinkSync(key, link)
      const found = yield* decide({}, given)
      assert.deepStrictEqual([found.get(file), found.get(key), found.get(path.dirname(key))], [
        undefined,
        undefined,
        ["--tmpfs"]
      ])
    }))
})

describe("logins that come back from a sandbox", () => {
  it("have renewed tokens and nothing else", () => {
    const before = {
      oauth: { type: "oauth", access: "a", refresh: "r", expires: 1, accountId: "me" },
      api: { type: "api", key: "k" },
      server: { tokens: { accessToken: "a" }, serverUrl: "https://mcp.example" }
    }
    assert.deepStrictEqual(
      logins.renewed(before, {
        oauth: {
          type: "oauth",
          access: "a2",
          refresh: "r2",
          expires: 2,
          accountId: "you",
          enterpriseUrl: "https://evil"
        },
        api: { type: "wellknown", key: "x", token: "y" },
        server: { tokens: { accessToken: "a2" }, serverUrl: "https://evil.example" },
        "https://evil.example": { type: "wellknown", key: "x", token: "y" }
      }),
      {
        oauth: { type: "oauth", access: "a2", refresh: "r2", expires: 2, accountId: "me" },
        api: { type: "api", key: "k" },
        server: { tokens: { accessToken: "a2" }, serverUrl: "https://mcp.example" }
      }
    )
    assert.deepStrictEqual(logins.renewed(before, {}), before)
  })
})

describe("the note in a server's directory", () => {
  it.scoped("does not overwrite what a link there names", () =>
    Effect.gen(function*() {
      const box = yield* place
      const victim = put(path.join(box.home, ".profile"), "original")
      fs.symlinkSync(victim, path.join(box.temporary, ".server.json"))
      yield* orphanedServers.note(yield* client({}), box.temporary, { owner: "1/2/3" })
      assert.strictEqual(fs.readFileSync(victim, "utf8"), "original")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("the hidden paths", () => {
  it("are listed with `~`", () => {
    assert.include(Sandbox.hidden, "~/.ssh")
    assert.include(Sandbox.hidden, "~/.config/gh")
    assert.isTrue(Sandbox.hidden.every((file) => /^(~|\/etc|\/var)\//.test(file)))
  })

  it("are found in addresses and lists", () => {
    assert.deepStrictEqual(hiddenPaths.pathsIn("unix:path=/run/user/1000/bus,guid=4"), ["/run/user/1000/bus"])
    assert.deepStrictEqual(hiddenPaths.pathsIn("unix:///run/docker.sock"), ["/run/docker.sock"])
    assert.deepStrictEqual(hiddenPaths.pathsIn("/a:/b/c"), ["/a", "/b/c"])
    assert.deepStrictEqual(hiddenPaths.pathsIn("tcp://127.0.0.1:2375"), [])
    assert.deepStrictEqual(hiddenPaths.pathsIn("FILE:/tmp/krb5cc_0"), ["/tmp/krb5cc_0"])
  })

  it("follow the directories of the user", () => {
    const paths = hiddenPaths.expanded({
      directories: ["/h"],
      variables: [{ XDG_CONFIG_HOME: "/c", KUBECONFIG: "/k" }]
    })
    for (const file of ["/h/.ssh", "/h/.config/gh", "/c/gh", "/k", "/h/.local/share/opencode"]) {
      assert.include(paths, file)
    }
  })
})

describe("the option", () => {
  const problem = (sandbox: unknown) =>
    Option.match(sandboxes.shape(sandbox as Sandbox.Sandbox), { onNone: () => undefined, onSome: ({ path }) => path })

  it("is refused with the part that is wrong", () => {
    assert.isUndefined(problem({}))
    assert.isUndefined(problem({ write: ["~/x"], network: { allow: ["example.com"] } }))
    assert.strictEqual(problem(true), "sandbox")
    assert.strictEqual(problem({ writes: [] }), "sandbox.writes")
    assert.strictEqual(problem({ write: "/x" }), "sandbox.write")
    assert.strictEqual(problem({ hide: ["/x", ""] }), "sandbox.hide.1")
    assert.strictEqual(problem({ network: "some" }), "sandbox.network")
    assert.strictEqual(problem({ network: { allow: ["*.example.com"] } }), "sandbox.network.allow.0")
  })

  it.scoped("goes with neither `attach` nor the isolation \"none\", nor with a machine that cannot do it", () =>
    Effect.gen(function*() {
      const path = (options: OpenCode.Options) =>
        OpenCode.make({ binary: "/bin/sh", version: "1.18.33", sandbox: {}, ...options }).pipe(
          Effect.flatMap((service) => Effect.exit(service.run("x", options.defaults ?? {}))),
          Effect.map((exit) =>
            Exit.match(exit, {
              onFailure: (cause) => cause._tag === "Fail" && "path" in cause.error ? cause.error.path : String(cause),
              onSuccess: () => "success"
            })
          )
        )
      assert.strictEqual(yield* path({ isolation: "none" }), "isolation")
      const models = OpenCode.make({ binary: "/bin/sh", version: "1.18.33", sandbox: {}, isolation: "none" }).pipe(
        Effect.flatMap((service) => Effect.flip(service.models))
      )
      assert.strictEqual((yield* models).message.includes("isolation"), true)
      assert.strictEqual(yield* path({ defaults: { attach: "http://127.0.0.1:1" } }), "attach")
      const without = yield* FileSystem.FileSystem
      assert.strictEqual(
        yield* Effect.provideService(path({}), FileSystem.FileSystem, {
          ...without,
          exists: (file) => file === "/proc/self/ns" ? Effect.succeed(false) : without.exists(file)
        }),
        "sandbox"
      )
    }).pipe(Effect.provide(NodeContext.layer)))
})
