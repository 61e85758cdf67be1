/**
 * The facts that this library relies on about OpenCode, each with a check: a flag, how input is read, the shape of an
 * event, an exit code, the text of an error. A scenario of the real binary is recorded once, and facts are read from
 * the recording. `effect-opencode-testing/Conformance` records the scenarios of an installed OpenCode.
 *
 * @since 0.1.0
 */
import * as contract from "./internal/opencode/contract.js"
import * as contracts from "./internal/opencode/contracts.js"
import * as dialects from "./internal/opencode/dialects.js"
import type * as privateServers from "./internal/opencode/privateServer.js"
import * as variableTable from "./internal/opencode/variables.js"
import type { RunConfig } from "./RunConfig.js"
import type { RunOptions } from "./RunOptions.js"
import type { Version } from "./Version.js"

/**
 * One process of OpenCode, from its start to its end.
 *
 * @since 0.1.0
 * @category models
 */
export type ProcessRecord = contract.ProcessRecord

/**
 * A request to the scripted model provider.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelRequest = contract.ModelRequest

/**
 * The recording of one scenario: the output of its processes, the requests to its model provider, and observations.
 *
 * @since 0.1.0
 * @category models
 */
export type Recording = contract.Recording

/**
 * The value that a fact has in a range of versions.
 *
 * @since 0.1.0
 * @category models
 */
export type Expectation = contract.Expectation

/**
 * A fact about OpenCode, with the scenario that shows it and the files that rely on it.
 *
 * @since 0.1.0
 * @category models
 */
export type Fact = contract.Fact

/**
 * The result of checking a fact.
 *
 * @since 0.1.0
 * @category models
 */
export type Judgement = contract.Judgement

/**
 * - `holds`: as in the newest tested version
 * - `known`: otherwise than in the newest version, as expected of this version
 * - `differs`: not as expected
 * - `untried`: the recording does not show it
 *
 * @since 0.1.0
 * @category models
 */
export type Status = contract.Status

/**
 * A scenario that was not recorded, and why.
 *
 * @since 0.1.0
 * @category models
 */
export type Missing = contract.Missing

/**
 * The facts about the major version of this version; none if the version is not supported.
 *
 * @since 0.1.0
 * @category getters
 */
export const facts = (version: Version): ReadonlyArray<Fact> => contracts.forVersion(version)?.facts ?? []

/**
 * The ten facts that matter most. Two scenarios show all of them.
 *
 * @since 0.1.0
 * @category getters
 */
export const mostImportant = (version: Version): ReadonlyArray<Fact> => {
  const found = contracts.forVersion(version)
  return found === undefined ? [] : found.facts.filter(({ id }) => found.most.includes(id))
}

/**
 * The expectation of a fact for a version; `undefined` if the fact does not apply to it.
 *
 * @since 0.1.0
 * @category getters
 */
export const expectation: (fact: Fact, version: Version) => Expectation | undefined = contract.expectation

/**
 * Checks a fact against the recording of its scenario; `undefined` if the fact does not apply to the version.
 *
 * @since 0.1.0
 * @category checks
 */
export const judge: (fact: Fact, version: Version, recording: Recording | Missing) => Judgement | undefined =
  contract.judge

/**
 * The JSON of an expected or observed value, on one line and with its keys in order.
 *
 * @since 0.1.0
 * @category conversions
 */
export const valueText: (value: unknown) => string = contract.textOf

/**
 * The arguments and the standard input with which this library starts a run of a version; `undefined` if the version is
 * not supported.
 *
 * @since 0.1.0
 * @category getters
 */
export const invocation = (
  version: Version,
  run: { readonly runId: string; readonly prompt: string; readonly options: RunOptions }
): { readonly args: ReadonlyArray<string>; readonly stdin: string } | undefined =>
  dialects.forVersion(version)?.invocation(run, version)

/**
 * The environment variables with which this library passes a configuration to a version; none if the version is not
 * supported.
 *
 * @since 0.1.0
 * @category getters
 */
export const variables = (version: Version, config: RunConfig): { readonly [name: string]: string } =>
  dialects.forVersion(version)?.variables(config) ?? {}

/**
 * The arguments with which this library asks a version for its models and for a session; `undefined` if the version is
 * not supported.
 *
 * @since 0.1.0
 * @category getters
 */
export const queries = (version: Version): {
  readonly models: ReadonlyArray<string>
  readonly session: (sessionId: string) => ReadonlyArray<string>
} | undefined => {
  const dialect = dialects.forVersion(version)
  return dialect === undefined ? undefined : {
    models: dialect.models.args,
    session: (sessionId) => dialect.session(sessionId).args
  }
}

/**
 * How this library starts a server of a version that many runs share; `undefined` if it does not.
 *
 * @since 0.1.0
 * @category getters
 */
export const server = (version: Version): {
  readonly args: ReadonlyArray<string>
  /** The address in the line of stdout that names it. */
  readonly address: (line: string) => string | undefined
} | undefined => {
  const dialect = dialects.forVersion(version)
  return dialect?.server === undefined ? undefined : {
    args: dialect.server.args({ port: 0, more: [] }),
    address: dialect.server.address
  }
}

/**
 * A request to a server of OpenCode 2.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerRequest = privateServers.Request

/**
 * A rule of a session of OpenCode 2; the last matching rule decides.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerRule = privateServers.Rule

/**
 * How this library starts a server that carries one run, and the requests that it sends.
 *
 * @since 0.1.0
 * @category models
 */
export type PrivateServer = Pick<
  privateServers.PrivateServer,
  "address" | "args" | "database" | "dropped" | "routes" | "username"
>

/**
 * The private server of a version; `undefined` if its runs are processes of their own.
 *
 * @since 0.1.0
 * @category getters
 */
export const privateServer = (version: Version): PrivateServer | undefined =>
  dialects.forVersion(version)?.privateServer

/**
 * The names of the environment variables of OpenCode that this library sets, reads or passes on.
 *
 * @since 0.1.0
 * @category getters
 */
export const variableNames: { readonly [K in keyof typeof variableTable.variableNames]: string } =
  variableTable.variableNames
