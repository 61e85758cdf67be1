import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { RunSnapshot } from "../../OpenCodeError.js"
import { CurrentRunConfig } from "../../RunConfig.js"
import type { Attachment } from "../../RunConfig.js"
import type { Budget, RunOptions, Unpriced } from "../../RunOptions.js"
import * as expandHome from "../launch/expandHome.js"
import * as check from "../opencode/check.js"
import * as configContent from "../opencode/configContent.js"
import type { Problem } from "../opencode/problem.js"
import * as redact from "../opencode/redact.js"
import * as limits from "../util/limits.js"
import { isObject } from "../util/object.js"

/** Everything that is decided before anything is spawned. */
export interface Plan {
  readonly runId: string
  readonly startedAt: number
  readonly prompt: string
  readonly options: RunOptions
  readonly cwd: string
  readonly budget: { readonly [K in Exclude<keyof Budget, "unpriced">]-?: number }
  /** `"allow"` without a cost limit. */
  readonly unpriced: Unpriced
  /** True if the caller has set a price for a model, so that a cost of 0 is a real cost. */
  readonly isPriced: (model: string | undefined) => boolean
  readonly timeout: Duration.Duration
  readonly startupTimeout: Duration.Duration
  readonly idleTimeout: Duration.Duration
  readonly exitGrace: Duration.Duration
  readonly maxProviderRetries: number
  /** Masks secrets in errors and transcripts. */
  readonly redactor: redact.Redactor
  /** Masks secrets in the facts that an error carries. */
  readonly clean: (partial: RunSnapshot) => RunSnapshot
}

/** Makes the id of a run. */
export const newId: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 36 ** 5), 3),
  (parts) => parts.map((part) => part.toString(36).padStart(5, "0")).join("")
)

const member = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined

const isPriced = ({ configOverrides }: RunOptions, model = ""): boolean => {
  const slash = model.indexOf("/")
  const path = ["provider", model.slice(0, slash), "models", model.slice(slash + 1), "cost"]
  const cost = path.reduce<unknown>(member, configOverrides)
  return typeof member(cost, "input") === "number" && typeof member(cost, "output") === "number"
}

export const provider = (options: RunOptions): string | undefined => options.model?.split("/")[0]

/** The parts of a layer that a plan needs. */
interface Layer {
  readonly path: Path.Path
  readonly defaults: RunOptions
  readonly transport: {
    readonly problem: (options: RunOptions) => Option.Option<Problem>
    readonly secrets: (options: RunOptions) => Effect.Effect<ReadonlyArray<string>>
  }
}

/** Decides everything that needs neither the disk nor a process. The options of a turn settle where it begins. */
export const make = (
  client: Layer,
  prompt: string,
  own: RunOptions,
  isTurn = false
): Effect.Effect<Plan, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const current = yield* CurrentRunConfig
    const merged: RunOptions = configContent.configs<RunOptions>(
      configContent.configs<RunOptions>(client.defaults, current),
      own
    )
    const asked: RunOptions = isTurn ? { ...merged, forkAfter: own.forkAfter } : merged
    const problem = check.defaults(client.defaults).pipe(
      Option.orElse(() => check.run(prompt, asked)),
      Option.orElse(() => client.transport.problem(asked))
    )
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
    const options = yield* expand(client, asked)
    const redactor = redact.make(yield* client.transport.secrets(options))
    return {
      runId: options.runId ?? (yield* newId),
      startedAt,
      prompt,
      options,
      cwd: client.path.resolve(options.cwd ?? "."),
      budget: {
        steps: options.budget?.steps ?? limits.steps,
        cost: options.budget?.cost ?? Number.POSITIVE_INFINITY,
        tokens: options.budget?.tokens ?? Number.POSITIVE_INFINITY,
        toolCalls: options.budget?.toolCalls ?? Number.POSITIVE_INFINITY
      },
      unpriced: options.budget?.cost === undefined ? "allow" : options.budget.unpriced ?? "warn",
      isPriced: (model) => isPriced(options, model),
      timeout: Duration.decode(options.timeout ?? limits.timeout),
      startupTimeout: Duration.decode(options.startupTimeout ?? "4 minutes"),
      idleTimeout: Duration.decode(options.idleTimeout ?? "30 minutes"),
      exitGrace: Duration.decode(options.exitGrace ?? "30 seconds"),
      maxProviderRetries: options.maxProviderRetries ?? 10,
      redactor,
      clean: (partial) =>
        redactor.inside({
          ...partial,
          events: partial.events?.map(redactor.event),
          rawLines: partial.rawLines?.map(redactor.line)
        })
    }
  })

const expandOne = <A extends string | undefined>(
  { path }: Pick<Files, "path">,
  option: string,
  file: A
): Effect.Effect<A | string, OpenCodeConfigError> =>
  file?.startsWith("~") === true ? expandHome.expand(path, option, file) : Effect.succeed(file)

/** Replaces `~` by the home directory. With a server, `dir` and `files` are paths of its machine. */
export const expand = (
  client: Pick<Files, "path">,
  options: RunOptions
): Effect.Effect<RunOptions, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const cwd = yield* expandOne(client, "cwd", options.cwd)
    const transcript = yield* expandOne(client, "transcript", options.transcript)
    const dir = options.attach !== undefined ? options.dir : yield* expandOne(client, "dir", options.dir)
    const files = options.attach !== undefined || options.files === undefined
      ? options.files
      : yield* Effect.forEach(
        options.files,
        (file, index): Effect.Effect<string | Attachment, OpenCodeConfigError> =>
          typeof file === "string" ? expandOne(client, `files.${index}`, file) : Effect.succeed(file)
      )
    const isolation = options.isolation === undefined
      ? undefined
      : yield* expandHome.isolation(client.path, options.isolation)
    return { ...options, cwd, transcript, dir, files, isolation }
  })

interface Files {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

const isDirectory = (client: Files, directory: string) =>
  client.fileSystem.stat(directory).pipe(
    Effect.map((info) => info.type === "Directory"),
    Effect.orElseSucceed(() => false)
  )

/** Checks the files and directories that the run needs. */
export const checkFiles = (client: Files, plan: Plan): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const { cwd, options } = plan
    // The default is our own cwd, which exists.
    if (options.cwd !== undefined && !(yield* isDirectory(client, cwd))) {
      return yield* new OpenCodeConfigError({ path: "cwd", reason: `the directory ${cwd} does not exist` })
    }
    // With a server, the files and the directory are on the server's machine.
    if (options.attach !== undefined) return
    if (options.dir !== undefined && !(yield* isDirectory(client, client.path.resolve(cwd, options.dir)))) {
      return yield* new OpenCodeConfigError({ path: "dir", reason: `the directory ${options.dir} does not exist` })
    }
    yield* checkAttachments(client, plan)
  })

/** Checks the files that are sent to the model. */
export const checkAttachments = (client: Files, { cwd, options }: Plan): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.gen(function*() {
    for (const [index, file] of (options.files ?? []).entries()) {
      if (typeof file !== "string") continue
      const there = yield* Effect.orElseSucceed(
        client.fileSystem.exists(client.path.resolve(cwd, file)),
        () => false
      )
      if (!there) {
        return yield* new OpenCodeConfigError({ path: `files.${index}`, reason: `the file ${file} does not exist` })
      }
    }
  })
