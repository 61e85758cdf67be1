import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { SystemError } from "@effect/platform/Error"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as namespace from "../src/internal/process/namespace.js"
import * as signals from "../src/internal/process/signals.js"
import * as spawn from "../src/internal/process/spawn.js"
import type * as processTable from "../src/internal/process/table.js"
import * as T from "./support/mock.js"

const isTrial = (command: Command.StandardCommand) => command.args[2] === namespace.trialName

/** Everything that is started, and the trial under the name of `trial`, so that a script can answer it. */
const watched = (all: Array<Command.StandardCommand>) =>
  Layer.effect(
    CommandExecutor.CommandExecutor,
    Effect.map(CommandExecutor.CommandExecutor, (executor) =>
      CommandExecutor.makeExecutor((command) => {
        const [first] = Command.flatten(command)
        all.push(first)
        return executor.start(isTrial(first) ? Command.make("trial") : command)
      }))
  )

const found = (script: Mock.Script) =>
  Effect.flatMap(CommandExecutor.CommandExecutor, (executor) => namespace.find({ executor })).pipe(
    Effect.provide(Layer.provideMerge(watched([]), T.platform([script])))
  )

describe("a process namespace", () => {
  it("is made by unshare, and its first process starts the program", () => {
    const invocation = { args: ["run", "--title=a b", ""], env: { A: "b" }, stdin: "prompt" }
    for (const user of [false, true]) {
      const wrapped = namespace.wrap({ tool: "/usr/bin/unshare", user })({ binary: "/bin/opencode", invocation }, "/")
      assert.strictEqual(wrapped.binary, "/usr/bin/unshare")
      assert.isTrue(wrapped.isContainer)
      const { args } = wrapped.invocation
      assert.strictEqual(args.slice(0, 2).join(" ") === "--user --map-current-user", user)
      for (const option of ["--pid", "--fork", "--kill-child", "--mount-proc"]) assert.include(args, option)
      assert.deepStrictEqual(args.slice(args.indexOf("--"), args.indexOf("--") + 3), ["--", "/bin/sh", "-c"])
      assert.deepStrictEqual(args.slice(args.indexOf("effect-opencode-init")), [
        "effect-opencode-init",
        "/bin/opencode",
        "run",
        "--title=a b",
        ""
      ])
      assert.deepStrictEqual({ ...wrapped.invocation, args: [] }, { ...invocation, args: [] })
    }
  })

  it.effect("is tried, with a user namespace if it takes one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* found(Mock.script(Mock.stdout("/bin/unshare\n"))), {
        tool: "/bin/unshare",
        user: false
      })
      assert.deepStrictEqual(yield* found(Mock.script(Mock.stdout("/bin/unshare\n--user\n--map-current-user\n"))), {
        tool: "/bin/unshare",
        user: true
      })
    }))

  for (
    const [name, script, reason] of [
      ["there is no unshare", Mock.script(), /need Linux .* no `unshare`/],
      [
        "the system forbids it",
        Mock.script(Mock.stdout("refused\nunshare: unshare failed: Operation not permitted\n")),
        /\(unshare: unshare failed: Operation not permitted\)/
      ],
      ["unshare says nothing", Mock.script(Mock.stdout("refused\n\n")), /no reason was given/],
      [
        "nothing can be started",
        Mock.spawnError(new SystemError({ reason: "NotFound", module: "Command", method: "spawn" })),
        /could not be tried/
      ]
    ] as const
  ) {
    it.effect(`is refused, with the reason, if ${name}`, () =>
      Effect.map(Effect.flip(found(script)), (refusal) => assert.match(refusal, reason)))
  }

  it("hands signals on as exit codes of a shell", () => {
    assert.deepStrictEqual(
      [1, 2, 9, 11, 13, 15, 31].map((signal) => signals.ofExitCode(128 + signal)),
      ["SIGHUP", "SIGINT", "SIGKILL", "SIGSEGV", "SIGPIPE", "SIGTERM", "SIGSYS"]
    )
    for (const code of [0, 1, 7, 127, 128, 160, 255]) assert.isUndefined(signals.ofExitCode(code))
  })
})

const started = (
  script: Mock.Script,
  use: (running: spawn.Running, looks: () => number) => Effect.Effect<void>
) => {
  let looks = 0
  const table: processTable.ProcessTable = {
    baseline: Effect.succeed(new Map()),
    members: () =>
      Effect.sync(() => {
        looks++
        return []
      }),
    kill: () => Effect.void,
    trackLeader: () => () => undefined
  }
  return Effect.scoped(Effect.gen(function*() {
    const running = yield* spawn.start(yield* CommandExecutor.CommandExecutor, table, {
      binary: "opencode",
      cwd: "/",
      invocation: { args: ["run"], env: {}, stdin: "hello" },
      wrap: namespace.wrap({ tool: "/usr/bin/unshare", user: false }),
      extendEnv: true,
      marker: "marker",
      forceKillAfter: Duration.seconds(5)
    })
    yield* use(running, () => looks)
  })).pipe(Effect.provide(T.platform([script])))
}

describe("a process in a namespace", () => {
  for (
    const [code, exit] of [
      [0, { _tag: "Code", code: 0 }],
      [7, { _tag: "Code", code: 7 }],
      [139, { _tag: "Signal", signal: "SIGSEGV" }],
      [255, { _tag: "Code", code: 255 }]
    ] as const
  ) {
    it.effect(`that exits with ${code} needs no search for what it has left`, () =>
      started(Mock.script(Mock.exit(code)), (running, looks) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* running.exit, exit)
          assert.deepStrictEqual(yield* running.terminate(), [])
          assert.strictEqual(looks(), 0)
        })))
  }

  it.effect("that is killed is searched for what is still ending", () =>
    started(Mock.script(Mock.never), (running, looks) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* running.terminate({ force: true }), [])
        assert.deepStrictEqual(yield* running.exit, { _tag: "Signal", signal: "SIGKILL" })
        assert.isAbove(looks(), 0)
      })))
})

describe("a run in a namespace", () => {
  const layer = (all: Array<Command.StandardCommand>, scripts: ReadonlyArray<Mock.Script>) =>
    Layer.unwrapEffect(Effect.map(T.Machine, ({ binary }) => OpenCode.layer({ binary, containment: "namespace" })))
      .pipe(
        Layer.provide(watched(all)),
        Layer.provideMerge(T.platform(scripts))
      )

  it.effect("is tried once, and then starts every process in one", () => {
    const all: Array<Command.StandardCommand> = []
    return Effect.gen(function*() {
      yield* OpenCode.run("x")
      yield* OpenCode.run("x")
      assert.strictEqual(all.filter(isTrial).length, 1)
      const inside = all.filter((command) => command.args.includes(namespace.initName) && !isTrial(command))
      // The question for the version, and two runs.
      assert.strictEqual(inside.length, 3)
      for (const { args, command } of inside) assert.include([command, ...args], "/bin/unshare")
    }).pipe(Effect.provide(layer(all, [
      Mock.script(Mock.stdout("/bin/unshare\n")),
      Mock.script(Mock.stdout("1.18.33\n")),
      T.answering("done"),
      T.answering("done")
    ])))
  })

  it.effect("looks to a scripted process as without one, and is not tried there", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* OpenCode.run("x")).text, "done")
      const { args, command } = yield* T.only
      assert.strictEqual(command, (yield* T.Machine).binary)
      assert.strictEqual(args[0], "run")
    }).pipe(Effect.provide(T.layer([T.answering("done")], { containment: "namespace" }))))

  it.effect("is refused before anything is started, if the machine cannot do it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(OpenCode.run("x"))
      assert.deepInclude({ ...error }, { _tag: "OpenCodeConfigError", path: "containment" })
      assert.include(error.message, "Operation not permitted")
      assert.deepStrictEqual((yield* T.commands).map(({ command }) => command), ["trial"])
    }).pipe(
      Effect.provide(
        layer([], [Mock.script(Mock.stdout("refused\nunshare: unshare failed: Operation not permitted\n"))])
      )
    ))

  it.effect("is refused if the option has another value", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(OpenCode.run("x"))
      assert.deepInclude({ ...error }, { _tag: "OpenCodeConfigError", path: "containment" })
    }).pipe(
      // From a program without types.
      Effect.provide(T.layer([], { containment: "cgroup" as "namespace" }))
    ))
})
