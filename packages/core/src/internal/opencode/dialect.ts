/**
 * The differences between the major versions of OpenCode, as one value per major. A run uses the value selected by its
 * binary's version and knows nothing else about that version; everything that all majors share is next to this module.
 */
import type * as Option from "effect/Option"
import type { Conversation } from "../../Conversation.js"
import type { RunConfig } from "../../RunConfig.js"
import type { ProviderRetry, RunEvent } from "../../RunEvent.js"
import type { RunOptions } from "../../RunOptions.js"
import * as Version from "../../Version.js"
import type { Line } from "../util/lines.js"
import type { WireObject } from "../util/object.js"
import type { PrivateServer } from "./privateServer.js"
import type { RetryCount } from "./retryCount.js"
import type * as stderr from "./stderr.js"

/** From this version on, and below that one. */
export interface Range {
  readonly from: Version.Version
  readonly below: Version.Version
}

/** How one option of a run is passed to OpenCode, and in which versions. */
export interface OptionEntry {
  readonly name: keyof RunConfig
  readonly kind: "flag" | "value" | "values" | "variable"
  /** The name on the command line, or of the variable. */
  readonly word: string
  /** Default: every supported version. */
  readonly since?: Version.Version | undefined
  /** The first version without it. Default: none. */
  readonly until?: Version.Version | undefined
  /** Why no version has it, if this library is the reason. */
  readonly refused?: string | undefined
}

/** Names of agents. */
export interface Agents {
  /** The agents that configuration files define, sub-agents included. */
  readonly defined: ReadonlyArray<string>
  /** The agents under the older key `mode`, which OpenCode merges over `agent`. */
  readonly modes: ReadonlyArray<string>
}

export const noAgents: Agents = { defined: [], modes: [] }

/** OpenCode's existing configuration. */
export interface Found {
  readonly agents: Agents
  /** The inherited configuration, over which ours is merged; absent without one. */
  readonly inherited?: WireObject | undefined
  /** The file with the system prompt of a run. */
  readonly system?: string | undefined
}

/** The parts of a run that its command line contains. */
export interface Run {
  readonly runId: string
  readonly prompt: string
  readonly options: RunOptions
}

/** Recognizes the texts with which OpenCode ends before its first event. */
export interface CrashTexts {
  /** The signature of a transient SQLite crash in a stderr text, if there is one. */
  readonly sqlite: (stderr: string) => string | undefined
  /** The log's message about a model that does not exist; the one with the error's mark, if it has one. */
  readonly missingModel: (stderr: string, mark: unknown) => string | undefined
  /** True if a server could not listen because its port is taken. */
  readonly isPortTaken: (stderr: string) => boolean
  /** What to do about a failure that stderr explains. */
  readonly hint: (stderr: string) => string | undefined
}

/** A query to the binary: its arguments, and how to read its output. */
export interface Question<A> {
  readonly args: ReadonlyArray<string>
  readonly read: (printed: string) => A
}

/** How a server is started that many runs share. */
export interface Server {
  readonly supported: Range
  readonly args: (options: { readonly port: number; readonly more: ReadonlyArray<string> }) => ReadonlyArray<string>
  /** Further arguments, for the options that only a start can set. */
  readonly options: (config: RunConfig) => ReadonlyArray<string>
  /** The options that only a start can set and that are variables here, besides those that are in both majors. */
  readonly inVariables: ReadonlyArray<"pure" | "logLevel">
  /** The address in the line that says that the server listens. */
  readonly address: (line: string) => string | undefined
  /** True if a binary of another major has refused the arguments. */
  readonly isForeign: (stderr: string) => boolean
  /** True if the server ends when its standard input does. */
  readonly endsWithInput: boolean
  /** The variables that hold the credentials of its clients. */
  readonly credentials: (username: string, password: string) => { readonly [name: string]: string }
}

export interface Dialect {
  readonly supported: Range
  /** False if a version of the range was not tried with this library. */
  readonly isTested: (version: Version.Version) => boolean
  /** The requests of a server that carries runs; absent if the process of `opencode run` does. */
  readonly privateServer?: PrivateServer | undefined
  readonly options: ReadonlyArray<OptionEntry>
  /** Versions that lose the last events of every run, so that the session is read after each. */
  readonly losesEnd: ReadonlyArray<Range>
  /** The options of a run with the defaults that this major needs. */
  readonly withDefaults: <A extends RunConfig>(config: A) => A
  /** The options of a run with what keeps it from waiting for a person, or from sending its prompt elsewhere. */
  readonly unattended: <A extends RunConfig>(config: A, version: Version.Version) => A
  /** The arguments and the input of a run. */
  readonly invocation: (
    run: Run,
    version: Version.Version
  ) => { readonly args: ReadonlyArray<string>; readonly stdin: string }
  /** The variables for a configuration, over those that the child inherits. */
  readonly variables: (config: RunConfig, found?: Found) => { readonly [name: string]: string }
  /** The variables of the start-up profile, which yield to inherited ones. */
  readonly startupVariables: (config: RunConfig) => { readonly [name: string]: string }
  /** Reads the lines of one stdout in their order. */
  readonly stdout: () => (line: Line, take: (event: RunEvent) => void) => void
  /** Finds steps that are repeated after a provider failure without a line on stderr. */
  readonly repeatedStep: (count: RetryCount) => (event: RunEvent) => ProviderRetry | undefined
  /** Reads one stderr; keeps this many characters of OpenCode's own lines. */
  readonly stderr: (kept: number) => stderr.Reader
  readonly crashTexts: CrashTexts
  readonly models: Question<ReadonlyArray<string>>
  readonly session: (sessionId: string) => Question<Option.Option<Conversation>>
  /** Imports the session in a file that `session` has printed; reads the id of the session. */
  readonly importing: (file: string) => Question<Option.Option<string>>
  /** Absent if a shared server is not supported. */
  readonly server?: Server | undefined
}

export const includes = ({ below, from }: Range, version: Version.Version): boolean =>
  Version.isAtLeast(version, from) && !Version.isAtLeast(version, below)

/** True if a version has an option. */
export const has = ({ refused, since, until }: OptionEntry, version: Version.Version): boolean =>
  refused === undefined && (since === undefined || Version.isAtLeast(version, since)) &&
  (until === undefined || !Version.isAtLeast(version, until))

/** An option that a version lacks, with the version that added or removed it. */
export interface Lacking {
  readonly option: string
  readonly since?: Version.Version | undefined
  readonly until?: Version.Version | undefined
  readonly refused?: string | undefined
}

/** The first option in use that a version lacks; the entries of one option are ordered by version. */
export const lacking = (
  options: ReadonlyArray<OptionEntry>,
  config: RunConfig,
  version: Version.Version
): Lacking | undefined => {
  const missing = options.find(({ name }) =>
    config[name] !== undefined && config[name] !== false &&
    !options.some((other) => other.name === name && has(other, version))
  )
  if (missing === undefined) return undefined
  if (missing.refused !== undefined) return { option: missing.name, refused: missing.refused }
  const all = options.filter(({ name }) => name === missing.name)
  const later = all.map(({ since }) => since)
    .find((since) => since !== undefined && !Version.isAtLeast(version, since))
  return {
    option: missing.name,
    ...(later === undefined ? { until: all[all.length - 1]!.until } : { since: later })
  }
}
