#!/usr/bin/env node
/** The command `effect-opencode-cluster`. The one module that touches Node itself. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Redaction from "effect-opencode/Redaction"
import * as StartupGate from "effect-opencode/StartupGate"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { Socket } from "node:net"
import { availableParallelism } from "node:os"
import * as commandLine from "./commandLine.js"
import * as database from "./database.js"
import * as runners from "./runner.js"

/** Takes a variable out of the environment: what this program starts does not inherit it. */
const take = (name: string): string | undefined => {
  const value = process.env[name]
  delete process.env[name]
  return value === "" ? undefined : value
}

const usage = (message: string) => new commandLine.UsageError({ message })

/** The driver is an optional dependency: programs that use SQLite do without it. */
const postgres = (url: string) =>
  Layer.unwrapEffect(
    Effect.tryPromise({
      try: () => import("@effect/sql-pg/PgClient"),
      catch: () => usage("PostgreSQL needs the package @effect/sql-pg: npm install @effect/sql-pg")
    }).pipe(
      Effect.map((PgClient): Layer.Layer<SqlClient.SqlClient, unknown> =>
        PgClient.layer({
          url: database.urlOf(url),
          // Idle connections send something each minute, so that no firewall forgets them.
          stream: () => new Socket().setKeepAlive(true, 60_000)
        })
      )
    )
  )

const isPostgres = (url: string): boolean => {
  try {
    return ["postgres:", "postgresql:"].includes(new URL(url).protocol)
  } catch {
    return false
  }
}

/** Without a value if a percent sign stands for itself. */
const decoded = Option.liftThrowable(decodeURIComponent)

const passwordsOf = (url: string): ReadonlyArray<string> => {
  const { password, searchParams } = new URL(url)
  const passwords = [password, ...searchParams.getAll("password")].filter((text) => text !== "")
  return [...passwords, ...Arr.filterMap(passwords, decoded)]
}

/** The exit codes of `effect-opencode`, by the tag of the error. */
const codes: { readonly [tag: string]: number } = {
  UsageError: 2,
  ClusterConfigError: 2,
  OpenCodeConfigError: 2,
  OpenCodeBinaryNotFoundError: 3,
  OpenCodeVersionError: 3,
  OpenCodeSpawnError: 3,
  OpenCodeProcessError: 4
}

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error && error.cause.message !== "" ? `: ${error.cause.message}` : ""
  return error.message.includes(cause) ? error.message : `${error.message}${cause}`
}

const runner = (args: commandLine.RunnerArguments) => {
  const url = take("DATABASE_URL")
  const values = args.secrets.map((name) => [name, take(name)] as const)
  const known = values.flatMap(([, value]) => value === undefined ? [] : [value])
  const redactor = Redaction.make(
    url === undefined || !isPostgres(url) ? known : [url, ...passwordsOf(url), ...known]
  )
  const missing = values.find(([, value]) => value === undefined)
  const problem = url === undefined
    ? "DATABASE_URL is not set: the runners of a cluster share a PostgreSQL."
    : !isPostgres(url)
    ? "DATABASE_URL must be a URL of PostgreSQL: postgres://user:password@host/database."
    : missing !== undefined
    ? `The variable ${missing[0]} of --secret is not set.`
    : undefined
  const program = problem !== undefined || url === undefined ? usage(problem ?? "") : runners.run(args, {
    secrets: Object.fromEntries(
      values.flatMap(([name, value]) => value === undefined ? [] : [[name, Redacted.make(value)]])
    ),
    database: postgres(url),
    server: NodeHttpServer.layer(createServer, { host: args.listenHost, port: args.healthPort })
  })
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.withConsoleError(Logger.map(Logger.logfmtLogger, redactor.known))
  )
  return program.pipe(
    Effect.as(0),
    Effect.catchAllCause((cause) => {
      const error = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
      if (Cause.isInterruptedOnly(cause)) return Effect.succeed(0)
      return Effect.as(
        Effect.sync(() => process.stderr.write(`${redactor.known(messageOf(error))}\n`)),
        codes[tagOf(error)] ?? 1
      )
    }),
    Effect.provide(
      OpenCode.layer().pipe(
        Layer.provideMerge(NodeContext.layer),
        Layer.provide(Layer.sync(StartupGate.Processors, availableParallelism))
      )
    ),
    Effect.provide(logger),
    // The error that ends the program is reported above.
    Effect.withUnhandledErrorLogLevel(Option.none())
  )
}

/** Runs until it ends or a signal asks it to; a second signal kills it, and the leash ends its agents. */
const launch = (program: Effect.Effect<number>): void => {
  const fiber = Effect.runFork(program)
  let signalled: number | undefined
  const listen = (signal: "SIGINT" | "SIGTERM", code: number) =>
    process.once(signal, () => {
      signalled ??= code
      process.removeAllListeners("SIGINT").removeAllListeners("SIGTERM")
      fiber.unsafeInterruptAsFork(fiber.id())
    })
  listen("SIGINT", 130)
  listen("SIGTERM", 143)
  fiber.addObserver((exit) => process.exit(signalled ?? Exit.getOrElse(exit, () => 1)))
}

const version = (): string =>
  String(JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version)

Either.match(commandLine.parse(process.argv.slice(2)), {
  onLeft: ({ message }) => {
    process.stderr.write(`${message}\n`)
    process.exitCode = 2
  },
  onRight: (line) => {
    if (line._tag === "Runner") launch(runner(line))
    else process.stdout.write(line._tag === "Help" ? commandLine.help : `${version()}\n`)
  }
})
