import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import * as T from "./support/mock.js"

/** A process that prints an event and works until it is asked to end. */
const working = Mock.script(Mock.lines([T.stepStart()]), Mock.never)

const Verdict = Schema.Struct({ verdict: Schema.String })

/** The service in its own scope, over the platform of the test. */
const closable = (options: OpenCode.Options = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { binary } = yield* T.Machine
    const layer = OpenCode.layer({ binary, version: "1.18.33", ...options })
    const service = Context.get(yield* Layer.buildWithScope(layer, scope), OpenCode.OpenCode)
    return { service, close: Scope.close(scope, Exit.void) }
  })

const isRefused = (what: "layer" | "session") => (error: unknown) =>
  Effect.sync(() => {
    assert.deepInclude(error, {
      _tag: "OpenCodeConfigError",
      path: what,
      reason: "its scope has been closed"
    })
  })

const refuses = <A, E, R>(effect: Effect.Effect<A, E, R>, what: "layer" | "session" = "layer") =>
  Effect.flatMap(Effect.flip(effect), isRefused(what))

const interrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.map(Fiber.await(fiber), (exit) => assert.isTrue(Exit.isInterrupted(exit), String(exit)))

describe("the end of a layer", () => {
  it.effect("interrupts a run and returns when its process and its directory are gone", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const fiber = yield* Effect.forkDaemon(service.run("x"))
      yield* T.untilStarted(1)
      yield* close
      yield* T.expectClean
      yield* interrupted(fiber)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("waits for a process that ends slowly", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      yield* Effect.gen(function*() {
        const executor = yield* CommandExecutor.CommandExecutor
        const slow = CommandExecutor.makeExecutor((command) =>
          Effect.map(executor.start(command), (process) => ({
            ...process,
            kill: (signal) => Effect.andThen(Deferred.await(asked), process.kill(signal))
          }))
        )
        const { close, service } = yield* Effect.provideService(closable(), CommandExecutor.CommandExecutor, slow)
        yield* Effect.forkDaemon(service.run("x"))
        yield* T.untilStarted(1)
        const closing = yield* Effect.fork(close)
        yield* T.settle
        assert.isFalse(yield* T.isDone(closing))
        yield* Deferred.succeed(asked, undefined)
        yield* Fiber.join(closing)
        yield* T.expectClean
      }).pipe(Effect.provide(T.platform([working])))
    }))

  it.effect("interrupts every method and leaves nothing", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable({ startup: { concurrency: "unbounded" } })
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(service.session(), scope)
      const fibers = yield* Effect.forEach([
        service.run("run"),
        service.run("run with a listener", { onEvent: () => Effect.void }),
        Stream.runDrain(service.stream("stream")),
        service.runSchema(Verdict, "schema"),
        session.run("turn"),
        session.run("a turn that waits for another"),
        service.models
      ], (effect) => Effect.forkDaemon(Effect.asVoid(effect)))
      yield* T.untilStarted(6)
      assert.isTrue(NodeFs.existsSync(session.directory!))
      yield* close
      yield* T.expectClean
      yield* Effect.forEach(fibers, interrupted)
      assert.lengthOf(yield* T.commands, 6)
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(T.platform(() => working))))

  it.effect("interrupts a run waiting at the gate before it has started anything", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable({ concurrency: 1 })
      const fibers = yield* Effect.forEach(["a", "b"], (prompt) => Effect.forkDaemon(service.run(prompt)))
      yield* T.untilStarted(1)
      yield* T.settle
      yield* close
      yield* Effect.forEach(fibers, interrupted)
      assert.lengthOf(yield* T.commands, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => working))))

  it.effect("interrupts a run waiting to retry after a SQLite crash", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> = [
        yield* Effect.forkDaemon(service.run("x")),
        yield* Effect.forkDaemon(Stream.runDrain(service.stream("x")))
      ]
      yield* T.untilStarted(2)
      yield* T.settle
      yield* close
      yield* Effect.forEach(fibers, interrupted)
      assert.lengthOf(yield* T.commands, 2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => T.locked))))

  it.effect("interrupts a stream with a busy consumer, which fails at the next event", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const goOn = yield* Deferred.make<void>()
      const busy = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkDaemon(
        Stream.runForEach(
          service.stream("x"),
          () => Effect.andThen(Deferred.succeed(busy, undefined), Deferred.await(goOn))
        )
      )
      yield* Deferred.await(busy)
      yield* close
      yield* T.expectClean
      assert.isFalse(yield* T.isDone(fiber))
      yield* Deferred.succeed(goOn, undefined)
      yield* interrupted(fiber)
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("interrupts a run whose caller is uninterruptible", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const fiber = yield* Effect.forkDaemon(Effect.uninterruptible(service.run("x")))
      yield* T.untilStarted(1)
      yield* close
      yield* T.expectClean
      yield* interrupted(fiber)
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("interrupts the run alone: its caller continues", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const fiber = yield* Effect.forkDaemon(
        Effect.sandbox(service.run("x")).pipe(
          Effect.flip,
          Effect.map(Cause.isInterruptedOnly)
        )
      )
      yield* T.untilStarted(1)
      yield* close
      assert.isTrue(yield* Fiber.join(fiber))
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("refuses later runs without creating or starting anything", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      yield* close
      const { made } = yield* T.Machine
      yield* refuses(service.run("x"))
      yield* refuses(Stream.runDrain(service.stream("x")))
      yield* refuses(service.runSchema(Verdict, "x"))
      yield* refuses(Effect.scoped(service.session()))
      yield* refuses(Effect.scoped(service.resume({ sessionId: "ses_1", runId: "a".repeat(15) })))
      yield* refuses(service.models)
      yield* refuses(service.version)
      assert.deepStrictEqual(made, [])
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(T.platform([]))))

  it.effect("refuses runs that arrive while it waits", () =>
    Effect.gen(function*() {
      const goOn = Effect.unsafeMakeLatch(false)
      const removing = Effect.unsafeMakeLatch(false)
      const fileSystem = yield* FileSystem.FileSystem
      const { close, service } = yield* Effect.provideService(
        closable(),
        FileSystem.FileSystem,
        FileSystem.FileSystem.of({
          ...fileSystem,
          remove: (file, options) =>
            removing.open.pipe(Effect.andThen(goOn.await), Effect.andThen(fileSystem.remove(file, options)))
        })
      )
      const fiber = yield* Effect.forkDaemon(service.run("x"))
      yield* T.untilStarted(1)
      const closing = yield* Effect.fork(close)
      yield* removing.await
      assert.isFalse(yield* T.isDone(closing))
      yield* refuses(service.run("y"))
      yield* goOn.open
      yield* Fiber.join(closing)
      yield* interrupted(fiber)
      assert.lengthOf(yield* T.commands, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("can be caused by a run itself", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable({ startup: { concurrency: "unbounded" } })
      const other = yield* Effect.forkDaemon(service.run("other"))
      yield* T.untilStarted(1)
      const fiber = yield* Effect.forkDaemon(service.run("x", { onEvent: () => close }))
      yield* interrupted(fiber)
      yield* interrupted(other)
      yield* T.untilOver(2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => working))))

  it.effect("can be caused by the consumer of a stream and by a fiber of a run", () =>
    Effect.gen(function*() {
      const first = yield* closable()
      const consumer = yield* Effect.forkDaemon(Stream.runForEach(first.service.stream("x"), () => first.close))
      yield* interrupted(consumer)
      yield* T.expectClean
      const second = yield* closable()
      const fiber = yield* Effect.forkDaemon(
        second.service.run("x", { onEvent: () => Effect.asVoid(Effect.timeoutOption(second.close, "1 hour")) })
      )
      yield* interrupted(fiber)
      yield* T.untilOver(2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => working))))

  it.effect("interrupts a run forked as a daemon when the program's scope closes", () =>
    Effect.gen(function*() {
      const { binary } = yield* T.Machine
      const fiber = yield* Effect.zipLeft(Effect.forkDaemon(OpenCode.run("x")), T.untilStarted(1)).pipe(
        Effect.provide(OpenCode.layer({ binary, version: "1.18.33" }))
      )
      yield* T.expectClean
      yield* interrupted(fiber)
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("is caused by ManagedRuntime.dispose, even during an event", () =>
    Effect.gen(function*() {
      const platform = yield* Effect.context<T.Platform>()
      const { binary } = yield* T.Machine
      const layer = OpenCode.layer({ binary, version: "1.18.33" }).pipe(
        Layer.provide(Layer.succeedContext(platform))
      )
      const runtime = ManagedRuntime.make(layer)
      const exit = runtime.runPromiseExit(OpenCode.run("x"))
      yield* T.untilStarted(1)
      yield* Effect.promise(() => runtime.dispose())
      yield* T.expectClean
      assert.isTrue(Exit.isInterrupted(yield* Effect.promise(() => exit)))

      const again = ManagedRuntime.make(layer)
      const inside = yield* Effect.promise(() =>
        again.runPromiseExit(OpenCode.run("x", { onEvent: () => Effect.promise(() => again.dispose()) }))
      )
      assert.isTrue(Exit.isInterrupted(inside))
      yield* T.untilOver(2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => working))))
})

/** A turn that reports its session. */
const answer = Mock.script(Mock.awaitStdin, Mock.lines(T.answer("done")), Mock.exit(0))

describe("the end of a session", () => {
  it.effect("refuses its turns and those of its forks without creating anything", () =>
    Effect.gen(function*() {
      const { service } = yield* closable()
      const outer = yield* Scope.make()
      const { fork, nested, session, unused } = yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* service.session()
        yield* session.run("one")
        const fork = yield* Scope.extend(session.fork(), outer)
        yield* fork.run("two")
        return {
          session,
          fork,
          nested: yield* Scope.extend(fork.fork(), outer),
          unused: yield* Scope.extend(session.fork(), outer)
        }
      }))
      const started = (yield* T.commands).length
      const { made } = yield* T.Machine
      const before = made.length
      for (const closed of [session, fork, nested, unused]) {
        yield* refuses(closed.run("x"), "session")
        yield* refuses(Stream.runDrain(closed.stream("x")), "session")
        yield* refuses(closed.runSchema(Verdict, "x"), "session")
        yield* refuses(closed.export(), "session")
      }
      yield* refuses(Effect.scoped(session.fork()), "session")
      yield* refuses(Effect.scoped(fork.fork()), "session")
      assert.strictEqual((yield* session.usage).steps, 1)
      assert.lengthOf(yield* T.commands, started)
      assert.lengthOf(made, before)
      yield* T.expectClean
      yield* Scope.close(outer, Exit.void)
    }).pipe(Effect.provide(T.platform(() => answer))))

  it.effect("is not caused by the end of a fork", () =>
    Effect.gen(function*() {
      const { service } = yield* closable()
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* service.session()
        yield* session.run("one")
        const fork = yield* Effect.scoped(session.fork())
        yield* refuses(fork.run("x"), "session")
        assert.strictEqual((yield* session.run("two")).text, "done")
      }))
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => answer))))

  it.effect("interrupts a turn in another fiber before its directory is removed", () =>
    Effect.gen(function*() {
      const { service } = yield* closable()
      const fibers = yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* service.session()
        const turn = yield* Effect.forkDaemon(session.run("x"))
        const next = yield* Effect.forkDaemon(Stream.runDrain(session.stream("y")))
        yield* T.untilStarted(1)
        yield* T.settle
        const fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> = [turn, next]
        return fibers
      }))
      yield* T.expectClean
      yield* Effect.forEach(fibers, interrupted)
      assert.lengthOf(yield* T.commands, 1)
    }).pipe(Effect.provide(T.platform([working]))))

  it.effect("is caused by the end of its layer", () =>
    Effect.gen(function*() {
      const { close, service } = yield* closable()
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(service.session(), scope)
      yield* session.run("one")
      const fork = yield* Scope.extend(session.fork(), scope)
      yield* close
      yield* T.expectClean
      yield* refuses(session.run("two"), "session")
      yield* refuses(fork.run("two"), "session")
      yield* refuses(Effect.scoped(session.fork()), "session")
      yield* refuses(session.export(), "session")
      yield* T.expectClean
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(T.platform(() => answer))))
})
