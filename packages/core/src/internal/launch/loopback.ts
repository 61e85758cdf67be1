import * as Effect from "effect/Effect"
import * as HostEnvironment from "../../HostEnvironment.js"

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()])

const hosts = ["localhost", "127.0.0.1", "::1", "[::1]"]

const entries = (list: string | undefined): ReadonlyArray<string> =>
  (list ?? "").split(/[\s,]+/).filter((entry) => entry !== "")

const isSet = (value: string | undefined): boolean => value !== undefined && value !== ""

/**
 * Returns variables that keep requests to loopback addresses away from a proxy, which cannot reach them: scripted
 * providers, servers and tools listen there. Existing exclusions are kept.
 */
export const unproxied = (
  valueOf: (name: string) => Effect.Effect<string | undefined>
): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const given = yield* Effect.forEach(proxies, valueOf)
    if (!given.some(isSet)) return {}
    const excluded = [...entries(yield* valueOf("NO_PROXY")), ...entries(yield* valueOf("no_proxy"))]
    // `*` matches everything only if it is the whole value.
    if (excluded.includes("*")) return { NO_PROXY: "*", no_proxy: "*" }
    const list = [...new Set([...excluded, ...hosts])].join(",")
    return { NO_PROXY: list, no_proxy: list }
  })

/**
 * True if Node's own HTTP client would use a proxy for 127.0.0.1 (Node 24, if configured to read the environment). This
 * is fixed when the program starts.
 */
export const isProxied: Effect.Effect<boolean> = Effect.map(HostEnvironment.facts, ({ variables }) => {
  const looks = isSet(variables["NODE_USE_ENV_PROXY"]) || /--use-env-proxy\b/.test(variables["NODE_OPTIONS"] ?? "")
  const excluded = [...entries(variables["no_proxy"]), ...entries(variables["NO_PROXY"])]
  return looks && (isSet(variables["http_proxy"]) || isSet(variables["HTTP_PROXY"])) &&
    !excluded.some((entry) => entry === "*" || entry === "127.0.0.1")
})

/** Warns if requests to servers on this machine would go to a proxy. */
export const warn: Effect.Effect<void> = Effect.flatMap(isProxied, (isProxied) =>
  isProxied
    ? Effect.logWarning(
      "Node would send requests for 127.0.0.1, where the servers are, to the proxy: add 127.0.0.1 to NO_PROXY before the program starts"
    )
    : Effect.void)
