import * as Effect from "effect/Effect"

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()])

const hosts = ["localhost", "127.0.0.1", "::1", "[::1]"]

const entries = (list: string | undefined): ReadonlyArray<string> =>
  (list ?? "").split(/[\s,]+/).filter((entry) => entry !== "")

/**
 * The variables that keep requests to this machine from a proxy, which does not know its loopback address: scripted
 * providers, servers and tools are there. What the variables exclude already stays excluded.
 */
export const unproxied = (
  valueOf: (name: string) => Effect.Effect<string | undefined>
): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const given = yield* Effect.forEach(proxies, valueOf)
    if (!given.some((value) => value !== undefined && value !== "")) return {}
    const excluded = [...entries(yield* valueOf("NO_PROXY")), ...entries(yield* valueOf("no_proxy"))]
    // Only alone it stands for everything.
    if (excluded.includes("*")) return { NO_PROXY: "*", no_proxy: "*" }
    const list = [...new Set([...excluded, ...hosts])].join(",")
    return { NO_PROXY: list, no_proxy: list }
  })
