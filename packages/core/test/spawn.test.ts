import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as spawn from "../src/internal/process/spawn.js"
import type * as processTable from "../src/internal/process/table.js"
import * as T from "./support/mock.js"

const baseline = Effect.succeed(new Map<string, string>())

const emptyTable: processTable.ProcessTable = {
  baseline,
  members: () => Effect.succeed([]),
  kill: () => Effect.void,
  trackLeader: () => () => undefined
}

const seen = (pid: number): processTable.Seen => ({ pid, identity: `start ${pid}` })

const pidsOf = (processes: ReadonlyArray<processTable.Seen>) => processes.map(({ pid }) => pid).join(" ")

const startOptions: spawn.StartOptions = {
  binary: "opencode",
  cwd: "/",
  invocation: { args: ["run"], env: { A: "1" }, stdin: "hello" },
  extendEnv: true,
  marker: "marker",
  forceKillAfter: Duration.seconds(5)
}

const start = (table = emptyTable, options: Partial<spawn.StartOptions> = {}) =>
  Effect.flatMap(
    CommandExecutor.CommandExecutor,
    (executor) => spawn.start(executor, table, { ...startOptions, ...options })
  )

/** `kill` as the process table runs it in a shell: the signal and the pids. */
const killsIn = (commands: ReadonlyArray<Mock.RecordedCommand>) =>
  commands.filter(({ command }) => command === "sh").map(({ args }) => args.slice(2).join(" "))

describe("process.start", () => {
  it.effect("feeds stdin and reports the exit to every caller", () =>
    Effect.scoped(Effect.gen(function*() {
      const running = yield* start()
      assert.deepStrictEqual(yield* running.exit, { _tag: "Code", code: 7 })
      assert.deepStrictEqual(yield* running.exit, { _tag: "Code", code: 7 })
      const { env, stdin } = yield* T.only
      assert.strictEqual(stdin, "hello")
      assert.deepStrictEqual(env, { A: "1" })
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.awaitStdin, Mock.exit(7))]))))

  it.effect("starts the wrapped program inside of what marks the process and collects its input", () =>
    Effect.scoped(Effect.gen(function*() {
      const stdin = "a".repeat(5000)
      const seen: Array<ReadonlyArray<string>> = []
      const executor = yield* CommandExecutor.CommandExecutor
      const watching = CommandExecutor.makeExecutor((command) => {
        seen.push(Command.flatten(command)[0].args.filter((arg) => !arg.includes("exec")))
        return executor.start(command)
      })
      const running = yield* spawn.start(watching, emptyTable, {
        ...startOptions,
        invocation: { ...startOptions.invocation, stdin },
        wrap: ({ binary, invocation }, cwd) => ({
          binary: "sandbox",
          invocation: { ...invocation, args: [cwd, binary, ...invocation.args] }
        }),
        wholeStdin: { file: "/tmp/prompt", actsOnNothing: false },
        limit: "7"
      })
      yield* running.exit
      assert.deepStrictEqual(seen, [
        ["-c", "effect-opencode-limit", "7", "/bin/sh"].concat(
          ["-c", "effect-opencode", "/tmp/prompt", "5000", "sandbox", "/", "opencode", "run"]
        )
      ])
      const { args, command, env } = yield* T.only
      assert.deepStrictEqual([command, ...args], ["sandbox", "/", "opencode", "run"])
      assert.deepStrictEqual(env, { A: "1" })
      assert.strictEqual((yield* T.only).stdin, stdin)
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.awaitStdin, Mock.exit(0))]))))

  for (const signal of ["SIGINT", "SIGKILL", "SIGSEGV"] as const) {
    it.effect(`names the signal of a death by ${signal}`, () =>
      Effect.scoped(Effect.gen(function*() {
        const running = yield* start()
        assert.deepStrictEqual(yield* running.exit, { _tag: "Signal", signal })
      })).pipe(Effect.provide(T.platform([Mock.script(Mock.signal(signal))]))))
  }

  it.effect("reports an unknown exit as lost", () =>
    Effect.scoped(Effect.gen(function*() {
      const running = yield* start()
      assert.deepStrictEqual(yield* running.exit, { _tag: "Lost" })
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.waitFor(Effect.die("broken")))]))))

  it.effect("ends with the scope: by SIGTERM, then by force, and waits for the end", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.extend(start(), scope)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* T.untilSignals(0, "SIGTERM")
      yield* T.advance("1 second")
      yield* T.untilSignals(0, "SIGTERM", "SIGTERM")
      yield* T.advance("3999 millis")
      yield* T.settle
      assert.isFalse(yield* T.isDone(closing))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
    }).pipe(Effect.provide(T.platform([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))))

  it.effect("repeats SIGTERM after a second, because OpenCode ignores the first one while it installs something", () =>
    Effect.gen(function*() {
      const signals: Array<string> = []
      const exitCode = yield* Deferred.make<CommandExecutor.ExitCode>()
      const busy = CommandExecutor.makeExecutor(() =>
        Effect.succeed({
          [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
          pid: CommandExecutor.ProcessId(77),
          exitCode: Deferred.await(exitCode),
          isRunning: Effect.succeed(true),
          kill: (signal: unknown) =>
            signals.push(String(signal)) === 2
              ? Deferred.succeed(exitCode, CommandExecutor.ExitCode(143))
              : Effect.never,
          stdin: Sink.drain,
          stdout: Stream.never,
          stderr: Stream.never,
          toJSON: () => ({})
        } as unknown as CommandExecutor.Process)
      )
      const scope = yield* Scope.make()
      yield* Scope.extend(spawn.start(busy, emptyTable, startOptions), scope)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* T.advance("1 second")
      yield* T.settle
      assert.deepStrictEqual(signals, ["SIGTERM", "SIGTERM"])
      yield* TestClock.adjust("5 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(signals, ["SIGTERM", "SIGTERM"])
    }))

  it.effect("sends SIGTERM once when the grace is a second or less", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.extend(start(emptyTable, { forceKillAfter: Duration.seconds(1) }), scope)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* T.advance("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGKILL"])
    }).pipe(Effect.provide(T.platform([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))))

  it.effect("sends nothing to a process that has exited", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* start()
        yield* running.exit
        assert.deepStrictEqual(yield* running.terminate(), [])
        assert.deepStrictEqual(yield* running.terminate({ force: true }), [])
      }))
      assert.deepStrictEqual((yield* T.only).signals, [])
    }).pipe(Effect.provide(T.platform([Mock.script(Mock.exit(0))]))))

  it.effect("sends SIGKILL at once when forced", () =>
    Effect.scoped(Effect.gen(function*() {
      const running = yield* start()
      assert.deepStrictEqual(yield* running.terminate({ force: true }), [])
      assert.deepStrictEqual((yield* T.only).signals, ["SIGKILL"])
      assert.deepStrictEqual(yield* running.exit, { _tag: "Signal", signal: "SIGKILL" })
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.never)]))))

  it.effect("ends the remaining processes of a run whose first process has exited", () => {
    const killed: Array<string> = []
    let left = [41, 42].map(seen)
    const table: processTable.ProcessTable = {
      baseline,
      members: () => Effect.sync(() => left),
      trackLeader: () => () => undefined,
      kill: (processes, signal) =>
        Effect.sync(() => {
          if (processes.length > 0) killed.push(`${signal} ${pidsOf(processes)}`)
          // 42 ignores SIGTERM
          left = signal === "KILL" ? [] : left.filter(({ pid }) => pid !== 41)
        })
    }
    return Effect.scoped(Effect.gen(function*() {
      const running = yield* start(table)
      yield* running.exit
      const ended = yield* Effect.fork(running.terminate())
      yield* T.settle
      for (let i = 0; i < 100; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(ended), [])
      assert.deepStrictEqual(killed, ["TERM 41 42", "KILL 42"])
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.exit(0))])))
  })

  it.effect("kills processes that started during the grace", () => {
    let left = [41].map(seen)
    const killed: Array<string> = []
    const table: processTable.ProcessTable = {
      baseline,
      members: () => Effect.sync(() => left),
      trackLeader: () => () => undefined,
      kill: (processes, signal) =>
        Effect.sync(() => {
          killed.push(`${signal} ${pidsOf(processes)}`)
          left = signal === "TERM" ? [41, 43].map(seen) : []
        })
    }
    return Effect.scoped(Effect.gen(function*() {
      const running = yield* start(table)
      const ended = yield* Effect.fork(running.terminate())
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(ended), [])
      assert.deepStrictEqual(killed, ["TERM 41", "KILL 41 43"])
    })).pipe(Effect.provide(T.platform([Mock.script(Mock.never)])))
  })

  it.effect("returns the pids that could not be ended, without hanging", () => {
    const table: processTable.ProcessTable = {
      baseline,
      members: () => Effect.succeed([seen(99)]),
      kill: () => Effect.void,
      trackLeader: () => () => undefined
    }
    return Effect.gen(function*() {
      const signals: Array<string> = []
      const immortal = CommandExecutor.makeExecutor(() =>
        Effect.acquireRelease(
          Effect.succeed({
            [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
            pid: CommandExecutor.ProcessId(77),
            exitCode: Effect.never,
            isRunning: Effect.succeed(true),
            kill: (signal: unknown) => {
              signals.push(String(signal))
              return Effect.never
            },
            stdin: Sink.drain,
            stdout: Stream.never,
            stderr: Stream.never,
            toJSON: () => ({})
          } as unknown as CommandExecutor.Process),
          // the platform's finalizer waits for ever
          () => Effect.never
        )
      )
      const scope = yield* Scope.make()
      const running = yield* Scope.extend(spawn.start(immortal, table, startOptions), scope)
      const ended = yield* Effect.fork(running.terminate())
      for (let i = 0; i < 70; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(ended), [77, 99])
      assert.deepStrictEqual(signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      for (let i = 0; i < 70; i++) yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
    })
  })

  it.effect("is a leader in the process table from its start to its exit or to the end of its scope", () => {
    const calls: Array<boolean> = []
    const table: processTable.ProcessTable = {
      ...emptyTable,
      trackLeader: () => {
        calls.push(true)
        return () => calls.push(false)
      }
    }
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* start(table)
        assert.deepStrictEqual(calls, [true])
        yield* running.exit
        assert.deepStrictEqual(calls, [true, false])
      }))
      calls.length = 0
      yield* Effect.scoped(start(table))
      assert.deepStrictEqual([calls[0], calls.at(-1)], [true, false])
    }).pipe(
      Effect.provide(T.platform([Mock.script(Mock.exit(0)), Mock.script(Mock.never)]))
    )
  })

  it.effect("leaves nothing when it is interrupted during the start", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const mock = yield* Mock.MockCommandExecutor
      const fiber = yield* Effect.fork(Effect.scoped(Effect.andThen(start(), Effect.never)))
      yield* T.untilStarted(1)
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* T.settle
      yield* goOn.open
      yield* Fiber.join(interruption)
      assert.strictEqual(yield* mock.running, 0)
    }).pipe(Effect.provide(T.platform(() => Effect.as(goOn.await, Mock.script(Mock.never)))))
  })

  it.effect("fails without the platform's message, which contains the command line", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(start()))
      assert.deepStrictEqual({ ...error }, { _tag: "OpenCodeSpawnError", binary: "opencode", cwd: "/", reason: "Busy" })
    }).pipe(Effect.provide(T.platform([
      Mock.spawnError(
        new SystemError({ reason: "Busy", module: "Command", method: "spawn", description: "opencode run canary" })
      )
    ]))))
})

describe("a run", () => {
  const tool = 555_001

  it.effect("ends processes outside its group by its mark", () => {
    let environ = ""
    return Effect.gen(function*() {
      const { processes } = yield* T.Machine
      // a foreign process, with another run's mark
      processes.set(tool + 1, { ppid: 1, pgid: tool + 1, environ: () => "EFFECT_OPENCODE_RUN=:somebodyelse\0" })
      // our own tool, leader of its own group, adopted by init
      processes.set(tool, { ppid: 1, pgid: tool, environ: () => environ })
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "done")
      assert.deepStrictEqual(killsIn(yield* T.commands), [`TERM ${tool}`])
      assert.deepStrictEqual([...processes.keys()], [tool + 1])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer((command) =>
      Effect.gen(function*() {
        if (command.command === "sh") {
          machine!.processes.delete(tool)
          return Mock.script(Mock.exit(0))
        }
        environ = `PATH=/bin\0EFFECT_OPENCODE_RUN=${command.env["EFFECT_OPENCODE_RUN"]}\0`
        return T.answering("done")
      }), (given) => {
      machine = given
      return {}
    })))
  })
  let machine: T.Machine | undefined

  it.effect("ends a process that is just executing another program", () => {
    let environ = ""
    let looks = 0
    return Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(tool, {
        ppid: 1,
        pgid: tool,
        environ: () => ++looks > 3 ? environ : "",
        cmdline: () => looks > 3 ? "sleep\0" : ""
      })
      assert.strictEqual((yield* OpenCode.run("x")).text, "done")
      assert.deepStrictEqual(killsIn(yield* T.commands), [`TERM ${tool}`])
    }).pipe(Effect.provide(T.layer((command) =>
      Effect.sync(() => {
        if (command.command !== "sh") {
          environ = `EFFECT_OPENCODE_RUN=${command.env["EFFECT_OPENCODE_RUN"]}\0`
          looks = 0
          return T.answering("done")
        }
        machine!.processes.delete(tool)
        return Mock.script(Mock.exit(0))
      }), (given) => {
      machine = given
      return {}
    })))
  })

  it.effect("ends all descendants of its process", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(tool, { ppid: T.firstPid, pgid: tool })
      processes.set(tool + 1, { ppid: tool, pgid: tool + 1 })
      processes.set(tool + 2, { ppid: 1, pgid: 1 })
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilStarted(1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(killsIn(yield* T.commands), [`TERM ${tool} ${tool + 1}`])
      assert.deepStrictEqual([...processes.keys()], [tool + 2])
    }).pipe(Effect.provide(T.layer((command) => {
      if (command.command !== "sh") return Mock.script(Mock.never)
      for (const pid of command.args.slice(3)) machine!.processes.delete(Number(pid))
      return Mock.script(Mock.exit(0))
    }, (given) => {
      machine = given
      return {}
    }))))

  it.effect("never signals a process that has got the pid of one of its own", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      // Not marked: found by its parent, later by its pid and start time.
      processes.set(tool, { ppid: T.firstPid, pgid: tool, started: 100 })
      processes.set(tool + 1, { ppid: T.firstPid, pgid: tool + 1, started: 100 })
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilStarted(1)
      const ended = yield* Effect.fork(Fiber.interrupt(fiber))
      for (let i = 0; i < 200 && !(yield* T.isDone(ended)); i++) {
        yield* TestClock.adjust("100 millis")
        yield* T.settle
      }
      assert.deepStrictEqual(killsIn(yield* T.commands), [`TERM ${tool} ${tool + 1}`, `KILL ${tool + 1}`])
      assert.deepStrictEqual([...processes], [[tool, { ppid: 1, pgid: 1, started: 200 }]])
    }).pipe(Effect.provide(T.layer((command) => {
      if (command.command !== "sh") return Mock.script(Mock.never)
      if (command.args.includes("TERM")) {
        for (const pid of [tool, tool + 1]) {
          machine!.processes.set(pid, { ppid: 1, pgid: 1, started: pid === tool ? 200 : 100 })
        }
      } else machine!.processes.delete(tool + 1)
      return Mock.script(Mock.exit(0))
    }, (given) => {
      machine = given
      return {}
    }))))

  it.effect("names in its error what it could not end, and does not hang", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(tool, { ppid: T.firstPid, pgid: T.firstPid })
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeProcessError")(OpenCode.run("x")))
      yield* T.until("the exit", Effect.map(T.commands, (all) => all[0]?.state._tag === "Exited"))
      // the grace and the wait for the kill, once for the outcome and once when the scope closes
      for (let i = 0; i < 200 && !(yield* T.isDone(fiber)); i++) {
        yield* TestClock.adjust("100 millis")
        yield* T.settle
      }
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual(error.partial.survivors, [tool])
      assert.strictEqual(error.exitCode, 0)
      assert.include(error.message, `Could not be killed, still running: pid ${tool}`)
      assert.strictEqual(error.partial.text, "done")
      assert.includeMembers(killsIn(yield* T.commands), [`TERM ${tool}`, `KILL ${tool}`])
    }).pipe(
      Effect.provide(T.layer((command) => command.command === "sh" ? Mock.script(Mock.exit(0)) : T.answering("done")))
    ))

  it.scoped("reports a process that cannot be ended at all", () =>
    Effect.gen(function*() {
      const executor = yield* CommandExecutor.CommandExecutor
      const { binary } = yield* T.Machine
      // neither signal has an effect, and the platform waits for ever
      const deaf = CommandExecutor.makeExecutor((command) =>
        Effect.map(executor.start(command), (process) => ({ ...process, kill: () => Effect.never }))
      )
      const service = yield* OpenCode.make({ binary, version: "1.18.33" }).pipe(
        Effect.provideService(CommandExecutor.CommandExecutor, deaf)
      )
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(service.run("x", { startupTimeout: "1 second" }))
      )
      yield* T.untilStarted(1)
      for (let i = 0; i < 300 && !(yield* T.isDone(fiber)); i++) {
        yield* TestClock.adjust("100 millis")
        yield* T.settle
      }
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual(error.partial.survivors, [T.firstPid])
      assert.include(error.message, String(T.firstPid))
    }).pipe(Effect.provide(T.layer([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))))

  it.scoped("uses `ps` without /proc", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const { binary } = yield* T.Machine
      const service = yield* OpenCode.make({ binary, version: "1.18.33" }).pipe(
        Effect.provideService(
          FileSystem.FileSystem,
          FileSystem.FileSystem.of({
            ...fileSystem,
            exists: (file) => file.startsWith("/proc") ? Effect.succeed(false) : fileSystem.exists(file)
          })
        )
      )
      const result = yield* service.run("x")
      assert.strictEqual(result.text, "done")
      assert.deepStrictEqual(killsIn(yield* T.commands), [`TERM ${tool}`])
    }).pipe(Effect.provide(T.layer((command) => {
      if (command.command === "sh") {
        ended = true
        return Mock.script(Mock.exit(0))
      }
      if (command.command === "ps") {
        const other = "  1  0  1 0 Ss /sbin/init HOME=/\n"
        return Mock.script(
          Mock.stdout(ended ? other : `${other}${tool} 1 ${tool} 0 S sleep 100 EFFECT_OPENCODE_RUN=${mark}\n`)
        )
      }
      mark = command.env["EFFECT_OPENCODE_RUN"]!
      return T.answering("done")
    }))))
  let ended = false
  let mark = ""
})
