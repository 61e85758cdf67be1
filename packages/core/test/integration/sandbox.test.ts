/**
 * The real binary in a sandbox, with a model that tries to leave it: by the tools that write and read, by a script, by
 * links, by the kernel. What it must not touch lies outside of the directories for temporary files, which are replaced as
 * a whole.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer, Sandbox } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as net from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import { lasting } from "../support/lasting.js"
import * as support from "./support.js"

const { Reply, bash, steps } = support

const { missing, missingForNetwork } = await Effect.runPromise(Effect.provide(Sandbox.support, NodeContext.layer))

const loud = (what: string, reason: string) =>
  process.stderr.write(`\n  ####  ${what} DID NOT RUN: ${reason}.  ####\n\n`)

if (missing !== undefined) loud("THE TESTS OF THE SANDBOX", missing)
else if (missingForNetwork !== undefined) loud("THE TESTS OF THE SANDBOX'S NETWORK", missingForNetwork)

const made: Array<string> = []

const outsideOf = (): string => {
  const directory = fs.realpathSync(fs.mkdtempSync(path.join(lasting, ".outside-")))
  made.push(directory)
  return directory
}

afterAll(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true })
})

const killable = bundle(fileURLToPath(new URL("./programs/sandboxed.ts", import.meta.url)))

const canary = "CANARY-a3f1c9"

const put = (file: string, text: string): string => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
  return file
}

/** All files below a directory, with their contents. */
const tree = (directory: string): ReadonlyArray<readonly [string, string]> =>
  fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => [file, fs.readFileSync(file, "utf8")] as const)
    .sort(([a], [b]) => a.localeCompare(b))

/** What the agent is not supposed to reach. */
interface Scene {
  readonly outside: string
  readonly home: string
  readonly work: string
}

const credentials = [".ssh/id_ed25519", ".aws/credentials", ".config/gh/hosts.yml", ".netrc", ".docker/config.json"]

const scene = ({ home, work }: support.Sandbox): Scene => {
  const outside = outsideOf()
  put(path.join(outside, "file"), "original")
  put(path.join(outside, "private", "file"), canary)
  for (const name of credentials) put(path.join(home, name), canary)
  put(path.join(home, ".bashrc"), "# original")
  put(path.join(work, "inside"), "alpha")
  fs.symlinkSync(outside, path.join(work, "link"))
  fs.symlinkSync(path.join(home, ".ssh", "id_ed25519"), path.join(work, "key"))
  return { outside, home, work }
}

/** Ways out, each a line of a shell that should fail. */
const ways = ({ home, outside, work }: Scene): ReadonlyArray<string> => [
  `echo x > ${outside}/by-shell`,
  `echo x >> ${outside}/file`,
  `echo x > ${work}/link/by-link`,
  `ln -s ${outside} ${work}/fresh-link && echo x > ${work}/fresh-link/by-fresh-link`,
  `ln ${outside}/file ${work}/hard-link && echo x > ${work}/hard-link`,
  `mv ${outside}/file ${work}/moved`,
  `rm -r ${outside}/file`,
  `chmod 777 ${outside}/file`,
  `echo x >> ${home}/.bashrc`,
  `mkdir ${home}/.config/autostart`,
  `echo x > ${home}/.ssh/authorized_keys`,
  `echo x > ${home}/.config/opencode/plugin.js`,
  `echo x > ${home}/.cache/opencode/bin/rg`,
  `mount -o remount,rw / && echo x > ${outside}/by-mount`,
  `umount ${home}/.ssh`,
  `unshare --user --map-root-user --mount sh -c 'mount -o remount,rw,bind ${outside} || mount -o remount,rw /; echo x > ${outside}/by-namespace'`,
  `unshare --user --map-root-user --mount sh -c 'umount -l ${home}/.ssh; cat ${home}/.ssh/id_ed25519'`,
  `echo x > /proc/1/root${outside}/by-proc`,
  `cat /proc/1/root${home}/.ssh/id_ed25519`,
  `nsenter --target 1 --mount sh -c 'echo x > ${outside}/by-nsenter'`,
  "cat /proc/sys/kernel/core_pattern > /tmp/pattern && cat /tmp/pattern > /proc/sys/kernel/core_pattern",
  `echo x > /etc/effect-opencode-test`,
  `kill -9 ${process.pid}`,
  `cat ${outside}/private/file`,
  ...credentials.map((name) => `grep CANARY ${home}/${name}`)
]

const script = (scene: Scene): string =>
  [
    ...ways(scene).map((way, index) => `( ${way} ) >/dev/null 2>&1 && echo "way ${index} is open"`),
    `for file in ${scene.work}/key ${
      credentials.map((name) => `${scene.home}/${name}`).join(" ")
    }; do cat $file; done 2>&1`,
    "echo the end"
  ].join("\n")

const inPython = ({ outside }: Scene) =>
  `import ctypes, os
libc = ctypes.CDLL(None)
for call in (lambda: open("${outside}/by-python", "w"), lambda: os.chroot("${outside}"), lambda: os.rename("${outside}/file", "${outside}/renamed")):
  try:
    call()
    print("python is open")
  except OSError:
    pass
libc.syscall(165, b"none", b"${outside}", b"tmpfs", 0, None) == 0 and print("mount is open")
print("the end")
`

/** A file that the agent may write, in a directory that every sandbox has for itself. */
const own = ({ outside }: Scene): string => `/tmp/own${path.basename(outside)}`

const tool = (name: string, input: unknown) => Reply.toolCalls([{ name, arguments: input }])

const attempts = (scene: Scene): ReadonlyArray<ModelProvider.Reply> => [
  bash(script(scene)),
  tool("write", { filePath: path.join(scene.work, "leave.sh"), content: script(scene) }),
  bash(`sh ${scene.work}/leave.sh`),
  tool("write", { filePath: path.join(scene.work, "leave.py"), content: inPython(scene) }),
  bash(`python3 ${scene.work}/leave.py`),
  tool("write", { filePath: path.join(scene.outside, "by-write"), content: "x" }),
  tool("write", { filePath: path.join(scene.work, "link", "by-write"), content: "x" }),
  tool("edit", { filePath: path.join(scene.outside, "file"), oldString: "original", newString: "changed" }),
  tool("edit", { filePath: path.join(scene.work, "link", "file"), oldString: "original", newString: "changed" }),
  tool("read", { filePath: path.join(scene.home, ".ssh", "id_ed25519") }),
  tool("read", { filePath: path.join(scene.work, "key") }),
  tool("read", { filePath: path.join(scene.home, ".netrc") }),
  tool("edit", { filePath: path.join(scene.work, "inside"), oldString: "alpha", newString: "beta" }),
  bash(`echo x > ${scene.work}/by-shell && echo x > ${own(scene)} && echo inside works`),
  Reply.text("done")
]

/** What the library makes for OpenCode at its start. */
const isKept = ([file]: readonly [string, string]) => !file.endsWith("/.config/opencode/.gitignore")

/** The request has to be answered after the scene is known. */
const trying = (box: support.Sandbox) => {
  const place = scene(box)
  const replies = attempts(place)
  const before = [tree(place.outside), tree(place.home).filter(isKept)] as const
  return {
    scene: place,
    respond: steps(replies),
    check: (events: Parameters<typeof support.tools>[0]) => {
      const uses = support.tools(events)
      const outputs = uses.map((use) => use.output ?? use.error ?? "")
      expect(uses).toHaveLength(replies.length - 1)
      const said = outputs.join("\n")
      expect(said).not.toContain("is open")
      expect(said).not.toContain(canary)
      // Both scripts, and the Python one, have come to their end.
      expect(said.match(/the end/g)?.length).toBeGreaterThanOrEqual(3)
      expect(said).toContain("inside works")
      expect(tree(place.outside)).toEqual(before[0])
      expect(tree(place.home).filter(isKept)).toEqual(before[1])
      expect(fs.readFileSync(path.join(place.work, "inside"), "utf8")).toBe("beta")
      expect(fs.existsSync(path.join(place.work, "by-shell"))).toBe(true)
      expect(fs.existsSync(own(place))).toBe(false)
    }
  }
}

const everything = { permission: "allow" } as const

const sandboxed = (more: Partial<OpenCode.Options> = {}) => ({ sandbox: {}, ...more })

describe.skipIf(missing !== undefined)("a sandboxed run", () => {
  support.real("cannot leave by shell, edit, script, link or mount", (box) =>
    Effect.gen(function*() {
      const { check, respond, scene } = trying(box)
      yield* support.respond(respond)
      const service = yield* OpenCode.make({
        version: support.version,
        sandbox: { hide: [path.join(scene.outside, "private")] },
        defaults: (yield* ModelProvider.ModelProvider).runConfig
      })
      const result = yield* service.run("leave", { ...everything, cwd: box.work, title: "Scripted" })
      check(result.events)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("cannot leave over a server either", () =>
    Effect.flatMap(support.sandbox, (box) => {
      const { check, respond, scene } = trying(box)
      const provider = ModelProvider.layer({ respond }).pipe(
        Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      )
      const server = Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ runConfig }) =>
        OpenCodeServer.layer({
          startTimeout: "10 minutes",
          sandbox: { hide: [path.join(scene.outside, "private")] },
          defaults: { ...runConfig, cwd: box.work, title: "Scripted" }
        }))).pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]))
      return OpenCode.run("leave", everything).pipe(
        Effect.tap(({ events }) => Effect.sync(() => check(events))),
        Effect.provide(Layer.provideMerge(server, provider)),
        Effect.andThen(Effect.sync(() => expect(support.left(box)).toEqual(support.nothing)))
      )
    }))

  support.real(
    "commits in a linked worktree, and cannot change the hooks of its repository",
    (box) =>
      Effect.gen(function*() {
        const repository = outsideOf()
        const git = (...args: ReadonlyArray<string>) =>
          execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.com", ...args], {
            cwd: repository,
            encoding: "utf8"
          })
        git("init", "--quiet", "--initial-branch=main")
        git("commit", "--quiet", "--allow-empty", "--message=first")
        const work = path.join(repository, "..", `${path.basename(repository)}-tree`)
        made.push(work)
        git("worktree", "add", "--quiet", "-b", "tree", work)
        const hooks = path.join(repository, ".git", "hooks")
        yield* support.respond(steps([
          bash(
            "git -c user.name=A -c user.email=a@example.com commit --quiet --allow-empty --message=second && echo committed; " +
              `echo x > ${hooks}/pre-commit && echo hook is open; git config core.fsmonitor x && echo config is open; ` +
              `echo x > ${repository}/file && echo repository is open; true`
          ),
          Reply.text("done")
        ]))
        const result = yield* support.run("commit", { ...everything, cwd: work })
        const said = support.tools(result.events).map(({ output }) => output).join("")
        expect(said).toContain("committed")
        expect(said).not.toContain("is open")
        expect(git("log", "--format=%s", "tree")).toBe("second\nfirst\n")
        expect(box.work).not.toBe(work)
      }),
    { client: sandboxed() }
  )

  support.real(
    "cannot change the hooks and settings of its own repository",
    (box) =>
      Effect.gen(function*() {
        execFileSync("git", ["init", "--quiet"], { cwd: box.work })
        put(path.join(box.work, ".git", "hooks", "sample"), "")
        yield* support.respond(steps([
          bash(
            "git -c user.name=A -c user.email=a@example.com commit --quiet --allow-empty --message=x && echo committed; " +
              "echo x > .git/hooks/pre-commit && echo hook is open; git config core.fsmonitor x && echo config is open; " +
              "mv .git moved && echo move is open; rm -r .git/hooks && echo removal is open; true"
          ),
          Reply.text("done")
        ]))
        const said = support.tools((yield* support.run("commit", everything)).events).map(({ output }) => output).join(
          ""
        )
        expect(said).toContain("committed")
        expect(said).not.toContain("is open")
      }),
    { client: sandboxed() }
  )

  support.real("uses a stored login, of which the original stays as it is", (box) =>
    Effect.gen(function*() {
      const { baseUrl, model } = yield* ModelProvider.ModelProvider
      const login = { fake: { type: "api", key: "sk-stored" } }
      const file = put(path.join(box.home, ".local", "share", "opencode", "auth.json"), JSON.stringify(login))
      const evil = "{\"https://evil.example\":{\"type\":\"wellknown\"}}"
      const auth = "$XDG_DATA_HOME/opencode/auth.json"
      yield* support.respond(steps([
        bash(`echo '${evil}' > ${auth} && echo written; rm ${auth}; echo '${evil}' > ${auth} && echo replaced`),
        Reply.text("done")
      ]))
      const service = yield* OpenCode.make({
        version: support.version,
        sandbox: {},
        defaults: {
          model,
          configOverrides: {
            provider: {
              fake: { npm: "@ai-sdk/openai-compatible", options: { baseURL: baseUrl }, models: { m1: { name: "M1" } } }
            }
          }
        }
      })
      const result = yield* service.run("go", { ...everything, cwd: box.work, title: "Scripted" })
      const said = support.tools(result.events)[0]?.output
      expect(said).toContain("written")
      expect(said).toContain("replaced")
      const requests = yield* support.asked
      expect(requests.map(({ headers }) => headers["authorization"])).toContain("Bearer sk-stored")
      expect(JSON.parse(fs.readFileSync(file, "utf8"))).toEqual(login)
    }).pipe(Effect.provide(NodeContext.layer)))

  support.real(
    "leaves nothing when it is interrupted while tools work",
    (box) =>
      Effect.gen(function*() {
        yield* support.respond(steps([
          bash("(env -i PATH=$PATH setsid sleep 4321 &) ; touch started; trap '' TERM; sleep 4321"),
          Reply.text("never")
        ]))
        const fiber = yield* Effect.fork(support.run("go", everything))
        yield* support.during(support.appearance(box.work, "started"), fiber)
        yield* Fiber.interrupt(fiber)
        expect(support.left(box)).toEqual(support.nothing)
        expect(execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" })).not.toContain("sleep 4321")
      }),
    { client: sandboxed() }
  )

  support.real(
    "ends with a program that is killed, whatever its tools are, and without a watchdog",
    (box) =>
      Effect.gen(function*() {
        const { configOverrides, model } = yield* ModelProvider.ModelProvider
        yield* support.respond(steps([
          bash("(env -i PATH=$PATH setsid sleep 4322 &) ; trap '' TERM; touch started; sleep 4322"),
          Reply.text("never")
        ]))
        const plan = { configOverrides, model, title: "Scripted", cwd: box.work, ...everything }
        const program = spawn(process.execPath, [killable], {
          env: { ...process.env, PLAN: JSON.stringify(plan) },
          stdio: "ignore"
        })
        const exit = new Promise((resolve) => program.once("exit", resolve))
        yield* support.appearance(box.work, "started")
        const sleeping = () => execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" }).includes("sleep 4322")
        expect(sleeping()).toBe(true)
        program.kill("SIGKILL")
        yield* Effect.promise(() => exit)
        yield* support.until(() => !sleeping() && support.processes(box).length === 0)
        for (const name of fs.readdirSync(box.tmp)) fs.rmSync(path.join(box.tmp, name), { recursive: true })
      })
  )

  support.real(
    "reports a signal that ends OpenCode inside, and its own end by SIGTERM",
    (box) =>
      Effect.gen(function*() {
        yield* support.respond(steps([bash("kill -9 $OPENCODE_PID; sleep 30"), Reply.text("never")]))
        const killed = yield* support.failing("OpenCodeProcessError")(support.run("go", everything))
        expect(killed.signal).toBe("SIGKILL")
        const { asked, respond } = yield* support.announcing(Reply.never)
        yield* support.respond(respond)
        const fiber = yield* Effect.fork(support.failing("OpenCodeCancelledError")(support.run("go", everything)))
        yield* support.during(asked, fiber)
        process.kill(support.leader(box).pid, "SIGTERM")
        expect((yield* Fiber.join(fiber)).signal).toBe("SIGTERM")
      }),
    { client: sandboxed() }
  )

  support.real(
    "reaches no socket of other programs in a directory for temporary files",
    (box) =>
      Effect.gen(function*() {
        const socket = path.join(box.root, "daemon.sock")
        let connections = 0
        const daemon = net.createServer((connection) => {
          connections++
          connection.end()
        })
        yield* Effect.acquireRelease(
          Effect.async<void>((resume) => void daemon.listen(socket, () => resume(Effect.void))),
          () => Effect.sync(() => daemon.close())
        )
        yield* support.respond(steps([
          bash(`python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("${socket}")' 2>&1; echo tried`),
          Reply.text("done")
        ]))
        const result = yield* support.run("go", everything)
        expect(support.tools(result.events)[0]?.output).toContain("tried")
        expect(connections).toBe(0)
      }),
    { client: sandboxed() }
  )

  support.real(
    "writes where it may, and sees files that it was given",
    (box) =>
      Effect.gen(function*() {
        yield* support.respond(
          steps([bash(`echo x > ${box.data}/file && cat ${box.root}/given.txt`), Reply.text("done")])
        )
        const given = put(path.join(box.root, "given.txt"), "given text")
        const result = yield* support.run("go", { ...everything, files: [given] })
        expect(support.tools(result.events)[0]?.output).toContain("given text")
        expect(fs.existsSync(path.join(box.data, "file"))).toBe(true)
      }),
    { client: (box) => sandboxed({ sandbox: { write: [box.data] } }) }
  )
})

/** A service of the machine. */
const service = createServer((_, response) => void response.end("reached"))

const port = await new Promise<number>((resolve) =>
  void service.listen(0, "127.0.0.1", () => resolve((service.address() as net.AddressInfo).port))
)

afterAll(() => void service.close())

describe.skipIf(missing !== undefined || missingForNetwork !== undefined)("a sandboxed run without a network", () => {
  support.real(
    "asks its provider, and reaches nothing else",
    (box) =>
      Effect.gen(function*() {
        yield* support.respond(steps([
          bash(
            `curl -s --max-time 2 http://127.0.0.1:${port}/ && echo loopback is open; ` +
              "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 443), 2)' && echo network is open; " +
              "getent hosts example.com && echo names are open; echo tried"
          ),
          Reply.text("done")
        ]))
        const result = yield* support.run("go", everything)
        const said = support.tools(result.events)[0]?.output
        expect(said).toContain("tried")
        expect(said).not.toContain("open")
        expect(result.answer).toBe("done")
        expect(support.left(box)).toEqual(support.nothing)
      }),
    { client: sandboxed({ sandbox: { network: "none" } }) }
  )

  support.real(
    "reaches an allowed port of the loopback interface",
    () =>
      Effect.gen(function*() {
        yield* support.respond(steps([bash(`curl -s http://localhost:${port}/`), Reply.text("done")]))
        const result = yield* support.run("go", everything)
        expect(support.tools(result.events)[0]?.output).toContain("reached")
      }),
    { client: sandboxed({ sandbox: { network: { allow: [`localhost:${port}`] } } }) }
  )
})
