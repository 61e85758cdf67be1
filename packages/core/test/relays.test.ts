import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as relays from "../src/internal/launch/relays.js"

const text = <A>(either: Either.Either<A, string>) =>
  Either.match(either, { onLeft: (reason) => reason, onRight: String })

const names = (either: Either.Either<ReadonlyArray<relays.Target>, string>) =>
  Either.match(either, {
    onLeft: (reason) => reason,
    onRight: (targets) => targets.map(({ host, port }) => `${host}:${port}`)
  })

describe("the hosts of a sandbox", () => {
  it("are read with a port or without", () => {
    assert.deepStrictEqual(relays.parse("Example.com"), Either.right({ host: "example.com", port: 443 }))
    assert.deepStrictEqual(relays.parse("example.com:8443"), Either.right({ host: "example.com", port: 8443 }))
    assert.deepStrictEqual(relays.parse("127.0.0.1:80"), Either.right({ host: "127.0.0.1", port: 80 }))
  })

  it("are refused if a relay could not stand for them", () => {
    for (
      const host of [
        "*.example.com",
        "https://example.com",
        "",
        "a b",
        "example.com:0",
        "example.com:99999",
        "-x",
        1,
        "[::2]:1"
      ]
    ) {
      assert.isTrue(Either.isLeft(relays.parse(host)), String(host))
    }
    assert.include(text(relays.parse("10.0.0.1:80")), "give it a name")
  })

  it.prop("never become another word of socat", { host: fc.string() }, ({ host }) => {
    Either.match(relays.parse(host), {
      onLeft: () => undefined,
      onRight: (target) => {
        const [one] = relays.plan([target], "/tmp/x")
        assert.match(one!.outside[1]!, /^TCP:[\w.-]+:\d+$/)
        assert.match(relays.hosts([target]), /^127\.0\.0\.1 localhost\n(127\.1\.0\.1 [\w.-]+\n)?$/)
      }
    })
  })

  it("have an address each, and one relay for each port", () => {
    const targets = relays.distinct([
      { host: "a.example", port: 443 },
      { host: "a.example", port: 80 },
      { host: "b.example", port: 443 },
      { host: "a.example", port: 443 },
      { host: "localhost", port: 3000 }
    ])
    assert.strictEqual(relays.hosts(targets), "127.0.0.1 localhost\n127.1.0.1 a.example\n127.1.0.2 b.example\n")
    assert.deepStrictEqual(relays.plan(targets, "/d").map(({ inside }) => inside[0]!.split(",").slice(0, 2).join()), [
      "TCP4-LISTEN:443,bind=127.1.0.1",
      "TCP4-LISTEN:80,bind=127.1.0.1",
      "TCP4-LISTEN:443,bind=127.1.0.2",
      "TCP4-LISTEN:3000,bind=127.0.0.1"
    ])
  })

  it("that a run needs are those of its provider and of its MCP servers", () => {
    assert.deepStrictEqual(
      names(relays.needed({
        model: "own/m",
        configOverrides: {
          provider: {
            own: { options: { baseURL: "http://127.0.0.1:8080/v1" } },
            other: { api: "https://o.example/v1" }
          },
          mcp: { a: { type: "remote", url: "https://mcp.example/sse" } }
        },
        mcp: { b: { type: "local", command: ["x"] }, c: { type: "remote", url: "http://c.example/" } }
      })),
      ["127.0.0.1:8080", "o.example:443", "c.example:80", "mcp.example:443"]
    )
    assert.deepStrictEqual(names(relays.needed({ configOverrides: { model: "mistral/x" } })), ["api.mistral.ai:443"])
  })

  it("are unknown without a model, for an unknown provider, and for an address of another machine", () => {
    assert.include(names(relays.needed({})), "no `model`")
    assert.include(names(relays.needed({ model: "nobody/x" })), "provider nobody are unknown")
    assert.include(
      names(
        relays.needed({
          model: "a/x",
          configOverrides: { provider: { a: { options: { baseURL: "http://10.1.1.1/" } } } }
        })
      ),
      "the `baseURL` of the provider a an address"
    )
  })
})
