import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { OpenCodeConfigError } from "../OpenCodeError.js"
import type { Partial } from "../OpenCodeError.js"
import { CurrentRunConfig } from "../RunConfig.js"
import type { RunEvent } from "../RunEvent.js"
import type { Budget, RunOptions, Unpriced } from "../RunOptions.js"
import * as binary from "./binary.js"
import * as check from "./check.js"
import type { Client } from "./client.js"
import * as invocation from "./invocation.js"
import * as limits from "./limits.js"
import * as merge from "./merge.js"
import * as redact from "./redact.js"
import * as sessionError from "./sessionError.js"
import { isObject } from "./wire.js"

/** What is settled before anything is spawned. */
export interface Plan {
  readonly runId: string
  readonly startedAt: number
  readonly prompt: string
  readonly options: RunOptions
  readonly cwd: string
  readonly budget: { readonly [K in Exclude<keyof Budget, "unpriced">]-?: number }
  /** `"allow"` where there is no limit of cost. */
  readonly unpriced: Unpriced
  /** Whether the caller has given a model a price, so that a cost of 0 is none. */
  readonly isPriced: (model: string | undefined) => boolean
  readonly timeout: Duration.Duration
  readonly startupTimeout: Duration.Duration
  readonly idleTimeout: Duration.Duration
  readonly exitGrace: Duration.Duration
  readonly maxProviderRetries: number
  /** Cleans texts that go into errors. */
  readonly redact: (text: string) => string
  /** Cleans the facts that an error carries. */
  readonly clean: (partial: Partial) => Partial
  /** Cleans a line of a transcript. */
  readonly cleanLine: (line: { readonly [key: string]: unknown }) => unknown
}

const newId: Effect.Effect<string> = Effect.map(
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

/** Settles what needs neither the disk nor a process. */
export const make = (client: Client, prompt: string, own: RunOptions): Effect.Effect<Plan, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const current = yield* CurrentRunConfig
    const options: RunOptions = merge.configs<RunOptions>(merge.configs<RunOptions>(client.defaults, current), own)
    const problem = Option.orElse(check.run(prompt, options), () => client.transport.problem(options))
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
    const secrets = client.transport.secrets(options)
    const text = redact.make(secrets)
    const inside = redact.inside(secrets)
    const cleanEvent = (event: RunEvent): RunEvent =>
      event._tag === "SessionError"
        ? { ...event, raw: sessionError.sanitizeWire(event.raw, text) }
        : event
    return {
      runId: yield* newId,
      startedAt,
      prompt,
      options: invocation.withErrorLog(options),
      cwd: client.path.resolve(yield* expand(client, options.cwd ?? ".")),
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
      redact: text,
      clean: (partial) => inside({ ...partial, events: partial.events?.map(cleanEvent) }),
      cleanLine: (line) => inside(sessionError.sanitizeWire(line, text))
    }
  })

/** Puts the home directory in the place of `~`. */
export const expand = (client: Pick<Client, "path">, file: string): Effect.Effect<string> =>
  file.startsWith("~")
    ? Effect.provideService(binary.expand(file), Path.Path, client.path)
    : Effect.succeed(file)

type Files = Pick<Client, "fileSystem" | "path">

const isDirectory = (client: Files, directory: string) =>
  client.fileSystem.stat(directory).pipe(
    Effect.map((info) => info.type === "Directory"),
    Effect.orElseSucceed(() => false)
  )

/** Looks at what the run needs on the disk. */
export const checkFiles = (client: Files, plan: Plan): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const { cwd, options } = plan
    // The one that the program is in is there.
    if (options.cwd !== undefined && !(yield* isDirectory(client, cwd))) {
      return yield* new OpenCodeConfigError({ path: "cwd", reason: `there is no directory ${cwd}` })
    }
    // With a server the files and the directory are looked for where the server runs.
    if (options.attach !== undefined) return
    if (options.dir !== undefined && !(yield* isDirectory(client, client.path.resolve(cwd, options.dir)))) {
      return yield* new OpenCodeConfigError({ path: "dir", reason: `there is no directory ${options.dir}` })
    }
    yield* checkAttachments(client, plan)
  })

/** Looks for the files that go to the model. */
export const checkAttachments = (client: Files, { cwd, options }: Plan): Effect.Effect<void, OpenCodeConfigError> =>
  Effect.gen(function*() {
    for (const [index, file] of (options.files ?? []).entries()) {
      const there = yield* Effect.orElseSucceed(
        client.fileSystem.exists(client.path.resolve(cwd, file)),
        () => false
      )
      if (!there) {
        return yield* new OpenCodeConfigError({ path: `files.${index}`, reason: `there is no file ${file}` })
      }
    }
  })
