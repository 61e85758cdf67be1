import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import { HostEnvironment, OpenCode, RunConfig, type RunResult } from "effect-opencode"
import { Events, FaultyOpenCode, MockCommandExecutor, OpenCodeTest, Recording } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Memory from "./support/memory.js"

const { awaitStdin, lines, script, sleep, stderr, stdout } = MockCommandExecutor

/** A directory for the files of a test. */
const temporary = Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.makeTempDirectoryScoped())

/** Everything that was written. */
const contents = (directory: string): string =>
  readdirSync(directory).sort().map((name) => readFileSync(join(directory, name), "utf8")).join("")

/** OpenCode over an executor. */
const over = OpenCodeTest.layerExecutor()

const mocked = (
  directory: string,
  scripts: Parameters<typeof MockCommandExecutor.layer>[0],
  options?: Partial<Recording.RecordOptions>
) => Recording.record({ directory, ...options }).pipe(Layer.provide(MockCommandExecutor.layer(scripts)))

const recording = (
  directory: string,
  scripts: Parameters<typeof MockCommandExecutor.layer>[0],
  options?: Partial<Recording.RecordOptions>
) => over.pipe(Layer.provide(mocked(directory, scripts, options)))

const replaying = (directory: string, options?: Recording.ReplayOptions) =>
  over.pipe(Layer.provide(Recording.replay(directory, options)))

/** For tests that set the clock. */
const memory = Layer.merge(Memory.layer, Path.layer)

/** What two runs of one recording have in common. */
const told = ({ duration: _, runId: __, ...result }: RunResult.RunResult) => result

const real = Events.session([
  Events.turn([
    "Let me look.",
    Events.tool({ tool: "bash", input: { command: "ls" }, output: "größe.txt\n世界 \u{1F980}\n" })
  ]),
  Events.turn("Two files.", { cost: 0.25 })
])

/** In pieces that end inside characters, with noise on both pipes. */
const realistic = script(
  awaitStdin,
  stderr("\u001b[91mwarming up\u001b[0m\n"),
  stdout(MockCommandExecutor.chunked(Events.toText(real.slice(0, 4)), 7)),
  sleep("30 seconds"),
  stdout("not json\n"),
  lines(real.slice(4)),
  stderr("no line feed at the end"),
  sleep("1 second")
)

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("30 seconds")
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

describe("Recording", () => {
  describe("record and replay", () => {
    it.effect("return the same result, immediately and in recorded time", () =>
      Effect.gen(function*() {
        const directory = "recordings"
        const run = OpenCode.run("Which files?", { keepRaw: true })
        const original = yield* timed(Effect.provide(run, recording(directory, [realistic])))
        expect(original).toMatchObject({ text: "Let me look.\n\nTwo files.", duration: Duration.seconds(31) })

        const atOnce = yield* Effect.provide(run, replaying(directory))
        expect(told(atOnce)).toEqual(told(original))
        expect(atOnce.duration).toEqual(Duration.zero)

        const inTime = yield* timed(Effect.provide(run, replaying(directory, { timing: "recorded" })))
        expect(told(inTime)).toEqual(told(original))
        expect(inTime.duration).toEqual(Duration.seconds(31))
      }).pipe(Effect.provide(memory)))

    it.effect("lose no other event to one that is nested too deeply", () =>
      Effect.gen(function*() {
        const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
        const odd = script(
          stdout(
            `{"type":"tool_use","sessionID":"ses_1","part":{"tool":"bash","state":{"input":${deep},"output":""}}}\n`
          ),
          lines(Events.turn("done"))
        )
        const run = OpenCode.run("x")
        const original = yield* Effect.provide(run, recording("recordings", [odd]))
        const again = yield* Effect.provide(run, replaying("recordings"))
        expect(again.events.map(({ _tag }) => _tag)).toEqual(original.events.map(({ _tag }) => _tag))
        expect([again.text, again.cost]).toEqual([original.text, original.cost])
      }).pipe(Effect.provide(memory)))

    it.effect("return the same stream, with each event at its time", () =>
      Effect.gen(function*() {
        const directory = "recordings"
        yield* timed(Effect.provide(OpenCode.run("x"), recording(directory, [realistic])))
        const seen: Array<string> = []
        yield* Effect.gen(function*() {
          const fiber = yield* OpenCode.stream("x").pipe(
            Stream.runForEach((event) => Effect.sync(() => seen.push(event._tag))),
            Effect.fork
          )
          yield* TestClock.adjust("29 seconds")
          expect(seen).toEqual(["StepStart", "Text", "ToolUse", "StepFinish"])
          yield* TestClock.adjust("2 seconds")
          yield* Fiber.join(fiber)
          expect(seen.slice(4)).toEqual(["Diagnostic", "StepStart", "Text", "StepFinish"])
        }).pipe(Effect.provide(replaying(directory, { timing: "recorded" })))
      }).pipe(Effect.provide(memory)))

    it.scopedLive("work through real processes", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const { binary } = yield* FaultyOpenCode.make({
          cases: [
            {
              contains: "crash",
              scripts: [FaultyOpenCode.sqliteCrash, FaultyOpenCode.script(FaultyOpenCode.lines(real))]
            },
            {
              contains: "401",
              scripts: [FaultyOpenCode.script(
                FaultyOpenCode.lines([Events.error({ message: "no", statusCode: 401 })]),
                FaultyOpenCode.exit(1)
              )]
            },
            { scripts: [FaultyOpenCode.script(FaultyOpenCode.stderr("hm\n"), FaultyOpenCode.lines(real))] }
          ]
        })
        const programs = Effect.all({
          version: Effect.flatMap(OpenCode.OpenCode, ({ version }) => version),
          plain: Effect.map(OpenCode.run("--plain \"quoted\"\n"), told),
          argument: Effect.map(OpenCode.run("by argument", { promptVia: "argv" }), told),
          failing: Effect.map(Effect.flip(OpenCode.run("401")), ({ _tag }) => _tag),
          crashing: Effect.map(OpenCode.run("crash"), told)
        })
        const client = OpenCode.layer({ binary, retry: Schedule.recurs(1) })
        const original = yield* Effect.provide(programs, client.pipe(Layer.provide(Recording.record({ directory }))))
        expect(original.crashing.attempts).toBe(2)
        expect(readdirSync(directory)).toHaveLength(6)
        const again = yield* Effect.provide(programs, client.pipe(Layer.provide(Recording.replay(directory))))
        expect(again).toEqual(original)
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scoped("keep runs with the same prompt apart", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const say = (text: string) => script(awaitStdin, lines(Events.turn(text)))
        const ask = (model: string) => Effect.map(OpenCode.run("x", { model }), ({ text }) => text)
        const program = Effect.all([ask("a/1"), ask("b/2"), ask("b/2")])
        const original = yield* Effect.provide(
          program,
          recording(directory, [say("one"), say("two"), say("three")])
        )
        expect(original).toEqual(["one", "two", "three"])
        yield* Effect.gen(function*() {
          // by arguments, then by order, then the last one again
          expect([yield* ask("b/2"), yield* ask("a/1"), yield* ask("b/2"), yield* ask("b/2")]).toEqual([
            "two",
            "one",
            "three",
            "three"
          ])
          expect(yield* ask("c/3")).toBe("three")
        }).pipe(Effect.provide(replaying(directory)))
        // from the beginning in every layer that is built
        expect(yield* Effect.provide(ask("b/2"), replaying(directory))).toBe("two")
      }).pipe(Effect.provide(NodeContext.layer)))

    it.effect("keep a killed process running until it is killed again", () =>
      Effect.gen(function*() {
        const directory = "recordings"
        const stuck = script(awaitStdin, lines([Events.stepStart()]), MockCommandExecutor.never)
        const program = Effect.gen(function*() {
          const fiber = yield* Effect.fork(Effect.flip(OpenCode.run("x", { idleTimeout: "1 minute" })))
          yield* TestClock.adjust("1 minute")
          return yield* Fiber.join(fiber)
        })
        const original = yield* Effect.provide(program, recording(directory, [stuck]))
        expect(original).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "idle" })
        const [file] = yield* Recording.load(directory)
        expect(file?.entries.slice(-2)).toEqual([
          { type: "signal", at: 60_000, signal: "SIGTERM" },
          { type: "exit", at: 60_000, signal: "SIGTERM" }
        ])
        const again = yield* Effect.provide(program, replaying(directory))
        expect(again).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "idle" })
      }).pipe(Effect.provide(memory)))

    it.scoped("reproduce a death by a foreign signal", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const killed = script(awaitStdin, lines([Events.stepStart()]), MockCommandExecutor.signal("SIGKILL"))
        const program = Effect.flip(OpenCode.run("x"))
        for (const layer of [recording(directory, [killed]), replaying(directory)]) {
          expect(yield* Effect.provide(program, layer)).toMatchObject({
            _tag: "OpenCodeProcessError",
            signal: "SIGKILL"
          })
        }
      }).pipe(Effect.provide(NodeContext.layer)))
  })

  describe("record", () => {
    it.scoped("writes a private file per process, line by line", () =>
      Effect.gen(function*() {
        const directory = join(yield* temporary, "made", "if", "need", "be")
        const run = Effect.all([OpenCode.run("a"), OpenCode.run("b")], { concurrency: 2 })
        const say = script(awaitStdin, lines(Events.turn("hi")))
        yield* Effect.provide(run, recording(directory, [say, say]))
        // a second recorder in the same millisecond
        yield* Effect.provide(OpenCode.run("c"), recording(directory, [say]))
        const names = readdirSync(directory).sort()
        expect(names).toHaveLength(3)
        for (const name of names) expect(statSync(join(directory, name)).mode & 0o077).toBe(0)
        const recordings = yield* Recording.load(directory)
        expect(recordings.map(Recording.prompt)).toEqual(["a", "b", "c"])
        expect(recordings[0]).toMatchObject({ command: "opencode", startedAt: 0 })
        expect(recordings[0]?.args.slice(0, 3)).toEqual(["run", "--format", "json"])
        expect(recordings[0]?.entries.map(({ type }) => type)).toEqual(["stdin", "stdout", "stdout", "stdout", "exit"])
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scoped("leaves out other commands and those it is told to", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const executor = Recording.record({ directory }).pipe(
          Layer.provide(MockCommandExecutor.layer(() => script(stdout("ok"))))
        )
        expect(yield* Effect.provide(Command.string(Command.make("git", "status")), executor)).toBe("ok")
        const pipeline = Command.make("opencode", "models").pipe(Command.pipeTo(Command.make("sort")))
        expect(yield* Effect.provide(Command.string(pipeline), executor)).toBe("ok")
        expect(readdirSync(directory)).toEqual([])
        yield* Effect.provide(
          OpenCode.run("x"),
          recording(directory, [script(awaitStdin, lines(Events.turn("hi")))], { include: () => false })
        )
        expect(readdirSync(directory)).toEqual([])
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scoped("lets a run continue when the file cannot be written", () =>
      Effect.gen(function*() {
        const directory = join(yield* temporary, "gone")
        const layer = recording(directory, [script(awaitStdin, lines(Events.turn("hi")))])
        const result = yield* Effect.provide(
          Effect.andThen(
            Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.remove(directory, { recursive: true })),
            OpenCode.run("x")
          ),
          layer
        )
        expect(result.text).toBe("hi")
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scoped("keeps what was printed before an interruption", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const seen = yield* Deferred.make<void>()
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.fork(
            Stream.runForEach(OpenCode.stream("x"), () => Deferred.succeed(seen, undefined))
          )
          yield* Deferred.await(seen)
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(recording(directory, [
          script(awaitStdin, lines([Events.stepStart()]), stdout("half a li"), MockCommandExecutor.never)
        ])))
        const [file] = yield* Recording.load(directory)
        expect(file?.entries.map(({ type }) => type)).toEqual(
          expect.arrayContaining(["stdin", "stdout", "signal", "exit"])
        )
      }).pipe(Effect.provide(NodeContext.layer)))

    it.scoped("records a command outside of OpenCode's service, and a scope that ends it", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const executor = Recording.record({ directory }).pipe(
          Layer.provide(MockCommandExecutor.layer([script(stdout("hi"), MockCommandExecutor.never)]))
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* Command.start(Command.make("opencode", "run"))
          yield* Stream.runDrain(Stream.take(process.stdout, 1))
        })).pipe(Effect.provide(executor))
        const [file] = yield* Recording.load(directory)
        expect(file?.entries).toEqual([
          { type: "stdout", at: 0, line: "hi", ended: false },
          { type: "signal", at: 0, signal: "SIGTERM" },
          { type: "exit", at: 0, signal: "SIGTERM" }
        ])
      }).pipe(Effect.provide(NodeContext.layer)))
  })

  describe("secrets", () => {
    const canaries = {
      given: "canary-given-7d1f",
      redacted: "canary redacted with spaces",
      extraEnv: "canary-extra-env-93aa",
      redactedEnv: "canary-redacted-env-\"quoted\"",
      config: "canary-config-key-51c0",
      authContent: "canary-refresh-0b7e",
      inherited: "canary-inherited-ee21",
      password: "canary-password-4410",
      bearer: "canarybearer0123456789",
      sk: "sk-canary0123456789abcdef",
      region: "canary-region-77d2",
      login: "canary-login-61be",
      pem: "MIICanaryCanaryCanaryCanaryCanary0123456789"
    }
    const said = (name: keyof typeof canaries) => `${name}: ${canaries[name]}!`
    const harmless = "The monkey has a keyboard, sk-learn and 12 tokens; PATH=/usr/bin."

    const leaky = script(
      awaitStdin,
      stderr(
        `${Object.entries(canaries).map(([name, canary]) => name === "bearer" ? "" : `leak ${canary}\n`).join("")}`
      ),
      stderr(`Authorization: Bearer ${canaries.bearer}\nhttps://user:${canaries.given}@host/\n`),
      stderr(`-----BEGIN PRIVATE KEY-----\n${canaries.pem}\ncanary/never/heard/of\n-----END PRIVATE KEY-----\n`),
      lines(Events.session([
        Events.turn([
          ...Object.keys(canaries).filter((name) => name !== "bearer" && name !== "pem").map((name) =>
            said(name as keyof typeof canaries)
          ),
          `Bearer ${canaries.bearer}`,
          Events.tool({
            tool: "read",
            input: {
              apiKey: "canary-unheard-of-key",
              env: { X: canaries.extraEnv },
              [canaries.login]: canaries.inherited
            },
            output: `-----BEGIN RSA PRIVATE KEY-----\n${canaries.pem}\n-----END RSA PRIVATE KEY-----\n`,
            metadata: {
              headers: { authorization: `Basic ${canaries.bearer}` },
              body: `{"password":"canary-nested-pw"}`
            }
          })
        ]),
        Events.turn(harmless)
      ])),
      stdout(`not json ${canaries.config}\n`)
    )

    const options = {
      extraEnv: {
        MY_TOKEN: canaries.extraEnv,
        A_SECRET: Redacted.make(canaries.redactedEnv),
        OPENCODE_AUTH_CONTENT: JSON.stringify({ x: { type: "oauth", refresh: canaries.authContent } }),
        HARMLESS: "a-value-that-may-stay",
        PEM_KEY: `-----BEGIN X-----\n${canaries.pem}\n-----END X-----`
      },
      password: Redacted.make(canaries.password),
      configOverrides: { provider: { fake: { options: { apiKey: canaries.config } } } },
      extraArgs: ["--header", `Bearer ${canaries.bearer}`]
    }

    const prompt = `Use ${canaries.extraEnv} and ${canaries.given}.`
    const redact = [canaries.given, Redacted.make(canaries.redacted)]
    const environment = HostEnvironment.fromVariables({
      DEPLOY_KEY: canaries.inherited,
      PATH: "/usr/bin",
      HOME: "/nowhere"
    })

    it.scoped("are in no file, unlike everything else", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const data = yield* temporary
        mkdirSync(join(data, "opencode"))
        writeFileSync(
          join(data, "opencode", "auth.json"),
          JSON.stringify({ a: { type: "api", key: canaries.login } })
        )
        // without `over`, whose processes inherit nothing
        const layer = OpenCode.layer({ binary: process.execPath, version: "1.18.33" }).pipe(
          Layer.provide(mocked(directory, [leaky], { redact }))
        )
        const result = yield* OpenCode.run(prompt, {
          ...options,
          extraEnv: { ...options.extraEnv, XDG_DATA_HOME: data },
          keepRaw: true
        }).pipe(
          RunConfig.withRunConfig({ extraEnv: { REGION: Redacted.make(canaries.region) } }),
          Effect.provide(layer),
          Effect.provideService(HostEnvironment.HostEnvironment, environment)
        )
        // the program's own result is unchanged
        expect(result.rawLines?.join("\n")).toContain(canaries.config)

        const written = contents(directory)
        for (const [name, canary] of Object.entries(canaries)) {
          expect(written, name).not.toContain(canary)
          expect(written, name).not.toContain(JSON.stringify(canary).slice(1, -1))
        }
        expect(written.match(/canary[\w-]*/g)).toBeNull()
        expect(written).not.toContain("a-value-that-may-stay")
        expect(written).not.toContain("MY_TOKEN")
        expect(written).toContain("Use <redacted> and <redacted>.")
        expect(written).toContain(harmless)
        expect(written).toContain("Bearer <redacted>")

        // the cleaned lines are still lines of OpenCode
        const [file] = yield* Recording.load(directory)
        const printed = file?.entries.flatMap((entry) => entry.type === "stdout" ? [entry.line] : []) ?? []
        expect(printed.slice(0, -1).map((line) => JSON.parse(line).type)).toEqual(
          result.rawLines?.slice(0, -1).map((line) => JSON.parse(line).type)
        )

        // and the prompt that had a secret in it finds them
        const again = yield* Effect.provide(OpenCode.run(prompt, options), replaying(directory, { redact }))
        expect(again.text).toContain("config: <redacted>!")
        expect(again.steps).toBe(result.steps)
      }).pipe(Effect.provide(NodeContext.layer)))
  })

  describe("replay", () => {
    const say = script(awaitStdin, lines(Events.turn("hi")))

    it.scoped("reports a missing prompt together with the recorded ones", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        yield* Effect.provide(Effect.all([OpenCode.run("one"), OpenCode.run("two")]), recording(directory, [say, say]))
        const long = "Something else ".repeat(20)
        const error = yield* Effect.flip(Effect.provide(OpenCode.run(long), replaying(directory)))
        expect(error).toMatchObject({ _tag: "OpenCodeProcessError", exitCode: 64, partial: { eventCount: 0 } })
        expect(error.message).toContain(`Recording.replay has no recording of the prompt "${long.slice(0, 80)}…"`)
        expect(error.message).toContain("Recorded prompts: \"one\", \"two\".")
        expect(error.message).not.toContain(long)
      }).pipe(Effect.provide(NodeContext.layer)))

    it.effect("reports other missing commands, and an empty recording", () =>
      Effect.gen(function*() {
        const process = yield* Command.start(Command.make("opencode", "--version"))
        const said = yield* Stream.mkString(Stream.decodeText(process.stderr))
        expect(said).toContain("no recording of the command \"--version\". Recorded commands: none.")
        expect(yield* process.exitCode).toBe(64)
      }).pipe(Effect.scoped, Effect.provide(Recording.replay([]))))

    it.effect("accepts recordings written by hand", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("hello")
        expect(result.text).toBe("hi")
        expect(result.stderr).toBe("careful\n")
      }).pipe(Effect.provide(over.pipe(Layer.provide(Recording.replay([{
        name: "by hand",
        command: "opencode",
        args: ["run"],
        startedAt: 0,
        entries: [
          { type: "stdin", at: 0, text: "hello" },
          { type: "stderr", at: 1, line: "careful", ended: true },
          ...Events.turn("hi").map((event) =>
            ({ type: "stdout", at: 2, line: JSON.stringify(event), ended: true }) as const
          ),
          { type: "exit", at: 3, code: 0 }
        ]
      }]))))))

    it.scoped("refuses a foreign file and reads one whose recorder was killed", () =>
      Effect.gen(function*() {
        const directory = yield* temporary
        yield* Effect.provide(OpenCode.run("one"), recording(directory, [say]))
        const [name = ""] = readdirSync(directory)
        appendFileSync(join(directory, name), "{\"type\":\"stdout\",\"at\":1,\"li")
        expect(yield* Recording.load(directory)).toHaveLength(1)
        writeFileSync(join(directory, "notes.txt"), "not mine")
        expect(yield* Recording.load(directory)).toHaveLength(1)
        appendFileSync(join(directory, name), "\n")
        const broken = yield* Effect.flip(Recording.load(directory))
        expect(broken).toMatchObject({ _tag: "RecordingError" })
        expect(broken.message).toContain("is not a recording: the line is not a valid entry of format 1")
        writeFileSync(join(directory, name), "")
        expect((yield* Effect.flip(Recording.load(directory))).message).toContain("does not begin with")
        expect(yield* Effect.flip(Recording.load(join(directory, "missing")))).toMatchObject({ _tag: "SystemError" })
      }).pipe(Effect.provide(NodeContext.layer)))
  })
})
