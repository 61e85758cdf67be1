import * as Effect from "effect/Effect"
import * as processList from "./list.js"
import type { Listed } from "./list.js"

/** The identity of a program that started processes, distinct from a later one with the same pid. */
export type Owner = processList.Self

/** The program that has started a run, after those around it, as the environment of the run's processes names them. */
export const variable = "EFFECT_OPENCODE_PROGRAM"

/** True if an environment names the owner. */
export const isNamed = (environment: string, owner: string): boolean =>
  processList.valueIn(environment, variable)?.split(":").includes(owner) === true

export const format = ({ boot, namespace, pid, started }: Owner): string =>
  [namespace, pid, started, ...(boot === "" ? [] : [boot])].join("/")

export const parse = (text: string): Owner | undefined => {
  const match = /^(\d*)\/([1-9]\d*)\/(\d*)(?:\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?$/.exec(text)
  return match === null
    ? undefined
    : { namespace: match[1]!, pid: Number(match[2]), started: match[3]!, boot: match[4] ?? "" }
}

/** The last of the owners that a variable names: the others are around it. */
export const innermost = (value: string | undefined): string | undefined => value?.split(":").at(-1)

export interface Reader {
  readonly self: Owner
  /** The owner that our own environment names: we run as a tool of a process that it started. */
  readonly above: string | undefined
}

/**
 * The state of an owner according to a list of processes. In doubt it lives: nothing is known about another namespace or
 * machine, and without a time a pid is enough. An owner that is missing from the list may be one that could not be read.
 */
const stateOf = (
  table: ReadonlyArray<Listed<unknown>>,
  { above, self }: Reader,
  text: string
): "alive" | "dead" | "missing" => {
  const owner = text === above ? undefined : parse(text)
  if (owner === undefined || owner.namespace !== self.namespace) return "alive"
  if (owner.boot !== "" && self.boot !== "" && owner.boot !== self.boot) return "alive"
  const found = table.find((p) => p.pid === owner.pid)
  if (found === undefined) return "missing"
  return !found.zombie && (owner.started === "" || found.identity === owner.started) ? "alive" : "dead"
}

/** True if the owner that a text names is certainly gone. */
export const isDead = (
  services: Pick<processList.Services, "fileSystem">,
  table: ReadonlyArray<Listed<unknown>>,
  reader: Reader,
  text: string
): Effect.Effect<boolean> => {
  const state = stateOf(table, reader, text)
  return state === "missing" ? processList.isGone(services, parse(text)!.pid) : Effect.succeed(state === "dead")
}
