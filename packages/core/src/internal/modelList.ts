import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RunConfig } from "../RunConfig.js"
import * as merge from "./merge.js"
import * as turnstile from "./turnstile.js"
import { isObject } from "./wire.js"
import type { WireObject } from "./wire.js"

/** What of OpenCode's list of models a run can need. */
export interface Wanted {
  readonly provider: string
  readonly model: string
  /** All providers that the run's own configuration speaks of. */
  readonly providers: ReadonlyArray<string>
  /** How far that configuration describes the model itself. */
  readonly described: "completely" | "partly" | "not"
}

const field = (u: unknown, name: string): unknown => isObject(u) && Object.hasOwn(u, name) ? u[name] : undefined

const fields = (u: unknown): ReadonlyArray<unknown> => isObject(u) ? Object.values(u) : []

const parse = (model: string): readonly [provider: string, model: string] => {
  const at = model.indexOf("/")
  return [model.slice(0, at), model.slice(at + 1)]
}

/**
 * What a run with the fast profile needs of the list; `undefined` where it is to have all of it. Only `model` is sure to
 * decide which model answers (1.18.33): an agent of a config file can name another one, a command takes its own.
 */
export const wanted = (config: RunConfig): Wanted | undefined => {
  const { attach, command, startupProfile } = config
  if (startupProfile !== "fast" || config.model === undefined || attach !== undefined || command !== undefined) {
    return undefined
  }
  const [provider, model] = parse(config.model)
  const content = merge.configContent(config)
  const named = [
    field(content, "model"),
    field(content, "small_model"),
    ...["agent", "mode", "command"].flatMap((kind) =>
      fields(field(content, kind)).map((entry) => field(entry, "model"))
    )
  ].filter((name) => typeof name === "string")
  const own = field(content, "provider")
  const entry = field(own, provider)
  const description = field(field(entry, "models"), model)
  return {
    provider,
    model,
    providers: [
      ...new Set([provider, ...named.map((name) => parse(name)[0]), ...Object.keys(isObject(own) ? own : {})])
    ]
      .sort(),
    described: description === undefined
      ? "not"
      : field(entry, "npm") !== undefined && isObject(field(description, "cost")) &&
          isObject(field(description, "limit"))
      ? "completely"
      : "partly"
  }
}

/** The part of a list that is wanted; `undefined` where the list, or what is known of it, lacks the model. */
export const narrow = (list: WireObject | undefined, wanted: Wanted): WireObject | undefined => {
  if (list === undefined) return wanted.described === "completely" ? {} : undefined
  const known = field(field(field(list, wanted.provider), "models"), wanted.model)
  if (known === undefined && wanted.described === "not") return undefined
  return Object.fromEntries(
    wanted.providers.flatMap((name) => {
      const provider = field(list, name)
      return provider === undefined ? [] : [[name, provider]]
    })
  )
}

/** Narrowed lists, as JSON. */
export interface ModelList {
  /** The part of the list in this file that is wanted; the file need not be there. */
  readonly read: (file: string, wanted: Wanted) => Effect.Effect<string | undefined>
}

const decode = (text: string): WireObject | undefined => {
  try {
    const list: unknown = JSON.parse(text)
    return isObject(list) ? list : undefined
  } catch {
    return undefined
  }
}

/** Reads the list (5 MB) once for each kind of run, and again when it has changed. */
export const make = (fileSystem: FileSystem.FileSystem): Effect.Effect<ModelList> =>
  Effect.map(turnstile.make(1), (turn) => {
    let stamp = ""
    const known = new Map<string, string | undefined>()
    return {
      read: (file, wanted) =>
        Effect.scoped(Effect.gen(function*() {
          yield* turn.enter
          const info = yield* Effect.option(fileSystem.stat(file))
          const now = JSON.stringify([
            file,
            Option.map(info, ({ size }) => String(size)),
            Option.flatMap(info, ({ mtime }) => mtime)
          ])
          if (stamp !== now) known.clear()
          stamp = now
          const key = JSON.stringify(wanted)
          if (known.has(key)) return known.get(key)
          const text = Option.isNone(info) ? Option.none() : yield* Effect.option(fileSystem.readFileString(file))
          const narrowed = narrow(Option.getOrUndefined(Option.map(text, decode)), wanted)
          const result = narrowed === undefined ? undefined : JSON.stringify(narrowed)
          known.set(key, result)
          return result
        }))
    }
  })
