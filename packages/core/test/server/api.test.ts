import { assert, describe, expect, it } from "@effect/vitest"
import type { OpenCodeError } from "effect-opencode"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as NodeUtil from "node:util"
import * as apis from "../../src/internal/transport/server/api.js"
import { client, json } from "./support.js"
import type { Answer } from "./support.js"

const canary = "canary-password-91c2"

const make = (answer: Answer, more: Partial<apis.Options> = {}) => {
  const scripted = client(answer)
  return {
    sent: scripted.sent,
    api: apis.make({
      client: scripted.client,
      url: "http://127.0.0.1:4096",
      username: "opencode",
      password: Redacted.make(canary),
      redact: (text) => text.replaceAll(canary, "<redacted>"),
      ...more
    })
  }
}

const session = { id: "ses_1", title: "A title", directory: "/work space", novel: 1 }
const rule = { permission: "bash", pattern: "*", action: "deny" } as const
const message = (id: string) => ({ info: { id, sessionID: "ses_1", role: "user" }, parts: [] })
const query = "?directory=%2Fwork+space"

interface Case {
  readonly name: string
  readonly call: (api: apis.Api) => Effect.Effect<unknown, OpenCodeError.OpenCodeServerError>
  readonly sends: string
  readonly body?: unknown
  readonly reply: unknown
  readonly gives?: unknown
}

const cases: ReadonlyArray<Case> = [
  {
    name: "health",
    call: (api) => api.health,
    sends: "GET /global/health",
    reply: { healthy: true, version: "1.2.3" }
  },
  {
    name: "createSession",
    call: (api) => api.createSession({ directory: "/work space", title: "A title", permission: [rule] }),
    sends: `POST /session${query}`,
    body: { title: "A title", permission: [rule] },
    reply: session
  },
  { name: "getSession", call: (api) => api.getSession("ses_1/.."), sends: "GET /session/ses_1%2F..", reply: session },
  {
    name: "patchSession",
    call: (api) => api.patchSession("ses_1", { permission: [rule] }),
    sends: "PATCH /session/ses_1",
    body: { permission: [rule] },
    reply: session
  },
  {
    name: "sessions",
    call: (api) => api.sessions("/work space", 3),
    sends: `GET /session${query}&roots=true&limit=3`,
    reply: [session]
  },
  { name: "children", call: (api) => api.children("ses_1"), sends: "GET /session/ses_1/children", reply: [session] },
  {
    name: "fork",
    call: (api) => api.fork("ses_1"),
    sends: "POST /session/ses_1/fork",
    body: {},
    reply: session
  },
  {
    name: "fork before a message",
    call: (api) => api.fork("ses_1", "msg_1"),
    sends: "POST /session/ses_1/fork",
    body: { messageID: "msg_1" },
    reply: session
  },
  {
    name: "promptAsync",
    call: (api) =>
      api.promptAsync("ses_1", {
        parts: [{ type: "text", text: "größer" }],
        model: { providerID: "fake", modelID: "m1" },
        agent: "build",
        variant: undefined
      }),
    sends: "POST /session/ses_1/prompt_async",
    body: {
      parts: [{ type: "text", text: "größer" }],
      model: { providerID: "fake", modelID: "m1" },
      agent: "build"
    },
    reply: undefined,
    gives: undefined
  },
  { name: "abort", call: (api) => api.abort("ses_1"), sends: "POST /session/ses_1/abort", reply: true },
  {
    name: "status",
    call: (api) => api.status("/work space"),
    sends: `GET /session/status${query}`,
    reply: { ses_1: { type: "busy" } }
  },
  {
    name: "permissions",
    call: (api) => api.permissions("/work space"),
    sends: `GET /permission${query}`,
    reply: [{ id: "per_1", sessionID: "ses_1", permission: "bash", patterns: ["ls"], metadata: { command: "ls" } }]
  },
  {
    name: "replyPermission, once",
    call: (api) => api.replyPermission("/work space", "per_1", "once"),
    sends: `POST /permission/per_1/reply${query}`,
    body: { reply: "once" },
    reply: true,
    gives: true
  },
  {
    name: "replyPermission, rejected with a reason",
    call: (api) => api.replyPermission("/work space", "per_1", { reject: "not here" }),
    sends: `POST /permission/per_1/reply${query}`,
    body: { reply: "reject", message: "not here" },
    reply: true,
    gives: true
  },
  {
    name: "replyPermission, rejected",
    call: (api) => api.replyPermission("/work space", "per_1", { reject: undefined }),
    sends: `POST /permission/per_1/reply${query}`,
    body: { reply: "reject" },
    reply: true,
    gives: true
  },
  {
    name: "questions",
    call: (api) => api.questions("/work space"),
    sends: `GET /question${query}`,
    reply: [{ id: "que_1", sessionID: "ses_1", questions: [] }]
  },
  {
    name: "rejectQuestion",
    call: (api) => api.rejectQuestion("/work space", "que_1"),
    sends: `POST /question/que_1/reject${query}`,
    reply: true,
    gives: true
  },
  { name: "agents", call: (api) => api.agents("/work space"), sends: `GET /agent${query}`, reply: [{ name: "build" }] },
  {
    name: "models",
    call: (api) => api.models("/work space"),
    sends: `GET /config/providers${query}`,
    reply: { providers: [{ id: "fake", models: { m1: {}, m2: {} } }, { id: "other", models: { "a/b": {} } }] },
    gives: ["fake/m1", "fake/m2", "other/a/b"]
  },
  {
    name: "resolved",
    call: (api) => api.resolved("/work space"),
    sends: `GET /path${query}`,
    reply: { home: "/home", worktree: "/", directory: "/real/work space" },
    gives: "/real/work space"
  },
  { name: "dispose", call: (api) => api.dispose, sends: "POST /global/dispose", reply: true }
]

/** True for calls that read their reply. */
const reads = (reply: unknown) => typeof reply === "object"

describe("api", () => {
  for (const { body, call, gives, name, reply, sends } of cases) {
    describe(name, () => {
      it.effect("sends the expected request and returns the reply", () =>
        Effect.gen(function*() {
          const { api, sent } = make(() => reply === undefined ? new Response(null, { status: 204 }) : json(reply))
          const given = yield* call(api)
          assert.deepStrictEqual(given, gives ?? (reads(reply) ? reply : undefined))
          assert.deepStrictEqual(sent.map(({ method, url }) => `${method} ${url.pathname}${url.search}`), [sends])
          assert.deepStrictEqual(sent[0]!.body, body)
          assert.strictEqual(
            sent[0]!.headers["authorization"],
            `Basic ${Buffer.from(`opencode:${canary}`).toString("base64")}`
          )
          // No trace headers of ours, and no encoding that some clients cannot read.
          assert.isUndefined(sent[0]!.headers["traceparent"])
          assert.strictEqual(sent[0]!.headers["accept-encoding"], "identity")
        }).pipe(Effect.withSpan("around")))

      it.effect("masks a secret before the reason is cut", () =>
        Effect.gen(function*() {
          for (let inside = 0; inside <= canary.length; inside++) {
            const message = `${"x".repeat(500 - inside)}${canary}`
            const { api } = make(() => json({ name: "X", data: { message } }, { status: 400 }))
            const error = yield* Effect.flip(call(api))
            assert.notMatch(error.message, /cana/)
          }
        }))

      it.effect("fails when the server refuses", () =>
        Effect.gen(function*() {
          for (const status of [400, 401, 403, 409, 500, 503, 302]) {
            const { api } = make(() => json({ name: "X", data: { message: `no ${canary}` } }, { status }))
            const error = yield* Effect.flip(call(api))
            assert.strictEqual(
              error.reason,
              status === 401 ? "unauthorized" : status === 302 ? "unexpected-reply" : "refused"
            )
            assert.strictEqual(error.status, status)
            assert.strictEqual(error.url, "http://127.0.0.1:4096")
            assert.match(error.request!, /^[A-Z]+ \/[a-z_:/]+$/)
            if (error.reason === "refused") assert.strictEqual(error.detail, "no <redacted>")
          }
        }))

      if (reads(reply)) {
        it.effect("fails on an unexpected reply without quoting it", () =>
          Effect.gen(function*() {
            for (const text of ["", "<html>", "7", "null", "[7]", `{"apiKey":{"key":"${canary}"}}`]) {
              const { api } = make(() => new Response(text))
              const error = yield* Effect.flip(call(api))
              assert.strictEqual(error.reason, "unexpected-reply")
              assert.notInclude(error.message, canary)
            }
          }))
      }
    })
  }

  it.effect("distinguishes a request that no longer waits from a failure", () =>
    Effect.gen(function*() {
      const { api } = make(() => json({ _tag: "PermissionNotFoundError", message: "not found" }, { status: 404 }))
      assert.isFalse(yield* api.replyPermission("/w", "per_1", "once"))
      assert.isFalse(yield* api.rejectQuestion("/w", "que_1"))
      const error = yield* Effect.flip(api.getSession("ses_1"))
      expect(error).toMatchObject({ reason: "refused", status: 404, detail: "not found" })
    }))

  it.effect("sends no credentials when it has none", () =>
    Effect.gen(function*() {
      const { api, sent } = make(() => json({ version: "1" }), { password: undefined })
      yield* api.health
      assert.isUndefined(sent[0]!.headers["authorization"])
    }))

  it.effect("joins the pages of messages, oldest first", () =>
    Effect.gen(function*() {
      const pages: { readonly [before: string]: readonly [ReadonlyArray<string>, string | undefined] } = {
        "": [["msg_4", "msg_5"], "b"],
        b: [["msg_2", "msg_3"], "c"],
        c: [["msg_1"], undefined]
      }
      const { api, sent } = make(({ url }) => {
        const [ids, next] = pages[url.searchParams.get("before") ?? ""]!
        return json(ids.map(message), next === undefined ? {} : { headers: { "x-next-cursor": next } })
      }, { pageSize: 2 })
      const all = yield* api.messages("ses_1")
      assert.deepStrictEqual(all.map(({ info }) => info.id), ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"])
      assert.deepStrictEqual(sent.map(({ url }) => `${url.pathname}${url.search}`), [
        "/session/ses_1/message?limit=2",
        "/session/ses_1/message?limit=2&before=b",
        "/session/ses_1/message?limit=2&before=c"
      ])
    }))

  it.effect("stops at a page without messages", () =>
    Effect.gen(function*() {
      const { api, sent } = make(() => json([], { headers: { "x-next-cursor": "again" } }))
      assert.deepStrictEqual(yield* api.messages("ses_1"), [])
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("reports the innermost cause of a failed connection", () =>
    Effect.gen(function*() {
      const cause = new TypeError("fetch failed", { cause: new Error(`connect ECONNREFUSED ${canary}`) })
      const { api } = make(() => Effect.fail(cause))
      const error = yield* Effect.flip(api.abort("ses_1"))
      expect(error).toMatchObject({
        reason: "unreachable",
        request: "POST /session/:id/abort",
        detail: "connect ECONNREFUSED <redacted>"
      })
      expect(yield* Effect.flip(make(() => Effect.fail("odd")).api.health)).toMatchObject({ detail: "Transport" })
    }))

  it.effect("cancels a call without a reply after a time", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const { api, sent } = make(() => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
      const fiber = yield* Effect.fork(Effect.flip(api.health))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(Option.isNone(yield* fiber.poll))
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toMatchObject({ reason: "unreachable", detail: "no reply within 1m" })
      assert.isTrue(sent[0]!.signal.aborted)
    }))

  it.effect("cancels the call on interruption", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const { api, sent } = make(() => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
      const fiber = yield* Effect.fork(api.health)
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(sent[0]!.signal.aborted)
    }))

  it.effect("keeps the password and the body out of errors and spans", () => {
    const spans: Array<Tracer.Span> = []
    const ends: Array<string> = []
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const attributes = new Map<string, unknown>()
        const span: Tracer.Span = {
          _tag: "Span",
          name,
          parent,
          context,
          links: [...links],
          kind,
          attributes,
          status: { _tag: "Started", startTime },
          spanId: "1",
          traceId: "1",
          sampled: true,
          attribute: (key, value) => attributes.set(key, value),
          event: () => {},
          addLinks: () => {},
          end: (_time, exit) => {
            if (Exit.isFailure(exit)) ends.push(NodeUtil.inspect(exit.cause, { depth: 20 }))
          }
        }
        spans.push(span)
        return span
      },
      context: (f) => f()
    })
    return Effect.gen(function*() {
      const { api } = make(({ url }) =>
        url.pathname.includes("prompt") ? json({ message: canary }, { status: 500 }) : json({ version: 1, canary })
      )
      const errors = [
        yield* Effect.flip(api.promptAsync("ses_1", { parts: [{ type: "text", text: canary }] })),
        yield* Effect.flip(api.health),
        yield* Effect.flip(make(() => Effect.fail(new Error(canary))).api.health)
      ]
      for (const error of errors) ends.push(Cause.pretty(Cause.fail(error)), JSON.stringify(error), String(error))
      for (const text of ends) {
        assert.notInclude(text, canary)
        assert.notInclude(text, Buffer.from(`opencode:${canary}`).toString("base64"))
      }
      assert.strictEqual(ends.length, 11)
      assert.deepStrictEqual(new Set(spans.map(({ name }) => name)), new Set(["OpenCode.server.request"]))
      assert.deepStrictEqual(Object.fromEntries(spans[0]!.attributes), {
        "http.request.method": "POST",
        "http.route": "/session/:id/prompt_async"
      })
    }).pipe(Effect.withTracer(tracer))
  })

  describe("events", () => {
    it.effect("arrive unchanged; the connection is closed with the scope", () =>
      Effect.gen(function*() {
        const bytes = new TextEncoder().encode("data: 1\n\n")
        const { api, sent } = make(() =>
          new Response(
            new ReadableStream({
              start: (controller) => controller.enqueue(bytes)
            })
          )
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const stream = yield* api.events
          const first = yield* Stream.runHead(stream)
          assert.deepStrictEqual(Option.getOrNull(first), bytes)
          assert.isFalse(sent[0]!.signal.aborted)
        }))
        assert.strictEqual(sent[0]!.url.pathname, "/global/event")
        assert.isTrue(sent[0]!.signal.aborted)
      }))

    it.effect("fail when they are refused", () =>
      Effect.gen(function*() {
        const { api } = make(() => new Response(null, { status: 401 }))
        const error = yield* Effect.flip(Effect.scoped(api.events))
        expect(error).toMatchObject({ reason: "unauthorized", request: "GET /global/event", status: 401 })
      }))

    it.effect("fail when the connection breaks", () =>
      Effect.gen(function*() {
        const { api } = make(() =>
          new Response(
            new ReadableStream({
              start: (controller) =>
                controller.error(new TypeError("terminated", { cause: new Error("other side closed") }))
            })
          )
        )
        const error = yield* Effect.flip(Effect.scoped(Effect.flatMap(api.events, Stream.runDrain)))
        expect(error).toMatchObject({ reason: "unreachable", detail: "other side closed" })
      }))
  })
})
