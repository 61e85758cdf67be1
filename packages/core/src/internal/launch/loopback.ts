import * as Effect from "effect/Effect"
import * as HostEnvironment from "../../HostEnvironment.js"

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()])

const hosts = ["localhost", "127.0.0.1", "::1", "[::1]"]

const entries = (list: string | undefined): ReadonlyArray<string> =>
  (list ?? "").split(/[\s,]+/).filter((entry) => entry !== "")

const isSet = (value: string | undefined): boolean => value !== undefined && value !== ""

/**
 * The variables that keep requests to this machine from a proxy, which does not know its loopback address: scripted
 * providers, servers and tools are there. What the variables exclude already stays excluded.
 */
export const unproxied = (
  valueOf: (name: string) => Effect.Effect<string | undefined>
): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const given = yield* Effect.forEach(proxies, valueOf)
    if (!given.some(isSet)) return {}
    const excluded = [...entries(yield* valueOf("NO_PROXY")), ...entries(yield* valueOf("no_proxy"))]
    // Only alone it stands for everything.
    if (excluded.includes("*")) return { NO_PROXY: "*", no_proxy: "*" }
    const list = [...new Set([...excluded, ...hosts])].join(",")
    return { NO_PROXY: list, no_proxy: list }
  })

/**
 * Whether Node's own HTTP client would ask a proxy for 127.0.0.1 (Node 24, when it is told to look at the environment). The
 * program has decided that before it came here.
 */
export const isProxied: Effect.Effect<boolean> = Effect.map(HostEnvironment.facts, ({ variables }) => {
  const looks = isSet(variables["NODE_USE_ENV_PROXY"]) || /--use-env-proxy\b/.test(variables["NODE_OPTIONS"] ?? "")
  const excluded = [...entries(variables["no_proxy"]), ...entries(variables["NO_PROXY"])]
  return looks && (isSet(variables["http_proxy"]) || isSet(variables["HTTP_PROXY"])) &&
    !excluded.some((entry) => entry === "*" || entry === "127.0.0.1")
})
