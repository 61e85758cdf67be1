import type * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { OpenCodeConfigError, OpenCodeServerError, OpenCodeVersionError } from "../../../OpenCodeError.js"
import type { QueryError, RunError } from "../../../OpenCodeError.js"
import type { RunOptions } from "../../../RunOptions.js"
import * as Version from "../../../Version.js"
import * as directories from "../../launch/directories.js"
import * as environment from "../../launch/environment.js"
import * as inputs from "../../launch/inputs.js"
import type { Launcher, Release } from "../../launch/launcher.js"
import * as check from "../../opencode/check.js"
import type { File, PrivateServer } from "../../opencode/privateServer.js"
import * as redact from "../../opencode/redact.js"
import { revealed, variableNames } from "../../opencode/variables.js"
import * as marks from "../../process/marks.js"
import * as programs from "../../process/program.js"
import * as table from "../../process/table.js"
import type { Plan } from "../../run/plan.js"
import * as sessionExport from "../../run/sessionExport.js"
import type { Prepared } from "../../run/transport.js"
import * as json from "../../util/json.js"
import { isObject } from "../../util/object.js"
import * as tail from "../../util/tail.js"
import * as cli from "../cli.js"
import * as credentials from "../server/credentials.js"
import * as request from "../server/request.js"
import * as attempts from "./attempt.js"
import * as catalogs from "./catalog.js"
import * as processes from "./process.js"

export interface Binary extends Release {
  readonly binary: string
}

/** Two majors must not share a database: opening it ruins it for the older one. */
const privateOnly = (client: Launcher): Effect.Effect<void, OpenCodeConfigError> =>
  client.isolation === "none"
    ? new OpenCodeConfigError({
      path: "isolation",
      reason:
        "with \"none\" OpenCode 2 would open the user's own database, which ruins it for OpenCode 1; set \"run\" or a directory"
    })
    : Effect.void

/** Refuses what a private server is not started in yet. */
const uncontained = (
  client: Launcher,
  { binary, version }: Binary
): Effect.Effect<void, OpenCodeConfigError | OpenCodeVersionError> =>
  Effect.flatMap(client.wrap, (wrap) => {
    const option = client.sandboxing !== undefined
      ? "sandbox"
      : wrap === programs.asItIs
      ? undefined
      : "containment"
    return option === undefined ? Effect.void : new OpenCodeVersionError({
      binary,
      version: Version.format(version),
      option,
      reason: `the option \`${option}\` is not supported with OpenCode 2 yet`
    })
  })

/** Refuses the options of a run that its transport does not pass on. */
const passed = ({ options }: Plan, { binary, version }: Binary): Effect.Effect<void, OpenCodeVersionError> =>
  options.promptVia === "argv"
    ? new OpenCodeVersionError({
      binary,
      version: Version.format(version),
      option: "promptVia",
      reason: "the option `promptVia` cannot be \"argv\": OpenCode 2 repeats a prompt that is an argument"
    })
    : Effect.void

/** The environment of a process that uses the database of this major. */
const environmentOf = (
  client: Launcher,
  { dialect }: Release,
  server: PrivateServer,
  options: RunOptions,
  cwd: string
): Effect.Effect<environment.ProcessEnvironment, OpenCodeConfigError, Scope.Scope> =>
  Effect.map(environment.make(client, dialect, options, cwd), (around) => ({
    ...around,
    env: around.directory === undefined ? around.env : {
      ...around.env,
      [variableNames.database]: client.path.join(around.directory, "opencode", server.database)
    }
  }))

const filesOf = (
  client: Launcher,
  cwd: string,
  files: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<File>, OpenCodeConfigError> =>
  Effect.forEach(files, (file, index) => {
    const resolved = client.path.resolve(cwd, file)
    return client.path.toFileUrl(resolved).pipe(
      Effect.mapBoth({
        onSuccess: ({ href }): File => ({ uri: href, name: client.path.basename(resolved) }),
        onFailure: () => new OpenCodeConfigError({ path: `files.${index}`, reason: `the file ${file} cannot be read` })
      })
    )
  })

const directoryOf = ({ path }: Launcher, { cwd, options }: Pick<Plan, "cwd" | "options">): string =>
  options.dir === undefined ? cwd : path.resolve(cwd, options.dir)

/** True if the user has logged in to a provider, by a file that this major does not read in a fresh data directory. */
const isLoggedIn = (
  { fileSystem, path }: Launcher,
  directory: string | undefined,
  provider: string | undefined
): Effect.Effect<boolean> =>
  directory === undefined || provider === undefined ? Effect.succeed(false) : Effect.map(
    Effect.orElseSucceed(fileSystem.readFileString(path.join(directory, "opencode", "auth.json")), () => ""),
    (text) => {
      const logins = json.parsed(text)
      return isObject(logins) && Object.hasOwn(logins, provider)
    }
  )

/** Checks everything about a run that needs no process. */
export const accept = (
  client: Launcher,
  plan: Plan,
  binary: Binary
): Effect.Effect<void, RunError> =>
  Effect.all([
    uncontained(client, binary),
    privateOnly(cli.within(client, plan.options)),
    passed(plan, binary)
  ], { discard: true })

/** Prepares an attempt with a server of its own. */
export const prepare = (
  layer: Launcher,
  httpClient: HttpClient.HttpClient,
  server: PrivateServer,
  plan: Plan,
  found: Binary,
  isOwnDirectory: boolean
): Effect.Effect<Prepared, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const client = cli.within(layer, plan.options)
    const { dialect } = found
    const { options } = plan
    const home = yield* directories.home
    const rules = server.rules(options, revealed(options.extraEnv ?? {})["HOME"] ?? home)
    if (Either.isLeft(rules)) return yield* new OpenCodeConfigError(Either.getOrThrow(Either.flip(rules)))
    const { files: inputFiles = [] } = yield* inputs.make(client, { files: options.files })
    const around = yield* environmentOf(client, found, server, options, plan.cwd)
    const env = { ...around.env, ...(yield* marks.variables(table.variable, plan.runId)) }
    const problem = check.invocation({ args: server.args, env })
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
    const password = yield* credentials.password
    const program = yield* cli.programOf(client, plan)
    const files = yield* filesOf(client, plan.cwd, inputFiles)
    const model = server.model(options)
    const hasLogin = yield* isLoggedIn(client, around.directory, model?.provider)
    return {
      dialect,
      directory: around.directory,
      temporary: around.temporary,
      losesEnd: false,
      shared: cli.sharedBy(client, plan, isOwnDirectory, around.directory),
      start: (sink) =>
        attempts.start({
          client,
          httpClient,
          dialect,
          server,
          process: {
            binary: found.binary,
            cwd: plan.cwd,
            runId: plan.runId,
            program,
            env: { ...env, [variableNames.password]: Redacted.value(password) }
          },
          password,
          plan,
          introduce: (sink, pid) => cli.introduce(client, plan, sink, pid),
          directory: directoryOf(client, plan),
          rules: Either.getOrThrow(rules),
          model,
          hasLogin,
          files
        }, sink),
      conversation: sessionExport.conversation({
        client: { ...client, defaults: options },
        dialect,
        cwd: plan.cwd,
        env
      })
    }
  })

/** Reads a session by the binary. */
export const conversation = (
  layer: Launcher,
  release: Release,
  server: PrivateServer,
  { cwd, options }: Pick<Plan, "cwd" | "options">,
  sessionId: string
) =>
  Effect.scoped(Effect.gen(function*() {
    const client = cli.within(layer, options)
    yield* privateOnly(client)
    const { env } = yield* environmentOf(client, release, server, options, cwd)
    return yield* sessionExport.conversation({
      client: { ...client, defaults: options },
      dialect: release.dialect,
      cwd,
      env
    })(sessionId)
  }))

const startPatience = Duration.minutes(1)

/** Asks a server for its models: the binary's own command prints none (2.0.14). */
export const models = (
  client: Launcher,
  httpClient: HttpClient.HttpClient,
  server: PrivateServer,
  found: Binary
): Effect.Effect<ReadonlyArray<string>, QueryError> =>
  Effect.scoped(Effect.gen(function*() {
    yield* uncontained(client, found)
    yield* privateOnly(client)
    const { defaults } = client
    const cwd = client.path.resolve(defaults.cwd ?? ".")
    const around = yield* environmentOf(client, found, server, defaults, cwd)
    const password = yield* credentials.password
    const secrets = yield* environment.secrets(client, defaults, client.isolation)
    const redactor = redact.make([...secrets, Redacted.value(password)])
    const stderr = tail.ofLines(16 * 1024, redactor.lines())
    const child = yield* processes.start(client, found.dialect, server, {
      binary: found.binary,
      cwd,
      runId: `query-${yield* credentials.id}`,
      env: { ...around.env, [variableNames.password]: Redacted.value(password) }
    }, { stderr, watchdog: { read: () => {}, reads: () => 0, isReading: () => true } })
    const failed = () => new OpenCodeServerError({ reason: "start-failed", stderr: stderr.read() })
    const ask = Effect.gen(function*() {
      const requests = request.make({
        client: httpClient,
        url: yield* child.url,
        username: server.username,
        password,
        redact: redactor.text
      })
      const named = server.model(defaults)
      return yield* catalogs.read(
        requests,
        server,
        directoryOf(client, { cwd, options: defaults }),
        (models) => models.length > 0 && (named === undefined || models.includes(`${named.provider}/${named.id}`))
      )
    })
    const answer = yield* Effect.raceFirst(ask, Effect.flatMap(child.exit, failed)).pipe(
      Effect.timeoutOption(startPatience)
    )
    return yield* Option.match(answer, { onNone: failed, onSome: Effect.succeed })
  }))
