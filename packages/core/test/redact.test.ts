import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Redacted } from "effect"
import type { RunConfig } from "effect-opencode"
import * as redact from "../src/internal/redact.js"

const clean = redact.make([]).text

describe("redact", () => {
  describe("secretsOf", () => {
    it("finds what is Redacted, wherever it is", () => {
      const config: RunConfig.RunConfig = {
        password: Redacted.make("canary-password"),
        extraEnv: { HARMLESS_NAME: Redacted.make("canary-env"), PLAIN: "not-a-secret" },
        title: "not-a-secret"
      }
      expect([...redact.secretsOf(config)].sort()).toEqual(["canary-env", "canary-password"])
    })

    it("finds strings under a name that says so, at any depth", () => {
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
      expect([...redact.secretsOf(config)].sort()).toEqual(
        Array.from({ length: 10 }, (_, index) => `canary-${index + 1}`).sort()
      )
    })

    it("leaves out values so short that they would blank out ordinary words", () => {
      expect(redact.secretsOf({ apiKey: "x", token: "build", password: Redacted.make("") })).toEqual([])
    })

    it("puts the longest first, each once", () => {
      expect(redact.secretsOf({ a: { token: "abcdef" }, b: { token: "abcdefgh" }, c: { key: "abcdef" } }))
        .toEqual(["abcdefgh", "abcdef"])
    })
  })

  describe("make", () => {
    it("masks every occurrence of a known secret", () => {
      expect(redact.make(["canary"]).text("a canary, a canary")).toBe("a <redacted>, a <redacted>")
    })

    it("masks a secret that contains another one as a whole", () => {
      const secrets = redact.secretsOf({ token: "secret-long-tail", key: "secret-long" })
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

    const shapes: ReadonlyArray<readonly [string, string]> = [
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
        "user@example.com"
      ]
    ) {
      it(`leaves ordinary text alone: ${text}`, () => expect(clean(text)).toBe(text))
    }

    it.prop("no known secret is left, whatever surrounds it", {
      secret: fc.string({ minLength: 6 }).filter((text) => !"<redacted>".includes(text)),
      before: fc.string(),
      after: fc.string()
    }, ({ after, before, secret }) => {
      const text = `${before}${secret}${after}`
      const masked = redact.make(redact.secretsOf({ token: secret })).text
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

    it("masks nothing that only looks like a secret, and no number", () => {
      const secret = "1234567"
      const value = { text: `use ${secret} or sk-proj-abcdefghijklm`, timestamp: 1234567 }
      expect(redact.make([secret]).inside(value)).toEqual({
        text: "use <redacted> or sk-proj-abcdefghijklm",
        timestamp: 1234567
      })
    })

    it("hands on what holds none as it is", () => {
      const value = { a: "x", b: [{ c: 1 }] }
      expect(inside(value)).toBe(value)
      expect(redact.make([]).inside(value)).toBe(value)
    })
  })
})
