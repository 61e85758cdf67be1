import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ResultsFile from "../src/fleet/ResultsFile.js"
import type { JobResult } from "../src/jobs/JobResult.js"
import { result } from "./support/results.js"

const bytes = (text: string) => new TextEncoder().encode(text)

const all = [
  result({ id: "a", answer: "größer 😀\nand more", cost: 0.25 }),
  result({ id: "b", outcome: "OpenCodeTimeoutError", message: "slow", cell: { model: "x/y" } }),
  result({
    id: "c",
    worktree: { path: "/w", branch: "b", base: "c0ffee", kept: true, reason: "1 untracked file", commits: 0 }
  })
]

const idsOf = (results: ReadonlyArray<JobResult>) => results.map(({ id }) => id)

const file = Effect.acquireRelease(
  Effect.sync(() => path.join(fs.mkdtempSync(path.join(os.tmpdir(), "eo-results-")), "deep", "results.jsonl")),
  (file) => Effect.sync(() => fs.rmSync(path.join(file, "..", ".."), { recursive: true, force: true }))
)

const test = <E>(name: string, body: (file: string) => Effect.Effect<void, E, Scope.Scope | FileSystem.FileSystem>) =>
  it.scopedLive(name, () => Effect.provide(Effect.flatMap(file, body), NodeContext.layer))

const jobs = new Set(["a", "b", "c", "d"])

const open = (file: string, options?: Partial<ResultsFile.Options>) =>
  Effect.provide(ResultsFile.open(file, { jobs, ...options }), NodeContext.layer)

const append = (file: string, results: ReadonlyArray<JobResult>, options?: Partial<ResultsFile.Options>) =>
  Effect.scoped(Effect.gen(function*() {
    const opened = yield* open(file, options)
    for (const result of results) yield* opened.append(result)
    return idsOf(opened.before)
  }))

const read = (file: string) => idsOf(Either.getOrThrow(ResultsFile.parse(fs.readFileSync(file))).results)

const refused = (file: string, options?: Partial<ResultsFile.Options>) =>
  Effect.scoped(Effect.flip(open(file, options)))

describe("ResultsFile", () => {
  it("returns what was written", () => {
    const { length, results } = Either.getOrThrow(ResultsFile.parse(bytes(all.map(ResultsFile.format).join(""))))
    expect(results).toEqual(all)
    expect(length).toBe(bytes(all.map(ResultsFile.format).join("")).length)
    expect(all.every((result) => ResultsFile.format(result).split("\n").length === 2)).toBe(true)
  })

  it("takes the last line of a job", () => {
    const again = result({ id: "a", cost: 9 })
    const latest = ResultsFile.latest([...all, again])
    expect([...latest.keys()]).toEqual(["b", "c", "a"])
    expect(latest.get("a")?.cost).toBe(9)
  })

  describe("cut off by a kill", () => {
    const lines = all.map((result) => bytes(ResultsFile.format(result)))
    const whole = bytes(all.map(ResultsFile.format).join(""))
    const [first, second] = [lines[0]!.length, lines[0]!.length + lines[1]!.length]

    it("at any byte keeps every line before and loses at most one", () => {
      for (let cut = 0; cut <= whole.length; cut++) {
        const parsed = ResultsFile.parse(whole.subarray(0, cut))
        const { lacksBreak, length, results } = Either.getOrThrowWith(parsed, () => new Error(`cut at ${cut}`))
        // a line is complete without its line break
        const expected = [first, second, whole.length].filter((end) => cut >= end - 1).length
        expect([cut, idsOf(results)]).toEqual([cut, ["a", "b", "c"].slice(0, expected)])
        expect(lacksBreak).toBe([first, second, whole.length].includes(cut + 1))
        expect(length).toBe(lacksBreak ? cut : [0, first, second, whole.length][expected])
      }
    })

    test("at any byte starts the next result on a line of its own", (file) =>
      Effect.gen(function*() {
        fs.mkdirSync(path.dirname(file), { recursive: true })
        const last = lines[1]!
        // every byte of the shortest record there is, in steps through the rest
        for (let cut = 0; cut <= last.length; cut += cut < 12 || cut > last.length - 4 ? 1 : 23) {
          fs.writeFileSync(file, Buffer.concat([lines[0]!, last.subarray(0, cut)]))
          const isWhole = cut >= last.length - 1
          const before = yield* append(file, [result({ id: "d" })], { resume: true })
          expect([cut, before]).toEqual([cut, isWhole ? ["a", "b"] : ["a"]])
          expect([cut, read(file)]).toEqual([cut, isWhole ? ["a", "b", "d"] : ["a", "d"]])
        }
      }))
  })

  describe("after a power loss", () => {
    const lines = all.map((result) => bytes(ResultsFile.format(result)))
    const nuls = (count: number) => new Uint8Array(count)
    const join = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(parts))
    const bom = new Uint8Array([0xef, 0xbb, 0xbf])
    const [a, b, c] = lines as [Uint8Array, Uint8Array, Uint8Array]

    it.each<readonly [string, Uint8Array, ReadonlyArray<string>]>([
      ["a whole line", join(a, b, nuls(5000)), ["a", "b"]],
      ["a whole line without its break", join(a, b.subarray(0, -1), nuls(5000)), ["a", "b"]],
      ["a line that is cut off", join(a, b.subarray(0, 40), nuls(5000)), ["a"]],
      ["nothing", nuls(4096), []],
      ["the start of the first line", join(a.subarray(0, 3), nuls(4096)), []],
      ["a byte order mark and a line", join(bom, a, nuls(10)), ["a"]],
      ["a byte order mark, a line, and a line that is cut off", join(bom, a, b.subarray(0, 20), nuls(10)), ["a"]],
      ["a line, and before the end of one", join(a, nuls(100), b.subarray(100)), ["a"]],
      ["a line, with a break", join(a, nuls(100), bytes("\n")), ["a"]],
      ["a line, and before a whole one", join(a, nuls(100), bytes("\n"), c), ["a", "c"]]
    ])("ignores and removes NULs after %s", (_, content, ids) => {
      const parsed = Either.getOrThrow(ResultsFile.parse(content))
      expect(idsOf(parsed.results)).toEqual(ids)
      const goesOn = join(content.subarray(0, parsed.length), bytes(parsed.lacksBreak ? "\n" : ""), c)
      expect(idsOf(Either.getOrThrow(ResultsFile.parse(goesOn)).results)).toEqual([...ids, "c"])
      if (ids.at(-1) !== "c") expect(goesOn.includes(0)).toBe(false)
    })

    test("can be resumed, and is refused unchanged otherwise", (file) =>
      Effect.gen(function*() {
        const content = join(bom, a, b.subarray(0, 40), nuls(4096))
        fs.mkdirSync(path.dirname(file), { recursive: true })
        fs.writeFileSync(file, content)
        expect((yield* refused(file)).reason).toBe("exists")
        expect(new Uint8Array(fs.readFileSync(file))).toEqual(content)
        expect(yield* append(file, [result({ id: "d" })], { resume: true })).toEqual(["a"])
        expect(read(file)).toEqual(["a", "d"])
        expect(fs.readFileSync(file).includes(0)).toBe(false)
      }))

    it.each([
      ["a film", join(nuls(3), bytes("\u0018ftypmp42"), nuls(4), bytes("isom"))],
      ["text of two bytes", new Uint8Array(Buffer.from("{\"id\":\"a\"}\n", "utf16le"))],
      ["another JSON", join(bytes("{\"id\":\"x\"}"), nuls(3))]
    ])("refuses %s", (_, content) => {
      expect(Either.isLeft(ResultsFile.parse(content))).toBe(true)
    })
  })

  it.prop("accepts only results and the beginning of one", {
    text: fc.oneof(fc.string(), fc.constantFrom("{}", "[]", "{\"id\":1}", "null", "# notes", "{\"id\":\"x\"}"))
      .filter((text) => text.trim() !== "" && !"{\"id\":\"".startsWith(text))
  }, ({ text }) => {
    expect(Either.isLeft(ResultsFile.parse(bytes(`${text}\n`)))).toBe(true)
    expect(Either.isLeft(ResultsFile.parse(bytes(`${ResultsFile.format(all[0]!)}${text}\n`)))).toBe(true)
    if (!text.startsWith("{\"id\":\"")) expect(Either.isLeft(ResultsFile.parse(bytes(text)))).toBe(true)
  })

  it("loses no other result to a damaged one", () => {
    const lines = all.map(ResultsFile.format)
    const damaged = [
      lines[0]!.replace("\"cost\":0.25", "\"cost\":null"),
      `${lines[0]!.slice(0, 60)}\n`,
      `{"id":"a","index":\u0000\u0000\n`
    ]
    for (const line of damaged) {
      const contents = Either.getOrThrow(ResultsFile.parse(bytes(`${lines[1]}${line}${lines[2]}`)))
      expect([idsOf(contents.results), contents.unreadable]).toEqual([["b", "c"], [2]])
      expect(ResultsFile.parse(bytes(line))).toEqual(Either.left(1))
    }
    expect(Either.getOrThrow(ResultsFile.parse(bytes(lines.join("")))).unreadable).toEqual([])
  })

  test("is appended to, line by line", (file) =>
    Effect.gen(function*() {
      expect(yield* append(file, all.slice(0, 2))).toEqual([])
      expect(yield* append(file, all.slice(2), { resume: true })).toEqual(["a", "b"])
      expect(fs.readFileSync(file, "utf8")).toBe(all.map(ResultsFile.format).join(""))
      expect(fs.readdirSync(path.dirname(file))).toEqual(["results.jsonl"])
    }))

  test("is not overwritten", (file) =>
    Effect.gen(function*() {
      yield* append(file, all)
      const error = yield* refused(file)
      expect([error.reason, error.message]).toEqual(["exists", `${file} already has results (3 of them).`])
      expect(error.hint).toContain("--resume")
      expect(read(file)).toEqual(["a", "b", "c"])
    }))

  test("of other jobs is refused", (file) =>
    Effect.gen(function*() {
      yield* append(file, all)
      const error = yield* refused(file, { resume: true, jobs: new Set(["a", "c", "d"]) })
      expect(error.message).toBe(`${file} has results of other jobs (1 of 3, for example b).`)
      expect(fs.existsSync(`${file}.lock`)).toBe(false)
    }))

  test("with other content is refused and left unchanged", (file) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.dirname(file), { recursive: true })
      for (const [text, line] of [["my notes", 1], [`${ResultsFile.format(all[0]!)}# x\n`, 2]] as const) {
        fs.writeFileSync(file, text)
        const error = yield* refused(file, { resume: true })
        expect([error.reason, error.line]).toEqual(["not-results", line])
        expect(fs.readFileSync(file, "utf8")).toBe(text)
      }
      expect((yield* refused(path.dirname(file), { resume: true })).reason).toBe("unreadable")
    }))

  test("does not take another program's line for a truncated result", (file) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.dirname(file), { recursive: true })
      for (
        const text of ["{\"id\":\"1\",\"prompt\":\"hi\"}", "{\"id\":\"1\",\"index\":2}", "{\"id\":\"1\",\"prompt\":\"h"]
      ) {
        fs.writeFileSync(file, text)
        for (const resume of [false, true]) {
          expect((yield* refused(file, { resume })).reason).toBe("not-results")
          expect(fs.readFileSync(file, "utf8")).toBe(text)
        }
      }
    }))

  test("is not truncated unless it is resumed", (file) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.dirname(file), { recursive: true })
      const torn = ResultsFile.format(all[0]!).slice(0, 30)
      fs.writeFileSync(file, torn)
      const error = yield* refused(file)
      expect(error.message).toBe(`${file} already has results (an incomplete one).`)
      expect(fs.readFileSync(file, "utf8")).toBe(torn)
      expect(yield* append(file, all, { resume: true })).toEqual([])
      expect(read(file)).toEqual(["a", "b", "c"])
    }))

  test("is new when it is empty", (file) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, "")
      expect(yield* append(file, all)).toEqual([])
      expect(read(file)).toEqual(["a", "b", "c"])
    }))

  test("reports a result that cannot be written", (file) =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const broken = FileSystem.FileSystem.of({
        ...fileSystem,
        open: (name, options) =>
          Effect.map(fileSystem.open(name, options), (opened): FileSystem.File =>
            Object.create(opened, {
              writeAll: { value: () => Effect.asVoid(fileSystem.readFile(path.join(file, "full"))) }
            }))
      })
      const error = yield* Effect.scoped(
        Effect.flatMap(ResultsFile.open(file, { jobs }), (opened) => Effect.flip(opened.append(all[0]!)))
      ).pipe(Effect.provideService(FileSystem.FileSystem, broken), Effect.provide(NodeContext.layer))
      expect(error.reason).toBe("unwritable")
    }))

  test("writes nothing after half a line", (file) =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      let isFull = true
      const broken = FileSystem.FileSystem.of({
        ...fileSystem,
        open: (name, options) =>
          Effect.map(fileSystem.open(name, options), (opened): FileSystem.File =>
            Object.create(opened, {
              writeAll: {
                value: (bytes: Uint8Array) =>
                  isFull
                    ? Effect.andThen(
                      opened.writeAll(bytes.subarray(0, 20)),
                      Effect.asVoid(fileSystem.readFile(path.join(file, "full")))
                    )
                    : opened.writeAll(bytes)
              }
            }))
      })
      const reasons = yield* Effect.scoped(Effect.gen(function*() {
        const opened = yield* ResultsFile.open(file, { jobs })
        const first = yield* Effect.flip(opened.append(all[0]!))
        isFull = false
        const second = yield* Effect.flip(opened.append(all[1]!))
        return [first.reason, second.reason]
      })).pipe(Effect.provideService(FileSystem.FileSystem, broken), Effect.provide(NodeContext.layer))
      expect(reasons).toEqual(["unwritable", "unwritable"])
      expect(yield* append(file, all, { resume: true })).toEqual([])
      expect(read(file)).toEqual(["a", "b", "c"])
    }))

  describe("belongs to one batch at a time", () => {
    test("refuses a second batch while the first one works", (file) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Scope.extend(open(file), scope)
        const error = yield* refused(file)
        expect(error.message).toBe(`Another batch is using ${file} (pid ${process.pid}).`)
        yield* Scope.close(scope, Exit.void)
        expect(yield* append(file, all)).toEqual([])
      }))

    /** What this process writes into a lock. */
    const mine = (file: string) =>
      Effect.scoped(Effect.map(open(file), () => JSON.parse(fs.readFileSync(`${file}.lock`, "utf8"))))

    /** Stands for a process that has ended: another one has its pid. */
    const dead = (file: string) => Effect.map(mine(file), (own) => JSON.stringify({ ...own, identity: "1" }))

    test("takes over the lock of a dead process", (file) =>
      Effect.gen(function*() {
        const own = yield* mine(file)
        const child = spawn("sleep", ["100"])
        const stat = fs.readFileSync(`/proc/${child.pid}/stat`, "utf8")
        // Field 22; the name in field 2 can hold spaces.
        const identity = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!
        const lock = JSON.stringify({ ...own, pid: child.pid, identity })
        fs.writeFileSync(`${file}.lock`, lock)
        expect((yield* refused(file)).reason).toBe("busy")
        expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe(lock)
        const exited = new Promise((resolve) => child.once("exit", resolve))
        child.kill("SIGKILL")
        yield* Effect.promise(() => exited)
        expect(yield* append(file, all)).toEqual([])
        fs.writeFileSync(`${file}.lock`, JSON.stringify({ ...own, identity: "1" }))
        expect(yield* append(file, [], { resume: true })).toEqual(["a", "b", "c"])
        expect(fs.readdirSync(path.dirname(file))).toEqual(["results.jsonl"])
      }))

    test("treats a process hidden by /proc as alive while signals reach it or are forbidden", (file) =>
      Effect.gen(function*() {
        const own = JSON.parse(yield* dead(file))
        const fileSystem = yield* FileSystem.FileSystem
        const child = spawn("sleep", ["100"])
        const exited = new Promise((resolve) => child.once("exit", resolve))
        // As with `hidepid=2` for the processes of other users.
        const hiding = FileSystem.FileSystem.of({
          ...fileSystem,
          readFileString: (name, encoding) =>
            fileSystem.readFileString(name === `/proc/${child.pid}/stat` ? path.join(file, "hidden") : name, encoding)
        })
        const attempt = Effect.scoped(ResultsFile.open(file, { jobs })).pipe(
          Effect.provideService(FileSystem.FileSystem, hiding),
          Effect.provide(NodeContext.layer)
        )
        const lock = JSON.stringify({ ...own, pid: child.pid })
        fs.writeFileSync(`${file}.lock`, lock)
        expect((yield* Effect.flip(attempt)).message).toBe(`Another batch is using ${file} (pid ${child.pid}).`)
        expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe(lock)
        child.kill("SIGKILL")
        yield* Effect.promise(() => exited)
        yield* attempt
      }))

    test("treats a process it cannot see as alive", (file) =>
      Effect.gen(function*() {
        const own = JSON.parse(yield* dead(file))
        for (const elsewhere of [{ host: "box" }, { boot: "another" }, { namespace: "pid:[1]" }]) {
          const lock = JSON.stringify({ ...own, ...elsewhere })
          fs.writeFileSync(`${file}.lock`, lock)
          const error = yield* refused(file)
          const host = elsewhere.host ?? os.hostname()
          expect(error.message).toBe(
            `Another batch is using ${file} (pid ${process.pid} on ${host}, which is not visible from here).`
          )
          expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe(lock)
        }
      }))

    test("gives a dead process's lock to one of two batches", (file) =>
      Effect.gen(function*() {
        const fileSystem = yield* FileSystem.FileSystem
        fs.mkdirSync(path.dirname(file), { recursive: true })
        fs.writeFileSync(`${file}.lock`, yield* dead(file))
        const [hasRead, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const slow = FileSystem.FileSystem.of({
          ...fileSystem,
          readFileString: (name, encoding) =>
            name === `${file}.lock`
              ? Effect.tap(
                fileSystem.readFileString(name, encoding),
                () => Effect.andThen(Deferred.succeed(hasRead, undefined), Deferred.await(goOn))
              )
              : fileSystem.readFileString(name, encoding)
        })
        const late = yield* Effect.scoped(Effect.flip(ResultsFile.open(file, { jobs }))).pipe(
          Effect.provideService(FileSystem.FileSystem, slow),
          Effect.provide(NodeContext.layer),
          Effect.fork
        )
        yield* Deferred.await(hasRead)
        yield* open(file)
        const lock = fs.readFileSync(`${file}.lock`, "utf8")
        yield* Deferred.succeed(goOn, undefined)
        expect((yield* Fiber.join(late)).message).toBe(`Another batch is using ${file} (pid ${process.pid}).`)
        expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe(lock)
        expect(fs.readdirSync(path.dirname(file)).sort()).toEqual(["results.jsonl", "results.jsonl.lock"])
      }))

    test("recovers from a kill during a takeover", (file) =>
      Effect.gen(function*() {
        const lock = yield* dead(file)
        fs.writeFileSync(`${file}.lock`, lock)
        fs.writeFileSync(`${file}.lock.next`, lock)
        expect(yield* append(file, all)).toEqual([])
        expect(fs.readdirSync(path.dirname(file))).toEqual(["results.jsonl"])
      }))

    test("leaves the lock of another batch", (file) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.map(open(file), () => fs.writeFileSync(`${file}.lock`, "another's")))
        expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe("another's")
        // no batch writes such a lock
        expect((yield* refused(file)).reason).toBe("busy")
        expect(fs.readFileSync(`${file}.lock`, "utf8")).toBe("another's")
      }))

    test("respects an empty lock", (file) =>
      Effect.gen(function*() {
        fs.mkdirSync(path.dirname(file), { recursive: true })
        fs.writeFileSync(`${file}.lock`, "")
        const error = yield* refused(file)
        expect(error.hint).toBe(`wait for it to end, or delete ${file}.lock if no batch is running`)
      }))
  })
})
