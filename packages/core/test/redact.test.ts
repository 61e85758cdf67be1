import { describe, expect, it } from "@effect/vitest"
import type { RunConfig } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as redact from "../src/internal/opencode/redact.js"
import * as secretSearch from "../src/internal/opencode/secretSearch.js"

const clean = redact.make([]).text

describe("redact", () => {
  describe("secretsOf", () => {
    it("finds Redacted values anywhere", () => {
      const config: RunConfig.RunConfig = {
        password: Redacted.make("canary-password"),
        extraEnv: { HARMLESS_NAME: Redacted.make("canary-env"), PLAIN: "not-a-secret" },
        title: "not-a-secret"
      }
      expect([...secretSearch.secretsOf(config)].sort()).toEqual(["canary-env", "canary-password"])
    })

    it("takes no longer for a value of megabytes", () => {
      for (
        const text of ["x".repeat(2 ** 21), "://".repeat(2 ** 20), "a://".repeat(2 ** 19), "a://b:".repeat(2 ** 18)]
      ) {
        expect(secretSearch.secretsOf({ title: text })).toEqual([])
      }
      expect(secretSearch.secretsOf({ title: `${"x".repeat(2 ** 21)}://me:canary-password@db` })).toEqual([
        "canary-password"
      ])
    })

    it("masks a text of megabytes without delay", () => {
      for (const text of ["x-", "x", "eyJ", "sk-", "://a:", "password", "authorization:", "-----BEGIN "]) {
        const long = text.repeat(2 ** 19)
        expect(clean(`${long} Bearer canary-0123456789`)).not.toContain("canary")
      }
    })

    it("finds strings under a secret name, at any depth", () => {
      const config: RunConfig.RunConfig = {
        extraEnv: { OPENAI_API_KEY: "canary-1", MY_TOKEN: "canary-2", HOME: "/home/me" },
        configOverrides: {
          provider: {
            fake: {
              npm: "@ai-sdk/openai-compatible",
              options: {
                baseURL: "http://localhost",
                apiKey: "canary-3",
                headers: { "Authorization": "canary-4", "x-api-key": "canary-5", "Cookie": "canary-6" }
              }
            }
          },
          nested: [{ credentials: { user: "canary-7", list: ["canary-8"] } }]
        },
        mcp: { one: { environment: { DB_PASSWORD: "canary-9", CLIENT_SECRET: Redacted.make("canary-10") } } }
      }
      expect([...secretSearch.secretsOf(config)].sort()).toEqual(
        Array.from({ length: 10 }, (_, index) => `canary-${index + 1}`).sort()
      )
    })

    it("leaves out values so short that they would blank out ordinary words", () => {
      expect(secretSearch.secretsOf({ apiKey: "x", token: "build", password: Redacted.make("") })).toEqual([])
    })

    it("finds what is Redacted however short or common it is, unless it is blank", () => {
      expect(secretSearch.secretsOf({ a: Redacted.make("x"), b: Redacted.make("true"), c: Redacted.make(" \n") }))
        .toEqual(["true", "x"])
    })

    it.each([
      ["a reference's variable", { apiKey: "{env:ACME}" }, { ACME: "canary-12" }, ["canary-12"]],
      ["one inside a header", { headers: { "X-A": "Bearer {env:ACME}" } }, { ACME: "canary-12" }, ["canary-12"]],
      ["the token after a scheme", { Authorization: "Bearer canary-12" }, {}, ["Bearer canary-12", "canary-12"]],
      [
        "the password of Basic",
        { Authorization: `Basic ${btoa("me:canary-12")}` },
        {},
        [`Basic ${btoa("me:canary-12")}`, btoa("me:canary-12"), "canary-12"]
      ],
      ["the password of an address", { DATABASE_URL: "postgres://me:canary%2D12@host/db" }, {}, [
        "canary%2D12",
        "canary-12"
      ]],
      ["a token that stands for user and password", { PROXY: "http://0123456789abcdefghij@host" }, {}, [
        "0123456789abcdefghij"
      ]],
      ["no user's name", { REPO: "ssh://git@github.com/a/b" }, {}, []],
      ["each of several keys", { API_KEYS: "canary-1,canary-2" }, {}, ["canary-1,canary-2", "canary-1", "canary-2"]],
      ["a value without the blanks around it", { TOKEN: "canary-12\n" }, {}, ["canary-12\n", "canary-12"]],
      [
        "the fields of a variable in JSON",
        { CONFIG: "{\"client_email\":\"a@example.com\",\"token\":\"canary-1\"}" },
        {},
        [
          "canary-1"
        ]
      ],
      [
        "headers of any name except common ones",
        {
          headers: { "X-Acme": "canary-12", "content-type": "application/json", "User-Agent": "canary/1.0" }
        },
        {},
        ["canary-12"]
      ],
      ["a look-alike in an environment", { environment: { ACME: "canary-0123456789ab", LANG: "C.UTF-8" } }, {}, [
        "canary-0123456789ab"
      ]],
      [
        "nothing in the name of an agent",
        { agent: { "secret-finder": { model: "a/b-model", prompt: "find" } } },
        {},
        []
      ],
      ["nothing in rules", { permission: { read: { "*.key": "deny", "secrets/**": "allow" } } }, {}, []],
      ["nothing in keybinds and limits", { keybinds: { leader: "ctrl+x" }, limit: { max_tokens: "100000" } }, {}, []]
    ])("finds %s", (_, value, variables, expected) => {
      expect(secretSearch.secretsOf(value, variables)).toEqual(expected)
    })

    it("finds the keys and tokens of logins, but not their names", () => {
      expect([
        ...secretSearch.secretsOfLogins(JSON.stringify({
          anthropic: { type: "oauth", access: "canary-access", refresh: "canary-refresh", expires: 1_800_000_000 },
          openai: { type: "api", key: "canary-key" },
          acme: { type: "wellknown", key: "ACME_TOKEN", token: "canary-token" }
        })),
        ...secretSearch.secretsOfLogins(JSON.stringify({
          linear: {
            tokens: { accessToken: "canary-mcp-access", refreshToken: "canary-mcp-refresh", scope: "read write" },
            clientInfo: { clientId: "an-id-of-theirs", clientSecret: "canary-mcp-secret" },
            codeVerifier: "canary-mcp-verifier",
            serverUrl: "https://mcp.linear.app/mcp"
          }
        }))
      ].sort()).toEqual([
        "canary-access",
        "canary-key",
        "canary-mcp-access",
        "canary-mcp-refresh",
        "canary-mcp-secret",
        "canary-mcp-verifier",
        "canary-refresh",
        "canary-token"
      ])
      expect(secretSearch.secretsOfLogins("no json")).toEqual([])
    })

    it("leaves the words of the machine", () => {
      expect(secretSearch.secretsOfVariables({ USER: "jfkennedy", DB_PASSWORD: "jfkennedy", API_KEY: "canary-1" }))
        .toEqual(["canary-1"])
    })

    it("handles circular and deep values", () => {
      const circle: Record<string, unknown> = { token: "canary-1" }
      circle["self"] = circle
      expect(secretSearch.secretsOf(circle)).toEqual(["canary-1"])
      let deep: unknown = { token: "canary-1" }
      for (let level = 0; level < 20_000; level++) deep = level % 2 === 0 ? [deep] : { a: deep }
      expect(secretSearch.secretsOf(deep)).toEqual(["canary-1"])
    })

    it("puts the longest first, each once", () => {
      expect(secretSearch.secretsOf({ a: { token: "abcdef" }, b: { token: "abcdefgh" }, c: { key: "abcdef" } }))
        .toEqual(["abcdefgh", "abcdef"])
    })
  })

  describe("make", () => {
    it("masks every occurrence of a known secret", () => {
      expect(redact.make(["canary"]).text("a canary, a canary")).toBe("a <redacted>, a <redacted>")
    })

    it("masks a secret that contains another one as a whole", () => {
      const secrets = secretSearch.secretsOf({ token: "secret-long-tail", key: "secret-long" })
      expect(redact.make(secrets).text("secret-long-tail and secret-long")).toBe("<redacted> and <redacted>")
    })

    it("masks a secret inside a JSON string", () => {
      const secret = "pa\"ss\\word\n1"
      const line = JSON.stringify({ message: `wrong: ${secret}` })
      expect(redact.make([secret]).text(line)).toBe("{\"message\":\"wrong: <redacted>\"}")
      expect(redact.make([secret]).text(`wrong: ${secret}`)).toBe("wrong: <redacted>")
    })

    it("takes a secret literally", () => {
      expect(redact.make(["a.c+(d)$&"]).text("a.c+(d)$& abcc")).toBe("<redacted> abcc")
    })

    describe("masks a secret as", () => {
      const secret = "cä/nary+?'\"7\\x y&Z"
      const { known } = redact.make([secret])
      const ascii = JSON.stringify(secret).slice(1, -1).replaceAll("ä", "\\u00e4")
      const base64 = (text: string) => Buffer.from(text).toString("base64")
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["JSON", JSON.stringify({ secret })],
        ["JSON inside JSON", JSON.stringify({ body: JSON.stringify({ secret }) })],
        ["JSON in ASCII", `{"secret":"${ascii}"}`],
        ["JSON with escaped slashes", JSON.stringify({ secret }).replaceAll("/", "\\/")],
        ["a part of a URL", `https://host/?q=${encodeURIComponent(secret)}`],
        [
          "a part of a URL in lower case",
          `?q=${encodeURIComponent(secret).replaceAll(/%../g, (s) => s.toLowerCase())}`
        ],
        ["a field of a form", new URLSearchParams({ secret }).toString()],
        ["base64", base64(secret)],
        ["base64 for URLs", Buffer.from(secret).toString("base64url")]
      ]
      it.each(cases)("%s", (_, text) => {
        expect(known(`before ${text} after`)).toMatch(/^before .*<redacted>.* after$/)
      })

      it.each(["", "a", "ab", "abc", "abcd"])("the end of what Basic sends, after %j", (user) => {
        for (const after of ["", "!", "!!"]) {
          const sent = base64(`${user}:canary-0123456789${after}`)
          const masked = redact.make(["canary-0123456789"]).known(sent)
          expect(masked).toContain("<redacted>")
          expect(Buffer.from(masked.replace("<redacted>", ""), "base64").toString()).not.toContain("canary")
        }
      })
    })

    it("masks overlapping secrets as a whole", () => {
      const { known } = redact.make(["abcdef", "cdefgh"])
      expect(known("xabcdefghx abcdef cdefgh")).toBe("x<redacted>x <redacted> <redacted>")
    })

    it("does not mask a mask", () => {
      for (const secret of ["red", "redacted", "<redacted>", "e"]) {
        const { known } = redact.make([secret, "canary-1"])
        expect(known(known("x canary-1 x"))).toBe("x <redacted> x")
      }
      expect(clean(clean("https://user:canary-pass@host and password=canary-1"))).toBe(
        clean("https://user:canary-pass@host and password=canary-1")
      )
    })

    it("masks single lines of a secret with several lines", () => {
      const key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQ==\n-----END PRIVATE KEY-----\n"
      for (const secret of [key, Redacted.make(key), key.replaceAll("\n", "\\n")]) {
        const { known } = redact.make(secretSearch.secretsOf({ PRIVATE_KEY: secret }))
        expect(known("> MIIEvQIBADANBgkq")).toBe("> <redacted>")
        expect(known("hkiG9w0BAQ==")).toBe("<redacted>")
        expect(known(key.trim())).toBe("<redacted>")
      }
    })

    const shapes: ReadonlyArray<readonly [string, string]> = [
      ["set-cookie: session=canary; Path=/", "canary"],
      ["{\"x-api-key\":\"canary-value\"}", "canary"],
      ["{\"set-cookie\":[\"canary-value\"]}", "canary"],
      ["Cookie: a=canary", "canary"],
      ["Authorization: canary-value", "canary"],
      ["Authorization: Basic Y2FuYXJ5OmNhbmFyeQ", "Y2FuYXJ5"],
      ["refresh_token=canary-value", "canary"],
      ["Authorization: Bearer eyJhbGciOi.JIUzI1NiJ9-canary", "canary"],
      ["authorization: basic dXNlcjpjYW5hcnk=", "dXNlcjpjYW5hcnk"],
      ["Incorrect API key provided: sk-proj-canary1234567890", "canary"],
      ["key sk-ant-api03-canary_1234567890 is wrong", "canary"],
      ["remote: ghp_canary1234567890abcdef", "canary"],
      ["https://user:canary-pass@example.com/path", "canary"],
      ["redis://:canary-pass@example.com/0", "canary"],
      ["{\"apiKey\":\"canary-value\"}", "canary"],
      ["api_key=canary-value next", "canary"],
      ["access_token: canary-value", "canary"],
      ["PASSWORD='canary-value'", "canary"]
    ]

    for (const [text, secret] of shapes) {
      it(`masks what looks like a secret: ${text}`, () => {
        expect(clean(text)).not.toContain(secret)
        expect(clean(text)).toContain("<redacted>")
      })
    }

    it("keeps the words around a secret", () => {
      expect(clean("https://user:canary-pass@example.com/path")).toBe("https://<redacted>@example.com/path")
      expect(clean("key sk-ant-api03-canary_1234567890 is wrong")).toBe("key <redacted> is wrong")
    })

    for (
      const text of [
        "Error: Session not found",
        "http://localhost:4096/path",
        "ask-me-anything and risk-taking",
        "tokens: 120, secret: no",
        "Basic usage: opencode run",
        "Basic configuration and bearer authentication",
        "ctrl+x is a key, MAX_TOKENS: 120000",
        "user@example.com"
      ]
    ) {
      it(`leaves ordinary text alone: ${text}`, () => expect(clean(text)).toBe(text))
    }

    it.prop("leaves no known secret in any text", {
      secret: fc.string({ minLength: 6 }).filter((text) => !"<redacted>".includes(text)),
      before: fc.string(),
      after: fc.string()
    }, ({ after, before, secret }) => {
      const text = `${before}${secret}${after}`
      const masked = redact.make(secretSearch.secretsOf({ token: secret })).text
      const left = (text: string, secret: string) => masked(text).split("<redacted>").filter((s) => s.includes(secret))
      expect(left(text, secret)).toEqual([])
      expect(left(JSON.stringify(text), JSON.stringify(secret).slice(1, -1))).toEqual([])
    })
  })

  describe("inside", () => {
    const inside = redact.make(["ca\"nary"]).inside

    it("masks known secrets in every text of a value", () => {
      expect(inside({ a: "x ca\"nary", b: [{ c: "ca\"nary" }, 5], d: JSON.stringify({ e: "ca\"nary" }), f: null }))
        .toEqual({ a: "x <redacted>", b: [{ c: "<redacted>" }, 5], d: "{\"e\":\"<redacted>\"}", f: null })
    })

    it("masks neither look-alikes nor numbers", () => {
      const secret = "1234567"
      const value = { text: `use ${secret} or sk-proj-abcdefghijklm`, timestamp: 1234567 }
      expect(redact.make([secret]).inside(value)).toEqual({
        text: "use <redacted> or sk-proj-abcdefghijklm",
        timestamp: 1234567
      })
    })

    it("masks keys without losing a value", () => {
      expect(inside({ "ca\"nary": 1, "<redacted>": 2, other: { "a ca\"nary": "x" } })).toEqual({
        "<redacted>": 1,
        "<redacted> 2": 2,
        other: { "a <redacted>": "x" }
      })
    })

    it("masks secret headers with any value", () => {
      expect(inside({ headers: { "Set-Cookie": ["a=b"], "x-api-key": "k", accept: "x" }, cookie: "butter" })).toEqual({
        headers: { "Set-Cookie": ["<redacted>"], "x-api-key": "<redacted>", accept: "x" },
        cookie: "butter"
      })
    })

    it("reaches any depth and keeps a Redacted", () => {
      const secret = Redacted.make("ca\"nary")
      let deep: unknown = ["ca\"nary", secret]
      for (let level = 0; level < 20_000; level++) deep = level % 2 === 0 ? [deep] : { a: deep }
      let found: unknown = inside(deep)
      while (Array.isArray(found) ? found.length === 1 : typeof found === "object") {
        found = Object.values(found as object)[0]
      }
      expect(found).toEqual(["<redacted>", secret])
    })

    it("returns a value without secrets unchanged", () => {
      const value = { a: "x", b: [{ c: 1 }] }
      expect(inside(value)).toBe(value)
      expect(redact.make([]).inside(value)).toBe(value)
    })
  })

  describe("line", () => {
    const { line } = redact.make(["canary-1"])

    it("keeps JSON valid, and an unaffected line unchanged", () => {
      expect(line("{ \"a\": 1 }")).toBe("{ \"a\": 1 }")
      expect(JSON.parse(line("{\"canary-1\":\"say \\\"canary-1\\\"\",\"api_key\":\"0123456789\"}"))).toEqual({
        "<redacted>": "say \"<redacted>\"",
        api_key: "<redacted>"
      })
      expect(line("no json, canary-1")).toBe("no json, <redacted>")
    })

    it("keeps only the harmless headers of an error", () => {
      const error = {
        name: "APIError",
        data: { responseHeaders: { "set-cookie": "a", "retry-after": "1", "x-odd": "b" } }
      }
      expect(JSON.parse(line(JSON.stringify({ type: "error", error })))).toEqual({
        type: "error",
        error: { name: "APIError", data: { responseHeaders: { "retry-after": "1" } } }
      })
    })

    it("masks a line too deep to serialise", () => {
      const deep = (inner: string) => `${"[".repeat(20_000)}${inner}${"]".repeat(20_000)}`
      expect(line(deep("\"canary-1\""))).toBe(deep("\"<redacted>\""))
    })

    it("masks an unknown private key up to its end", () => {
      const next = redact.make([]).lines()
      expect(["a", "-----BEGIN RSA PRIVATE KEY-----", "MIIE", "x==", "-----END RSA PRIVATE KEY-----", "b"].map(next))
        .toEqual(["a", "<redacted>", "<redacted>", "<redacted>", "<redacted>", "b"])
    })
  })
})
