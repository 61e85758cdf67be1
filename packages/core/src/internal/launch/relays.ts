/**
 * The ways out of a sandbox with a network of its own. Each allowed host has an address of the loopback interface there,
 * on which a relay listens, and a name for it in `/etc/hosts`. The relay passes connections through a socket in the run's
 * directory to a relay outside, which connects to that host and no other. So every program can use them, with its own
 * encryption, and none needs to know a proxy.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { RunConfig } from "../../RunConfig.js"
import type { Companion, Mount } from "../process/bubblewrap.js"
import * as orphans from "../process/orphans.js"
import * as spawn from "../process/spawn.js"
import { isObject } from "../util/object.js"
import * as systemError from "../util/systemError.js"
import type { Launcher } from "./launcher.js"

/** A host and a port. */
export interface Target {
  readonly host: string
  readonly port: number
}

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"])

/** A host of the network, as `host` or `host:port`. */
export const parse = (text: unknown): Either.Either<Target, string> => {
  const match = typeof text === "string"
    ? /^(localhost|127\.0\.0\.1|(?=.{1,253}(?::|$))[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*)(?::(\d{1,5}))?$/i
      .exec(text)
    : null
  if (match === null) return Either.left("must be a name of a host, or a name and a port, without a wildcard")
  const [host, port] = [match[1]!.toLowerCase(), match[2] === undefined ? 443 : Number(match[2])]
  if (port < 1 || port > 65535) return Either.left("the port must be from 1 to 65535")
  if (/^[\d.]+$/.test(host) && !loopback.has(host)) {
    return Either.left("an address of another machine cannot be reached from a sandbox; give it a name in /etc/hosts")
  }
  return Either.right({ host, port })
}

/** The target of an address of OpenCode's configuration. */
const ofUrl = (url: unknown): Either.Either<Target, string> => {
  if (typeof url !== "string" || !URL.canParse(url)) return Either.left("is not an address")
  const { hostname, port, protocol } = new URL(url)
  return parse(`${hostname}:${port === "" ? (protocol === "http:" ? 80 : 443) : port}`)
}

/** Where the providers are that have no `baseURL` (1.18.33). */
const wellKnown: { readonly [provider: string]: ReadonlyArray<string> } = {
  anthropic: ["api.anthropic.com", "console.anthropic.com"],
  openai: ["api.openai.com", "auth.openai.com", "chatgpt.com"],
  google: ["generativelanguage.googleapis.com"],
  opencode: ["opencode.ai"],
  openrouter: ["openrouter.ai"],
  groq: ["api.groq.com"],
  mistral: ["api.mistral.ai"],
  deepseek: ["api.deepseek.com"],
  xai: ["api.x.ai"],
  "github-copilot": ["api.githubcopilot.com", "api.individual.githubcopilot.com", "api.github.com"],
  cerebras: ["api.cerebras.ai"],
  togetherai: ["api.together.xyz"],
  perplexity: ["api.perplexity.ai"]
}

const below = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((here, key) => isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined, value)

const entries = (value: unknown): ReadonlyArray<readonly [string, unknown]> =>
  isObject(value) ? Object.entries(value) : []

/**
 * The hosts that a configuration needs, or why that cannot be said. Only what the program itself sets counts: a project
 * could name any host in its `opencode.json`.
 */
export const needed = (config: RunConfig): Either.Either<ReadonlyArray<Target>, string> =>
  Either.gen(function*() {
    const { configOverrides, model } = config
    const named = typeof model === "string" ? model : below(configOverrides, "model")
    const provider = typeof named === "string" ? named.split("/")[0]! : undefined
    const providers = entries(below(configOverrides, "provider")).flatMap(([name, settings]) => {
      const url = below(settings, "options", "baseURL") ?? below(settings, "api")
      return url === undefined ? [] : [{ name, what: `the \`baseURL\` of the provider ${name}`, url }]
    })
    const servers = [...entries(config.mcp), ...entries(below(configOverrides, "mcp"))].flatMap(([name, settings]) => {
      const url = below(settings, "url")
      return url === undefined ? [] : [{ what: `the \`url\` of the MCP server ${name}`, url }]
    })
    const targets = yield* Either.all(
      [...providers, ...servers].map(({ url, what }) => Either.mapLeft(ofUrl(url), (reason) => `${what} ${reason}`))
    )
    if (provider === undefined) {
      return yield* Either.left("the run has no `model`, so its provider is unknown; set one, or allow its hosts")
    }
    if (providers.some(({ name }) => name === provider)) return targets
    if (!Object.hasOwn(wellKnown, provider)) {
      return yield* Either.left(
        `the hosts of the provider ${provider} are unknown; allow them, or set its \`baseURL\` in \`configOverrides\``
      )
    }
    return [...targets, ...wellKnown[provider]!.map((host) => ({ host, port: 443 }))]
  })

/** One relay for each host and port, in this order. */
export const distinct = (
  targets: ReadonlyArray<Target>
): ReadonlyArray<Target> => [...new Map(targets.map((target) => [`${target.host}:${target.port}`, target])).values()]

/** The address that a host has inside. */
const addresses = (targets: ReadonlyArray<Target>): ReadonlyMap<string, string> => {
  const names = [...new Set(targets.map(({ host }) => host))].filter((host) => !loopback.has(host))
  return new Map(names.map((host, index) => [host, `127.1.${Math.floor(index / 250)}.${1 + index % 250}`]))
}

/** The names of hosts inside. */
export const hosts = (targets: ReadonlyArray<Target>): string =>
  ["127.0.0.1 localhost", ...[...addresses(targets)].map(([host, address]) => `${address} ${host}`), ""].join("\n")

/** The relays inside and outside, as arguments of socat. */
export const plan = (
  targets: ReadonlyArray<Target>,
  directory: string
): ReadonlyArray<{ readonly inside: ReadonlyArray<string>; readonly outside: ReadonlyArray<string> }> => {
  const known = addresses(targets)
  return targets.map(({ host, port }, index) => {
    const socket = `${directory}/${index}`
    return {
      inside: [
        `TCP4-LISTEN:${port},bind=${known.get(host) ?? "127.0.0.1"},fork,reuseaddr,backlog=128`,
        `UNIX-CONNECT:${socket}`
      ],
      outside: [`UNIX-LISTEN:${socket},fork,mode=600,backlog=128`, `TCP:${host}:${port}`]
    }
  })
}

/** In bytes (sun_path of unix(7)); the directory has no other characters than those of a temporary one. */
const maxSocket = 100

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()])

type Services = Pick<Launcher, "executor" | "fileSystem" | "forceKillAfter" | "leash" | "path" | "table">

const refused = (reason: string) => new OpenCodeConfigError({ path: "sandbox.network", reason })

/** Starts the relays outside, which end with the scope, and returns those inside. */
export const make = (client: Services, options: {
  readonly socat: string
  /** `undefined` for none but the needed ones. */
  readonly allow: ReadonlyArray<string> | undefined
  readonly config: RunConfig
  readonly valueOf: (name: string) => Effect.Effect<string | undefined>
  /** The variables of the process, whose marks the relays carry. */
  readonly env: { readonly [name: string]: string }
  /** A private directory, which the sandbox does not see. */
  readonly directory: string
}): Effect.Effect<
  { readonly mounts: ReadonlyArray<Mount>; readonly companions: ReadonlyArray<Companion> },
  OpenCodeConfigError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const { fileSystem, path } = client
    for (const name of proxies) {
      if (((yield* options.valueOf(name)) ?? "") !== "") {
        return yield* refused(`${name} is set, and through a proxy every host could be reached; unset it, or use "all"`)
      }
    }
    // A caller who names hosts may have named those of the provider as well.
    const required = yield* Either.match(needed(options.config), {
      onLeft: (reason) => options.allow === undefined ? refused(reason) : Effect.succeed([]),
      onRight: Effect.succeed
    })
    const allowed = yield* Either.match(Either.all((options.allow ?? []).map(parse)), {
      onLeft: refused,
      onRight: Effect.succeed
    })
    const targets = distinct([...required, ...allowed])
    const directory = path.join(options.directory, "network")
    const file = path.join(directory, "hosts")
    yield* fileSystem.makeDirectory(directory).pipe(
      Effect.andThen(fileSystem.writeFileString(file, hosts(targets))),
      Effect.mapError((error) => refused(systemError.describe(error)))
    )
    if (`${directory}/${targets.length}`.length > maxSocket) {
      return yield* refused(
        `the path of the temporary directory ${options.directory} is too long; set TMPDIR to a shorter one`
      )
    }
    // The mark of the program alone, with which a relay ends if the program is killed; otherwise it ends with the scope.
    const env = Object.fromEntries(Object.entries(options.env).filter(([name]) => name === orphans.variable))
    const companions = yield* Effect.forEach(plan(targets, directory), ({ inside, outside }) =>
      Effect.as(
        spawn.start(client.executor, client.table, {
          binary: options.socat,
          cwd: options.directory,
          invocation: { args: outside, env, stdin: "" },
          extendEnv: false,
          marker: `effect-opencode relay ${directory}`,
          forceKillAfter: client.forceKillAfter
        }),
        [options.socat, ...inside] as const
      )).pipe(Effect.mapError((error) => refused(error.message)))
    return {
      mounts: [
        { _tag: "Read" as const, path: "/etc/hosts", source: file },
        { _tag: "Read" as const, path: yield* Effect.orElseSucceed(fileSystem.realPath(directory), () => directory) }
      ],
      companions
    }
  })
