import type * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Conversation } from "../../../Conversation.js"
import type { Isolation } from "../../../Isolation.js"
import { OpenCodeConfigError, OpenCodeServerError, OpenCodeVersionError } from "../../../OpenCodeError.js"
import type { QueryError, RunError } from "../../../OpenCodeError.js"
import type { RunOptions } from "../../../RunOptions.js"
import type { Location } from "../../../Session.js"
import * as Version from "../../../Version.js"
import * as directories from "../../launch/directories.js"
import * as environment from "../../launch/environment.js"
import type { Launcher, Release } from "../../launch/launcher.js"
import * as sandbox from "../../launch/sandbox.js"
import * as check from "../../opencode/check.js"
import type { Model, PrivateServer } from "../../opencode/privateServer.js"
import * as redact from "../../opencode/redact.js"
import { revealed } from "../../opencode/variables.js"
import * as marks from "../../process/marks.js"
import * as table from "../../process/table.js"
import * as plans from "../../run/plan.js"
import type { Plan } from "../../run/plan.js"
import * as sessionExport from "../../run/sessionExport.js"
import type { Prepared, Sink } from "../../run/transport.js"
import * as json from "../../util/json.js"
import { isObject } from "../../util/object.js"
import * as tail from "../../util/tail.js"
import * as cli from "../cli.js"
import * as connections from "../server/connection.js"
import * as credentials from "../server/credentials.js"
import * as promptParts from "../server/promptParts.js"
import type { Requests } from "../server/request.js"
import * as serverKey from "../server/serverKey.js"
import * as attempts from "./attempt.js"
import * as catalogs from "./catalog.js"
import type { Held } from "./held.js"
import * as leases from "./lease.js"
import type { Lease } from "./lease.js"
import * as processes from "./process.js"

export interface Binary extends Release {
  readonly binary: string
}

export interface Services {
  readonly client: Launcher
  readonly httpClient: HttpClient.HttpClient
  readonly server: PrivateServer
  /** The servers that runs are attached to and that were warned about. */
  readonly warned: Set<string>
  /** The servers of the conversation that the runs are turns of. */
  readonly held: Held | undefined
  /** True if the data directory is not the layer's, whose gate would not space the starts in it. */
  readonly isOwnDirectory: boolean
}

/** Two majors must not share a database: opening it ruins it for the older one. */
export const privateOnly = (isolation: Isolation): Effect.Effect<void, OpenCodeConfigError> =>
  isolation === "none"
    ? new OpenCodeConfigError({
      path: "isolation",
      reason:
        "with \"none\" OpenCode 2 would open the user's own database, which ruins it for OpenCode 1; set \"run\" or a directory"
    })
    : Effect.void

const lacking = (
  { binary, version }: Pick<Binary, "binary" | "version">,
  option: string,
  reason: string
): OpenCodeVersionError => new OpenCodeVersionError({ binary, version: Version.format(version), option, reason })

/** A server in a network of its own could not be reached by this program. */
const reachable = ({ sandboxing }: Launcher, found: Binary): Effect.Effect<void, OpenCodeVersionError> =>
  sandboxing === undefined || (sandboxing.sandbox.network ?? "all") === "all" ? Effect.void : lacking(
    found,
    "sandbox.network",
    "the option `sandbox.network` can only be \"all\": this program drives OpenCode 2 over loopback"
  )

/** Refuses the options of a run that its transport does not pass on. */
const passed = ({ options }: Plan, found: Binary): Effect.Effect<void, OpenCodeVersionError> =>
  options.promptVia === "argv"
    ? lacking(
      found,
      "promptVia",
      "the option `promptVia` cannot be \"argv\": OpenCode 2 repeats a prompt that is an argument"
    )
    : Effect.void

const directoryOf = ({ path }: Launcher, { cwd, options }: Pick<Plan, "cwd" | "options">): string =>
  options.dir === undefined ? cwd : path.resolve(cwd, options.dir)

/** True if the user has logged in to the model's provider, by a file that this major does not read in a fresh directory. */
export const isLoggedIn = (
  { fileSystem, path }: Pick<Launcher, "fileSystem" | "path">,
  directory: string | undefined
) =>
(model: Model): Effect.Effect<boolean> =>
  directory === undefined ? Effect.succeed(false) : Effect.map(
    Effect.orElseSucceed(fileSystem.readFileString(path.join(directory, "opencode", "auth.json")), () => ""),
    (text) => {
      const logins = json.parsed(text)
      return isObject(logins) && Object.hasOwn(logins, model.provider)
    }
  )

const isAttached = ({ options }: Plan): boolean => options.attach !== undefined

/** Refuses what a server that runs already cannot take; tools that are off are rules of the session. */
const takenByAttached = ({ options: { tools: _, ...options } }: Plan): Effect.Effect<void, OpenCodeConfigError> =>
  Option.match(serverKey.refusedAttached(options), {
    onNone: () => Effect.void,
    onSome: (problem) => new OpenCodeConfigError(problem)
  })

/** Checks everything about a run that needs no process. */
export const accept = (
  { client }: Services,
  plan: Plan,
  binary: Binary
): Effect.Effect<void, RunError> =>
  isAttached(plan) ? Effect.andThen(passed(plan, binary), takenByAttached(plan)) : Effect.all([
    reachable(client, binary),
    privateOnly(cli.within(client, plan.options).isolation),
    passed(plan, binary)
  ], { discard: true })

/** The files that a server reads itself; contents are sent over HTTP. */
const pathsOf = ({ files }: RunOptions): ReadonlyArray<string> =>
  (files ?? []).filter((file) => typeof file === "string")

/** What a server is started with. */
interface Start {
  readonly found: Binary
  readonly cwd: string
  /** Decides about the environment. */
  readonly config: RunOptions
  /** The working directory of the agent, if it has one. */
  readonly work: string | undefined
  readonly marker: string
  readonly program: string | undefined
  readonly env: { readonly [name: string]: string }
}

const launch = (
  { client, httpClient, server }: Services,
  { config, cwd, env, found, marker, program, work }: Start,
  redactText: (text: string) => string,
  output: processes.Output
) =>
  Effect.gen(function*() {
    const password = yield* credentials.password
    const wrap = yield* sandbox.wrap(client, {
      binary: found.binary,
      cwd,
      env,
      work,
      files: pathsOf(config),
      config,
      isolation: client.isolation
    })
    return yield* processes.start({
      client,
      httpClient,
      dialect: found.dialect,
      protocol: server,
      binary: found.binary,
      cwd,
      marker,
      program,
      wrap,
      env,
      password,
      // The random password is nowhere but in the environment of the server, which hides it from its tools.
      redact: redactText
    }, output)
  })

/** The variables of a server's process, checked. */
const variablesOf = (
  server: PrivateServer,
  around: environment.ProcessEnvironment,
  marker: string
): Effect.Effect<{ readonly [name: string]: string }, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const env = { ...around.env, ...(yield* marks.variables(table.variable, marker)) }
    const problem = check.invocation({ args: server.args, env })
    return Option.isSome(problem) ? yield* new OpenCodeConfigError(problem.value) : env
  })

/** A lease of a server that only this attempt uses. */
const ownLease = (
  services: Services,
  start: Start,
  plan: Plan,
  sink: Sink
): Effect.Effect<Lease, RunError, Scope.Scope> =>
  Effect.map(
    Effect.interruptible(launch(services, start, plan.redactor.text, {
      push: (line) => {
        sink.stderr.push(line)
      },
      read: sink.watchdog.read,
      reads: sink.watchdog.reads,
      isReading: sink.watchdog.isReading
    })),
    (process): Lease => ({ server: process, end: process.end })
  )

const splitOf = ({ dialect }: Binary, options: RunOptions): serverKey.Split => serverKey.split(options, dialect.server)

/** The settings of a server of a conversation that turns can differ in. */
export const keyOf = (
  { client }: { readonly client: Pick<Launcher, "isolation" | "sandboxing"> },
  found: Binary,
  { cwd, options }: Pick<Plan, "cwd" | "options">
): string =>
  JSON.stringify([
    serverKey.make({ binary: found.binary, cwd }, splitOf(found, options), client.isolation),
    // The sandbox of a server is that of one working directory, and of the files that it may read.
    client.sandboxing === undefined ? undefined : [options.dir, pathsOf(options)]
  ])

/** A lease of the server of the conversation. */
const heldLease = (
  services: Services,
  held: Held,
  found: Binary,
  plan: Plan,
  key: string,
  sink: Sink
): Effect.Effect<Lease, RunError> =>
  held.lease(key, sink, (output) =>
    Effect.gen(function*() {
      const { client, server } = services
      // Without the permissions of this turn, which are those of the session, and not of the server.
      const { config } = splitOf(found, plan.options)
      const around = yield* environment.make(client, found.dialect, config, plan.cwd)
      const marker = yield* credentials.id
      return yield* launch(
        services,
        {
          found,
          cwd: plan.cwd,
          config: { ...config, files: plan.options.files },
          work: directoryOf(client, plan),
          marker,
          program: undefined,
          env: yield* variablesOf(server, around, marker)
        },
        plan.redactor.text,
        output
      )
    }))

/** A lease of a server that runs elsewhere. */
const attachedLease = (
  { client, httpClient, warned }: Services,
  found: Binary,
  { options, redactor }: Plan
): Effect.Effect<Lease, RunError, Scope.Scope> =>
  Effect.flatMap(
    Effect.interruptible(connections.attach(httpClient, {
      url: options.attach!,
      password: options.password,
      redact: redactor.text,
      allowUntested: client.allowUntested,
      warned
    })),
    (connection) =>
      connection._tag === "Sessions"
        ? Effect.succeed(leases.shared(
          connection.server,
          Effect.logWarning("A prompt could not be interrupted on the server that the run was attached to")
        ))
        : lacking(
          found,
          "attach",
          `the server is OpenCode ${Version.format(connection.version)}, and the binary is not; use one of both`
        )
  )

/** Prepares an attempt with a server. */
export const prepare = (
  layer: Services,
  plan: Plan,
  found: Binary
): Effect.Effect<Prepared, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const client = cli.within(layer.client, plan.options)
    const services = { ...layer, client }
    const { held, isOwnDirectory, server } = services
    const { dialect } = found
    const { options } = plan
    const attached = isAttached(plan)
    const home = attached ? undefined : revealed(options.extraEnv ?? {})["HOME"] ?? (yield* directories.home)
    const rules = server.rules(options, home)
    if (Either.isLeft(rules)) return yield* new OpenCodeConfigError(Either.getOrThrow(Either.flip(rules)))
    const model = server.model(options)
    const parts = yield* promptParts.make(client, plan, !attached)
    const attempt = (
      directory: string | undefined,
      lease: attempts.Options["lease"],
      introduce: attempts.Options["introduce"]
    ) =>
    (sink: Sink) =>
      attempts.start({
        fileSystem: client.fileSystem,
        plan,
        lease,
        introduce,
        directory: directoryOf(client, plan),
        rules: Either.getOrThrow(rules),
        model,
        hasLogin: isLoggedIn(client, directory),
        files: promptParts.filesOf(parts),
        decide: () => Effect.succeed(options.auto === true ? "once" : "reject"),
        announces: false,
        patience: Duration.seconds(5)
      }, sink)
    const exported = (env: { readonly [name: string]: string }) =>
      sessionExport.conversation({ client: { ...client, defaults: options }, dialect, cwd: plan.cwd, env })

    if (attached) {
      return {
        dialect,
        directory: undefined,
        losesEnd: false,
        startsNothing: true,
        start: attempt(
          undefined,
          () => attachedLease(services, found, plan),
          (sink) => sink.onStart(Effect.succeed({ process: undefined, program: undefined }))
        ),
        conversation: (sessionId) =>
          Effect.scoped(Effect.flatMap(
            connections.attach(services.httpClient, {
              url: options.attach!,
              password: options.password,
              redact: plan.redactor.text,
              allowUntested: client.allowUntested,
              warned: services.warned
            }),
            (connection) => connection.conversation(sessionId)
          ))
      }
    }

    const shared = cli.sharedBy(
      client,
      plan,
      isOwnDirectory,
      typeof client.isolation === "object" ? client.path.resolve(client.isolation.directory) : undefined
    )
    const introduce: attempts.Options["introduce"] = (sink, pid) => cli.introduce(client, plan, sink, pid!)
    // A given id is found by the processes that carry it, which must end with the run.
    if (held !== undefined && options.runId === undefined) {
      const key = keyOf(services, found, plan)
      const directory = typeof client.isolation === "object"
        ? client.path.resolve(client.isolation.directory)
        : undefined
      return {
        dialect,
        directory,
        losesEnd: false,
        shared,
        startsNothing: held.isRunning(key),
        start: attempt(directory, (sink) => heldLease(services, held, found, plan, key, sink), introduce),
        conversation: (sessionId) =>
          Effect.scoped(Effect.flatMap(
            environment.make(client, dialect, options, plan.cwd),
            ({ env }) => exported(env)(sessionId)
          ))
      }
    }

    const around = yield* environment.make(client, dialect, options, plan.cwd)
    const env = yield* variablesOf(server, around, plan.runId)
    const program = yield* cli.programOf(client, plan)
    return {
      dialect,
      directory: around.directory,
      temporary: around.temporary,
      losesEnd: false,
      shared,
      start: attempt(
        around.directory,
        (sink) =>
          ownLease(
            services,
            {
              found,
              cwd: plan.cwd,
              config: options,
              work: directoryOf(client, plan),
              marker: plan.runId,
              program,
              env
            },
            plan,
            sink
          ),
        introduce
      ),
      conversation: exported(env)
    }
  })

/** Reads a session by the binary. */
export const conversation = (
  { client: layer, httpClient, warned }: Services,
  release: Release,
  { cwd, options }: Pick<Plan, "cwd" | "options">,
  sessionId: string
): Effect.Effect<Conversation, QueryError> =>
  Effect.scoped(Effect.gen(function*() {
    const client = cli.within(layer, options)
    if (options.attach !== undefined) {
      const { text } = redact.make(yield* environment.secrets(client, options, client.isolation))
      const connection = yield* connections.attach(httpClient, {
        url: options.attach,
        password: options.password,
        redact: text,
        allowUntested: client.allowUntested,
        warned
      })
      return yield* connection.conversation(sessionId)
    }
    yield* privateOnly(client.isolation)
    const { env } = yield* environment.make(client, release.dialect, options, cwd)
    return yield* sessionExport.conversation({
      client: { ...client, defaults: options },
      dialect: release.dialect,
      cwd,
      env
    })(sessionId)
  }))

const startPatience = Duration.minutes(1)

/** Asks a server that is started for one question. */
const asking = <A>(
  layer: Services,
  found: Binary,
  options: RunOptions,
  question: (requests: Requests, cwd: string, directory: string | undefined) => Effect.Effect<A, QueryError>
): Effect.Effect<A, QueryError> =>
  Effect.scoped(Effect.gen(function*() {
    const client = cli.within(layer.client, options)
    const services = { ...layer, client }
    yield* reachable(client, found)
    yield* privateOnly(client.isolation)
    const cwd = client.path.resolve(options.cwd ?? ".")
    const around = yield* environment.make(client, found.dialect, options, cwd)
    const marker = `query-${yield* credentials.id}`
    const redactor = redact.make(yield* environment.secrets(client, options, client.isolation))
    const stderr = tail.ofLines(16 * 1024, redactor.lines())
    const process = yield* launch(
      services,
      {
        found,
        cwd,
        config: options,
        work: undefined,
        marker,
        program: undefined,
        env: yield* variablesOf(services.server, around, marker)
      },
      redactor.text,
      {
        push: (line) => {
          stderr.push(line)
        },
        read: () => {},
        reads: () => 0,
        isReading: () => true
      }
    )
    const failed = () => new OpenCodeServerError({ reason: "start-failed", stderr: redactor.text(stderr.read()) })
    const answer = yield* process.connection.pipe(
      Effect.flatMap(({ requests }) => question(requests, cwd, around.directory)),
      Effect.raceFirst(Effect.flatMap(process.exit, failed)),
      Effect.timeoutOption(startPatience)
    )
    return yield* Option.match(answer, { onNone: failed, onSome: Effect.succeed })
  }))

/** Asks a server for its models: the binary's own command prints none (2.0.14). */
export const models = (services: Services, found: Binary): Effect.Effect<ReadonlyArray<string>, QueryError> =>
  Effect.flatMap(plans.expand(services.client, services.client.defaults), (options) => {
    const named = services.server.model(options)
    return asking(services, found, options, (requests, cwd) =>
      catalogs.models(
        requests,
        services.server,
        directoryOf(services.client, { cwd, options }),
        (models) => models.length > 0 && (named === undefined || models.includes(`${named.provider}/${named.id}`))
      ))
  })

/** Writes a conversation into the data directory of the plan. */
export const importing = (
  services: Services,
  found: Binary,
  { cwd, options }: Plan,
  conversation: Conversation
): Effect.Effect<Location, QueryError> =>
  Effect.gen(function*() {
    if (cli.within(services.client, options).isolation === "run") return yield* new OpenCodeConfigError(cli.ownImport)
    return yield* asking(services, found, { ...options, cwd }, (requests, _cwd, directory) =>
      requests.send(services.server.routes.importing(conversation, cwd)).pipe(
        // It is there already, and keeps its messages.
        Effect.catchIf(({ status }) =>
          status === 409, () =>
          Effect.void),
        Effect.as({ sessionId: conversation.info.id, cwd, directory })
      ))
  })
