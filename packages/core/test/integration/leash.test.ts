/**
 * A program that is gone, by whatever end, and what is left of its runs. `npm run test:soak` kills 200 programs over a
 * scripted OpenCode and 20 over the real one.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, expect, it } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as leash from "../../src/internal/process/leash.js"
import * as leashScript from "../../src/internal/process/leashScript.js"
import * as processList from "../../src/internal/process/list.js"
import { bundle } from "../support/bundle.js"
import { kill, programOf, read } from "../support/processFiles.js"
import * as support from "./support.js"

const program = bundle(fileURLToPath(new URL("./programs/leashed.ts", import.meta.url)))

const soak = process.env["EFFECT_OPENCODE_SOAK"] === "1"

interface Plan {
  readonly binary?: string
  readonly options?: { readonly extraEnv?: object; readonly [name: string]: unknown }
  readonly runs: number
  readonly server?: boolean
  readonly leash?: boolean
  /** Whether it has a terminal of its own, which is closed with the first process. */
  readonly terminal?: boolean
}

/**
 * An agent that ignores SIGTERM and keeps asking its provider, as do two processes of its tools: in their own sessions,
 * without parents, one without an environment.
 */
const stubborn = (box: support.Sandbox): string => {
  const binary = path.join(box.root, "stubborn")
  const loop = "trap \"\" TERM HUP INT; while :; do echo $$ >> \"$0\"; sleep 0.1; done"
  fs.writeFileSync(
    binary,
    `#!/bin/sh
cat > /dev/null
trap '' TERM HUP INT
mkdir "$TMPDIR/closed"; touch "$TMPDIR/closed/file"; chmod 500 "$TMPDIR/closed"
(setsid sh -c '${loop}' "$PWD/asked.$1" < /dev/null > /dev/null 2>&1 &)
(env -i PATH="$PATH" setsid sh -c '${loop}' "$PWD/asked.$1" < /dev/null > /dev/null 2>&1 &)
touch "$PWD/ready.$$"
while :; do echo $$ >> "$PWD/asked.$1"; sleep 0.1; done
`,
    { mode: 0o755 }
  )
  return binary
}

/** A program and its private directories. */
interface Started {
  readonly child: ChildProcess
  readonly work: string
  readonly tmp: string
  readonly order: string
  readonly exited: Promise<void>
}

/** A second place of temporary directories. */
const bunOf = (work: string): string => path.join(work, "bun")

/** Starts a program that leads a session of its own. */
const start = (
  box: support.Sandbox,
  name: string,
  plan: Plan
): Effect.Effect<Started, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const work = path.join(box.root, name)
      const tmp = path.join(work, "tmp")
      for (const directory of [tmp, bunOf(work)]) fs.mkdirSync(directory, { recursive: true })
      const options = { ...plan.options, extraEnv: { ...plan.options?.extraEnv, BUN_TMPDIR: bunOf(work) } }
      const order = path.join(work, "order")
      const [command, ...args] = plan.terminal === true
        ? ["script", "-qec", `exec ${process.execPath} ${program}`, "/dev/null"] as const
        : [process.execPath, program] as const
      const child = spawn(command, args, {
        env: { ...process.env, TMPDIR: tmp, PLAN: JSON.stringify({ ...plan, options, cwd: work, order }) },
        stdio: "ignore",
        detached: true
      })
      const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      return { child, work, tmp, order, exited }
    }),
    ({ child, exited }) =>
      Effect.promise(() => {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
        return exited
      })
  )

/** The program itself, which may have a terminal around it. */
const pidOf = ({ order }: Started): number => Number(read(`${order}.pid`))

/** The processes of a program, whatever has become of it. */
const processesOf = (started: Started) => {
  const { child, work } = started
  const self = [child.pid, pidOf(started)]
  return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !self.includes(Number(name))).flatMap(
    (name) => {
      const { command, environment } = programOf(name)
      const isOurs = environment.includes(`${work}/`) || command.includes(`${work}/`)
      return isOurs ? [{ pid: Number(name), command }] : []
    }
  )
}

/** The watchdogs with this in their arguments. */
const withCommand = (text: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((name) => {
    const { command } = programOf(name, 1)
    return command.includes("effect-opencode-leash") && command.includes(text)
  }).map(Number)

/** The watchdogs of a program. */
const watchdogs = (started: Started): ReadonlyArray<number> => withCommand(`/${pidOf(started)}/`)

const readyAgents = ({ work }: Started): number =>
  fs.readdirSync(work).filter((name) => name.startsWith("ready.")).length

const directoriesOf = ({ tmp, work }: Started): ReadonlyArray<string> => [
  ...fs.readdirSync(tmp),
  ...fs.readdirSync(bunOf(work))
]

const untilReady = (started: Started, agents: number) =>
  support.until(() => {
    assert.isNull(started.child.exitCode)
    return readyAgents(started) >= agents
  })

/** Waits until nothing is left, for much longer than it may take, and says how long it took. */
const untilGone = (started: Started) =>
  Effect.gen(function*() {
    yield* Effect.promise(() => started.exited)
    const [took] = yield* Effect.timed(
      support.until(() =>
        processesOf(started).length === 0 && directoriesOf(started).length === 0 && watchdogs(started).length === 0
      ).pipe(
        Effect.timeoutFail({
          duration: "60 seconds",
          onTimeout: () =>
            new Error(
              `left: ${JSON.stringify([processesOf(started), directoriesOf(started), watchdogs(started)])}`
            )
        }),
        Effect.orDie
      )
    )
    return Duration.toMillis(took)
  })

/** A program with one run that goes on beside those that are ended. */
const neighbour = (box: support.Sandbox, binary: string) =>
  Effect.gen(function*() {
    const started = yield* Effect.acquireRelease(
      start(box, "neighbour", { binary, runs: 1 }),
      (started) => Effect.sync(() => processesOf(started).forEach(({ pid }) => kill(pid)))
    )
    yield* untilReady(started, 1)
    yield* support.until(() => processesOf(started).filter(({ command }) => command.includes("asked")).length === 2)
    const before = pidsOf(started)
    return Effect.sync(() => {
      expect(before.filter((pid) => !pidsOf(started).includes(pid))).toEqual([])
      expect(watchdogs(started).length).toBe(1)
      expect(directoriesOf(started).length).toBe(2)
    })
  })

/** Without the `sleep`s, which come and go. */
const pidsOf = (started: Started): ReadonlyArray<number> =>
  processesOf(started).filter(({ command }) => !command.startsWith("sleep\0")).map(({ pid }) => pid)

const order = (how: string) => (started: Started) =>
  Effect.sync(() => {
    // Whole or not at all.
    fs.writeFileSync(`${started.order}.new`, how)
    fs.renameSync(`${started.order}.new`, started.order)
  })

/** Every way to be gone; a negative pid is a group. */
const endings: ReadonlyArray<
  readonly [name: string, end: (started: Started) => Effect.Effect<void>, plan?: Partial<Plan>]
> = [
  ["SIGKILL", ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))],
  ["SIGKILL to its group", ({ child }) => Effect.sync(() => void process.kill(-child.pid!, "SIGKILL"))],
  ["SIGTERM that nobody handles", ({ child }) => Effect.sync(() => void child.kill("SIGTERM"))],
  ["a hang-up of its session", ({ child }) => Effect.sync(() => void process.kill(-child.pid!, "SIGHUP"))],
  ...(fs.existsSync("/usr/bin/script")
    ? [["a closed terminal", ({ child }: Started) => Effect.sync(() => void child.kill("SIGKILL")), {
      terminal: true
    }]] as const
    : []),
  ["process.exit()", order("exit")],
  ["an uncaught exception", order("exception")],
  ["an unhandled rejection", order("rejection")],
  ["process.abort()", order("abort")]
]

describe("the leash", () => {
  it.scopedLive("leaves nothing of a program that is gone, by whatever end, and touches nothing of another one", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = stubborn(box)
      const unharmed = yield* neighbour(box, binary)
      for (const [index, [name, end, plan]] of endings.entries()) {
        const started = yield* start(box, `program-${index}`, { binary, runs: 2, ...plan })
        yield* untilReady(started, 2)
        yield* end(started)
        const took = yield* untilGone(started)
        yield* Effect.logDebug(`${name}: ${took} ms`)
        yield* unharmed
      }
    }))

  it.scopedLive("lets go of a program that has nothing left to do, and ends with it", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = path.join(box.root, "brief")
      fs.writeFileSync(binary, "#!/bin/sh\ncat > /dev/null\ntouch \"$PWD/ready.$$\"\n", { mode: 0o755 })
      const started = yield* start(box, "program", { binary, runs: 2 })
      yield* untilGone(started)
      expect(readyAgents(started)).toBe(2)
      expect(started.child.exitCode).toBe(0)
    }))

  it.scopedLive("is one process, knows no secret, is replaced if it was killed, and ends with its layer", () =>
    Effect.gen(function*() {
      yield* support.sandbox
      process.env["SOME_API_KEY"] = "a-secret-value"
      const [executor, fileSystem, path] = yield* Effect.all([
        CommandExecutor.CommandExecutor,
        FileSystem.FileSystem,
        Path.Path
      ])
      const services = { executor, fileSystem, path }
      const tied = yield* Effect.scoped(Effect.gen(function*() {
        const tied = yield* leash.make(services, processList.self(services), "")
        const all = () => withCommand(tied.prefix)
        expect(all()).toEqual([])
        yield* Effect.all([tied.fasten, tied.fasten, tied.fasten], { concurrency: "unbounded" })
        const [first, ...others] = all()
        expect(others).toEqual([])
        expect(programOf(String(first)).environment).not.toContain("a-secret-value")
        kill(first!)
        yield* support.until(() => all().length === 0)
        yield* tied.fasten
        expect(all().length).toBe(1)
        return tied
      }))
      yield* support.until(() => withCommand(tied.prefix).length === 0)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("uses `ps` if /proc does not exist", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const sleeper = Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => spawn("sleep", ["300"], { stdio: "ignore" })),
          ({ pid }) => Effect.sync(() => kill(pid!))
        ),
        (child) => ({ pid: child.pid!, isRunning: () => child.signalCode === null })
      )
      const marked = yield* Effect.all([sleeper, sleeper, sleeper])
      const unmarked = yield* Effect.all([sleeper, sleeper])
      const program = `/${process.pid}/`
      const lines = [
        ...[`MARK=:${program}`, `A=b MARK=${program} B=c`, `MARK=:/1/:${program}:/2/ A=b`].map((environment, index) =>
          `${marked[index]!.pid} sleep 300 ${environment}`
        ),
        ...[`MARK=${program}1`, `XMARK=:${program}`].map((environment, index) =>
          `${unmarked[index]!.pid} sleep 300 ${environment}`
        )
      ]
      const bin = path.join(box.root, "bin")
      fs.mkdirSync(bin)
      fs.writeFileSync(
        path.join(bin, "ps"),
        `#!/bin/sh\ncat <<'E' | while read -r pid rest; do kill -0 $pid && echo "$pid $rest"; done\n${
          lines.join("\n")
        }\nE\n`,
        { mode: 0o755 }
      )
      const kept = path.join(box.tmp, "effect-opencode-b-1")
      const gone = path.join(box.tmp, "effect-opencode-a-1")
      for (const directory of [kept, gone]) fs.mkdirSync(directory)
      const script = leashScript.script.replace("PATH=/usr/bin:/bin", "PATH=$PATH")
      const first = spawn("/bin/sh", ["-c", script, leashScript.name, "/none", "MARK", "", "effect-opencode-a-", ""], {
        env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
        stdio: ["pipe", "pipe", "ignore"],
        detached: true
      })
      const answer = yield* Effect.async<string>((resume) => {
        first.stdout.once("data", (bytes: Buffer) => resume(Effect.succeed(bytes.toString().trim())))
        first.stdin.write(`${box.tmp}\n`)
      })
      expect(answer).toBe(`${process.pid} ${box.tmp}/effect-opencode-a-leash`)
      // The program dies before it has opened the pipe.
      first.stdin.end()
      yield* support.until(() => marked.every(({ isRunning }) => !isRunning()) && !fs.existsSync(gone))
      expect(unmarked.every(({ isRunning }) => isRunning())).toBe(true)
      expect(fs.readdirSync(box.tmp)).toEqual(["effect-opencode-b-1"])
    }))

  it.scopedLive("can be switched off", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = stubborn(box)
      const started = yield* start(box, "program", { binary, runs: 1, leash: false })
      yield* untilReady(started, 1)
      expect(watchdogs(started)).toEqual([])
      started.child.kill("SIGKILL")
      yield* Effect.promise(() => started.exited)
      expect(processesOf(started).length).toBeGreaterThan(0)
      for (const { pid } of processesOf(started)) kill(pid)
    }))

  it.scopedLive("of a program inside a run ends that program's runs, and nothing of the run around it", () =>
    Effect.gen(function*() {
      const box = yield* support.sandbox
      const binary = stubborn(box)
      const around = path.join(box.root, "around")
      fs.writeFileSync(
        around,
        `#!/bin/sh
cat > /dev/null
PLAN="$INNER" ${process.execPath} ${program} > /dev/null 2>&1 < /dev/null &
wait
while :; do sleep 0.1; done
`,
        { mode: 0o755 }
      )
      const outer = (name: string) =>
        Effect.gen(function*() {
          const inner = path.join(box.root, name, "inner")
          fs.mkdirSync(inner, { recursive: true })
          const order = path.join(inner, "order")
          const plan = JSON.stringify({ binary, options: {}, runs: 2, cwd: inner, order })
          const started = yield* start(box, name, { binary: around, runs: 1, options: { extraEnv: { INNER: plan } } })
          yield* support.until(() => fs.readdirSync(inner).filter((name) => name.startsWith("ready.")).length === 2)
          return { started, inner, pid: Number(read(`${order}.pid`)) }
        })

      const one = yield* outer("one")
      process.kill(one.pid, "SIGKILL")
      // What has emptied its environment is of the run around it.
      const isOfInner = ({ command, pid }: { readonly pid: number; readonly command: string }) =>
        command.includes(one.inner) && programOf(String(pid)).environment.includes(one.inner)
      yield* support.until(() => !processesOf(one.started).some(isOfInner))
      yield* support.until(() => withCommand(`/${one.pid}/`).length === 0)
      expect(processesOf(one.started).some(({ command }) => command.includes(around))).toBe(true)
      expect(watchdogs(one.started).length).toBe(1)
      expect(directoriesOf(one.started).length).toBe(2)
      one.started.child.kill("SIGKILL")
      yield* untilGone(one.started)

      const other = yield* outer("other")
      other.started.child.kill("SIGKILL")
      yield* untilGone(other.started)
      expect(withCommand(`/${other.pid}/`)).toEqual([])
    }))

  const { Reply } = support
  const escape = (work: string) =>
    `touch ready.tool; (env -i PATH=$PATH setsid sh -c 'sleep 300; :' ${work}/escaped &); trap '' TERM; sleep 300; :`
  const moments = [
    { what: "while a tool works", server: false, reply: (work: string) => support.bash(escape(work)) },
    { what: "while the provider is asked", server: false, reply: () => Reply.never },
    { what: "while a tool of a server works", server: true, reply: (work: string) => support.bash(escape(work)) }
  ]
  for (const { reply, server, what } of moments) {
    it.scopedLive(
      `ends the real OpenCode ${what}`,
      () =>
        Effect.flatMap(support.sandbox, (box) =>
          Effect.gen(function*() {
            const provider = yield* ModelProvider.ModelProvider
            const { configOverrides, model, requests } = provider
            for (let round = 0; round < (soak ? 7 : 1); round++) {
              const name = `program-${round}`
              const work = path.join(box.root, name)
              yield* support.respond(() => reply(work))
              const before = (yield* requests).length
              const started = yield* start(box, name, {
                options: { configOverrides, model, title: "Scripted" },
                runs: 1,
                server
              })
              const asked = Effect.repeat(Effect.delay(requests, "20 millis"), {
                until: (all) => all.length > before
              })
              yield* asked
              if (reply !== moments[1]!.reply) {
                yield* untilReady(started, 1)
                yield* support.until(() => processesOf(started).some(({ command }) => command.includes("/escaped")))
              }
              yield* Effect.sleep(100 * round)
              started.child.kill("SIGKILL")
              const took = yield* untilGone(started)
              yield* (soak ? Effect.logInfo : Effect.logDebug)(`${what}: gone after ${took.toFixed()} ms`)
              expect((yield* requests).length).toBe(before + 1)
            }
          }).pipe(Effect.provide(support.services(box)))),
      soak ? 3_600_000 : undefined
    )
  }

  const kills = soak ? 200 : 10
  it.scopedLive(
    "leaves nothing of a program that is killed at any moment",
    () =>
      Effect.gen(function*() {
        const box = yield* support.sandbox
        const binary = stubborn(box)
        const unharmed = yield* neighbour(box, binary)
        const times: Array<number> = []
        for (let round = 0; round < kills; round++) {
          const started = yield* start(box, `program-${round}`, { binary, runs: 3 })
          // From the first directory on: before that there is nothing.
          yield* support.until(() => directoriesOf(started).length > 0 || processesOf(started).length > 0)
          yield* Effect.sleep((400 * round) / kills)
          started.child.kill("SIGKILL")
          times.push(yield* untilGone(started))
          yield* unharmed
          fs.rmSync(started.work, { recursive: true })
        }
        if (soak) {
          times.sort((a, b) => a - b)
          yield* Effect.logInfo(`gone after ${times[kills / 2]!.toFixed()} ms, at most ${times.at(-1)!.toFixed()} ms`)
        }
      }),
    soak ? 3_600_000 : undefined
  )
})
