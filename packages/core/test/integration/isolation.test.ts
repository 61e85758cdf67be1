import { describe, expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { announcing, asked, during, leader, processes, real, Reply, respond, run, steps } from "./support.js"

const dataOf = (environment: string) => /(?:^|\0)XDG_DATA_HOME=([^\0]*)/.exec(environment)?.[1]

describe("isolation", () => {
  real("keeps two concurrent runs apart", (box) =>
    Effect.gen(function*() {
      const both = yield* Deferred.make<void>()
      const data: Array<string | undefined> = []
      yield* respond((request) =>
        Effect.gen(function*() {
          if (request.index === 1) {
            for (const { environment, parent } of processes(box)) {
              if (parent === process.pid) data.push(dataOf(environment))
            }
            yield* Deferred.succeed(both, undefined)
          }
          yield* Deferred.await(both)
          return Reply.text(`answer to ${request.prompt}`)
        })
      )
      const [first, second] = yield* Effect.all([run("first"), run("second")], { concurrency: 2 })
      expect([first.text, second.text]).toEqual(["answer to first", "answer to second"])
      expect(first.sessionId).not.toBe(second.sessionId)
      expect(data.map((directory) => directory?.startsWith(box.tmp))).toEqual([true, true])
      expect(new Set(data).size).toBe(2)
      expect(fs.readdirSync(box.home)).not.toContain("opencode.db")
      for (const { messages, prompt } of yield* asked) {
        expect(messages.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual([prompt])
      }
    }))

  real("loses none of eight runs on one fresh data directory", () =>
    Effect.gen(function*() {
      yield* respond((request) => Reply.text(`answer to ${request.prompt}`))
      const prompts = Array.from({ length: 8 }, (_, index) => `prompt${index}`)
      const results = yield* Effect.forEach(prompts, (prompt) => run(prompt), { concurrency: "unbounded" })
      expect(results.map(({ text }) => text)).toEqual(prompts.map((prompt) => `answer to ${prompt}`))
      expect(new Set(results.map(({ sessionId }) => sessionId)).size).toBe(8)
    }), { client: (box) => ({ isolation: { directory: box.data } }) })

  real("continues a session in a kept directory", (box) =>
    Effect.gen(function*() {
      yield* respond((request) => Reply.text(`answer to ${request.prompt}`))
      const first = yield* run("My name is Ada")
      const second = yield* run("What is my name?", { sessionId: first.sessionId })
      const third = yield* run("And again?", { continueSession: true, fork: true })
      expect(second.sessionId).toBe(first.sessionId)
      expect(third.sessionId).not.toBe(first.sessionId)
      const conversation = ((yield* asked)[2]?.messages ?? []).filter(({ role }) => role !== "system")
      expect(conversation.map(({ role, text }) => `${role}: ${text}`)).toEqual([
        "user: My name is Ada",
        "assistant: answer to My name is Ada",
        "user: What is my name?",
        "assistant: answer to What is my name?",
        "user: And again?"
      ])
      expect(fs.existsSync(path.join(box.data, "opencode", "opencode.db"))).toBe(true)
    }), { client: (box) => ({ isolation: "none", defaults: { extraEnv: { XDG_DATA_HOME: box.data } } }) })

  real("uses the stored credentials", (box) =>
    Effect.gen(function*() {
      const stored = path.join(box.home, ".local", "share", "opencode", "auth.json")
      fs.mkdirSync(path.dirname(stored), { recursive: true })
      fs.writeFileSync(stored, JSON.stringify({ fake: { type: "api", key: "stored-key" } }))
      const { asked: arrived, respond: answer } = yield* announcing(Reply.never)
      yield* respond(answer)
      // The configuration must not contain a key, or it would win.
      const running = yield* Effect.fork(run("Who am I?", {
        configOverrides: { provider: { fake: { options: { apiKey: undefined } } } }
      }))
      yield* during(arrived, running)
      expect((yield* asked)[0]?.authorization).toBe("Bearer stored-key")
      expect(dataOf(leader(box).environment)?.startsWith(box.tmp)).toBe(true)
      yield* running.interruptAsFork(running.id())
      yield* running.await
    }), { respond: steps([]) })

  real("leaves nothing in BUN_TMPDIR", (box) =>
    Effect.gen(function*() {
      const directory = path.join(box.root, "bun")
      fs.mkdirSync(directory)
      process.env["BUN_TMPDIR"] = directory
      let unpacked: ReadonlyArray<string> = []
      yield* respond(() => {
        unpacked = fs.readdirSync(directory, { recursive: true }).map(String)
        return Reply.text("pong")
      })
      for (const extraEnv of [{ BUN_TMPDIR: "" }, {}]) {
        expect((yield* run("ping", { extraEnv })).text).toBe("pong")
        expect(fs.readdirSync(directory)).toEqual([])
      }
      yield* run("ping")
      // Otherwise the test would show nothing.
      expect(unpacked.some((name) => name.endsWith(".so"))).toBe(true)
    }))

  real("bypasses a proxy for requests to this machine", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const proxy = createServer((request, response) => {
        seen.push(`${request.method} ${request.url}`)
        response.writeHead(502).end()
      })
      yield* Effect.promise(() => new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve)))
      yield* Effect.addFinalizer(() => Effect.sync(() => proxy.close()))
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
      Object.assign(process.env, { HTTP_PROXY: url, http_proxy: url, NO_PROXY: "company.example" })
      delete process.env["no_proxy"]
      yield* respond(() => Reply.text("pong"))
      expect((yield* run("SECRET PROMPT")).text).toBe("pong")
      expect(seen.filter((request) => request.includes("127.0.0.1"))).toEqual([])
    }))

  real("has the logins of MCP servers and copies renewed ones back", (box) =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const server = createServer((request, response) => {
        const { authorization } = request.headers
        let body = ""
        request.on("data", (piece) => body += String(piece)).on("end", () => {
          asked.push(`${request.method} ${request.url} ${authorization ?? "-"}`)
          const json = (status: number, value: unknown, headers = {}) =>
            response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value))
          if (request.url?.startsWith("/.well-known/oauth-protected-resource") === true) {
            return json(200, { resource: `${address()}/mcp`, authorization_servers: [address()] })
          }
          if (request.url?.startsWith("/.well-known/") === true) {
            return json(200, {
              issuer: address(),
              authorization_endpoint: `${address()}/authorize`,
              token_endpoint: `${address()}/token`,
              response_types_supported: ["code"],
              code_challenge_methods_supported: ["S256"]
            })
          }
          if (request.url === "/token") {
            return json(200, { access_token: "renewed", refresh_token: "next", token_type: "Bearer", expires_in: 3600 })
          }
          if (authorization !== "Bearer renewed") {
            return json(401, {}, {
              "www-authenticate":
                `Bearer error="invalid_token", resource_metadata="${address()}/.well-known/oauth-protected-resource"`
            })
          }
          const { id, method, params } = JSON.parse(body || "{}") as { id?: number; method?: string; params?: any }
          if (id === undefined) return response.writeHead(202).end()
          return json(200, {
            jsonrpc: "2.0",
            id,
            result: method === "initialize"
              ? {
                protocolVersion: params.protocolVersion,
                capabilities: { tools: {} },
                serverInfo: { name: "crm", version: "1" }
              }
              : { tools: [{ name: "customers", inputSchema: { type: "object", properties: {} } }] }
          })
        })
      })
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const stored = path.join(box.home, ".local", "share", "opencode", "mcp-auth.json")
      fs.mkdirSync(path.dirname(stored), { recursive: true })
      fs.writeFileSync(
        stored,
        JSON.stringify({
          crm: {
            serverUrl: `${address()}/mcp`,
            clientInfo: { clientId: "client" },
            tokens: { accessToken: "old", refreshToken: "refresh", expiresAt: 1 }
          }
        })
      )
      let tools: ReadonlyArray<string> = []
      yield* respond((request) => {
        tools = request.tools
        return Reply.text("pong")
      })
      yield* run("ping", { mcp: { crm: { type: "remote", url: `${address()}/mcp`, enabled: true } } })
      expect(asked).toContain("POST /mcp Bearer old")
      expect(tools).toContain("crm_customers")
      expect(fs.readFileSync(stored, "utf8")).toContain("renewed")
    }))
})
