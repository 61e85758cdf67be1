import { assert, describe, it } from "@effect/vitest"
import { Leftovers } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as T from "./support/mock.js"

const runId = "abcde0123456789"

const signals = Effect.map(T.commands, (all) => all.map(({ args }) => args.slice(2)))

const marked = (id: string) => `A=b\0${Leftovers.variable}=outer:${id}\0`

/** What is left of the run after the time that its processes have to go. */
const ended = Effect.flatMap(Effect.fork(Leftovers.end(runId)), T.advanceUntil)

describe("Leftovers.end", () => {
  it.effect("ends the processes with the run's id and no others", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) })
      processes.set(78, { ppid: 1, pgid: 78, environ: () => marked("zzzzz0123456789") })
      processes.set(79, { ppid: 77, pgid: 79, environ: () => "" })
      const fiber = yield* Effect.fork(Leftovers.end(runId))
      yield* T.untilStarted(1)
      yield* T.settle
      processes.delete(77)
      processes.delete(79)
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [])
      assert.deepStrictEqual(yield* signals, [["TERM", "77", "79"]])
    }).pipe(Effect.provide(T.layer([Mock.script()]))))

  it.effect("kills processes that ignore SIGTERM and returns those that remain", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) })
      const fiber = yield* Effect.fork(Leftovers.end(runId, { forceKillAfter: "2 seconds" }))
      yield* T.untilStarted(1)
      yield* T.advance("2 seconds")
      yield* T.untilStarted(2)
      yield* T.advance("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [77])
      assert.deepStrictEqual(yield* signals, [["TERM", "77"], ["KILL", "77"]])
    }).pipe(Effect.provide(T.layer([Mock.script(), Mock.script()]))))

  it.effect("spares a run whose program is alive and returns its processes", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const namespace = /\d+/.exec(NodeFs.readlinkSync("/proc/self/ns/pid"))![0]
      const program = (pid: number, started: string) => `EFFECT_OPENCODE_PROGRAM=${namespace}/${pid}/${started}\0`
      processes.set(60, { ppid: 1, pgid: 60 })
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) + program(60, "") })
      assert.deepStrictEqual(yield* ended, [77])
      // Of another namespace nothing is known.
      processes.set(77, { ppid: 1, pgid: 77, environ: () => `${marked(runId)}EFFECT_OPENCODE_PROGRAM=1/60/5\0` })
      assert.deepStrictEqual(yield* ended, [77])
      assert.deepStrictEqual(yield* signals, [])
      // Its pid was reused. A run inside it is ended too, although its own program is alive.
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) + program(60, "5") })
      processes.set(79, { ppid: 1, pgid: 79, environ: () => marked(`${runId}:zzzzz0123456789`) + program(60, "") })
      const fiber = yield* Effect.fork(Leftovers.end(runId))
      yield* T.untilStarted(1)
      assert.deepStrictEqual(yield* signals, [["TERM", "77", "79"]])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(T.layer([Mock.script()]))))

  it.effect("ignores the mark inside another variable", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const name = Leftovers.variable
      processes.set(77, { ppid: 1, pgid: 77, environ: () => `A=${name}=${runId}\0B=x ${name}=${runId}\0` })
      processes.set(78, { ppid: 1, pgid: 78, environ: () => `MY_${name}=${runId}\0` })
      assert.deepStrictEqual(yield* Leftovers.end(runId), [])
      assert.deepStrictEqual(yield* signals, [])
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("ignores an invalid run id", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked("") })
      for (const id of ["", "oute", ":outer", "A=b", ".."]) assert.deepStrictEqual(yield* Leftovers.end(id), [])
      assert.deepStrictEqual(yield* signals, [])
    }).pipe(Effect.provide(T.layer([]))))
})

const programVariable = "EFFECT_OPENCODE_PROGRAM"
const namespace = () => /\d+/.exec(NodeFs.readlinkSync("/proc/self/ns/pid"))![0]
const boot = () => NodeFs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

describe("Leftovers.list and endAll", () => {
  it.effect("distinguish runs of dead programs from those of living ones, and end only the former", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const mark = (id: string, programs: string) => ({
        ppid: 1,
        pgid: 1,
        environ: () => `${marked(id)}${programVariable}=:${programs}\0`
      })
      const living = `${namespace()}/60//${boot()}`
      processes.set(60, { ppid: 1, pgid: 60 })
      processes.set(70, mark("living000000000", living))
      processes.set(77, mark("dead00000000000", `${namespace()}/4999961/5/${boot()}`))
      processes.set(78, mark("dead00000000000", `${namespace()}/4999961/5/${boot()}`))
      // The pid of its program belongs to another process by now.
      processes.set(79, mark("reused000000000", `${namespace()}/60/5/${boot()}`))
      // Of another container, of another machine or an earlier start of it nothing is known.
      processes.set(80, mark("container000000", `1/4999961/5/${boot()}`))
      processes.set(81, mark("machine00000000", `${namespace()}/4999961/5/01234567-89ab-cdef-0123-456789abcdef`))
      // The run around it is in the care of a living program.
      processes.set(82, mark("inner0000000000", `${living}:${namespace()}/4999961/5/${boot()}`))
      const found = yield* Leftovers.list
      assert.deepStrictEqual(found.map(({ isAlive, pids, runId }) => [runId, isAlive, ...pids]), [
        ["living000000000", true, 70],
        ["dead00000000000", false, 77, 78],
        ["reused000000000", false, 79],
        ["container000000", true, 80],
        ["machine00000000", true, 81],
        ["inner0000000000", true, 82]
      ])
      assert.deepStrictEqual(found[1]!.program, { pid: 4999961, started: "5", boot: boot() })
      const fiber = yield* Effect.fork(Leftovers.endAll())
      yield* T.untilStarted(1)
      for (const pid of [77, 78, 79]) processes.delete(pid)
      assert.deepStrictEqual(yield* T.advanceUntil(fiber), [])
      assert.deepStrictEqual(yield* signals, [["TERM", "77", "78", "79"]])
    }).pipe(Effect.provide(T.layer([Mock.script()]))))

  it.effect("kill processes that ignore SIGTERM, and return those that remain", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const program = `${namespace()}/4999961/5/${boot()}`
      processes.set(77, { ppid: 1, pgid: 77, environ: () => `${marked(runId)}${programVariable}=:${program}\0` })
      const fiber = yield* Effect.fork(Leftovers.endAll({ forceKillAfter: "1 second" }))
      yield* T.untilStarted(1)
      assert.deepStrictEqual(yield* T.advanceUntil(fiber), [77])
      assert.deepStrictEqual(yield* signals, [["TERM", "77"], ["KILL", "77"]])
    }).pipe(Effect.provide(T.layer([Mock.script(), Mock.script()]))))
})

describe("the directories of servers", () => {
  it.effect("are removed if the program is dead and its processes are gone", () =>
    Effect.gen(function*() {
      const { processes, tmp } = yield* T.Machine
      const directory = (name: string, note: string) => {
        NodeFs.mkdirSync(`${tmp}/${name}`, { mode: 0o700 })
        NodeFs.writeFileSync(`${tmp}/${name}/.server.json`, note)
      }
      const owner = (pid: number) => JSON.stringify({ owner: `${namespace()}/${pid}//${boot()}` })
      processes.set(process.pid, { ppid: 1, pgid: process.pid })
      processes.set(60, { ppid: 1, pgid: 60 })
      directory("effect-opencode-dead", owner(4999961))
      directory("effect-opencode-living", owner(60))
      directory("effect-opencode-broken", "{")
      directory("another", owner(4999961))
      assert.deepStrictEqual(yield* Leftovers.endAll(), [])
      assert.deepStrictEqual(NodeFs.readdirSync(tmp).sort(), [
        "another",
        "effect-opencode-broken",
        "effect-opencode-living"
      ])
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("stay if a process could not be ended", () =>
    Effect.gen(function*() {
      const { processes, tmp } = yield* T.Machine
      const program = `${namespace()}/4999961/5/${boot()}`
      processes.set(77, {
        ppid: 1,
        pgid: 77,
        environ: () => `${marked("dead00000000000")}${programVariable}=:${program}\0`
      })
      NodeFs.mkdirSync(`${tmp}/effect-opencode-dead`, { mode: 0o700 })
      NodeFs.writeFileSync(`${tmp}/effect-opencode-dead/.server.json`, JSON.stringify({ owner: program }))
      const fiber = yield* Effect.fork(Leftovers.endAll())
      yield* T.untilStarted(1)
      assert.deepStrictEqual(yield* T.advanceUntil(fiber), [77])
      assert.deepStrictEqual(NodeFs.readdirSync(tmp), ["effect-opencode-dead"])
    }).pipe(Effect.provide(T.layer([Mock.script(), Mock.script()]))))
})

describe("a private directory", () => {
  it.effect("must be this user's, closed, and not a link", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const directory = (name: string, mode: number) => {
        NodeFs.mkdirSync(`${root}/${name}`)
        NodeFs.chmodSync(`${root}/${name}`, mode)
        return `${root}/${name}`
      }
      const own = directory("own", 0o700)
      NodeFs.symlinkSync(own, `${root}/link`)
      NodeFs.writeFileSync(`${root}/file`, "")
      const others = [
        directory("open", 0o755),
        directory("shared", 0o770),
        `${root}/link`,
        `${root}/file`,
        `${root}/no`
      ]
      assert.isTrue(yield* Leftovers.isOwn(own))
      for (const other of others) {
        assert.isFalse(yield* Leftovers.isOwn(other), other)
        yield* Leftovers.remove(other)
      }
      assert.isTrue(NodeFs.existsSync(`${root}/link`) && NodeFs.existsSync(own) && NodeFs.existsSync(others[0]!))
      yield* Leftovers.remove(own)
      assert.isFalse(NodeFs.existsSync(own))
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("must not be another user's", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      NodeFs.mkdirSync(`${root}/own`, { mode: 0o700 })
      assert.isFalse(yield* Leftovers.isOwn(`${root}/own`))
    }).pipe(Effect.provide(T.layerOf(
      (base) => ({
        stat: (file) =>
          Effect.map(base.stat(file), (info) => file.endsWith("/own") ? { ...info, uid: Option.some(4242) } : info)
      }),
      []
    ))))
})
