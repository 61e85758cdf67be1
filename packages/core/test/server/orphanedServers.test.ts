import * as NodePath from "@effect/platform-node/NodePath"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import { HostEnvironment } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as processList from "../../src/internal/process/list.js"
import * as owners from "../../src/internal/process/owner.js"
import * as processTable from "../../src/internal/process/table.js"
import * as orphanedServers from "../../src/internal/transport/server/orphanedServers.js"
import { isDone, settle } from "../support/mock.js"

interface Fake {
  readonly ppid?: number
  readonly started: number
  readonly environ?: string
  readonly zombie?: boolean
  readonly deaf?: "TERM" | "KILL"
  /** Its files are unreadable: too many are open. */
  readonly closed?: boolean
}

const us = 50

/** Properties that differ from our own private directory, or from a file in it. */
interface Strange {
  readonly uid?: number
  readonly mode?: number
  readonly isLink?: boolean
}

/** A machine with `/proc` and a temporary directory, both in memory. We are process 50, started at 500. */
const machine = (
  processes: Map<number, Fake>,
  files: Map<string, string>,
  proc = true,
  strange: ReadonlyMap<string, Strange> = new Map()
) => {
  const missing = (method: string) =>
    new PlatformError.SystemError({ reason: "NotFound", module: "FileSystem", method })
  const stat = (pid: number) => {
    const found = processes.get(pid)!
    const rest = Array.from({ length: 14 }, () => "0").join(" ")
    return `${pid} (opencode) ${found.zombie === true ? "Z" : "S"} ${
      found.ppid ?? 1
    } ${pid} ${pid} 0 ${rest} ${found.started} 0`
  }
  const content = (file: string): Effect.Effect<string, PlatformError.PlatformError> => {
    const match = /^\/proc\/(\d+)\/(stat|environ|cmdline)$/.exec(file.replace("/self/", `/${us}/`))
    if (match !== null) {
      const found = processes.get(Number(match[1]))
      if (!proc || found === undefined || found.closed === true) return Effect.fail(missing("readFile"))
      if (match[2] === "cmdline") return Effect.succeed("opencode\0serve\0")
      return Effect.sync(() =>
        match[2] === "stat" ? stat(Number(match[1])) : processes.get(Number(match[1]))!.environ ?? ""
      )
    }
    const text = files.get(file)
    return text === undefined ? Effect.fail(missing("readFile")) : Effect.succeed(text)
  }
  const fileSystem = FileSystem.layerNoop({
    exists: (file) =>
      Effect.succeed(proc && (file === "/proc/self/stat" || processes.has(Number(file.slice("/proc/".length))))),
    readLink: (file) =>
      file === "/proc/self/ns/pid" || strange.get(file)?.isLink === true
        ? Effect.succeed("pid:[4026]")
        : Effect.fail(missing("readLink")),
    stat: (file) =>
      Effect.succeed({
        type: files.has(file) ? "File" : "Directory",
        mode: strange.get(file)?.mode ?? (files.has(file) ? 0o100644 : 0o040700),
        uid: Option.some(strange.get(file)?.uid ?? 1000)
      } as FileSystem.File.Info),
    readFile: (file) => Effect.map(content(file), (text) => new TextEncoder().encode(text)),
    readFileString: content,
    writeFileString: (file, text) => Effect.sync(() => void files.set(file, text)),
    readDirectory: (directory) =>
      Effect.sync(() =>
        directory === "/proc"
          ? [...processes.keys()].map(String)
          : [
            ...new Set(
              [...files.keys()].flatMap((file) => file.startsWith(`${directory}/`) ? [file.split("/")[2]!] : [])
            )
          ]
      ),
    remove: (directory) =>
      Effect.sync(() => {
        for (const file of files.keys()) if (file.startsWith(`${directory}/`)) files.delete(file)
      })
  })
  const executor = Mock.layer((command) => {
    if (command.command === "sh" && command.args[1]!.startsWith("echo")) return Mock.script(Mock.stdout(`${us}\n`))
    if (command.command === "ps") {
      const lines = [...processes].map(([pid, { environ, ppid, zombie }]) =>
        ` ${pid} ${ppid ?? 1} ${pid} 0 ${zombie === true ? "Z" : "S"} opencode serve ${
          (environ ?? "").replaceAll("\0", " ")
        }\n`
      )
      return Mock.script(Mock.stdout(lines.join("")))
    }
    const [, , signal, ...pids] = command.args
    for (const pid of pids.map(Number)) {
      const deaf = processes.get(pid)?.deaf
      if (deaf !== "KILL" && (deaf !== "TERM" || signal === "KILL")) processes.delete(pid)
    }
    return Mock.script(Mock.exit(0))
  })
  return Layer.mergeAll(fileSystem, executor, NodePath.layer)
}

const services = Effect.gen(function*() {
  const executor = yield* CommandExecutor.CommandExecutor
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const table = yield* processTable.make({ executor, fileSystem, path })
  return { executor, fileSystem, path, table, forceKillAfter: Duration.seconds(5) }
})

const end = Effect.gen(function*() {
  const all = yield* services
  const self = yield* processList.self(all)
  yield* orphanedServers.end(all, self!, "/tmp/effect-opencode-ours")
})

const kills = Effect.map(
  Effect.flatMap(Mock.MockCommandExecutor, (mock) => mock.commands),
  (commands) =>
    commands.filter(({ args }) => args[1]?.startsWith("kill") === true).map(({ args }) => args.slice(2).join(" "))
)

const named = (owner: string) => `PATH=/bin\0EFFECT_OPENCODE_SERVER=${owner}\0HOME=/\0`

const run = <A, E>(
  effect: Effect.Effect<
    A,
    E,
    CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path | Mock.MockCommandExecutor
  >,
  processes: Map<number, Fake>,
  files = new Map<string, string>(),
  proc = true,
  env: ReadonlyArray<readonly [string, string]> = [],
  strange?: ReadonlyMap<string, Strange>
) =>
  effect.pipe(
    Effect.provide(machine(processes, files, proc, strange)),
    Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables(Object.fromEntries(env)))
  )

const ours: readonly [number, Fake] = [us, { started: 500 }]

describe("orphanedServers", () => {
  it.prop("reads back the owner that it writes", {
    namespace: fc.oneof(fc.constant(""), fc.nat().map(String)),
    pid: fc.integer({ min: 1, max: 2 ** 22 }),
    started: fc.oneof(fc.constant(""), fc.nat().map(String)),
    boot: fc.oneof(fc.constant(""), fc.uuid()),
    environ: fc.string()
  }, ({ environ, ...owner }) => {
    assert.deepStrictEqual(owners.parse(owners.format(owner)), owner)
    const before = environ.replaceAll("EFFECT_OPENCODE_SERVER", "")
    assert.strictEqual(orphanedServers.ownerIn(before + named(owners.format(owner))), owners.format(owner))
  })

  it.prop("reads an owner only from its exact form", { text: fc.string() }, ({ text }) => {
    const owner = owners.parse(text)
    assert.isTrue(owner === undefined || owners.format(owner) === text)
  })

  for (const text of ["", "/", "//", "/0/", "4026/-1/3", "4026/1", "x/1/3", "1/1/1/1", "4026/ 1/3"]) {
    it(`reads no owner from "${text}"`, () => assert.isUndefined(owners.parse(text)))
  }

  it.effect("ends servers whose owner is gone, and nothing else", () => {
    const processes = new Map<number, Fake>([
      ours,
      [60, { started: 600 }],
      [61, { started: 610, zombie: true }],
      // Ours, another living program's, and those of two dead ones: 60 started later, 61 is a zombie.
      [70, { started: 700, environ: named("4026/50/500") }],
      [71, { started: 700, environ: named("4026/60/600") }],
      [72, { started: 700, environ: named("4026/60/599") }],
      [73, { started: 700, environ: named("4026/61/610") }],
      [74, { started: 700, environ: named("4026/62/620") }],
      // An owner in another namespace, or an invalid one, cannot be judged.
      [75, { started: 700, environ: named("4027/62/620") }],
      [76, { started: 700, environ: named("nobody") }],
      [77, { started: 700, environ: "EFFECT_OPENCODE_RUN=x\0" }]
    ])
    return run(
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(end)
        while (!(yield* isDone(fiber))) {
          yield* TestClock.adjust("50 millis")
          yield* settle
        }
        assert.deepStrictEqual(yield* kills, ["TERM 72 73 74"])
        assert.deepStrictEqual([...processes.keys()], [50, 60, 61, 70, 71, 75, 76, 77])
      }),
      processes
    )
  })

  it.effect("does not take the program around us for dead", () => {
    const processes = new Map<number, Fake>([
      [us, { started: 500, environ: named("4026/40/400") }],
      [70, { started: 700, environ: named("4026/40/400") }]
    ])
    return run(
      Effect.gen(function*() {
        yield* end
        assert.deepStrictEqual(yield* kills, [])
      }),
      processes,
      undefined,
      true,
      [["EFFECT_OPENCODE_SERVER", "4026/40/400"]]
    )
  })

  it.effect("kills a server that ignores SIGTERM, and waits a limited time for one that cannot be ended", () => {
    const processes = new Map<number, Fake>([
      ours,
      [70, { started: 700, environ: named("4026/62/620"), deaf: "TERM" }],
      [71, { started: 700, environ: named("4026/62/620"), deaf: "KILL" }]
    ])
    return run(
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(end)
        yield* settle
        for (let i = 0; i < 139; i++) {
          yield* TestClock.adjust("50 millis")
          yield* settle
        }
        assert.isFalse(yield* isDone(fiber))
        yield* TestClock.adjust("50 millis")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* kills, ["TERM 70 71", "KILL 70 71"])
      }),
      processes
    )
  })

  it.effect("removes the directories of dead owners, and ends no process that only a note names", () => {
    const processes = new Map<number, Fake>([
      [1, { started: 1 }],
      ours,
      [60, { started: 600 }],
      [70, { started: 700 }],
      [72, { started: 720, environ: named("4026/62/620") }]
    ])
    const files = new Map([
      ["/tmp/effect-opencode-ours/.server.json", `{"owner":"4026/50/500"}`],
      ["/tmp/effect-opencode-theirs/.server.json", `{"owner":"4026/60/600"}`],
      ["/tmp/effect-opencode-dead/.server.json", `{"owner":"4026/62/620","pid":70,"identity":"700"}`],
      ["/tmp/effect-opencode-dead/data/opencode.db", ""],
      ["/tmp/effect-opencode-init/.server.json", `{"owner":"4026/61/610","pid":1,"identity":"1"}`],
      ["/tmp/effect-opencode-self/.server.json", `{"owner":"4026/61/610","pid":50,"identity":"500"}`],
      ["/tmp/effect-opencode-early/.server.json", `{"owner":"4026/63/630"}`],
      ["/tmp/effect-opencode-broken/.server.json", "{\"owner\":"],
      ["/tmp/effect-opencode-run/data/opencode.db", ""],
      ["/tmp/another/.server.json", `{"owner":"4026/62/620"}`]
    ])
    return run(
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(end)
        while (!(yield* isDone(fiber))) {
          yield* TestClock.adjust("50 millis")
          yield* settle
        }
        assert.deepStrictEqual(yield* kills, ["TERM 72"])
        assert.deepStrictEqual([...files.keys()], [
          "/tmp/effect-opencode-ours/.server.json",
          "/tmp/effect-opencode-theirs/.server.json",
          "/tmp/effect-opencode-broken/.server.json",
          "/tmp/effect-opencode-run/data/opencode.db",
          "/tmp/another/.server.json"
        ])
      }),
      processes,
      files
    )
  })

  it.effect("leaves the directory of a dead owner whose server still works", () => {
    const processes = new Map<number, Fake>([
      ours,
      [72, { started: 720, environ: named("4026/62/620") }],
      [73, { started: 730, environ: named("4026/63/630"), zombie: true }]
    ])
    const files = new Map([
      ["/tmp/effect-opencode-serving/.server.json", `{"owner":"4026/62/620"}`],
      ["/tmp/effect-opencode-ended/.server.json", `{"owner":"4026/63/630"}`]
    ])
    return run(
      Effect.gen(function*() {
        yield* orphanedServers.removeDirectories(yield* services, "/tmp/effect-opencode-ours")
        assert.deepStrictEqual([...files.keys()], ["/tmp/effect-opencode-serving/.server.json"])
        assert.deepStrictEqual(yield* kills, [])
      }),
      processes,
      files
    )
  })

  const planted: ReadonlyArray<readonly [string, string, Strange]> = [
    ["another user's directory", "/tmp/effect-opencode-x", { uid: 1001 }],
    ["a directory that is open to others", "/tmp/effect-opencode-x", { mode: 0o040755 }],
    ["a link to a directory", "/tmp/effect-opencode-x", { isLink: true }],
    ["another user's note", "/tmp/effect-opencode-x/.server.json", { uid: 1001 }],
    ["a link to a note", "/tmp/effect-opencode-x/.server.json", { isLink: true }]
  ]
  for (const [what, file, strange] of planted) {
    it.effect(`does not trust ${what}`, () => {
      const files = new Map([["/tmp/effect-opencode-x/.server.json", `{"owner":"4026/62/620","pid":70}`]])
      return run(
        Effect.gen(function*() {
          yield* end
          assert.deepStrictEqual(yield* kills, [])
          assert.strictEqual(files.size, 1)
        }),
        new Map<number, Fake>([ours, [70, { started: 700 }]]),
        files,
        true,
        [],
        new Map([[file, strange]])
      )
    })
  }

  for (const closed of [60, us]) {
    it.effect(`leaves everything alone when ${closed === us ? "our own process" : "an owner"} is unreadable`, () => {
      const processes = new Map<number, Fake>([
        [us, { started: 500, closed: closed === us }],
        ...(closed === us ? [] : [[60, { started: 600, closed: true }] as const]),
        [70, { started: 700, environ: named("4026/60/600") }]
      ])
      const files = new Map([
        ["/tmp/effect-opencode-theirs/.server.json", `{"owner":"4026/60/600","pid":70,"identity":"700"}`]
      ])
      return run(
        Effect.gen(function*() {
          const all = yield* services
          yield* orphanedServers.end(
            all,
            { namespace: "4026", pid: us, started: "500", boot: "" },
            "/tmp/effect-opencode-ours"
          )
          assert.deepStrictEqual(yield* kills, [])
          assert.strictEqual(files.size, 1)
        }).pipe(Effect.raceFirst(TestClock.adjust("50 millis").pipe(Effect.andThen(settle), Effect.forever))),
        processes,
        files
      )
    })
  }

  it.effect("does not take a server for ended while the processes cannot be listed", () => {
    const processes = new Map<number, Fake>([
      ours,
      [70, { started: 700, environ: named("4026/62/620"), deaf: "TERM" }]
    ])
    return run(
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(end)
        yield* settle
        const files = (closed: boolean) => {
          for (const [pid, process] of processes) processes.set(pid, { ...process, closed })
        }
        files(true)
        for (let i = 0; i < 100; i++) yield* Effect.andThen(TestClock.adjust("50 millis"), settle)
        files(false)
        for (let i = 0; i < 40; i++) yield* Effect.andThen(TestClock.adjust("50 millis"), settle)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* kills, ["TERM 70", "KILL 70"])
      }),
      processes
    )
  })

  it.effect("reads back the note that it writes", () => {
    const files = new Map<string, string>()
    return run(
      Effect.gen(function*() {
        const all = yield* services
        yield* orphanedServers.note(all, "/tmp/effect-opencode-dead", { owner: "4026/62/620" })
        yield* end
        assert.deepStrictEqual([...files.keys()], [])
      }).pipe(Effect.raceFirst(TestClock.adjust("50 millis").pipe(Effect.andThen(settle), Effect.forever))),
      new Map([ours, [70, { started: 700 }]]),
      files
    )
  })

  it.effect("uses `ps` without /proc and takes an owner with a living pid for alive", () => {
    const processes = new Map<number, Fake>([
      ours,
      [60, { started: 600 }],
      [70, { started: 700, environ: named("/60/") }],
      [71, { started: 700, environ: named("/62/") }],
      [72, { started: 700, environ: named("/50/") }]
    ])
    return run(
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* processList.self(yield* services), {
          namespace: "",
          pid: us,
          started: "",
          boot: ""
        })
        const fiber = yield* Effect.fork(end)
        while (!(yield* isDone(fiber))) {
          yield* TestClock.adjust("50 millis")
          yield* settle
        }
        assert.deepStrictEqual(yield* kills, ["TERM 71"])
      }),
      processes,
      undefined,
      false
    )
  })
})
