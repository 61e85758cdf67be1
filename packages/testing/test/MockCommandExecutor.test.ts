import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as PlatformError from "@effect/platform/Error"
import { assert, describe, it } from "@effect/vitest"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"

const kib = (count: number): Uint8Array => new Uint8Array(count * 1024)

const only = Effect.gen(function*() {
  const mock = yield* Mock.MockCommandExecutor
  const commands = yield* mock.commands
  const [command] = commands
  assert.strictEqual(commands.length, 1)
  assert.isDefined(command)
  return command
})

const running = Effect.flatMap(Mock.MockCommandExecutor, (mock) => mock.running)

const systemError = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, PlatformError.SystemError)
    return error as unknown as PlatformError.SystemError
  })

const collect = (stream: Stream.Stream<Uint8Array, PlatformError.PlatformError>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Chunk.toReadonlyArray(chunks).map((chunk) => Array.from(chunk)))

describe("MockCommandExecutor", () => {
  describe("output", () => {
    it.effect("writes stdout and stderr and exits with 0 after the last step", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const [out, err, code] = yield* Effect.all([
          Stream.mkString(Stream.decodeText(process.stdout)),
          Stream.mkString(Stream.decodeText(process.stderr)),
          process.exitCode
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([out, err, code], ["out", "err", CommandExecutor.ExitCode(0)])
        assert.isFalse(yield* process.isRunning)
        const command = yield* only
        assert.deepStrictEqual(command.state, Mock.ProcessState.Exited({ code: 0 }))
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.stdout("out"), Mock.stderr("err"))]))))

    it.effect("keeps the boundaries of chunks, also inside a UTF-8 character", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        assert.deepStrictEqual(yield* collect(process.stdout), [[0x61], [0xc3], [0xa4], [0xe2, 0x82], [0xac, 0x0a]])
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(
          Mock.stdout(Mock.chunked("aä", 1)),
          Mock.stdout(Mock.chunked("€\n", 2))
        )]))
      ))

    it.effect("shows the known defect of Command.lines with split characters", () =>
      Effect.gen(function*() {
        const [line] = yield* Command.lines(Command.make("agent"))
        assert.notStrictEqual(line, "größer")
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.stdout(Mock.chunked("größer\n", 1)))]))))

    it.effect("writes values as JSON lines", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Command.lines(Command.make("agent")), ["{\"a\":1}", "\"b\"", "null"])
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.lines([{ a: 1 }, "b", null]))]))))

    it.effect("sleeps on the TestClock", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Command.string(Command.make("agent")))
        yield* TestClock.adjust("59 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fiber), "beforeafter")
      }).pipe(Effect.provide(Mock.layer([
        Mock.script(Mock.stdout("before"), Mock.sleep("1 minute"), Mock.stdout("after"))
      ]))))

    it.effect("ends stdout while the process goes on", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(process.stdout)), "all")
        assert.isTrue(yield* process.isRunning)
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(Mock.stdout("all"), Mock.closeStdout, Mock.never)]))
      ))

    it.effect("keeps stdout open after the process when something holds it", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const output = yield* Effect.fork(Stream.mkString(Stream.decodeText(process.stdout)))
        assert.strictEqual(yield* process.exitCode, 0)
        yield* TestClock.adjust("1 hour")
        assert.isTrue(Option.isNone(yield* Fiber.poll(output)))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* Fiber.join(output), "out")
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([
          Mock.scriptWith({ stdoutOutlivesProcess: Effect.sleep("2 hours") }, Mock.stdout("out"), Mock.exit(0))
        ]))
      ))

    it.effect("blocks a process whose output is not read", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* TestClock.adjust("1 hour")
        const blocked = yield* only
        assert.deepStrictEqual(blocked.stderr, { bytesWritten: 64 * 1024, bytesRead: 0 })
        assert.deepStrictEqual(blocked.state, Mock.ProcessState.Running())

        const first = yield* Effect.fork(Stream.runDrain(process.stderr))
        assert.strictEqual(yield* process.exitCode, 0)
        yield* Fiber.join(first)
        const ended = yield* only
        assert.deepStrictEqual(ended.stderr, { bytesWritten: 128 * 1024, bytesRead: 128 * 1024 })
        assert.strictEqual(ended.bytesWritten, 128 * 1024)
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(Mock.stderr(Array.from({ length: 4 }, () => kib(32))), Mock.exit(0))]))
      ))

    it.effect("lets a chunk larger than the pipe through when it is empty", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const sizes = yield* Stream.runCollect(Stream.map(process.stdout, (chunk) => chunk.length))
        assert.deepStrictEqual(Chunk.toReadonlyArray(sizes), [1024, 1024 * 1024, 1024])
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(Mock.stdout([kib(1), kib(1024), kib(1)]))]))
      ))

    it.effect("does not block a process whose reader has gone", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* Stream.runDrain(Stream.take(process.stdout, 1))
        assert.strictEqual(yield* process.exitCode, 0)
        const { stdout } = yield* only
        assert.strictEqual(stdout.bytesRead, 32 * 1024)
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(Mock.stdout(Array.from({ length: 10 }, () => kib(32))), Mock.exit(0))]))
      ))

    it.effect("loses the output of an ended process that nobody has begun to read, as Node does", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* collect(process.stdout), [])
        const { stdout } = yield* only
        assert.deepStrictEqual(stdout, { bytesWritten: 4, bytesRead: 0 })
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.stdout("lost"), Mock.exit(0))]))))

    it.effect("accepts inherited streams and a sink for stdout", () =>
      Effect.gen(function*() {
        const inherited = Command.make("agent").pipe(
          Command.stdin("inherit"),
          Command.stdout("inherit"),
          Command.stderr("inherit")
        )
        assert.strictEqual(yield* Command.exitCode(inherited), 0)
        const counted = Command.make("agent").pipe(
          Command.stdout(Sink.map(Sink.collectAll<Uint8Array>(), (chunks) => new Uint8Array([Chunk.size(chunks)])))
        )
        const process = yield* Command.start(counted)
        assert.deepStrictEqual(yield* collect(process.stdout), [[3]])
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([
          Mock.script(Mock.awaitStdin, Mock.stdout([kib(64), kib(1)]), Mock.stderr([kib(64), kib(1)])),
          Mock.script(Mock.stdout(["a", "b", "c"]))
        ]))
      ))
  })

  describe("stdin", () => {
    it.effect("records its input and waits for the end of it", () =>
      Effect.gen(function*() {
        const output = yield* Command.make("agent").pipe(Command.feed("größer\n"), Command.string)
        assert.strictEqual(output, "read")
        const { stdin, stdinEnded } = yield* only
        assert.deepStrictEqual([stdin, stdinEnded], ["größer\n", true])
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.awaitStdin, Mock.stdout("read"))]))))

    it.effect("waits for ever for an input that is never closed", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* TestClock.adjust("1 day")
        assert.isTrue(yield* process.isRunning)
        yield* Stream.run(Stream.make(kib(1)), process.stdin)
        assert.strictEqual(yield* process.exitCode, 0)
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.awaitStdin)]))))

    it.effect("shows what has arrived so far", () =>
      Effect.gen(function*() {
        const more = yield* Deferred.make<void>()
        const encoder = new TextEncoder()
        yield* Command.make("agent").pipe(
          Command.stdin(Stream.concat(
            Stream.make(encoder.encode("one ")),
            Stream.fromEffect(Effect.as(Deferred.await(more), encoder.encode("two")))
          )),
          Command.start
        )
        yield* TestClock.adjust("1 millis")
        const before = yield* only
        assert.deepStrictEqual([before.stdin, before.stdinEnded], ["one ", false])
        yield* Deferred.succeed(more, void 0)
        yield* TestClock.adjust("1 millis")
        const after = yield* only
        assert.deepStrictEqual([after.stdin, after.stdinEnded], ["one two", true])
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.never)]))))

    it.effect("refuses input after the process has ended", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* process.exitCode
        const error = yield* systemError(Stream.run(Stream.make(kib(1)), process.stdin))
        assert.strictEqual(error.description, "write EPIPE")
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.exit(0))]))))

    it.effect("connects the commands of a pipeline", () =>
      Effect.gen(function*() {
        const output = yield* Command.make("left").pipe(Command.pipeTo(Command.make("right")), Command.string)
        assert.strictEqual(output, "right")
        const mock = yield* Mock.MockCommandExecutor
        assert.deepStrictEqual(
          (yield* mock.commands).map(({ command, stdin }) => [command, stdin]),
          [["right", "left"], ["left", ""]]
        )
      }).pipe(Effect.provide(Mock.layer(({ command }) =>
        command === "right"
          ? Mock.script(Mock.awaitStdin, Mock.stdout(command))
          : Mock.script(Mock.stdout(command))
      ))))
  })

  describe("end", () => {
    it.effect("exits with a code and drops the steps after it", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const output = yield* Effect.fork(collect(process.stdout))
        assert.strictEqual(yield* process.exitCode, 3)
        assert.deepStrictEqual(yield* Fiber.join(output), [])
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.exit(3), Mock.stdout("late"))]))))

    it.effect("fails exitCode with Node's command line when the process dies by a signal", () =>
      Effect.gen(function*() {
        const error = yield* systemError(Command.exitCode(Command.make("agent", "--key", "secret")))
        assert.strictEqual(error.reason, "Unknown")
        assert.strictEqual(error.method, "exitCode")
        assert.strictEqual(error.description, "Process interrupted due to receipt of signal: SIGSEGV")
        assert.strictEqual(error.pathOrDescriptor, "agent --key secret")
        const { signals, state } = yield* only
        assert.deepStrictEqual(state, Mock.ProcessState.Signaled({ signal: "SIGSEGV" }))
        assert.deepStrictEqual(signals, [])
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.signal("SIGSEGV"))]))))

    it.effect("delivers output written before the death", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const output = yield* Effect.fork(Stream.mkString(Stream.decodeText(process.stdout)))
        yield* TestClock.adjust("1 millis")
        yield* process.kill("SIGKILL")
        assert.strictEqual(yield* Fiber.join(output), "partial")
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.script(Mock.stdout("partial"), Mock.never)]))
      ))

    it.effect("dies of SIGTERM and cannot be killed twice", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* process.kill()
        const exit = yield* systemError(process.exitCode)
        assert.strictEqual(exit.description, "Process interrupted due to receipt of signal: SIGTERM")
        const again = yield* systemError(process.kill("SIGKILL"))
        assert.strictEqual(again.description, "Failed to kill process")
        const { signals } = yield* only
        assert.deepStrictEqual(signals, ["SIGTERM"])
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.never)]))))

    it.effect("can ignore SIGTERM: kill waits for ever, SIGKILL ends it", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        const term = yield* Effect.fork(process.kill("SIGTERM"))
        yield* TestClock.adjust("1 day")
        assert.isTrue(Option.isNone(yield* Fiber.poll(term)))
        assert.strictEqual(yield* running, 1)
        yield* process.kill("SIGKILL")
        yield* Fiber.join(term)
        assert.strictEqual(yield* running, 0)
        const { signals, state } = yield* only
        assert.deepStrictEqual(signals, ["SIGTERM", "SIGKILL"])
        assert.deepStrictEqual(state, Mock.ProcessState.Signaled({ signal: "SIGKILL" }))
      }).pipe(
        Effect.scoped,
        Effect.provide(Mock.layer([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))
      ))

    it.effect("survives signals that do not kill", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("agent"))
        yield* Effect.fork(process.kill("SIGCONT"))
        yield* TestClock.adjust("1 millis")
        assert.isTrue(yield* process.isRunning)
      }).pipe(Effect.scoped, Effect.provide(Mock.layer([Mock.script(Mock.never)]))))

    it.effect("sends SIGTERM when the scope closes", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(Command.start(Command.make("agent")))
        const { signals } = yield* only
        assert.deepStrictEqual(signals, ["SIGTERM"])
        assert.strictEqual(yield* running, 0)
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.never)]))))

    it.effect("sends nothing to an ended process", () =>
      Effect.gen(function*() {
        yield* Command.exitCode(Command.make("agent"))
        const { signals } = yield* only
        assert.deepStrictEqual(signals, [])
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.exit(1))]))))

    it.effect("makes a closing scope wait for a process that ignores SIGTERM", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.timeout(Command.exitCode(Command.make("agent")), "1 second"))
        yield* TestClock.adjust("59 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        assert.deepStrictEqual((yield* only).signals, ["SIGTERM"])
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      }).pipe(Effect.provide(Mock.layer([
        Mock.scriptWith({ onSigterm: "ignore" }, Mock.sleep("1 minute"), Mock.exit(0))
      ]))))

    it.effect("kills running processes when the layer closes", () =>
      Effect.gen(function*() {
        const process = yield* Effect.scope.pipe(
          Effect.flatMap((scope) =>
            Effect.scoped(Effect.gen(function*() {
              const context = yield* Layer.build(Mock.layer([
                Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)
              ]))
              return yield* Effect.provide(Command.start(Command.make("agent")), context).pipe(
                Scope.extend(scope)
              )
            }))
          )
        )
        assert.isFalse(yield* process.isRunning)
      }).pipe(Effect.scoped))

    it.effect("runs on its own fiber, which ends with the process", () =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        const fiber = yield* Command.exitCode(Command.make("agent")).pipe(
          Effect.provide(Mock.layer([Mock.script(Mock.waitFor(
            Deferred.succeed(started, void 0).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, void 0))
            )
          ))])),
          Effect.fork
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(interrupted)
      }))

    it.effect("waits for an effect of the test", () =>
      Effect.gen(function*() {
        const go = yield* Deferred.make<void>()
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.fork(Command.string(Command.make("agent")))
          yield* TestClock.adjust("1 day")
          assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
          yield* Deferred.succeed(go, void 0)
          assert.strictEqual(yield* Fiber.join(fiber), "gone")
        }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.waitFor(Deferred.await(go)), Mock.stdout("gone"))])))
      }))

    it.effect("continues according to its input", () =>
      Effect.gen(function*() {
        const ask = (input: string) => Command.make("x").pipe(Command.feed(input), Command.string)
        assert.strictEqual(yield* ask("hello"), "HELLO, and on")
        assert.strictEqual(yield* ask(""), "")
        const { commands } = yield* Mock.MockCommandExecutor
        assert.deepStrictEqual((yield* commands).map(({ state }) => state), [
          Mock.ProcessState.Exited({ code: 0 }),
          Mock.ProcessState.Exited({ code: 7 })
        ])
      }).pipe(Effect.provide(Mock.layer(() =>
        Mock.script(
          Mock.awaitStdin,
          Mock.decide(({ stdin }) =>
            stdin === ""
              ? Effect.succeed([Mock.exit(7)])
              : [Mock.stdout(stdin.toUpperCase())]
          ),
          Mock.stdout(", and on")
        )
      ))))

    it.effect("passes a defect of the script on to everyone waiting for the process", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Command.exitCode(Command.make("agent")))
        assert.isTrue(Exit.isFailure(exit) && Exit.causeOption(exit).pipe(Option.isSome))
        assert.strictEqual((yield* only).state._tag, "Crashed")
      }).pipe(Effect.provide(Mock.layer([Mock.script(Mock.waitFor(Effect.dieMessage("boom")))]))))
  })

  describe("spawn", () => {
    it.effect("fails with Node's error for a reason", () =>
      Effect.gen(function*() {
        const error = yield* systemError(Command.exitCode(Command.make("agent", "run")))
        assert.strictEqual(error.reason, "NotFound")
        assert.strictEqual(error.method, "spawn")
        assert.strictEqual(error.description, "spawn agent ENOENT")
        assert.strictEqual((yield* only).state._tag, "NotStarted")
        assert.strictEqual((yield* only).pid, undefined)
        assert.strictEqual(yield* running, 0)
      }).pipe(Effect.provide(Mock.layer([Mock.spawnError("NotFound")]))))

    it.effect("fails with a given error", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Command.exitCode(Command.make("agent")))
        assert.strictEqual(error.message, "FileSystem.access: no such directory")
      }).pipe(Effect.provide(Mock.layer([
        Mock.spawnError(
          new PlatformError.BadArgument({ module: "FileSystem", method: "access", description: "no such directory" })
        )
      ]))))
  })

  describe("selection and records", () => {
    it.effect("records the command and uses pids that no real process has", () =>
      Effect.gen(function*() {
        yield* Command.make("agent", "run", "--json").pipe(
          Command.env({ A: "1", B: "2" }),
          Command.workingDirectory("/somewhere"),
          Command.exitCode
        )
        yield* Command.exitCode(Command.make("other"))
        const mock = yield* Mock.MockCommandExecutor
        const [first, second] = yield* mock.commands
        assert.isDefined(first)
        assert.deepStrictEqual(
          [first.command, first.args, first.env, first.extendEnv, first.cwd],
          ["agent", ["run", "--json"], { A: "1", B: "2" }, true, "/somewhere"]
        )
        assert.deepStrictEqual([first.pid, second?.pid], [2 ** 30, 2 ** 30 + 1])
        assert.strictEqual(second?.cwd, undefined)
      }).pipe(Effect.provide(Mock.layer([Mock.script(), Mock.script()]))))

    it.effect("names only the program when the list is used up", () =>
      Effect.gen(function*() {
        yield* Command.exitCode(Command.make("agent"))
        const error = yield* systemError(Command.exitCode(Command.make("agent", "--key", "secret")))
        assert.strictEqual(
          error.message,
          "Unknown: Command.spawn (agent): MockCommandExecutor has no script for this command: only 1 were given"
        )
      }).pipe(Effect.provide(Mock.layer([Mock.script()]))))

    it.effect("chooses by an effect of the command", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* Command.string(Command.make("agent", "x")), "agent x")
      }).pipe(Effect.provide(Mock.layer((command) =>
        Effect.succeed(Mock.script(Mock.stdout([command.command, " ", ...command.args])))
      ))))

    it.effect("chooses by predicate", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* Command.exitCode(Command.make("git", "status")), 1)
        assert.strictEqual(yield* Command.exitCode(Command.make("agent")), 2)
        assert.strictEqual(yield* Command.exitCode(Command.make("git")), 1)
        const error = yield* systemError(Command.exitCode(Command.make("rm", "-rf")))
        assert.include(error.message, "none of 2 predicates matches")
      }).pipe(Effect.provide(Mock.layerMatch([
        [({ command }) => command === "git", Mock.script(Mock.exit(1))],
        [({ command }) => command === "agent", Mock.script(Mock.exit(2))]
      ]))))
  })
})
