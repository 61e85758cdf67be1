/**
 * A server in memory, behind an HTTP client: it keeps sessions, messages and questions as `opencode serve` does
 * (1.18.33), and plays the script of a prompt.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import type { OpenCode } from "effect-opencode"
import { OpenCodeServer } from "effect-opencode"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as T from "../support/mock.js"
import * as support from "./support.js"

type Json = { readonly [key: string]: unknown }

interface Message {
  info: Json
  readonly parts: Map<string, Json>
}

export interface Session {
  readonly id: string
  readonly parentID: string | undefined
  readonly directory: string
  title: string
  permission: Array<Json>
  readonly messages: Map<string, Message>
  status: Json | undefined
  updated: number
  playing: Fiber.RuntimeFiber<void> | undefined
}

/** What a script can do while it is played. */
export interface Play {
  readonly session: Session
  readonly body: Json
  /** Stores an event and sends it. */
  readonly tell: (type: string, properties: Json) => Effect.Effect<void>
  readonly busy: Effect.Effect<void>
  readonly idle: Effect.Effect<void>
  readonly stepStart: Effect.Effect<void>
  readonly text: (text: string, deltas?: ReadonlyArray<string>) => Effect.Effect<void>
  /** A text that never ends. */
  readonly begin: (text: string) => Effect.Effect<void>
  readonly tool: (tool: string, state?: Json) => Effect.Effect<void>
  readonly stepFinish: (reason: string, more?: Json) => Effect.Effect<void>
  readonly fail: (error: Json) => Effect.Effect<void>
  /** Asks for permission and returns the reply. */
  readonly ask: (permission: string, patterns: ReadonlyArray<string>, of?: string) => Effect.Effect<Json>
  /** The session of a sub-agent. */
  readonly child: Effect.Effect<Session>
  /** A whole step that ends the turn. */
  readonly answer: (text: string, deltas?: ReadonlyArray<string>) => Effect.Effect<void>
}

export type Script = (play: Play) => Effect.Effect<void>

export const answering = (text: string, deltas?: ReadonlyArray<string>): Script => (play) => play.answer(text, deltas)

class Machine {
  readonly sessions = new Map<string, Session>()
  readonly questions = new Map<string, { request: Json; answer: Deferred.Deferred<Json> }>()
  /** The bodies of prompts, in order. */
  readonly prompts: Array<{ readonly sessionId: string; readonly body: Json }> = []
  readonly aborted: Array<string> = []
  readonly replies: Array<{ readonly id: string; readonly body: Json }> = []
  readonly rejectedQuestions: Array<string> = []
  /** Prompts being played, and their maximum. */
  playing = 0
  mostPlaying = 0
  /** What the next prompts do; the last script repeats. */
  scripts: Array<Script> = [answering("done")]
  agents: Array<Json> = [
    { name: "build", mode: "primary", permission: [{ permission: "*", pattern: "*", action: "allow" }] },
    { name: "plan", mode: "primary", permission: [{ permission: "edit", pattern: "*", action: "deny" }] },
    { name: "general", mode: "subagent", permission: [] }
  ]
  /** Nothing is sent, but everything happens. */
  isMute = false
  /** Nothing is sent, and no request is answered: the process is stopped. */
  isStopped = false
  /** Replies to requests instead of the server, if it returns a reply. */
  instead: (sent: support.Sent) => Response | Effect.Effect<Response, unknown> | undefined = () => undefined
  private readonly streams = new Set<ReadableStreamDefaultController<Uint8Array>>()
  private ids = 0
  private now = 1000

  /** Resolves a directory as a server does with symbolic links. */
  resolve: (directory: string) => string = (directory) => directory
  id(prefix: string): string {
    return `${prefix}_${String(++this.ids).padStart(4, "0")}`
  }

  time(): number {
    return ++this.now
  }

  send(payload: Json, directory = "/workspace"): void {
    if (this.isMute || this.isStopped) return
    const bytes = new TextEncoder().encode(support.frame(payload, directory))
    for (const stream of this.streams) stream.enqueue(bytes)
  }

  /** The connection breaks; a new one can be opened at once. */
  disconnect(): void {
    for (const stream of this.streams) stream.close()
    this.streams.clear()
  }

  /** Another process replaces it, on the same data: it knows nothing of what the first one was doing (1.18.33). */
  restart(): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      this.isMute = true
      for (const session of this.sessions.values()) {
        session.status = undefined
        if (session.playing !== undefined) yield* Fiber.interrupt(session.playing)
      }
      this.isMute = false
      this.questions.clear()
      this.disconnect()
    })
  }

  /** Opens the event stream, which has a heartbeat. */
  events(): Effect.Effect<Response> {
    let self: ReadableStreamDefaultController<Uint8Array>
    const bytes = (type: string) => new TextEncoder().encode(support.frame({ type, properties: {} }))
    const beat: Effect.Effect<void> = Effect.suspend(() => {
      if (!this.streams.has(self)) return Effect.void
      if (!this.isStopped) self.enqueue(bytes("server.heartbeat"))
      return Effect.delay(beat, "10 seconds")
    })
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        self = controller
        this.streams.add(controller)
        controller.enqueue(bytes("server.connected"))
      },
      cancel: () => void this.streams.delete(self)
    })
    const response = new Response(stream, { headers: { "content-type": "text/event-stream" } })
    return Effect.as(Effect.forkDaemon(Effect.delay(beat, "10 seconds")), response)
  }

  create(directory: string, body: Json, parentID?: string): Session {
    const session: Session = {
      id: this.id("ses"),
      parentID,
      directory,
      title: String(body["title"] ?? "New session"),
      permission: [...(body["permission"] as ReadonlyArray<Json> | undefined ?? [])],
      messages: new Map(),
      status: undefined,
      updated: this.time(),
      playing: undefined
    }
    this.sessions.set(session.id, session)
    this.send({ type: "session.created", properties: { sessionID: session.id, info: this.info(session) } })
    return session
  }

  info(session: Session): Json {
    return {
      id: session.id,
      parentID: session.parentID,
      directory: session.directory,
      title: session.title,
      permission: session.permission,
      time: { created: 0, updated: session.updated }
    }
  }

  private apply(session: Session, type: string, properties: Json): void {
    if (type === "message.updated") {
      const info = properties["info"] as Json
      const id = String(info["id"])
      const known = session.messages.get(id)
      if (known === undefined) session.messages.set(id, { info, parts: new Map() })
      else known.info = info
    }
    if (type === "message.part.updated") {
      const part = properties["part"] as Json
      session.messages.get(String(part["messageID"]))?.parts.set(String(part["id"]), part)
    }
    if (type === "session.status") {
      const status = properties["status"] as Json
      session.status = status["type"] === "idle" ? undefined : status
    }
  }

  tell(session: Session, type: string, properties: Json): void {
    const all = { sessionID: session.id, ...properties }
    this.apply(session, type, all)
    this.send({ type, properties: all })
  }

  play(session: Session, body: Json): Play {
    const { id: sessionID } = session
    let message = ""
    const tell = (type: string, properties: Json) => Effect.sync(() => this.tell(session, type, properties))
    const info = (more: Json) => ({
      id: message,
      sessionID,
      role: "assistant",
      providerID: "fake",
      modelID: "m1",
      ...more
    })
    const part = (more: Json) => ({ id: this.id("prt"), sessionID, messageID: message, ...more })
    const update = (more: Json) => tell("message.part.updated", { part: part(more) })
    const created = this.time()

    const busy = tell("session.status", { status: { type: "busy" } })
    const idle = Effect.andThen(
      tell("session.status", { status: { type: "idle" } }),
      tell("session.idle", {})
    )
    const stepStart = Effect.suspend(() => {
      message = this.id("msg")
      return Effect.andThen(
        tell("message.updated", { info: info({ time: { created } }) }),
        update({ type: "step-start" })
      )
    })
    const begin = (said: string) => {
      const id = this.id("prt")
      const time = { start: 1 }
      return Effect.andThen(
        Effect.suspend(() => update({ id, type: "text", text: "", time })),
        Effect.suspend(() => tell("message.part.delta", { messageID: message, partID: id, field: "text", delta: said }))
      )
    }
    const text: Play["text"] = (said, deltas) => {
      const id = this.id("prt")
      return Effect.gen(function*() {
        yield* update({ id, type: "text", text: "", time: { start: 1 } })
        for (const delta of deltas ?? []) {
          yield* tell("message.part.delta", { messageID: message, partID: id, field: "text", delta })
        }
        yield* update({ id, type: "text", text: said, time: { start: 1, end: 2 } })
      })
    }
    const stepFinish: Play["stepFinish"] = (reason, more) =>
      Effect.gen(function*() {
        const tokens = { input: 100, output: 20, reasoning: 0, cache: { read: 0, write: 0 } }
        yield* update({ type: "step-finish", reason, cost: 0.25, tokens, ...more })
        yield* tell("message.updated", { info: info({ finish: reason, time: { created, completed: created + 1 } }) })
      })
    return {
      session,
      body,
      tell,
      busy,
      idle,
      stepStart,
      begin,
      text,
      tool: (tool, state) =>
        Effect.suspend(() =>
          update({
            type: "tool",
            tool,
            callID: this.id("call"),
            state: { status: "completed", input: {}, output: "done", title: tool, metadata: {}, ...state }
          })
        ),
      stepFinish,
      fail: (error) => tell("session.error", { error }),
      ask: (permission, patterns, of) =>
        Effect.gen(this, function*() {
          const answer = yield* Deferred.make<Json>()
          const request = {
            id: this.id("per"),
            sessionID: of ?? sessionID,
            permission,
            patterns,
            metadata: {},
            always: [],
            tool: { messageID: message, callID: "call_1" }
          }
          this.questions.set(request.id, { request, answer })
          this.send({ type: "permission.asked", properties: request })
          return yield* Deferred.await(answer)
        }),
      child: Effect.sync(() => this.create(session.directory, { title: "child" }, session.id)),
      answer: (said, deltas) =>
        Effect.gen(function*() {
          yield* busy
          yield* stepStart
          yield* text(said, deltas)
          yield* stepFinish("stop")
          yield* idle
        })
    }
  }

  prompt(session: Session, body: Json): Effect.Effect<void> {
    this.prompts.push({ sessionId: session.id, body })
    const script = this.scripts.length > 1 ? this.scripts.shift()! : this.scripts[0]!
    const play = this.play(session, body)
    const user = this.id("msg")
    const begin = Effect.sync(() => {
      this.playing++
      this.mostPlaying = Math.max(this.mostPlaying, this.playing)
      session.updated = this.time()
      this.tell(session, "message.updated", {
        info: { id: user, sessionID: session.id, role: "user", time: { created: this.time() } }
      })
      const parts = body["parts"] as ReadonlyArray<Json>
      for (const part of parts) {
        this.tell(session, "message.part.updated", {
          part: { ...part, id: this.id("prt"), sessionID: session.id, messageID: user }
        })
      }
    })
    return Effect.map(
      Effect.forkDaemon(
        Effect.ensuring(Effect.andThen(begin, script(play)), Effect.sync(() => void this.playing--))
      ),
      (fiber) => {
        session.playing = fiber
      }
    )
  }

  abort(session: Session): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      this.aborted.push(session.id)
      if (session.playing !== undefined) yield* Fiber.interrupt(session.playing)
      const last = [...session.messages.values()].at(-1)
      if (session.status === undefined || last === undefined) return
      const error = { name: "MessageAbortedError", data: { message: "Aborted" } }
      this.tell(session, "session.error", { error })
      this.tell(session, "session.status", { status: { type: "idle" } })
      for (const [id, part] of last.parts) {
        const time = part["time"] as Json | undefined
        if (part["type"] === "text" && time !== undefined && time["end"] === undefined) {
          const said = { ...part, id, text: "what was said", time: { ...time, end: 3 } }
          this.tell(session, "message.part.updated", { part: said })
        }
      }
      if (last.info["role"] === "assistant") {
        this.tell(session, "message.updated", { info: { ...last.info, error, time: { created: 1, completed: 2 } } })
      }
      this.tell(session, "session.status", { status: { type: "idle" } })
    })
  }

  reply(id: string, body: Json): Effect.Effect<Response> {
    return Effect.gen(this, function*() {
      const question = this.questions.get(id)
      if (question === undefined) return support.json({ _tag: "PermissionNotFoundError" }, { status: 404 })
      this.replies.push({ id, body })
      const { sessionID } = question.request
      for (const [other, { answer, request }] of this.questions) {
        // A rejection rejects the other requests of its session.
        if (other !== id && (body["reply"] !== "reject" || request["sessionID"] !== sessionID)) continue
        this.questions.delete(other)
        this.send({ type: "permission.replied", properties: { sessionID, requestID: other, reply: body["reply"] } })
        yield* Deferred.succeed(answer, body)
      }
      return support.json(true)
    })
  }

  handle(sent: support.Sent): Response | Effect.Effect<Response, unknown> {
    if (this.isStopped) return Effect.never
    const other = this.instead(sent)
    if (other !== undefined) return other
    const { body, method, url } = sent
    const directory = url.searchParams.get("directory") ?? "/"
    const [, first, second, third] = url.pathname.split("/")
    const given = (body ?? {}) as Json
    const route = `${method} /${first}`
    if (url.pathname === "/global/health") return support.json({ healthy: true, version: "1.18.33" })
    if (url.pathname === "/global/event") return this.events()
    if (url.pathname === "/path") return support.json({ directory: this.resolve(directory) })
    if (route === "GET /agent") return support.json(this.agents)
    if (url.pathname === "/config/providers") {
      return support.json({ providers: [{ id: "fake", models: { m1: {} } }] })
    }
    if (route === "GET /permission") return support.json([...this.questions.values()].map(({ request }) => request))
    if (route === "GET /question") return support.json([])
    if (route === "POST /permission") return this.reply(second!, given)
    if (route === "POST /question") {
      this.rejectedQuestions.push(second!)
      return support.json(true)
    }
    if (url.pathname === "/session/status") {
      const all = [...this.sessions.values()].filter((session) => session.directory === directory)
      return support.json(
        Object.fromEntries(all.flatMap(({ id, status }) => status === undefined ? [] : [[id, status]]))
      )
    }
    if (route === "POST /session" && second === undefined) {
      return support.json(this.info(this.create(this.resolve(directory), given)))
    }
    if (route === "GET /session" && second === undefined) {
      const all = [...this.sessions.values()].filter((one) => one.directory === directory && one.parentID === undefined)
      return support.json(all.reverse().map((one) => this.info(one)))
    }
    const session = this.sessions.get(second ?? "")
    if (session === undefined) {
      return support.json({ name: "NotFoundError", data: { message: `Session not found: ${second}` } }, { status: 404 })
    }
    switch (`${method} ${third ?? ""}`) {
      case "GET ":
        return support.json(this.info(session))
      case "PATCH ":
        session.permission.push(...(given["permission"] as ReadonlyArray<Json> | undefined ?? []))
        if (typeof given["title"] === "string") session.title = given["title"]
        session.updated = this.time()
        return support.json(this.info(session))
      case "GET message":
        return support.json(
          [...session.messages.values()].map(({ info, parts }) => ({ info, parts: [...parts.values()] }))
        )
      case "GET children":
        return support.json(
          [...this.sessions.values()].filter((one) => one.parentID === session.id).map((one) => this.info(one))
        )
      case "POST fork": {
        const branch = this.create(session.directory, { title: `${session.title} (fork #1)` })
        for (const [id, message] of session.messages) {
          if (id === given["messageID"]) break
          branch.messages.set(`${id}_copy`, message)
        }
        return support.json(this.info(branch))
      }
      case "POST prompt_async":
        return Effect.as(this.prompt(session, given), new Response(null, { status: 204 }))
      case "POST abort":
        return Effect.as(this.abort(session), support.json(true))
      default:
        return new Response("", { status: 404 })
    }
  }
}

export type { Machine }

export class Fake extends Context.Tag("test/Fake")<Fake, Machine & { readonly sent: ReadonlyArray<support.Sent> }>() {}

/** The server in memory, and the client that reaches it under any address. */
export const machine = (scripts: ReadonlyArray<Script> = []): Layer.Layer<Fake | HttpClient.HttpClient> =>
  Layer.effectContext(Effect.sync(() => {
    const machine = new Machine()
    if (scripts.length > 0) machine.scripts = [...scripts]
    const { client, sent } = support.client((sent) => machine.handle(sent))
    return Context.make(Fake, Object.assign(machine, { sent })).pipe(Context.add(HttpClient.HttpClient, client))
  }))

/** The service over the server in memory. Its working directory is that of the machine. */
export const layer = (
  scripts: ReadonlyArray<Script> = [],
  options: Partial<OpenCodeServer.AttachOptions> = {}
): Layer.Layer<
  OpenCode.OpenCode | Fake | T.Machine | FileSystem.FileSystem | Path.Path | HttpClient.HttpClient
> =>
  OpenCodeServer.layerAttach({ url: "http://127.0.0.1:4096", ...options }).pipe(
    Layer.provideMerge(Layer.merge(machine(scripts), T.platform([])))
  )

export const fake = Fake

/** Waits until this many prompts have been sent. */
export const untilPrompted = (count: number) =>
  Effect.flatMap(Fake, ({ prompts }) => T.until(`${count} prompts`, Effect.sync(() => prompts.length >= count)))

/** The requests of a kind, in order. */
export const requests = (method: string, pattern: RegExp) =>
  Effect.map(Fake, ({ sent }) => sent.filter((one) => one.method === method && pattern.test(one.url.pathname)))
