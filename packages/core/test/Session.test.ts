import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunConfig, RunEvent, TokenUsage } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { optionIn } from "./support/facts.js"
import * as T from "./support/mock.js"

const inSession = (id: string, events: ReadonlyArray<object>) => events.map((event) => ({ ...event, sessionID: id }))

/** A turn that reports its session. */
const turnOf = (id: string, said: string) =>
  Mock.script(Mock.awaitStdin, Mock.lines(inSession(id, T.answer(said))), Mock.exit(0))

/** A whole conversation of one answer, as `opencode export` prints it. */
const exported = (id: string, parts: ReadonlyArray<object> = []) =>
  JSON.stringify({
    info: { id, title: "a title" },
    messages: [
      { info: { id: "msg_u", role: "user" }, parts: [{ type: "text", text: "do it", id: "prt_u" }] },
      { info: { id: "msg_1", role: "assistant", cost: 0.25 }, parts }
    ]
  })

const isExport = (command: Mock.RecordedCommand) => command.args.at(-2) === "export"

/** Runs in the order of their start, and exports by session id: those that are missing fail. */
const agent = (runs: ReadonlyArray<Mock.Script>, exports: { readonly [id: string]: string } = {}) => {
  let started = 0
  return (command: Mock.RecordedCommand): Mock.Script => {
    if (!isExport(command)) {
      return command.args[0] === "run"
        ? runs[started++] ?? Mock.script(Mock.stderr("there is no such run"), Mock.exit(9))
        : Mock.script()
    }
    const text = exports[command.args.at(-1) ?? ""]
    if (text === undefined) return Mock.script(Mock.stderr("Error: Session not found"), Mock.exit(1))
    // What the shell does for `> "$0"`.
    NodeFs.writeFileSync(command.args[2]!, text)
    return Mock.script(Mock.exit(0))
  }
}

const runs = Effect.map(T.commands, (all) => all.filter(({ args }) => args[0] === "run"))

const exportsAsked = Effect.map(T.commands, (all) => all.filter(isExport).map(({ args }) => args.at(-1)))

/** The arguments that select the session. */
const continuing = (command: Mock.RecordedCommand) => {
  const { args } = command
  return [
    ...args.filter((arg) => arg === "--continue"),
    ...[optionIn(args, "--session")].filter((id) => id !== undefined),
    ...args.filter((arg) => arg === "--fork")
  ]
}

const configOf = (command: Mock.RecordedCommand | undefined) =>
  JSON.parse(command?.env["OPENCODE_CONFIG_CONTENT"] ?? "{}") as { readonly [key: string]: unknown }

const atOnce: OpenCode.Options = { startup: { concurrency: "unbounded" } }

/** Relative to the working directory; the library reports it as absolute. */
const kept: OpenCode.Options = { isolation: { directory: "../kept" } }

describe("Session", () => {
  describe("turns", () => {
    it.effect("share the conversation and the data directory, which is removed with the scope", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session({ title: "A title" })
          assert.deepStrictEqual(yield* session.id, undefined)
          assert.strictEqual((yield* session.run("one")).text, "1")
          assert.deepStrictEqual(yield* session.id, "ses_1")
          assert.strictEqual((yield* session.run("two", { title: "Another" })).text, "2")

          const all = yield* runs
          assert.deepStrictEqual(all.map(continuing), [[], ["ses_1"]])
          assert.deepStrictEqual(all.map(({ stdin }) => stdin), ["one", "two"])
          assert.include(all[0]!.args, "--title=A title")
          assert.include(all[1]!.args, "--title=Another")
          const directories = all.map(({ env }) => env["XDG_DATA_HOME"])
          assert.strictEqual(session.directory, directories[0])
          assert.strictEqual(directories[0], directories[1])
          assert.isTrue(NodeFs.existsSync(directories[0]!))
          // Each turn has its own temporary directory.
          assert.notStrictEqual(all[0]!.env["TMPDIR"], all[1]!.env["TMPDIR"])
          assert.strictEqual(session.cwd, (yield* T.Machine).work)

          const { cost, steps, usage } = yield* session.usage
          assert.deepStrictEqual({ cost, steps, total: usage.total }, { cost: 0.5, steps: 2, total: 270 })
        }))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([turnOf("ses_1", "1"), turnOf("ses_1", "2")]))))

    it.effect("wait for each other in order, without counting the wait in the timeout", () =>
      Effect.gen(function*() {
        const opened = yield* Deferred.make<void>()
        yield* Effect.gen(function*() {
          const session = yield* OpenCode.session({ timeout: "1 hour" })
          const first = yield* Effect.fork(session.run("one"))
          yield* T.until("the first event", Effect.map(session.id, (id) => id !== undefined))
          const others = yield* Effect.forEach(
            ["two", "three", "four"],
            (prompt) => Effect.zipLeft(Effect.fork(session.run(prompt, { timeout: "1 minute" })), T.settle)
          )
          // A turn that leaves the queue delays nobody.
          yield* Fiber.interrupt(others[1]!)
          yield* TestClock.adjust("30 minutes")
          yield* T.settle
          assert.lengthOf(yield* runs, 1)
          assert.isFalse(yield* T.isDone(others[0]!))

          yield* Deferred.succeed(opened, undefined)
          assert.strictEqual((yield* Fiber.join(first)).text, "1")
          const results = yield* Effect.all([Fiber.join(others[0]!), Fiber.join(others[2]!)])
          assert.deepStrictEqual(results.map(({ text }) => text), ["2", "4"])
          assert.isBelow(Duration.toMillis(results[0].duration), 60_000)
          assert.deepStrictEqual((yield* runs).map(({ stdin }) => stdin), ["one", "two", "four"])
        }).pipe(
          Effect.scoped,
          Effect.provide(T.layer([
            Mock.script(
              Mock.lines([T.stepStart()]),
              Mock.waitFor(Deferred.await(opened)),
              Mock.lines([T.text("1"), T.stepFinish("stop")])
            ),
            turnOf("ses_1", "2"),
            turnOf("ses_1", "4")
          ], { defaults: { idleTimeout: "2 hours" } }))
        )
      }))

    it.effect("of different sessions run at the same time, each in its own directory", () =>
      Effect.gen(function*() {
        const [a, b] = yield* Effect.all([OpenCode.session(), OpenCode.session()])
        const fibers = yield* Effect.forEach([a, b], (session) => Effect.fork(session.run("go")))
        yield* T.untilStarted(2)
        assert.notDeepEqual(a.directory, b.directory)
        const all = yield* runs
        assert.notStrictEqual(all[0]!.env["XDG_DATA_HOME"], all[1]!.env["XDG_DATA_HOME"])
        yield* Fiber.interruptAll(fibers)
      }).pipe(Effect.scoped, Effect.provide(T.layer([Mock.script(Mock.never), Mock.script(Mock.never)], atOnce))))

    it.effect("that fail keep the session and count their spending", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* T.failsWith("OpenCodeSessionError")(session.run("one"))
        assert.deepStrictEqual(yield* session.id, "ses_1")
        assert.strictEqual((yield* session.run("two")).text, "2")
        assert.deepStrictEqual((yield* runs).map(continuing), [[], ["ses_1"]])
        const { cost, steps } = yield* session.usage
        assert.deepStrictEqual({ cost, steps }, { cost: 0.5, steps: 2 })
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([
          Mock.script(
            Mock.lines([T.stepStart(), T.stepFinish("tool-calls"), T.error("APIError", { message: "no" })]),
            Mock.exit(1)
          ),
          turnOf("ses_1", "2")
        ]))
      ))

    it.effect("that are interrupted keep the session and count their spending", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        const fiber = yield* Effect.fork(session.run("one"))
        yield* T.until("a finished step", Effect.map(session.usage, ({ steps }) => steps === 1))
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* session.id, "ses_1")
        assert.strictEqual((yield* session.run("two")).text, "2")
        assert.deepStrictEqual((yield* runs).map(continuing), [[], ["ses_1"]])
        assert.strictEqual((yield* session.usage).steps, 2)
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([
          Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]), Mock.never),
          turnOf("ses_1", "2")
        ]))
      ))

    it.effect("without events start no session", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* T.failsWith("OpenCodeProcessError")(session.run("one"))
        assert.deepStrictEqual(yield* session.id, undefined)
        yield* session.run("two")
        assert.deepStrictEqual((yield* runs).map(continuing), [[], []])
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([Mock.script(Mock.stderr("no"), Mock.exit(1)), turnOf("ses_1", "2")]))
      ))

    it.effect("can be streams, which release the session when they are left early", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        const events = yield* Stream.runCollect(session.stream("one"))
        assert.deepStrictEqual(Chunk.toReadonlyArray(events).map(({ _tag }) => _tag), [
          "StepStart",
          "Text",
          "StepFinish"
        ])
        const first = yield* Stream.runHead(Stream.filter(session.stream("two"), RunEvent.is("Text")))
        assert.strictEqual(Option.getOrThrow(first).text, "2")
        yield* session.run("three")
        assert.deepStrictEqual((yield* runs).map(continuing), [[], ["ses_1"], ["ses_1"]])
        assert.strictEqual((yield* session.usage).steps, 3)
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([turnOf("ses_1", "1"), turnOf("ses_1", "2"), turnOf("ses_1", "3")]))
      ))

    it.effect("use the options of the region in which the session was opened", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session({ agent: "build" }).pipe(
          RunConfig.withRunConfig({ model: "acme/outer", agent: "plan", permission: { edit: "deny" } })
        )
        yield* session.run("one")
        // A region of a turn is merged over the layer's defaults and under the session's options.
        yield* session.run("two").pipe(
          RunConfig.withRunConfig({ model: "acme/inner", variant: "high", permission: { bash: "deny" } })
        )
        yield* session.run("three", { model: "acme/own" })
        const all = yield* runs
        assert.deepStrictEqual(
          all.map(({ args }) => [optionIn(args, "--model"), optionIn(args, "--agent")]),
          [["acme/outer", "build"], ["acme/outer", "build"], ["acme/own", "build"]]
        )
        assert.deepStrictEqual(all.map(({ args }) => args.includes("--variant=high")), [false, true, false])
        assert.include(all[1]!.args, "--variant=high")
        assert.deepStrictEqual(all.map((command) => configOf(command)["permission"]), [
          { edit: "deny" },
          // Nobody answers a question in a session that exists already.
          { bash: "deny", edit: "deny", question: "deny" },
          { edit: "deny", question: "deny" }
        ])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          T.layer(["1", "2", "3"].map((said) => turnOf("ses_1", said)), {
            defaults: { model: "acme/default", variant: "low" }
          })
        )
      ))

    it.effect("all run in the session's working directory", () =>
      Effect.gen(function*() {
        const { root, work } = yield* T.Machine
        const session = yield* OpenCode.session({ cwd: "." })
        // Neither by the types nor by a value that bypasses them.
        const roundabout = { cwd: root, title: "x" }
        yield* session.run("one", roundabout)
        assert.deepStrictEqual((yield* runs).map(({ cwd, env }) => [cwd, env["PWD"]]), [[work, work]])
      }).pipe(Effect.scoped, Effect.provide(T.layer([turnOf("ses_1", "1")]))))
  })

  it.effect("refuses turns after its scope has closed", () =>
    Effect.gen(function*() {
      const session = yield* Effect.scoped(OpenCode.session())
      for (const turn of [session.run("one"), Stream.runDrain(session.stream("one")), session.export()]) {
        const error = yield* Effect.flip(turn)
        assert.strictEqual(error._tag === "OpenCodeConfigError" && error.path, "session")
      }
      assert.deepStrictEqual(yield* runs, [])
    }).pipe(Effect.provide(T.layer([]))))

  describe("fork", () => {
    const around = { sessionId: "ses_0", fork: true, forkAfter: "msg_0" }

    it.effect("branches off after its last turn, whatever message the configuration around it names", () =>
      Effect.gen(function*() {
        const trunk = yield* OpenCode.session()
        yield* trunk.run("one")
        yield* Effect.gen(function*() {
          yield* trunk.run("two")
          const branch = yield* trunk.fork()
          yield* branch.run("three")
          yield* branch.run("four")
        }).pipe(RunConfig.withRunConfig(around))
        assert.deepStrictEqual((yield* runs).map(continuing), [[], ["ses_1"], ["ses_1", "--fork"], ["ses_2"]])
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer(agent([
          turnOf("ses_1", "1"),
          turnOf("ses_1", "2"),
          turnOf("ses_2", "3"),
          turnOf("ses_2", "4")
        ])))
      ))

    it.effect("forks only with the first turn of the branch and leaves the trunk alone", () =>
      Effect.gen(function*() {
        const trunk = yield* OpenCode.session()
        yield* trunk.run("one")
        const branch = yield* trunk.fork()
        assert.deepStrictEqual(yield* branch.id, undefined)
        assert.deepStrictEqual(branch.directory, trunk.directory)
        // A first turn without events forks again.
        yield* T.failsWith("OpenCodeProcessError")(branch.run("two"))
        yield* branch.run("three")
        yield* branch.run("four")
        yield* trunk.run("five")
        assert.deepStrictEqual((yield* runs).map(continuing), [
          [],
          ["ses_1", "--fork"],
          ["ses_1", "--fork"],
          ["ses_2"],
          ["ses_1"]
        ])
        assert.deepStrictEqual(yield* branch.id, "ses_2")
        assert.deepStrictEqual(yield* trunk.id, "ses_1")
        assert.strictEqual((yield* trunk.usage).steps, 2)
        assert.strictEqual((yield* branch.usage).steps, 2)
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([
          turnOf("ses_1", "1"),
          Mock.script(Mock.exit(1)),
          turnOf("ses_2", "3"),
          turnOf("ses_2", "4"),
          turnOf("ses_1", "5")
        ]))
      ))

    it.effect("runs concurrently with the trunk, with its options", () =>
      Effect.gen(function*() {
        const trunk = yield* OpenCode.session({ variant: "high" })
        yield* trunk.run("one")
        const branch = yield* trunk.fork()
        const fibers = yield* Effect.forEach([trunk, branch], (session) => Effect.fork(session.run("go")))
        yield* T.untilStarted(3)
        assert.isTrue((yield* runs).every(({ args }) => args.includes("--variant=high")))
        yield* Fiber.interruptAll(fibers)
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer([turnOf("ses_1", "1"), Mock.script(Mock.never), Mock.script(Mock.never)], atOnce))
      ))

    it.effect("needs a turn to fork from, and so does an export", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        assert.strictEqual((yield* T.failsWith("OpenCodeConfigError")(session.fork())).path, "fork")
        assert.strictEqual((yield* T.failsWith("OpenCodeConfigError")(session.export())).path, "export")
        assert.deepStrictEqual(yield* session.usage, { usage: TokenUsage.empty, cost: 0, steps: 0 })
        assert.deepStrictEqual(yield* T.commands, [])
      }).pipe(Effect.scoped, Effect.provide(T.layer([]))))
  })

  describe("export", () => {
    it.effect("queries the binary in the surroundings of the turns, through a file", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session({ extraEnv: { TOKEN: "t" } })
        yield* session.run("one")
        const conversation = yield* session.export()
        assert.strictEqual(conversation.info.id, "ses_1")
        assert.lengthOf(conversation.messages, 2)
        const command = (yield* T.commands)[1]!
        assert.strictEqual(command.command, "/bin/sh")
        assert.deepStrictEqual(command.args.slice(3), [(yield* T.Machine).binary, "export", "ses_1"])
        assert.strictEqual(command.cwd, session.cwd)
        assert.strictEqual(command.env["TOKEN"], "t")
        assert.strictEqual(command.env["XDG_DATA_HOME"], session.directory)
        assert.isFalse(NodeFs.existsSync(command.args[2]!))
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer(agent([turnOf("ses_1", "1")], { ses_1: `Exporting…\n${exported("ses_1")}\n` })))
      ))

    for (
      const [what, text] of [
        ["cut off", exported("ses_1").slice(0, -20)],
        ["no JSON", "Exporting session"],
        ["nothing", ""],
        ["another shape", `{"sessions":[]}`]
      ] as const
    ) {
      it.effect(`fails with a typed error: ${what}`, () =>
        Effect.gen(function*() {
          const session = yield* OpenCode.session()
          yield* session.run("one")
          const error = yield* T.failsWith("OpenCodeProcessError")(session.export())
          assert.include(error.hint, "opencode export ses_1")
          assert.include(error.hint, `${text.length} characters`)
          assert.strictEqual(error.partial.sessionId, "ses_1")
        }).pipe(Effect.scoped, Effect.provide(T.layer(agent([turnOf("ses_1", "1")], { ses_1: text })))))
    }

    it.effect("fails with a typed error without secrets when OpenCode refuses it", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session({ extraEnv: { TOKEN: RunConfig.secret("canary-0123456789") } })
        yield* session.run("one")
        const error = yield* T.failsWith("OpenCodeProcessError")(session.export())
        assert.strictEqual(error.exitCode, 1)
        assert.include(error.partial.stderr, "not found")
        assert.notInclude(JSON.stringify(error), "canary")
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer((command) =>
          isExport(command)
            ? Mock.script(Mock.stderr("Error: Session not found canary-0123456789"), Mock.exit(1))
            : turnOf("ses_1", "1")
        ))
      ))
  })

  describe("kept and resumed", () => {
    it.effect("keeps the layer's directory, in which another session continues", () =>
      Effect.gen(function*() {
        const machine = yield* T.Machine
        const directory = NodePath.join(machine.root, "kept")
        const location = yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session()
          yield* session.run("one")
          return {
            sessionId: yield* session.id,
            directory: session.directory,
            cwd: session.cwd
          }
        }))
        assert.deepStrictEqual(location, { sessionId: "ses_1", directory, cwd: machine.work })
        assert.isTrue(NodeFs.existsSync(directory))

        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.resume(location)
          assert.deepStrictEqual(yield* session.id, "ses_1")
          yield* session.run("two")
          const branch = yield* OpenCode.resume(location, { fork: true })
          assert.deepStrictEqual(yield* branch.id, undefined)
          yield* branch.run("three")
        }))
        const all = yield* runs
        assert.deepStrictEqual(all.map(continuing), [[], ["ses_1"], ["ses_1", "--fork"]])
        assert.isTrue(all.every(({ env }) => env["XDG_DATA_HOME"] === directory))
        yield* T.expectClean
      }).pipe(
        Effect.provide(T.layer([turnOf("ses_1", "1"), turnOf("ses_1", "2"), turnOf("ses_2", "3")], kept))
      ))

    it.effect("uses the working directory of the location", () =>
      Effect.gen(function*() {
        const { home } = yield* T.Machine
        const session = yield* OpenCode.resume({ sessionId: "ses_1", cwd: home })
        yield* session.run("go")
        const [command] = yield* runs
        assert.strictEqual(command!.cwd, home)
        // Without a directory the session is in OpenCode's own.
        assert.isUndefined(session.directory)
        assert.isUndefined(command!.env["XDG_DATA_HOME"])
      }).pipe(Effect.scoped, Effect.provide(T.layer([turnOf("ses_1", "1")]))))

    it.effect("refuses a location without an id or with a missing directory", () =>
      Effect.gen(function*() {
        const { root } = yield* T.Machine
        const directory = NodePath.join(root, "gone")
        const noId = yield* T.failsWith("OpenCodeConfigError")(Effect.scoped(OpenCode.resume({ directory: root })))
        assert.strictEqual(noId.path, "sessionId")
        const gone = yield* T.failsWith("OpenCodeConfigError")(
          Effect.scoped(OpenCode.resume({ directory, sessionId: "ses_1" }))
        )
        assert.strictEqual(gone.path, "sessionId")
        assert.include(gone.reason, directory)
        assert.isFalse(NodeFs.existsSync(directory))
      }).pipe(Effect.provide(T.layer([]))))

    it.effect("ends the processes of a dead program first, with SIGTERM, then SIGKILL", () =>
      Effect.gen(function*() {
        const { processes } = yield* T.Machine
        const runId = "abcde0123456789"
        processes.set(77, { ppid: 1, pgid: 77, environ: () => `A=b\0EFFECT_OPENCODE_RUN=:${runId}\0` })
        processes.set(78, { ppid: 1, pgid: 78, environ: () => "A=b\0" })
        const signals = Effect.map(T.commands, (all) => all.map(({ args }) => args.slice(2)))
        const fiber = yield* Effect.fork(Effect.scoped(OpenCode.resume({ sessionId: "ses_1", runId })))
        yield* T.untilStarted(1)
        yield* T.settle
        assert.isFalse(yield* T.isDone(fiber))
        yield* TestClock.adjust("5 seconds")
        yield* T.untilStarted(2)
        assert.deepStrictEqual(yield* signals, [["TERM", "77"], ["KILL", "77"]])
        yield* Fiber.join(fiber)

        // A damaged file selects no process of somebody else.
        for (const short of ["", "A", "A=b"]) {
          yield* Effect.scoped(OpenCode.resume({ sessionId: "ses_1", runId: short }))
        }
        assert.lengthOf(yield* signals, 2)
      }).pipe(Effect.provide(T.layer([Mock.script(), Mock.script()]))))

    it.effect("refuses an existing session in a directory made for the scope", () =>
      Effect.gen(function*() {
        for (const options of [{ sessionId: "ses_1" }, { continueSession: true }, { sessionId: "ses_1", fork: true }]) {
          const error = yield* T.failsWith("OpenCodeConfigError")(Effect.scoped(OpenCode.session(options)))
          assert.strictEqual(error.path, Object.keys(options)[0])
          assert.include(error.reason, "isolation")
        }
        const fork = yield* T.failsWith("OpenCodeConfigError")(Effect.scoped(OpenCode.session({ fork: true })))
        assert.strictEqual(fork.path, "fork")
        assert.deepStrictEqual(yield* T.commands, [])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([]))))

    it.effect("continues the last session once, with continueSession", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session({ continueSession: true })
        yield* session.run("one")
        yield* session.run("two")
        const branch = yield* session.fork()
        yield* branch.run("three")
        assert.deepStrictEqual((yield* runs).map(continuing), [["--continue"], ["ses_1"], ["ses_1", "--fork"]])
      }).pipe(
        Effect.scoped,
        Effect.provide(T.layer(["ses_1", "ses_1", "ses_2"].map((id) => turnOf(id, "yes")), { isolation: "none" }))
      ))

    it.effect("leaves nothing of a closed session while another one is open", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* Scope.extend(OpenCode.session(), scope)
        const directory = session.directory!
        yield* Effect.scoped(Effect.flatMap(OpenCode.session(), (other) => other.run("one")))
        assert.isTrue(NodeFs.existsSync(NodePath.dirname(directory)))
        yield* Scope.close(scope, Exit.void)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([turnOf("ses_1", "1")]))))
  })

  describe("plain runs", () => {
    const go = [
      ["sessionId", { sessionId: "ses_1" }, ["ses_1"]],
      ["continueSession", { continueSession: true }, ["--continue"]],
      ["sessionId", { sessionId: "ses_1", fork: true }, ["ses_1", "--fork"]],
      ["continueSession", { continueSession: true, fork: true }, ["--continue", "--fork"]]
    ] as const

    for (const isolation of ["a directory", "none"]) {
      it.effect(`continue a session with isolation ${isolation}`, () =>
        Effect.gen(function*() {
          for (const [, options] of go) yield* OpenCode.run("go", options)
          assert.deepStrictEqual((yield* runs).map(continuing), go.map(([, , args]) => [...args]))
        }).pipe(
          Effect.provide(
            T.layer(go.map(() => turnOf("ses_1", "1")), isolation === "none" ? { isolation } : kept)
          )
        ))
    }

    it.effect("are refused when every run gets an empty directory", () =>
      Effect.gen(function*() {
        for (const [path, options] of go) {
          const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("go", options))
          assert.strictEqual(error.path, path)
          assert.include(error.reason, "isolation")
        }
        assert.deepStrictEqual(yield* T.commands, [])
      }).pipe(Effect.provide(T.layer([]))))
  })
})

/** The part of a line, under another id, as the session stores it. */
const partOf = (id: string, line: { readonly part: object }) => ({ ...line.part, id })

const lost = Mock.script(Mock.lines([T.stepStart()]), Mock.exit(0))

const whole = exported("ses_1", [
  partOf("prt_1", T.stepStart()),
  partOf("prt_2", T.text("the end")),
  partOf("prt_4", T.stepFinish("stop"))
])

describe("recover", () => {
  it.effect("completes a run whose end was lost, with each event once", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("go", { recover: "export" })
      assert.isTrue(result.recovered)
      assert.deepStrictEqual(result.events.map(({ _tag }) => _tag), ["StepStart", "Text", "StepFinish"])
      assert.strictEqual(result.text, "the end")
      assert.strictEqual(result.usage.total, 135)
    }).pipe(Effect.provide(T.layer(agent([lost], { ses_1: whole })))))

  for (const [version, isLost] of [["1.15.13", true], ["1.14.34", false], ["1.17.19", false]] as const) {
    it.effect(`${isLost ? "needs no option" : "needs its option"} with ${version}`, () =>
      Effect.gen(function*() {
        const recovered = yield* OpenCode.run("go").pipe(
          Effect.map(({ recovered }) => recovered),
          Effect.catchTag("OpenCodeIncompleteError", () => Effect.succeed(false))
        )
        assert.strictEqual(recovered, isLost)
        assert.deepStrictEqual(yield* exportsAsked, isLost ? ["ses_1"] : [])
      }).pipe(Effect.provide(T.layer(agent([lost], { ses_1: whole }), { version }))))
  }

  it.effect("completes a run whose answer is on an unreadable line", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("go", { recover: "export" })
      assert.isTrue(result.recovered)
      assert.strictEqual(result.text, "the end")
      assert.strictEqual(result.lostLines, 1)
    }).pipe(Effect.provide(T.layer(agent([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.stdout(`${JSON.stringify(T.text("the end")).slice(0, -20)}\n`),
        Mock.lines([T.stepFinish("stop")]),
        Mock.exit(0)
      )
    ], { ses_1: whole })))))

  it.effect("does not export when nothing is missing", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("go", { recover: "export" })
      assert.isFalse(result.recovered)
      assert.deepStrictEqual(yield* exportsAsked, [])
    }).pipe(Effect.provide(T.layer(agent([turnOf("ses_1", "1")], { ses_1: whole })))))

  for (
    const [what, exports] of [
      ["fails", {}],
      ["is cut off", { ses_1: whole.slice(0, -9) }],
      ["has no more", { ses_1: exported("ses_1", [partOf("prt_1", T.stepStart())]) }]
    ] as const
  ) {
    it.effect(`changes nothing when the export ${what}`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("go", { recover: "export" }))
        assert.strictEqual(error.partial.eventCount, 1)
        assert.deepStrictEqual(yield* exportsAsked, ["ses_1"])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer(agent([lost], exports)))))
  }

  it.effect("counts in a session and applies to streams", () =>
    Effect.gen(function*() {
      const session = yield* OpenCode.session({ recover: "export" })
      const events = yield* Stream.runCollect(session.stream("go"))
      assert.lengthOf(events, 3)
      const { cost, steps } = yield* session.usage
      assert.deepStrictEqual({ cost, steps }, { cost: 0.25, steps: 1 })
    }).pipe(Effect.scoped, Effect.provide(T.layer(agent([lost], { ses_1: whole })))))
})

describe("usage: \"deep\"", () => {
  const task = (child: string) =>
    T.toolUse("task", { input: { description: "d", prompt: "p" }, metadata: { sessionId: child } })

  const parent = Mock.script(
    Mock.lines([T.stepStart(), task("ses_a"), task("ses_b"), T.text("done"), T.stepFinish("stop")]),
    Mock.exit(0)
  )

  /** A session of one step and these children. */
  const child = (id: string, cost: number, ...children: ReadonlyArray<string>) =>
    exported(id, [...children.map((child) => task(child).part), T.stepFinish("stop", { cost, input: 1000 }).part])

  it.effect("adds sub-agents and their sub-agents, each once", () =>
    Effect.gen(function*() {
      const session = yield* OpenCode.session()
      const result = yield* session.run("go", { usage: "deep" })
      assert.strictEqual(result.usage.total, 135 + 3 * 1035)
      assert.strictEqual(result.cost, 0.25 + 1 + 2 + 4)
      // Steps are those of the run itself, as its events show them.
      assert.strictEqual(result.steps, 1)
      assert.deepStrictEqual(yield* exportsAsked, ["ses_a", "ses_c", "ses_b"])
      const spent = yield* session.usage
      assert.deepStrictEqual(spent, { usage: result.usage, cost: result.cost, steps: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(T.layer(agent([parent], {
        ses_a: child("ses_a", 1, "ses_c"),
        ses_b: child("ses_b", 2, "ses_c", "ses_b"),
        ses_c: child("ses_c", 4, "ses_a")
      })))
    ))

  it.effect("leaves out unreadable sessions, and is off by default", () =>
    Effect.gen(function*() {
      const deep = yield* OpenCode.run("go", { usage: "deep" })
      assert.strictEqual(deep.cost, 0.25 + 1)
      const flat = yield* OpenCode.run("go")
      assert.strictEqual(flat.cost, 0.25)
      assert.deepStrictEqual(yield* exportsAsked, ["ses_a", "ses_c", "ses_b"])
    }).pipe(
      Effect.provide(T.layer(agent([parent, parent], {
        ses_a: child("ses_a", 1, "ses_c"),
        ses_b: child("ses_b", 2).slice(0, 40)
      })))
    ))

  it.effect("is in the error of a failed run", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("go", { usage: "deep" }))
      assert.strictEqual(error.partial.cost, 1)
    }).pipe(
      Effect.provide(T.layer(agent([
        Mock.script(Mock.lines([T.stepStart(), task("ses_a")]), Mock.exit(3))
      ], { ses_a: child("ses_a", 1) })))
    ))
})
