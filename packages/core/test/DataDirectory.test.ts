/** A data directory for a single run, and sessions that move into one. */
import { assert, describe, it } from "@effect/vitest"
import { Conversation, OpenCode } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { optionIn } from "./support/facts.js"
import * as T from "./support/mock.js"

const dataOf = (command: Mock.RecordedCommand) => command.env["XDG_DATA_HOME"]

const answers = () => T.answering("done")

const kept = (root: string, name = "kept") => ({ directory: NodePath.join(root, name) })

describe("the isolation of a run", () => {
  it.effect("replaces that of the layer: a directory is kept, and its session can be continued", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const isolation = kept(root)
      yield* OpenCode.run("one", { isolation })
      yield* OpenCode.run("two", { isolation, sessionId: "ses_1" })
      yield* OpenCode.run("three")
      const [first, second, third] = yield* T.commands
      assert.strictEqual(dataOf(first!), isolation.directory)
      assert.strictEqual(dataOf(second!), isolation.directory)
      assert.strictEqual(optionIn(second!.args, "--session"), "ses_1")
      assert.notStrictEqual(dataOf(third!), isolation.directory)
      assert.isTrue(NodeFs.existsSync(isolation.directory))
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("four", { sessionId: "ses_1" }))
      assert.strictEqual(error.path, "sessionId")
      assert.include(error.reason, "set `isolation`")
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(answers))))

  it.effect("can be private, or OpenCode's own, over a layer with a directory", () =>
    Effect.gen(function*() {
      const { root, tmp } = yield* T.Machine
      yield* OpenCode.run("x")
      yield* OpenCode.run("x", { isolation: "run" })
      yield* OpenCode.run("x", { isolation: "none" })
      const [layers, own, shared] = yield* T.commands
      assert.strictEqual(dataOf(layers!), NodePath.join(root, "kept"))
      assert.isTrue(dataOf(own!)!.startsWith(tmp))
      assert.notProperty(shared!.env, "XDG_DATA_HOME")
      const error = yield* T.failsWith("OpenCodeConfigError")(
        OpenCode.run("x", { isolation: "run", continueSession: true })
      )
      assert.strictEqual(error.path, "continueSession")
    }).pipe(Effect.provide(T.layer(answers, ({ root }) => ({ isolation: kept(root) })))))

  it.effect("is absolute, and may begin at the home directory", () =>
    Effect.gen(function*() {
      const { home, work } = yield* T.Machine
      yield* OpenCode.run("x", { isolation: { directory: "~/kept" } })
      yield* OpenCode.run("x", { isolation: { directory: "kept" } })
      assert.deepStrictEqual((yield* T.commands).map(dataOf), [`${home}/kept`, `${work}/kept`])
    }).pipe(Effect.provide(T.layer(answers))))

  it.effect("is refused if it is none", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [unknown, string]> = [
        ["private", "isolation"],
        [{}, "isolation"],
        [{ directory: "" }, "isolation"],
        [{ directory: "a\0b" }, "isolation.directory"],
        [{ directory: "~root/x" }, "isolation.directory"]
      ]
      for (const [isolation, path] of bad) {
        const options = { isolation } as RunOptions.RunOptions
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", options))
        assert.strictEqual(error.path, path)
      }
      const { binary } = yield* T.Machine
      const layer = OpenCode.layer({ binary, version: "1.18.33", defaults: { isolation: "none" } })
      const error = yield* T.failsWith("OpenCodeConfigError")(Effect.provide(OpenCode.run("x"), layer))
      assert.strictEqual(error.path, "defaults.isolation")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("is fixed for a session when it is opened, and by the location of a kept one", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const isolation = kept(root)
      const session = yield* OpenCode.session({ isolation })
      assert.strictEqual(session.directory, isolation.directory)
      yield* session.run("one")
      const options: RunOptions.RunOptions = { isolation: "run" }
      yield* session.run("two", options)
      assert.deepStrictEqual((yield* T.commands).map(dataOf), [isolation.directory, isolation.directory])
      const location = { ...isolation, sessionId: "ses_1" }
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.resume(location, options))
      assert.strictEqual(error.path, "isolation")
      yield* Effect.flatMap(OpenCode.resume(location), (resumed) => resumed.run("three"))
      assert.strictEqual(dataOf(yield* T.command(2)), isolation.directory)
    }).pipe(Effect.scoped, Effect.provide(T.layer(answers))))

  it.effect("spaces the starts in one directory, and not those in different ones", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const [a, b] = [kept(root, "a"), kept(root, "b")]
      const fibers = yield* Effect.forEach([a, a, b, a], (isolation) =>
        Effect.zipLeft(Effect.fork(OpenCode.run("x", { isolation })), T.settle))
      yield* T.untilMade(4)
      yield* T.untilStarted(2)
      const started = Effect.map(T.commands, (all) =>
        all.map(dataOf))
      assert.deepStrictEqual(yield* started, [a.directory, b.directory])
      yield* T.advance("300 millis")
      yield* T.untilStarted(3)
      assert.deepStrictEqual((yield* started).slice(2), [a.directory])
      yield* T.advance("300 millis")
      yield* T.untilStarted(4)
      yield* Fiber.interruptAll(fibers)
    }).pipe(
      Effect.provide(T.layer(() => Mock.script(Mock.never), { startup: { concurrency: "unbounded" } }))
    ))
})

describe("the isolation of a session", () => {
  it.effect("spaces the starts of its turns among those of runs in the same directory", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      for (const isolation of [kept(root), "none"] as const) {
        const before = (yield* T.commands).length
        const session = yield* OpenCode.session({ isolation })
        const turn = yield* Effect.fork(session.run("x"))
        yield* T.untilStarted(before + 1)
        const run = yield* Effect.fork(OpenCode.run("x", { isolation }))
        yield* T.settle
        assert.lengthOf(yield* T.commands, before + 1)
        yield* T.advance("300 millis")
        yield* T.untilStarted(before + 2)
        yield* Fiber.interruptAll([turn, run])
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(T.layer(() => Mock.script(Mock.never), { startup: { concurrency: "unbounded" } }))
    ))
})

const conversation = Schema.decodeUnknownSync(Conversation.Conversation)({
  info: { id: "ses_1", slug: "proud-star", title: "a title" },
  messages: [{ info: { id: "msg_1", role: "user" }, parts: [{ type: "text", text: "do it" }] }]
})

describe("importSession", () => {
  const files: Array<unknown> = []
  const importing = (printed: string, exitCode = 0) => ({ args }: Mock.RecordedCommand) => {
    if (args[0] !== "import") return T.answering("done")
    files.push(JSON.parse(NodeFs.readFileSync(args[1]!, "utf8")), NodeFs.statSync(args[1]!).mode & 0o777)
    return Mock.script(Mock.stdout(printed), Mock.exit(exitCode))
  }

  it.effect("hands the conversation to the binary and returns where it can be resumed", () =>
    Effect.gen(function*() {
      const { root, work } = yield* T.Machine
      files.length = 0
      const isolation = kept(root)
      const location = yield* OpenCode.importSession(conversation, { isolation })
      assert.deepStrictEqual(location, { sessionId: "ses_1", cwd: work, directory: isolation.directory })
      const asked = yield* T.only
      assert.strictEqual(asked.cwd, work)
      assert.strictEqual(dataOf(asked), isolation.directory)
      assert.deepStrictEqual(files, [JSON.parse(JSON.stringify(conversation)), 0o600])
      yield* T.expectClean
      yield* Effect.scoped(Effect.flatMap(OpenCode.resume(location), (session) => session.run("go on")))
      const resumed = yield* T.command(1)
      assert.strictEqual(optionIn(resumed.args, "--session"), "ses_1")
      assert.strictEqual(dataOf(resumed), isolation.directory)
    }).pipe(Effect.provide(T.layer(importing("Imported session: ses_1\n")))))

  it.effect("uses the layer's directory, and refuses one that would be removed at once", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const location = yield* OpenCode.importSession(conversation)
      assert.strictEqual(location.directory, NodePath.join(root, "kept"))
      const error = yield* T.failsWith("OpenCodeConfigError")(
        OpenCode.importSession(conversation, { isolation: "run" })
      )
      assert.strictEqual(error.path, "isolation")
      assert.lengthOf(yield* T.commands, 1)
    }).pipe(Effect.provide(T.layer(importing("Imported session: ses_1\n"), ({ root }) => ({ isolation: kept(root) })))))

  it.effect("fails if the binary does not say that it has imported this session", () =>
    Effect.gen(function*() {
      const { root } = yield* T.Machine
      const error = yield* T.failsWith("OpenCodeProcessError")(
        OpenCode.importSession(conversation, { isolation: kept(root) })
      )
      assert.include(error.hint, "ses_1")
      assert.strictEqual(error.partial.sessionId, "ses_1")
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(importing("Imported session: ses_2\n")))))
})
