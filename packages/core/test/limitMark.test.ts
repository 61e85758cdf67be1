import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Containment } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as limitMark from "../src/internal/process/limitMark.js"

const limits = (locks: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file locks            5                    ${locks.padEnd(20)} locks     
Max pending signals       31747                31747                signals   
`

const make = (text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    limitMark.make({
      fileSystem: { ...fileSystem, readFile: () => Effect.succeed(new TextEncoder().encode(text)) }
    })).pipe(Effect.provide(NodeFileSystem.layer))

const platform = (read: FileSystem.FileSystem["readFile"]) =>
  Layer.merge(
    Mock.layer([]),
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fileSystem) => ({ ...fileSystem, readFile: read }))
    ).pipe(Layer.provide(NodeFileSystem.layer))
  )

describe("the limit by which processes are found", () => {
  it("is read from /proc", () => {
    assert.strictEqual(limitMark.parse(limits("unlimited")), "unlimited")
    assert.strictEqual(limitMark.parse(limits("123456789000000001")), "123456789000000001")
    assert.isUndefined(limitMark.parse(""))
  })

  it.effect("is another one for each process, and begins with the program's digits", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([make(limits("unlimited")), make(limits("unlimited"))])
      const all = Array.from({ length: 1000 }, () => one.next()!)
      assert.strictEqual(new Set(all).size, 1000)
      for (const limit of all) assert.match(limit, new RegExp(`^${one.program}\\d{9}$`))
      assert.match(one.program, /^[1-9]\d{8}$/)
      assert.notStrictEqual(one.program, other.program)
    }))

  it.effect("is left alone by a program that has one, or of which none is known", () =>
    Effect.gen(function*() {
      for (const text of [limits("123456789000000001"), ""]) {
        const mark = yield* make(text)
        assert.deepStrictEqual([mark.program, mark.next()], ["", undefined])
      }
    }))

  it.effect("is told apart from that of a run around this program", () =>
    Effect.gen(function*() {
      for (
        const [text, limit] of [
          [limits("unlimited"), "used"],
          [limits("123456789000000001"), "taken"],
          ["", "none"]
        ] as const
      ) {
        const found = yield* Effect.provide(
          Containment.look,
          platform(() => Effect.succeed(new TextEncoder().encode(text)))
        )
        assert.deepStrictEqual(found, { namespace: "privileged", limit })
      }
    }))

  it("is set by a shell before the program, whose arguments stay as they are", () => {
    const invocation = { args: ["run", "--title=a b", ""], env: { A: "b" }, stdin: "prompt" }
    assert.deepStrictEqual(limitMark.wrap({ binary: "/bin/opencode", invocation }, undefined), {
      binary: "/bin/opencode",
      invocation
    })
    const wrapped = limitMark.wrap({ binary: "/bin/opencode", invocation }, "7")
    assert.strictEqual(wrapped.binary, "/bin/sh")
    assert.deepStrictEqual(wrapped.invocation.args.slice(2), [
      "effect-opencode-limit",
      "7",
      "/bin/opencode",
      "run",
      "--title=a b",
      ""
    ])
    assert.deepStrictEqual({ ...wrapped.invocation, args: [] }, { ...invocation, args: [] })
  })
})
