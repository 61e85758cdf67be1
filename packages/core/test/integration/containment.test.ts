/**
 * Runs in process namespaces: what comes through, and that nothing outlives them. Most tests do without the real
 * OpenCode, because the kernel treats all processes alike.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { spawn as spawnChild, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as namespace from "../../src/internal/process/namespace.js"
import type { Wrap } from "../../src/internal/process/program.js"
import * as spawn from "../../src/internal/process/spawn.js"
import * as table from "../../src/internal/process/table.js"
import { bundle } from "../support/bundle.js"
import * as T from "../support/mock.js"
import { kill } from "../support/processFiles.js"
import * as support from "./support.js"

const found = await Effect.runPromise(
  Effect.flatMap(CommandExecutor.CommandExecutor, (executor) => Effect.either(namespace.find({ executor }))).pipe(
    Effect.provide(NodeContext.layer)
  )
)
const refusal = Option.getOrUndefined(Either.getLeft(found))
if (refusal !== undefined) console.warn(`Process namespaces are not tested: ${refusal}.`)

const means = Either.getOrElse(found, () => ({ tool: "", user: false }))
const isRoot = process.getuid?.() === 0

const program = bundle(fileURLToPath(new URL("./programs/leashed.ts", import.meta.url)))

const start = (script: string, options: Partial<spawn.StartOptions> = {}) =>
  Effect.gen(function*() {
    const [executor, fileSystem, path] = yield* Effect.all([
      CommandExecutor.CommandExecutor,
      FileSystem.FileSystem,
      Path.Path
    ])
    return yield* spawn.start(executor, yield* table.make({ executor, fileSystem, path }), {
      binary: "/bin/sh",
      cwd: "/tmp",
      invocation: { args: ["-c", script], env: {}, stdin: "the prompt" },
      extendEnv: true,
      marker: "containment-test",
      forceKillAfter: Duration.minutes(1),
      wrap: namespace.wrap(means),
      ...options
    })
  })

/** The exit and the output of a script. */
const outcome = (script: string, wrap: Wrap | undefined) =>
  Effect.scoped(Effect.gen(function*() {
    const running = yield* start(script, { wrap })
    const text = (pipe: spawn.Running["stdout"]) => Effect.fork(Stream.mkString(Stream.decodeText(pipe)))
    const stdout = yield* text(running.stdout)
    const stderr = yield* text(running.stderr)
    const exit = yield* running.exit
    return { exit, stdout: yield* Fiber.join(stdout), stderr: yield* Fiber.join(stderr) }
  })).pipe(Effect.provide(NodeContext.layer))

/**
 * Leaves two processes without parents, in sessions of their own, that ignore signals: one without an environment, whose
 * limit is the machine's again if that is allowed, and one that a search hardly finds, because it is another process
 * every few milliseconds, as long as its script is there. Both name the working directory.
 */
const escape = `(env -i PATH="$PATH" setsid sh -c '
  ulimit -w unlimited 2> /dev/null || ulimit -x unlimited 2> /dev/null
  trap "" TERM HUP INT; while :; do touch "$0"; sleep 0.05; done
' "$PWD/escaped" < /dev/null > /dev/null 2>&1 &)
cat > "$PWD/fleeting" << 'EOT'
#!/bin/sh
trap "" TERM HUP INT
: > "$0.alive"
setsid "$0" &
EOT
chmod 700 "$PWD/fleeting"
(setsid "$PWD/fleeting" < /dev/null > /dev/null 2>&1 &)
until [ -e "$PWD/escaped" ] && [ -e "$PWD/fleeting.alive" ]; do sleep 0.05; done
`

/** Nothing is left, and nothing comes back. */
const expectNothing = (box: support.Sandbox) =>
  Effect.gen(function*() {
    const alive = path.join(box.work, "fleeting.alive")
    fs.rmSync(alive, { force: true })
    for (let look = 0; look < 10; look++) {
      yield* Effect.sleep("5 millis")
      expect(support.left(box)).toEqual(support.nothing)
    }
    expect(fs.existsSync(alive)).toBe(false)
  })

/** An agent with such a process. */
const agent = (box: support.Sandbox, more: string): string => {
  const binary = path.join(box.root, "agent")
  fs.writeFileSync(binary, `#!/bin/sh\ncat > /dev/null\n${escape}${more}`, { mode: 0o755 })
  return binary
}

const stubborn = "trap '' TERM HUP INT\ntouch ready\nwhile :; do sleep 0.05; done\n"

const runs = (box: support.Sandbox, binary: string, options: OpenCode.Options = {}) =>
  OpenCode.layer({
    binary,
    version: "1.18.33",
    containment: "namespace",
    forceKillAfter: "1 second",
    ...options,
    defaults: { cwd: box.work }
  }).pipe(Layer.provide(NodeContext.layer))

describe.skipIf(refusal !== undefined)("a process namespace", () => {
  for (
    const [name, script] of [
      ...[0, 1, 7, 126, 127, 255].map((code) => [`exit code ${code}`, `exit ${code}`] as const),
      ...["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "TERM", "USR1"].map((signal) =>
        [`the end by SIG${signal}`, `kill -${signal} $$; sleep 300`] as const
      ),
      ["the input and both outputs", "cat; echo out; echo err >&2; exit 3"],
      ["the handling of signals", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"],
      ["the open files", "cd /proc/self/fd; echo *"],
      ["the user", "id; umask; pwd; ulimit -a | grep -v pending"]
    ] as const
  ) {
    it.live(`changes nothing about ${name}`, () =>
      Effect.gen(function*() {
        // The size of a core file does not matter here, but it would be written.
        const [without, within] = yield* Effect.all([
          outcome(`ulimit -c 0; ${script}`, undefined),
          outcome(`ulimit -c 0; ${script}`, namespace.wrap(means))
        ])
        expect(within).toEqual(without)
      }))
  }

  it.live("has its own process numbers, which /proc shows", () =>
    Effect.gen(function*() {
      const { stdout } = yield* outcome("echo $PPID; cd /proc; echo [0-9]*", namespace.wrap(means))
      const [parent, all] = stdout.trim().split("\n")
      expect(parent).toBe("1")
      expect(all!.split(" ").length).toBe(2)
    }))

  it.scopedLive("passes SIGTERM to the program, and ends with it", () =>
    Effect.gen(function*() {
      const running = yield* start("trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
      const lines: Array<string> = []
      const reading = yield* Effect.fork(
        Stream.runForEach(
          Stream.splitLines(Stream.decodeText(running.stdout)),
          (line) => Effect.sync(() => lines.push(line))
        )
      )
      yield* support.until(() => lines.includes("ready"))
      expect(yield* running.terminate()).toEqual([])
      expect(yield* running.exit).toEqual({ _tag: "Code", code: 3 })
      yield* Fiber.join(reading)
      expect(lines).toEqual(["ready", "asked"])
    }).pipe(Effect.provide(NodeContext.layer)))

  it("keeps the owner of files for a user without privileges", () => {
    const directory = fs.mkdtempSync(path.join(process.env["TMPDIR"] ?? "/tmp", "containment-"))
    try {
      const [uid, gid] = isRoot ? [65534, 65534] : [process.getuid!(), process.getgid!()]
      if (isRoot) fs.chownSync(directory, uid, gid)
      const { binary, invocation } = namespace.wrap({ tool: means.tool, user: true })({
        binary: "/bin/sh",
        invocation: { args: ["-c", "id -u; id -g; touch file; exit 7"], env: {}, stdin: "" }
      }, directory)
      const run = spawnSync(binary, invocation.args, {
        cwd: directory,
        encoding: "utf8",
        ...(isRoot ? { uid, gid } : {})
      })
      // A machine on which only root can make namespaces refuses it, and so does `find` then.
      if (isRoot && run.stderr.includes("unshare failed")) {
        return console.warn(`Namespaces of users without privileges are not tested: ${run.stderr.trim()}`)
      }
      expect([run.status, run.stdout]).toEqual([7, `${uid}\n${gid}\n`])
      const { gid: group, uid: owner } = fs.statSync(path.join(directory, "file"))
      expect([owner, group]).toEqual([uid, gid])
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })
})

describe.skipIf(refusal !== undefined)("of a run in a namespace nothing is left", () => {
  it.scopedLive("at its end", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const answer = path.join(box.root, "answer")
      fs.writeFileSync(answer, T.answer("done").map((event) => `${JSON.stringify(event)}\n`).join(""))
      const { text } = yield* OpenCode.run("x").pipe(Effect.provide(runs(box, agent(box, `cat ${answer}\n`))))
      expect(text).toBe("done")
      yield* expectNothing(box)
    }))

  it.scopedLive("after an interruption, although nothing obeys", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      yield* Effect.gen(function*() {
        const running = yield* Effect.fork(OpenCode.run("x"))
        yield* support.during(support.appearance(box.work, "ready"), running)
        yield* Fiber.interrupt(running)
        yield* expectNothing(box)
      }).pipe(Effect.provide(runs(box, agent(box, stubborn))))
    }))

  it.scopedLive("if the program that holds it is killed, without a watchdog", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      yield* Effect.gen(function*() {
        const running = yield* Effect.fork(Effect.flip(OpenCode.run("x")))
        yield* support.during(support.appearance(box.work, "ready"), running)
        process.kill(support.leader(box).pid, "SIGKILL")
        const error = yield* Fiber.join(running)
        expect(error).toMatchObject({ _tag: "OpenCodeProcessError", signal: "SIGKILL" })
        yield* expectNothing(box)
      }).pipe(Effect.provide(runs(box, agent(box, stubborn), { leash: false })))
    }))

  it.scopedLive("although another process reads its end from the session, in a namespace as well", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const [begun, binary, session] = ["begun", "agent", "session"].map((name) => path.join(box.root, name))
      const parts = [T.stepStart(), T.text("the end"), T.stepFinish("stop")].map(({ part }, index) => ({
        ...part,
        id: `prt_${index + 1}`
      }))
      const messages = [
        { info: { id: "msg_u", role: "user" }, parts: [{ type: "text", text: "x", id: "prt_u" }] },
        { info: { id: "msg_1", role: "assistant", cost: 0.25 }, parts }
      ]
      fs.writeFileSync(begun!, `${JSON.stringify(T.stepStart())}\n`)
      fs.writeFileSync(session!, JSON.stringify({ info: { id: "ses_1", title: "a title" }, messages }))
      fs.writeFileSync(
        binary!,
        `#!/bin/sh
echo "$PPID" >> parents
case $1 in
  run) cat > /dev/null; cat ${begun} ;;
  export) ${escape} cat ${session} ;;
esac
`,
        { mode: 0o755 }
      )
      const result = yield* OpenCode.run("x", { recover: "export" }).pipe(Effect.provide(runs(box, binary!)))
      expect(result).toMatchObject({ recovered: true, text: "the end" })
      expect(fs.readFileSync(path.join(box.work, "parents"), "utf8")).toBe("1\n1\n")
      yield* expectNothing(box)
    }))

  it.scopedLive("if its program is killed", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = agent(box, stubborn)
      const plan = { binary, options: {}, runs: 1, cwd: box.work, order: path.join(box.root, "order") }
      const child = spawnChild(process.execPath, [program], {
        env: { ...process.env, PLAN: JSON.stringify({ ...plan, containment: "namespace" }) },
        stdio: "ignore",
        detached: true
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => kill(child.pid!)))
      yield* support.appearance(box.work, "ready")
      child.kill("SIGKILL")
      yield* support.until(() => support.processes(box).length === 0 && fs.readdirSync(box.tmp).length === 0)
      yield* expectNothing(box)
    }))
})

const { Reply, bash, steps } = support

/** A command that leaves a process behind, and says what it sees. */
const telling = bash(`${escape}id -u; readlink /proc/self/ns/pid; touch file`)

const expectContained = (box: support.Sandbox, output: unknown) => {
  assert.match(String(output), /^\d+\npid:\[\d+\]\n/)
  expect(output).not.toContain(fs.readlinkSync("/proc/self/ns/pid"))
  const { uid } = fs.statSync(path.join(box.work, "file"))
  expect([uid, Number.parseInt(String(output), 10)]).toEqual([process.getuid!(), process.getuid!()])
}

describe.skipIf(refusal !== undefined)("the real OpenCode in a namespace", () => {
  support.real("answers, uses its tools, and leaves nothing", (box) =>
    Effect.gen(function*() {
      const result = yield* support.run("Look")
      expect(result).toMatchObject({ text: "looked", exitCode: 0, forced: false })
      expect(result.sessionId).toMatch(/^ses_/)
      expectContained(box, support.tools(result.events)[0]!.output)
      yield* expectNothing(box)
    }), { respond: steps([telling, Reply.text("looked")]), client: { containment: "namespace" } })

  support.real("is interrupted while a tool works", (box) =>
    Effect.gen(function*() {
      const running = yield* Effect.fork(support.run("Sleep"))
      yield* support.during(support.appearance(box.work, "ready"), running)
      yield* Fiber.interrupt(running)
      yield* expectNothing(box)
    }), {
    respond: steps([bash(`${escape}touch ready; sleep 300`), Reply.text("slept")]),
    client: { containment: "namespace" }
  })

  it.scopedLive("serves runs, and leaves nothing", () =>
    Effect.flatMap(support.sandbox, (box) =>
      Effect.gen(function*() {
        const { configOverrides, model } = yield* ModelProvider.ModelProvider
        yield* Effect.gen(function*() {
          const result = yield* support.run("Look")
          expect(result.text).toBe("looked")
          expectContained(box, support.tools(result.events)[0]!.output)
          expect(support.processes(box).some(({ command }) => command.includes("escaped"))).toBe(true)
        }).pipe(Effect.provide(
          OpenCodeServer.layer({
            containment: "namespace",
            startTimeout: "10 minutes",
            forceKillAfter: "15 seconds",
            defaults: { configOverrides, model, title: "Scripted", cwd: box.work }
          }).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
        ))
        yield* expectNothing(box)
      }).pipe(Effect.provide(support.services(box, { respond: steps([telling, Reply.text("looked")]) })))))
})
