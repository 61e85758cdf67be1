import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import * as processList from "../src/internal/process/list.js"
import * as processTable from "../src/internal/process/table.js"

const info = (
  pid: number,
  ppid: number,
  more: { readonly [K in keyof processTable.ProcessInfo]?: processTable.ProcessInfo[K] } = {}
): processTable.ProcessInfo => ({
  pid,
  ppid,
  pgid: pid,
  session: pid,
  zombie: false,
  marked: false,
  identity: "",
  ...more
})

const members = (table: ReadonlyArray<processTable.ProcessInfo>, pid: number, except: ReadonlyArray<number> = []) =>
  [...processTable.members(table, { pid, except: new Set(except) })].sort((a, b) => a - b)

const parsePs = (text: string, marker: string): ReadonlyArray<processTable.ProcessInfo> =>
  processList.parsePs(text, (environment) => processTable.isMarked(environment, marker))
    .map(({ found, ...rest }) => ({ ...rest, marked: found }))

describe("processTable", () => {
  describe("parseStat", () => {
    const rest = "0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 1000 10"

    it("reads pid, parent, group, session and state", () => {
      expect(processList.parseStat(`42 (opencode) S 1 40 39 ${rest}\n`))
        .toEqual({ pid: 42, ppid: 1, pgid: 40, session: 39, zombie: false, identity: "100" })
    })

    it("handles spaces, brackets and line feeds in the name", () => {
      for (const name of ["a b", "(x)", ") R 7 7 7 (", "a) S 9 9 9", "line\nfeed", "", "((((", "))))"]) {
        expect(processList.parseStat(`42 (${name}) R 1 40 39 ${rest}`))
          .toEqual({ pid: 42, ppid: 1, pgid: 40, session: 39, zombie: false, identity: "100" })
      }
    })

    it("knows who has no environment: the kernel's threads, and who exits", () => {
      const flagged = (flags: number) => processList.hasEnvironment(`42 (a) b) S 1 40 39 0 -1 ${flags} 1 0 0`)
      expect([0x400000, 0x40, 0x200040, 0x40000c].map(flagged)).toEqual([true, true, false, false])
    })

    it("knows the dead", () => {
      expect(processList.parseStat(`42 (x) Z 1 40 39 ${rest}`)?.zombie).toBe(true)
      expect(processList.parseStat(`42 (x) X 1 40 39 ${rest}`)?.zombie).toBe(true)
      expect(processList.parseStat(`42 (x) D 1 40 39 ${rest}`)?.zombie).toBe(false)
    })

    it.prop("is nothing for anything else, and never throws", { text: fc.string() }, ({ text }) => {
      const parsed = processList.parseStat(text)
      if (parsed !== undefined) {
        const { identity, zombie, ...numbers } = parsed
        expect([typeof identity, typeof zombie]).toEqual(["string", "boolean"])
        expect(Object.values(numbers).every(Number.isInteger)).toBe(true)
      }
    })

    it("is nothing for a process that has gone", () => {
      expect(processList.parseStat("")).toBeUndefined()
      expect(processList.parseStat("42 (x)")).toBeUndefined()
      expect(processList.parseStat("42 (x) S a b c")).toBeUndefined()
    })
  })

  describe("parsePs", () => {
    it("reads the format of Linux", () => {
      const text = [
        "      1       0       1       1 Ss   /sbin/init",
        "     42       1      42      42 Sl+  opencode run --format json HOME=/root EFFECT_OPENCODE_RUN=outer:run-1 X=y",
        "     43      42      43      43 Z    [sh] <defunct>",
        ""
      ].join("\n")
      expect(parsePs(text, "run-1")).toEqual([
        info(1, 0, { identity: "/sbin/init" }),
        info(42, 1, {
          marked: true,
          identity: "opencode run --format json HOME=/root EFFECT_OPENCODE_RUN=outer:run-1 X=y"
        }),
        info(43, 42, { zombie: true, identity: "[sh] <defunct>" })
      ])
    })

    it("reads the format of macOS, which prints no session number", () => {
      expect(
        parsePs("  42     1    40 0x1f2e3d S+   sleep 300 EFFECT_OPENCODE_RUN=outer:run-1\n", "run-1")
      )
        .toEqual([info(42, 1, {
          pgid: 40,
          session: 0,
          marked: true,
          identity: "sleep 300 EFFECT_OPENCODE_RUN=outer:run-1"
        })])
    })

    it("passes over what is no process", () => {
      expect(parsePs("ps: illegal option\n\n  PID PPID PGID SESS STAT COMMAND\n", "run-1")).toEqual([])
    })
  })

  describe("members", () => {
    it("include descendants at any depth in any group", () => {
      const table = [info(1, 0), info(10, 1), info(11, 10), info(12, 11), info(13, 12), info(20, 1), info(21, 20)]
      expect(members(table, 10)).toEqual([11, 12, 13])
    })

    it("do not depend on the order of the table", () => {
      const table = [info(13, 12), info(12, 11), info(11, 10), info(10, 1), info(1, 0)]
      expect(members(table, 10)).toEqual([11, 12, 13])
    })

    it("include the group and session of the first process, even after its end", () => {
      const table = [info(1, 0), info(11, 1, { pgid: 10 }), info(12, 1, { session: 10 }), info(13, 1)]
      expect(members(table, 10)).toEqual([11, 12])
    })

    it("include processes with the marker and their children", () => {
      const table = [info(1, 0), info(11, 1, { marked: true }), info(12, 11), info(13, 1)]
      expect(members(table, 10)).toEqual([11, 12])
    })

    it("include the children of a zombie, but not the zombie", () => {
      const table = [
        info(10, 1),
        info(11, 10, { zombie: true }),
        info(12, 11),
        info(13, 1, { zombie: true, marked: true })
      ]
      expect(members(table, 10)).toEqual([12])
    })

    it("exclude the first process itself and exceptions", () => {
      const table = [info(10, 1, { marked: true }), info(11, 10), info(12, 10)]
      expect(members(table, 10, [11])).toEqual([12])
    })

    it("exclude other runs and the parent and siblings of the first process", () => {
      const table = [info(1, 0), info(5, 1), info(10, 5), info(11, 5), info(12, 11), info(13, 10)]
      expect(members(table, 10)).toEqual([13])
    })

    it("include only marked processes and their children without a first process", () => {
      const table = [info(1, 0, { pgid: 0, session: 0 }), info(2, 0), info(11, 1, { marked: true }), info(12, 11)]
      for (const pid of [0, 1]) expect(members(table, pid)).toEqual([11, 12])
    })

    it("are finite in a loop of parents", () => {
      expect(members([info(10, 12), info(11, 10), info(12, 11)], 10)).toEqual([11, 12])
    })

    it("include processes seen before, even without their parents, but not others with a reused pid", () => {
      const table = [info(41, 1, { identity: "then" }), info(42, 41), info(43, 1, { identity: "now" })]
      const known = [{ pid: 41, identity: "then" }, { pid: 43, identity: "then" }]
      expect(processTable.members(table, { pid: 10, except: new Set(), known })).toEqual([41, 42])
    })

    const anyTable = fc.uniqueArray(fc.integer({ min: 2, max: 40 }), { maxLength: 25 }).chain((pids) =>
      fc.tuple(...pids.map((pid) =>
        fc.record({
          pid: fc.constant(pid),
          ppid: fc.integer({ min: 0, max: 40 }),
          pgid: fc.integer({ min: 0, max: 40 }),
          session: fc.integer({ min: 0, max: 40 }),
          zombie: fc.boolean(),
          marked: fc.boolean(),
          identity: fc.constant("")
        })
      ))
    )

    it.prop("are exactly the living processes linked to the run by a chain of parents", {
      table: anyTable,
      pid: fc.integer({ min: 2, max: 40 })
    }, ({ pid, table }) => {
      const byPid = new Map(table.map((p) => [p.pid, p]))
      const belongs = (p: processTable.ProcessInfo, passed: ReadonlySet<number> = new Set()): boolean => {
        if (p.pid === pid || p.ppid === pid || p.marked || p.pgid === pid || p.session === pid) return true
        const parent = byPid.get(p.ppid)
        return parent !== undefined && !passed.has(parent.pid) && belongs(parent, new Set([...passed, p.pid]))
      }
      const expected = table.filter((p) => p.pid !== pid && !p.zombie && belongs(p)).map((p) => p.pid)
      expect(members(table, pid)).toEqual(expected.sort((a, b) => a - b))
    }, { fastCheck: { numRuns: 300 } })
  })
})

describe.runIf(existsSync("/proc/self/stat"))("the processes of this machine", () => {
  const child = Effect.acquireRelease(
    Effect.sync(() => spawn("sleep", ["300"], { env: { ...process.env, [processTable.variable]: ":leader-1" } })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

  // Executes itself again and again, so that some looks catch it between two programs.
  const restless = Effect.acquireRelease(
    Effect.sync(() => {
      const env = { PATH: process.env["PATH"], [processTable.variable]: ":restless-1" }
      return spawn("/bin/sh", ["-c", "exec /bin/sh -c \"$0\" \"$0\"", "exec /bin/sh -c \"$0\" \"$0\""], { env })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

  it.scoped("are recognised while they execute a program, on any clock", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const counts = { empty: 0 }
      const { pid } = yield* restless
      const table = yield* processTable.make({
        executor: yield* CommandExecutor.CommandExecutor,
        fileSystem: {
          ...fileSystem,
          readFile: (file) =>
            Effect.tap(fileSystem.readFile(file), (bytes) => {
              if (file === `/proc/${pid}/environ` && bytes.length === 0) counts.empty++
            })
        },
        path: yield* Path.Path
      })
      let met = 0
      for (let look = 0; look < 200 && met < 5; look++) {
        counts.empty = 0
        const found = yield* table.members({ pid: -1, marker: "restless-1" })
        if (counts.empty > 0) met++
        // A process that is not found in seven looks is on a machine that stands still.
        if (counts.empty < 7) expect(found.map(({ pid }) => pid)).toContain(pid)
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("exclude the first processes of this program's runs while they are leaders", () =>
    Effect.gen(function*() {
      const table = yield* processTable.make({
        executor: yield* CommandExecutor.CommandExecutor,
        fileSystem: yield* FileSystem.FileSystem,
        path: yield* Path.Path
      })
      const before = yield* table.baseline
      const { pid } = yield* child
      yield* Effect.repeat(Effect.sleep("10 millis"), {
        until: () => readFileSync(`/proc/${pid}/environ`, "latin1").includes("leader-1")
      })
      const found = Effect.map(
        table.members({ pid: -1, marker: "leader-1", before }),
        (all) => all.map(({ pid }) => pid)
      )
      const untrackLeader = table.trackLeader(pid!)
      expect(yield* found).toEqual([])
      untrackLeader()
      expect(yield* found).toEqual([pid])
    }).pipe(Effect.provide(NodeContext.layer)))
})
