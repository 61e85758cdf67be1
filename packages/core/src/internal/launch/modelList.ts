import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RunConfig } from "../../RunConfig.js"
import * as configContent from "../opencode/configContent.js"
import * as fairSemaphore from "../util/fairSemaphore.js"
import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"

/** The part of OpenCode's model list that a run can need. */
export interface Wanted {
  readonly provider: string
  readonly model: string
  /** The providers whose models are needed. */
  readonly providers: ReadonlyArray<string>
  /** How completely the run's own configuration describes the model. */
  readonly described: "completely" | "partly" | "not"
}

const field = (u: unknown, name: string): unknown => isObject(u) && Object.hasOwn(u, name) ? u[name] : undefined

const fields = (u: unknown): ReadonlyArray<unknown> => isObject(u) ? Object.values(u) : []

const sorted = (names: Iterable<string>): ReadonlyArray<string> => [...new Set(names)].sort()

/** Models that need no credentials. */
const free = "opencode"

const parse = (model: string): readonly [provider: string, model: string] => {
  const at = model.indexOf("/")
  return [model.slice(0, at), model.slice(at + 1)]
}

/** OpenCode substitutes `{env:…}` and `{file:…}`. */
const isPlain = (model: string): boolean => model.includes("/") && !model.includes("{")

/**
 * The part of the list that a run with the fast profile needs; `undefined` for the whole list. Only `model` reliably
 * decides which model answers (1.18.33): an agent in a config file can name another, and a command uses its own.
 */
export const wanted = (config: RunConfig): Wanted | undefined => {
  const { attach, command, extraArgs = [], startupProfile } = config
  if (startupProfile !== "fast" || config.model === undefined || attach !== undefined || command !== undefined) {
    return undefined
  }
  if (extraArgs.some((arg) => /^--(command|attach|model)\b|^-m/.test(arg))) return undefined
  const content = configContent.configContent(config)
  const named = [
    config.model,
    field(content, "model"),
    field(content, "small_model"),
    ...["agent", "mode", "command"].flatMap((kind) =>
      fields(field(content, kind)).map((entry) => field(entry, "model"))
    )
  ].filter((name) => typeof name === "string")
  if (!named.every(isPlain)) return undefined
  const [provider, model] = parse(config.model)
  const own = field(content, "provider")
  const entry = field(own, provider)
  const description = field(field(entry, "models"), model)
  return {
    provider,
    model,
    providers: sorted([...named.map((name) => parse(name)[0]), ...Object.keys(isObject(own) ? own : {})]),
    described: description === undefined
      ? "not"
      : field(entry, "npm") !== undefined && isObject(field(description, "cost")) &&
          isObject(field(description, "limit"))
      ? "completely"
      : "partly"
  }
}

/** A provider of the list, and the variables that can hold its key. */
export interface Provider {
  readonly name: string
  readonly variables: ReadonlyArray<string>
}

export const providers = (list: WireObject | undefined): ReadonlyArray<Provider> =>
  Object.entries(list ?? {}).map(([name, entry]) => {
    const variables = field(entry, "env")
    return { name, variables: Array.isArray(variables) ? variables.filter((one) => typeof one === "string") : [] }
  })

/** Adds the providers that OpenCode has credentials for, because an agent in a config file can name any of them. */
export const withUsable = (
  wanted: Wanted,
  providers: ReadonlyArray<Provider>,
  credentials: { readonly stored: ReadonlyArray<string>; readonly variables: ReadonlySet<string> }
): Wanted => ({
  ...wanted,
  providers: sorted([
    ...wanted.providers,
    ...credentials.stored,
    ...providers.flatMap(({ name, variables }) =>
      name === free || variables.some((variable) => credentials.variables.has(variable)) ? [name] : []
    )
  ])
})

/**
 * Reduces the list to the models of the wanted providers; `undefined` if the list lacks the model. The other providers
 * stay, without models, because a stored login for a missing provider makes OpenCode's start fail (1.18.33).
 */
export const narrow = (list: WireObject | undefined, wanted: Wanted): WireObject | undefined => {
  if (list === undefined) {
    return wanted.described === "completely" && wanted.providers.length === 1 ? {} : undefined
  }
  const known = field(field(field(list, wanted.provider), "models"), wanted.model)
  if (known === undefined && wanted.described === "not") return undefined
  return Object.fromEntries(
    Object.entries(list).map(([name, provider]) => [
      name,
      isObject(provider) && !wanted.providers.includes(name) ? { ...provider, models: {} } : provider
    ])
  )
}

export interface Credentials {
  /** The providers with a stored login. */
  readonly stored: ReadonlyArray<string>
  /** The variables that the process receives. */
  readonly given: { readonly [name: string]: string }
  /** Returns true if the process inherits a variable; called once per variable of the list. */
  readonly inherits: (variable: string) => Effect.Effect<boolean>
}

/** Narrowed lists, as JSON. */
export interface ModelList {
  /** Reads the wanted or usable part of the list in this file, which may be missing. */
  readonly read: (file: string, wanted: Wanted, credentials: Credentials) => Effect.Effect<string | undefined>
}

/** Parses a JSON object. */
export const decode = (text: string): WireObject | undefined => {
  try {
    const list: unknown = JSON.parse(text)
    return isObject(list) ? list : undefined
  } catch {
    return undefined
  }
}

/** What was read from a file, valid until it changes. */
interface Known {
  readonly stamp: string
  readonly providers: ReadonlyArray<Provider>
  readonly inherited: ReadonlyArray<string>
  readonly narrowed: Map<string, string | undefined>
}

/** Reads the list (5 MB) once per set of wanted providers, and again when the file has changed. */
export const make = (fileSystem: FileSystem.FileSystem): Effect.Effect<ModelList> =>
  Effect.map(fairSemaphore.make(1), (turn) => {
    let known: Known | undefined
    return {
      read: (file, wanted, { given, inherits, stored }) =>
        Effect.scoped(Effect.gen(function*() {
          yield* turn.enter
          const info = yield* Effect.option(fileSystem.stat(file))
          const stamp = JSON.stringify([
            file,
            Option.map(info, ({ size }) => String(size)),
            Option.flatMap(info, ({ mtime }) => mtime)
          ])
          const load = Option.isNone(info)
            ? Effect.succeed(undefined)
            : fileSystem.readFileString(file).pipe(Effect.map(decode), Effect.orElseSucceed(() => undefined))
          let list: WireObject | undefined
          if (known?.stamp !== stamp) {
            list = yield* load
            const all = providers(list)
            const inherited = yield* Effect.filter(sorted(all.flatMap(({ variables }) => variables)), inherits)
            known = { stamp, providers: all, inherited, narrowed: new Map() }
          }
          const { inherited, narrowed, providers: all } = known
          const variables = new Set([...inherited, ...Object.keys(given)])
          const whole = withUsable(wanted, all, { stored, variables })
          const key = JSON.stringify(whole)
          if (narrowed.has(key)) return narrowed.get(key)
          const part = narrow(list ?? (yield* load), whole)
          const text = part === undefined ? undefined : JSON.stringify(part)
          narrowed.set(key, text)
          return text
        }))
    }
  })
