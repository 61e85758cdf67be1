/**
 * A server of OpenCode 2 whose prompts are answered by scripts: the routes, replies and events of 2.0.14 that the library
 * uses, as a function from a `Request` to a `Response`. `faulty-opencode.mjs` serves it, `OpenCodeTest` calls it.
 */

/** The names of 2.x for tools and permissions of 1.x. */
const renamed = new Map([["bash", "shell"], ["task", "subagent"]])

const nameOf = (name) => renamed.get(name) ?? name

const kinds = new Map([
  [401, "provider.auth"],
  [403, "provider.auth"],
  [402, "provider.quota"],
  [429, "provider.rate-limit"],
  [400, "provider.invalid-request"],
  [404, "provider.invalid-request"],
  [413, "provider.invalid-request"]
])

const isObject = (u) => typeof u === "object" && u !== null && !Array.isArray(u)

/** An error as 2.x reports it; one of 1.x becomes the one with the same status. */
const errorOf = (error) => {
  if (!isObject(error) || typeof error.type === "string") return error
  const data = isObject(error.data) ? error.data : {}
  const status = data.statusCode
  const type = error.name === "MessageAbortedError"
    ? "aborted"
    : kinds.get(status) ?? (status >= 500 ? "provider.internal" : "unknown")
  return { type, message: data.message ?? error.name, ...(status === undefined ? {} : { status }) }
}

const aborted = (message) => ({ type: "aborted", message })

const allowed = { action: "*", resource: "*", effect: "allow" }

/** The default rules of every agent (2.0.14). */
const rules = [
  allowed,
  { action: "external_directory", resource: "*", effect: "ask" },
  { action: "read", resource: "*.env", effect: "ask" },
  { action: "read", resource: "*.env.*", effect: "ask" },
  { action: "read", resource: "*.env.example", effect: "allow" }
]

const agents = [
  { id: "build", mode: "primary", permissions: rules },
  { id: "plan", mode: "primary", permissions: [...rules, { action: "edit", resource: "*", effect: "deny" }] },
  { id: "general", mode: "subagent", permissions: rules },
  { id: "explore", mode: "subagent", permissions: rules }
]

/** The model of a prompt whose session has none. */
const usual = { id: "m1", providerID: "fake" }

const json = (body, status = 200) =>
  new Response(status === 204 ? null : JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json" }
  })

const text = new TextEncoder()

/** Sent while nothing happens, so that a connection counts as alive. */
const heartbeat = 15_000

export const make = ({ models, newSession, onPrompt, password, version }) => {
  const sessions = new Map()
  /** The open streams of events. */
  const streams = new Set()
  let ids = 0
  const id = (prefix) => `${prefix}_${String(++ids).padStart(26, "0")}`

  const broadcast = (bytes) => {
    for (const stream of streams) stream.enqueue(bytes)
  }

  /** Sends a frame as it is. */
  const frame = (data) => broadcast(text.encode(`data: ${data}\n\n`))

  const cut = () => {
    for (const stream of streams) stream.close()
    streams.clear()
  }

  const event = (session, type, data = {}) =>
    frame(JSON.stringify({
      id: id("evt"),
      created: Date.now(),
      type,
      location: { directory: session.directory },
      data: { sessionID: session.id, ...data },
      durable: { aggregateID: session.id, seq: session.seq++, version: 1 }
    }))

  const sessionOf = (id, more = {}) => {
    const session = {
      id,
      title: "Untitled",
      directory: undefined,
      permissions: [],
      messages: [],
      requests: new Map(),
      seq: 0,
      turn: undefined,
      ...more
    }
    sessions.set(id, session)
    return session
  }

  const shown = ({ agent, directory, id, model, parentID, permissions, title }) => ({
    id,
    title,
    agent,
    model,
    parentID,
    permissions,
    ...(directory === undefined ? {} : { location: { directory } })
  })

  /** One prompt and what answers it. After its end it says nothing more. */
  const turnOf = (session, prompt) => {
    let message = undefined
    let ordinals = { text: 0, reasoning: 0 }
    let failure = undefined
    let isOver = false
    let wake = () => {}
    const over = new Promise((resolve) => {
      wake = resolve
    })

    const say = (type, data) => {
      if (!isOver) event(session, type, data)
    }
    const model = session.model ?? usual

    const begin = () => {
      message = {
        id: id("msg"),
        type: "assistant",
        agent: session.agent ?? "build",
        model,
        content: [],
        time: { created: Date.now() }
      }
      ordinals = { text: 0, reasoning: 0 }
      session.messages.push(message)
      return message
    }
    const current = () => message ?? begin()
    const owner = () => ({ assistantMessageID: current().id })

    const texts = (kind, content) => {
      const part = { ...owner(), ordinal: ordinals[kind]++ }
      say(`session.${kind}.started`, part)
      say(`session.${kind}.delta`, { ...part, delta: content })
      say(`session.${kind}.ended`, { ...part, text: content })
      current().content.push({ type: kind, text: content })
    }

    const call = (callId, name, input) => {
      const part = { ...owner(), id: callId }
      say("session.tool.input.started", { ...part, name })
      say("session.tool.input.ended", { ...part, text: JSON.stringify(input) })
      say("session.tool.called", { ...part, input, executed: false })
      const item = {
        type: "tool",
        id: callId,
        name,
        state: { status: "running", input },
        time: { created: Date.now() }
      }
      current().content.push(item)
      return {
        done: (content, metadata) => {
          item.state = { status: "completed", input, content, metadata }
          say("session.tool.success", { ...part, content, metadata, executed: false })
        },
        failed: (error, metadata) => {
          item.state = { status: "error", input, error, metadata }
          say("session.tool.failed", { ...part, error, metadata, executed: false })
        }
      }
    }

    const finish = (finish, cost, tokens) => {
      Object.assign(current(), { finish, rawFinish: finish, cost, tokens })
      say("session.step.streamed", owner())
      say("session.step.ended", { ...owner(), finish, rawFinish: finish, cost, tokens })
      failure = undefined
      message = undefined
    }

    const fail = (error, spent = {}) => {
      Object.assign(current(), { finish: "error", error, ...spent })
      say("session.step.failed", { ...owner(), error, ...spent })
      message = undefined
    }

    const start = () => {
      begin()
      say("session.step.started", { ...owner(), agent: current().agent, model, started: Date.now() })
    }

    const line = (wire) => {
      const part = isObject(wire.part) ? wire.part : {}
      switch (wire.type) {
        case "step_start":
          return start()
        case "text":
        case "reasoning":
          return texts(wire.type, part.text)
        case "tool_use": {
          const { callID, state, tool } = part
          const begun = call(callID, nameOf(tool), state.input)
          return state.status === "completed"
            ? begun.done([{ type: "text", text: state.output }], state.metadata)
            : begun.failed({ type: "tool.execution", message: state.error }, state.metadata)
        }
        case "step_finish":
          return finish(part.reason, part.cost, part.tokens)
        case "error":
          // 2.x begins the step before its request, and so before the failure.
          if (message === undefined) start()
          failure = errorOf(wire.error)
          return fail(failure)
        default:
          return say(wire.type, wire)
      }
    }

    /** Sends a line of OpenCode 1, or one that is no event, as it is. */
    const print = (printed) => {
      let wire = undefined
      try {
        wire = JSON.parse(printed)
      } catch {
        // not an event of either major
      }
      if (typeof wire?.type === "string") line(wire)
      else if (!isOver) frame(printed)
    }

    /** Ends the prompt; without an outcome it ends without an event that says so. */
    const end = (outcome, type, data) => {
      if (isOver) return
      if (outcome !== undefined) say(type, data)
      isOver = true
      session.turn = undefined
      session.messages.push({ id: id("msg"), type: "idle", outcome: outcome ?? "succeeded" })
      wake()
    }

    const interrupt = (reason) => {
      if (message !== undefined) fail(aborted("Step interrupted"))
      end("interrupted", "session.execution.interrupted", { reason })
    }

    /** Asks for a permission, and ends the prompt if it is rejected. */
    const ask = async ({ input, patterns, permission, tool }) => {
      const callId = id("call")
      const begun = call(callId, nameOf(tool), input)
      const request = {
        id: id("per"),
        sessionID: session.id,
        action: nameOf(permission),
        resources: patterns,
        save: [],
        source: { type: "tool", messageID: current().id, id: callId }
      }
      const decision = await new Promise((resolve) => {
        session.requests.set(request.id, { request, resolve })
        say("permission.asked", request)
        over.then(() => resolve("reject"))
      })
      if (decision !== "reject") {
        begun.done([{ type: "text", text: "" }], {})
        return true
      }
      begun.failed(aborted("The user declined this tool call"))
      fail(aborted("Step interrupted"), {
        cost: 0.0001,
        tokens: { input: 60, output: 20, reasoning: 0, cache: { read: 40, write: 0 } }
      })
      end("interrupted", "session.execution.interrupted", { reason: "shutdown" })
      return false
    }

    return {
      prompt,
      over,
      isOver: () => isOver,
      ask,
      print,
      event: say,
      interrupt,
      rest: () => end(undefined),
      end: () =>
        failure === undefined
          ? end("succeeded", "session.execution.succeeded")
          : end("failed", "session.execution.failed", { error: failure })
    }
  }

  const prompted = async (session, given) => {
    const message = { id: id("msg"), type: "user", text: given, time: { created: Date.now() } }
    const turn = turnOf(session, given)
    const refusal = await onPrompt(turn, () => {
      session.messages.push(message)
      session.turn = turn
      event(session, "session.execution.started")
    })
    return refusal === undefined
      ? json({ data: { id: message.id } })
      : json({ _tag: "Refused", message: refusal.message }, refusal.status)
  }

  const answered = (session, requestId, { decision }) => {
    const open = session.requests.get(requestId)
    if (open === undefined) return json({ _tag: "PermissionNotFoundError", message: "not found" }, 404)
    session.requests.delete(requestId)
    event(session, "permission.replied", { requestID: requestId, reply: decision })
    open.resolve(decision)
    return json(undefined, 204)
  }

  const ofSession = (session, method, rest, body) => {
    switch (
      `${method} ${rest.replace(/^\/(permission|form)\/[^/]+/, "/$1/:id").replace(/\/entries\/.+/, "/entries/:key")}`
    ) {
      case "GET ":
        return json({ data: shown(session) })
      case "PATCH ":
      case "POST /agent":
      case "POST /model":
        Object.assign(session, body)
        return json(undefined, 204)
      case "POST /fork": {
        const { agent, directory, model, permissions, title } = session
        const { before } = body
        const end = before === undefined ? session.messages.length : session.messages.findIndex(({ id }) => id === before)
        if (end === -1) return json({ _tag: "MessageNotFoundError", message: "not found" }, 404)
        const messages = session.messages.slice(0, end)
        return json({
          data: shown(sessionOf(newSession(), { agent, directory, messages, model, permissions, title }))
        })
      }
      case "PUT /instructions/entries/:key":
      case "DELETE /instructions/entries/:key":
        return json(undefined, 204)
      case "POST /prompt":
        return prompted(session, body.text)
      case "POST /command":
        return prompted(session, body.text)
      case "POST /interrupt": {
        const { turn } = session
        turn?.interrupt("user")
        return json({ interrupted: turn !== undefined })
      }
      case "GET /message":
        return json({ data: [...session.messages].reverse(), cursor: {} })
      case "GET /permission":
        return json({ data: [...session.requests.values()].map(({ request }) => request) })
      case "GET /form":
        return json({ data: [] })
      case "POST /permission/:id/reply":
        return answered(session, rest.split("/")[2], body)
      case "DELETE /form/:id":
        return json({ _tag: "FormNotFoundError", message: "not found" }, 404)
      default:
        return page()
    }
  }

  /** What 2.x answers a route that it does not have with. */
  const page = () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } })

  const subscribe = (signal) => {
    let beat = undefined
    let own = undefined
    const leave = () => {
      clearInterval(beat)
      streams.delete(own)
    }
    const events = new ReadableStream({
      start: (stream) => {
        own = stream
        streams.add(stream)
        stream.enqueue(
          text.encode(`data: ${JSON.stringify({ id: id("evt"), type: "server.connected", data: {} })}\n\n`)
        )
        beat = setInterval(() => {
          if (streams.has(stream)) stream.enqueue(text.encode(": heartbeat\n\n"))
          else leave()
        }, heartbeat)
        beat.unref?.()
        signal.addEventListener("abort", () => {
          if (!streams.has(stream)) return
          leave()
          stream.error(signal.reason)
        })
      },
      cancel: leave
    })
    return new Response(events, { headers: { "content-type": "text/event-stream" } })
  }

  const isKnown = (request) =>
    password === undefined ||
    request.headers.get("authorization") === `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`

  const handle = async (request) => {
    if (!isKnown(request)) return new Response(null, { status: 401 })
    const { pathname, searchParams } = new URL(request.url)
    const sent = await request.text()
    const body = sent === "" ? {} : JSON.parse(sent)
    const { method } = request
    switch (`${method} ${pathname}`) {
      case "GET /api/info":
        return json({ version, pid: 0, urls: [], paths: {} })
      case "GET /api/agent":
        return json({ data: agents })
      case "GET /api/model":
        return json({
          data: models.map((model) => {
            const at = model.indexOf("/")
            return { providerID: model.slice(0, at), id: model.slice(at + 1) }
          })
        })
      // No document: the configuration names nothing.
      case "GET /api/config":
        return json([])
      case "GET /api/mcp":
        return json({ data: [] })
      case "GET /api/event":
        return subscribe(request.signal)
      case "POST /api/session": {
        const { agent, location, model, permissions = [], title } = body
        const session = sessionOf(newSession(), { agent, model, permissions, title, directory: location?.directory })
        return json({ data: shown(session) })
      }
      case "GET /api/session": {
        const directory = searchParams.get("directory")
        const found = [...sessions.values()].filter((session) => session.directory === directory)
        return json({ data: found.reverse().map(shown) })
      }
      case "GET /api/session/active":
        return json({
          data: Object.fromEntries(
            [...sessions.values()].flatMap(({ id, turn }) => turn === undefined ? [] : [[id, { type: "running" }]])
          )
        })
      case "POST /api/experimental/session/import":
        sessionOf(body.info.id, {
          directory: body.location?.directory,
          messages: [...body.messages],
          title: body.info.title
        })
        return json({ data: shown(sessions.get(body.info.id)) })
      default: {
        const [, sessionId, rest] = /^\/api\/(?:experimental\/)?session\/([^/]+)(.*)$/.exec(pathname) ?? []
        if (sessionId === undefined) return page()
        if (!sessionId.startsWith("ses_")) return json({ _tag: "InvalidRequestError", message: "not a session" }, 400)
        // As with 1.x, a session that a run names is one of an earlier process.
        return ofSession(sessions.get(sessionId) ?? sessionOf(sessionId, { model: usual }), method, rest, body)
      }
    }
  }

  return { handle, cut }
}
