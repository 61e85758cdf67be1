/**
 * The real OpenCode binary against a scripted provider on loopback, in a sandbox whose remains can be counted: home,
 * temporary directory and working directory of every test lie under one directory, whose name stands in the
 * environment of every process that a test starts.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { expect, it } from "@effect/vitest"
import { OpenCode, type OpenCodeError, type RunEvent, type RunOptions } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { install, version } from "../support/home.js"
import { kill, programOf, read } from "../support/processFiles.js"

export { version } from "../support/home.js"

export interface Sandbox {
  /** Contains everything else. */
  readonly root: string
  /** The working directory of the runs. */
  readonly work: string
  readonly home: string
  /** The `TMPDIR` of this process and of its children; empty before and after a run. */
  readonly tmp: string
  /** A data directory that the library does not find by itself. */
  readonly data: string
}

const directories = ["work", "home", "tmp", "data"] as const

/** Variables by which the machine's own OpenCode, or a run around this one, would affect a test. */
const foreign = (name: string) => /^(XDG_|OPENCODE|EFFECT_OPENCODE)/.test(name)

/** A sandbox whose home and temporary directory are those of this process until the scope closes. */
export const sandbox: Effect.Effect<Sandbox, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const environment = { ...process.env }
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-sandbox-")))
    for (const name of directories) fs.mkdirSync(path.join(root, name))
    const box = Object.fromEntries(directories.map((name) => [name, path.join(root, name)]))
    install(path.join(root, "home"))
    for (const name of Object.keys(process.env)) {
      if (foreign(name)) delete process.env[name]
    }
    Object.assign(process.env, { HOME: box["home"], TMPDIR: box["tmp"] })
    return { environment, box: { root, ...box } as unknown as Sandbox }
  }),
  ({ box, environment }) =>
    Effect.sync(() => {
      for (const name of Object.keys(process.env)) delete process.env[name]
      Object.assign(process.env, environment)
      for (const { pid } of processes(box)) kill(pid)
      fs.rmSync(box.root, { recursive: true, force: true, maxRetries: 5 })
    })
).pipe(Effect.map(({ box }) => box))

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
  readonly environment: string
}

/** Every process that was started in the sandbox, wherever it is now. Linux only. */
export const processes = (box: Sandbox): ReadonlyArray<Process> =>
  (fs.existsSync("/proc/self") ? fs.readdirSync("/proc") : []).filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const { command, environment } = programOf(name)
    if (Number(name) === process.pid || !(environment.includes(box.root) || command.includes(box.root))) return []
    const stat = read(`/proc/${name}/stat`)
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" || fields[0] === undefined || fields[0] === ""
      ? []
      : [{ pid: Number(name), parent: Number(fields[1]), command: command.replaceAll("\0", " "), environment }]
  })

/** The OpenCode process itself is the child of this process. */
export const leader = (box: Sandbox): Process => {
  const found = processes(box).find(({ environment, parent }) =>
    parent === process.pid && environment.includes("EFFECT_OPENCODE_RUN=")
  )
  if (found === undefined) throw new Error("there is no OpenCode process")
  return found
}

/** The remains of a run: nothing. */
export const left = (box: Sandbox) => ({
  survivors: processes(box).map(({ command, pid }) => `${pid} ${command}`),
  directories: fs.readdirSync(box.tmp)
})

export const nothing = { survivors: [], directories: [] }

export type Services = OpenCode.OpenCode | ModelProvider.ModelProvider | Scope.Scope

export interface Options {
  /** The provider's replies. Default: `steps([text("done")])`. */
  readonly respond?: ModelProvider.Respond | undefined
  readonly apiKey?: string | undefined
  /** True if the model accepts images. */
  readonly images?: boolean | undefined
  readonly client?: OpenCode.Options | ((box: Sandbox) => OpenCode.Options) | undefined
  readonly timeout?: number | undefined
}

const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })

/** OpenCode and the provider that it is configured with. */
export const services = (box: Sandbox, options: Options = {}) => {
  const provider = ModelProvider.layer({
    respond: options.respond ?? ModelProvider.steps([ModelProvider.Reply.text("done")]),
    apiKey: options.apiKey,
    images: options.images
  }).pipe(Layer.provide(server))
  const opencode = Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) => {
    const given = typeof options.client === "function" ? options.client(box) : options.client
    return OpenCode.layer({
      version,
      ...given,
      defaults: { configOverrides, model, title: "Scripted", cwd: box.work, ...given?.defaults }
    })
  })).pipe(Layer.provide(NodeContext.layer))
  return Layer.provideMerge(opencode, provider)
}

/** A test in its own sandbox, which must be as empty afterwards as before. */
export const real = <E>(
  name: string,
  body: (box: Sandbox) => Effect.Effect<void, E, Services>,
  options: Options = {}
): void =>
  it.scopedLive(name, () =>
    Effect.flatMap(sandbox, (box) =>
      body(box).pipe(
        // Before the layers close: the run alone has to clean up.
        Effect.andThen(Effect.sync(() => expect(left(box)).toEqual(nothing))),
        Effect.provide(services(box, options))
      )), options.timeout)

/** A provider that reports the first request, and then sends a reply. */
export const announcing = (reply: ModelProvider.Reply | Effect.Effect<ModelProvider.Reply>) =>
  Effect.map(Deferred.make<void>(), (asked) => {
    const respond: ModelProvider.Respond = () =>
      Effect.andThen(
        Deferred.succeed(asked, undefined),
        Effect.isEffect(reply) ? reply as Effect.Effect<ModelProvider.Reply> : Effect.succeed(reply)
      )
    return { asked: Deferred.await(asked), respond }
  })

/** Waits for something that a run causes, but no longer than the run. */
export const during = <A, E>(waiting: Effect.Effect<void>, run: Fiber.RuntimeFiber<A, E>): Effect.Effect<void> =>
  Effect.raceFirst(
    waiting,
    Effect.flatMap(Fiber.await(run), (exit) => Effect.die(new Error(`the run ended before that: ${String(exit)}`)))
  )

/** Waits until a condition holds. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => isSo() ? Effect.void : Effect.delay(until(isSo), "20 millis"))

/** Waits for a file. */
export const appearance = (directory: string, name: string): Effect.Effect<void> =>
  until(() => fs.existsSync(path.join(directory, name)))

/** Waits for a process with this text in its command line. */
export const working = (box: Sandbox, command: string): Effect.Effect<void> =>
  until(() => processes(box).some((process) => process.command.includes(command)))

export const { Reply, steps } = ModelProvider

/** A shell command, as the model requests it. OpenCode itself would end it after two minutes (1.18.33). */
export const bash = (command: string): ModelProvider.Reply =>
  Reply.toolCalls([{ name: "bash", arguments: { command, description: "Scripted", timeout: 3_600_000 } }])

/** Replies in the order of the requests, in any turn. */
const inOrder = (...replies: ReadonlyArray<ModelProvider.Reply>): ModelProvider.Respond => ({ index }) =>
  replies[index] ?? ModelProvider.Reply.text("nobody should have asked")

/** The answer after a compaction, which takes its time. */
const late = ModelProvider.Reply.text("FINAL", { delay: "4 seconds" })

/** OpenCode compacts after the first step, which has used nearly the whole context of the model. */
export const compacting = inOrder(
  ModelProvider.Reply.toolCalls([{ name: "bash", arguments: { command: "echo hi", description: "Say hi" } }], {
    usage: { input: 190_000 }
  }),
  ModelProvider.Reply.text("SUMMARY"),
  late
)

/** The conversation is refused, and OpenCode compacts it. */
export const overflowing = inOrder(ModelProvider.Reply.contextOverflow(), ModelProvider.Reply.text("SUMMARY"), late)

/** The requests of the main model, in order. */
export const asked = Effect.map(
  Effect.flatMap(ModelProvider.ModelProvider, ({ requests }) => requests),
  (requests) => requests.filter(({ isTitle }) => !isTitle)
)

export const respond = (reply: ModelProvider.Respond) =>
  Effect.flatMap(ModelProvider.ModelProvider, (provider) => provider.respond(reply))

export const run = (prompt: string, options?: RunOptions.RunOptions) => OpenCode.run(prompt, options)

/** The error of a run that must end with this tag. */
export const failing = <Tag extends OpenCodeError.OpenCodeError["_tag"]>(tag: Tag) =>
<A, R>(
  run: Effect.Effect<A, OpenCodeError.OpenCodeError, R>
): Effect.Effect<Extract<OpenCodeError.OpenCodeError, { readonly _tag: Tag }>, never, R> =>
  Effect.matchEffect(run, {
    onSuccess: (value) => Effect.die(new Error(`${tag} was expected, not the success ${JSON.stringify(value)}`)),
    onFailure: (error) =>
      error._tag === tag
        ? Effect.succeed(error as Extract<OpenCodeError.OpenCodeError, { readonly _tag: Tag }>)
        : Effect.die(new Error(`${tag} was expected, not ${error._tag}: ${error.message}`))
  })

export const tags = (events: ReadonlyArray<RunEvent.RunEvent> | undefined): ReadonlyArray<string> =>
  (events ?? []).map((event) => event._tag)

export const tools = (events: ReadonlyArray<RunEvent.RunEvent>): ReadonlyArray<RunEvent.ToolUse> =>
  events.filter((event) => event._tag === "ToolUse")
