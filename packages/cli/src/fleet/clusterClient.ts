/**
 * The cluster that a batch submits its jobs to. Its package and the driver of its database are loaded on use: they are
 * optional, and most users of this program do without.
 */
import type * as AgentRun from "effect-opencode-cluster/AgentRun"
import type * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Redaction from "effect-opencode/Redaction"
import * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { CliError } from "../CliError.js"
import * as ExitCode from "../ExitCode.js"

/** What a batch asks of a cluster. */
export interface Client {
  readonly runs: Pick<AgentRun.Service, "submit" | "result" | "cancel" | "events">
  readonly ledger: Pick<RunLedger.Service, "job" | "list">
}

/** With a version: the latest one is for another edition of Effect. */
const driver = "@effect/sql-pg@0.53.0"

const isMissing = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"

/** The modules of the packages. */
export interface Modules {
  readonly AgentJob: typeof import("effect-opencode-cluster/AgentJob")
  readonly AgentRun: typeof import("effect-opencode-cluster/AgentRun")
  readonly Cluster: typeof import("effect-opencode-cluster/Cluster")
  readonly RunLedger: typeof import("effect-opencode-cluster/RunLedger")
  readonly PgClient: typeof import("@effect/sql-pg/PgClient")
}

const load = async (): Promise<Modules> => {
  const [AgentJob, AgentRun, Cluster, RunLedger, PgClient] = await Promise.all([
    import("effect-opencode-cluster/AgentJob"),
    import("effect-opencode-cluster/AgentRun"),
    import("effect-opencode-cluster/Cluster"),
    import("effect-opencode-cluster/RunLedger"),
    import("@effect/sql-pg/PgClient")
  ])
  return { AgentJob, AgentRun, Cluster, RunLedger, PgClient }
}

/** Loads the packages, or says which ones to install. */
export const modules = (importing: () => Promise<Modules> = load): Effect.Effect<Modules, CliError> =>
  Effect.tryPromise({
    try: importing,
    catch: (cause) =>
      new CliError({
        reason: `--cluster needs the packages effect-opencode-cluster and @effect/sql-pg${
          isMissing(cause) ? "" : ", which cannot be loaded"
        }.`,
        hint: `npm install effect-opencode-cluster ${driver}, where effect-opencode-cli is installed`,
        cause
      })
  })

/** A URL of a database in an argument: everybody on the machine can read it, and it usually has a password. */
export const isDatabaseUrl = (word: string): boolean => /^[\w+]+:\/\/[^/]*@|^postgres(?:ql)?:/i.test(word)

const variable = "DATABASE_URL"

const url: Effect.Effect<Redacted.Redacted, CliError> = Effect.gen(function*() {
  const given = yield* Effect.orElseSucceed(Config.option(Config.redacted(variable)), Option.none)
  if (Option.isNone(given) || Redacted.value(given.value) === "") {
    return yield* new CliError({
      reason: `--cluster needs the URL of the cluster's PostgreSQL in the variable ${variable}.`,
      hint: "postgres://user:password@host/database; arguments can be read by everybody on the machine"
    })
  }
  if (!/^postgres(?:ql)?:\/\//.test(Redacted.value(given.value)) || !URL.canParse(Redacted.value(given.value))) {
    return yield* new CliError({
      reason: `${variable} is not a URL of PostgreSQL.`,
      hint: "postgres://user:password@host/database"
    })
  }
  return given.value
})

/** The URL and its password, which no message may repeat. */
export const secretsOf = (url: string): ReadonlyArray<string> => {
  const { password, searchParams } = new URL(url)
  const passwords = [password, ...searchParams.getAll("password")].filter((text) => text !== "")
  return passwords.length === 0 ? [] : [url, ...passwords, ...Arr.filterMap(passwords, decoded)]
}

/** Without a value if a percent sign stands for itself. */
const decoded = Option.liftThrowable(decodeURIComponent)

/** A firewall that forgets a connection leaves statements without an answer: they fail after a minute. */
const withPatience = (url: Redacted.Redacted): Redacted.Redacted => {
  const parsed = new URL(Redacted.value(url))
  if (!parsed.searchParams.has("query_timeout")) parsed.searchParams.set("query_timeout", "60000")
  return Redacted.make(parsed.href)
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** A failure of the database. What was submitted goes on. */
export const failed = (error: unknown): CliError =>
  new CliError({
    reason: messageOf(error),
    hint: "jobs that were submitted continue in the cluster; --resume waits for them",
    exitCode: ExitCode.failure
  })

/** Connects to the cluster of `DATABASE_URL`. */
export const connect = (
  { AgentRun, Cluster, PgClient, RunLedger }: Modules
): Effect.Effect<Client, CliError, Scope.Scope> =>
  Effect.gen(function*() {
    const given = yield* url
    const { known } = Redaction.make(secretsOf(Redacted.value(given)))
    const context = yield* Layer.build(
      Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: withPatience(given) })))
    ).pipe(Effect.mapError((error) =>
      new CliError({ reason: `The cluster cannot be used: ${known(messageOf(error))}`, exitCode: ExitCode.failure })
    ))
    return { runs: Context.get(context, AgentRun.AgentRun), ledger: Context.get(context, RunLedger.RunLedger) }
  })
