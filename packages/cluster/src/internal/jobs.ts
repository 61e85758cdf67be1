import { OpenCodeConfigError } from "effect-opencode/OpenCodeError"
import * as Redaction from "effect-opencode/Redaction"
import * as RunOptions from "effect-opencode/RunOptions"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** The version of the stored form. A field that an older runner would misread raises it. */
export const currentVersion = 1

/** Leaves room for the name of the entity in the keys of the engine, which are 255 characters in PostgreSQL. */
const maxId = 200

/** Half of a surrogate pair, which no database stores as UTF-8. */
const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/

export const isId = (id: string): boolean =>
  // eslint-disable-next-line no-control-regex
  id.length > 0 && id.length <= maxId && !/[\u0000-\u001F\u007F]/.test(id) && !loneSurrogate.test(id)

/** A text as PostgreSQL stores it: without NUL, and without half of a surrogate pair. */
export const storable = (text: string): string =>
  text.replaceAll("\0", "\uFFFD").replace(new RegExp(loneSurrogate, "g"), "\uFFFD")

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The same text for the same JSON value, whatever the order of its fields. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner)
      ? Object.fromEntries(Object.keys(inner).sort().map((key) => [key, inner[key]]))
      : inner)

/** The names of the fields in which two stored jobs differ; the version is not one of them. */
export const differences = (one: string, other: string): ReadonlyArray<string> => {
  const [a, b] = [JSON.parse(one), JSON.parse(other)] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((key) => key !== "version" && canonical(a[key] ?? null) !== canonical(b[key] ?? null))
    .sort()
}

/** What is checked of a job before it is stored. */
export interface Stored {
  readonly id: string
  readonly prompt: string
  readonly options?: Omit<RunOptions.Data, "runId" | "isolation"> | undefined
  readonly workspace?: { readonly url: string; readonly ref?: string | undefined } | undefined
  readonly afterCrash?: string | undefined
  readonly secrets?: ReadonlyArray<string> | undefined
  readonly version?: number | undefined
}

const named = "stands in the database; name it in `secrets` of the job, and give its value to the runners"

/** A password, or over HTTP a name alone, which is where tokens stand. */
const hasCredentials = /^(?:\w+:\/\/[^/@]*:[^/@]*@|https?:\/\/[^/]*@)/i

const problemOf = (job: Stored): OpenCodeConfigError | undefined => {
  const options = RunOptions.check(job.prompt, job.options)
  if (options !== undefined) return options
  const error = (path: string, reason: string) => new OpenCodeConfigError({ path, reason })
  if (Redaction.secretsOf(job.options).length > 0) return error("options", `a value that looks like a secret ${named}`)
  if (job.workspace !== undefined) {
    if (Redaction.secretsOf(job.workspace).length > 0 || hasCredentials.test(job.workspace.url)) {
      return error("workspace.url", "credentials stand in the database; git on the runners has its own")
    }
    if (job.workspace.url === "" || job.workspace.url.startsWith("-")) return error("workspace.url", "not a repository")
    if (job.workspace.ref?.startsWith("-") === true) return error("workspace.ref", "not a ref")
    if (job.options?.cwd !== undefined) return error("options.cwd", "a job with a `workspace` works in its own tree")
    if (job.afterCrash === "resume") {
      return error("afterCrash", "a job with a `workspace` begins again in a new tree; use \"restart\"")
    }
  }
  const secret = job.secrets?.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  if (secret !== undefined) return error("secrets", "must be names of environment variables")
  if (job.version !== undefined && job.version !== currentVersion) {
    return error("version", `this program writes version ${currentVersion}`)
  }
  return undefined
}

/** The stored form of a job, or why it is refused. */
export const encode = <A extends Stored, I>(
  schema: Schema.Schema<A, I>,
  job: A
): Either.Either<string, OpenCodeConfigError> =>
  Schema.encodeEither(schema)(job).pipe(
    Either.mapLeft(issue),
    Either.flatMap((encoded) => {
      const problem = problemOf(job)
      return problem === undefined
        ? Either.right(canonical({ ...encoded, version: currentVersion }))
        : Either.left(problem)
    })
  )

/** The place and the reason, without the value. */
const issue = (error: ParseResult.ParseError): OpenCodeConfigError => {
  const [first] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return new OpenCodeConfigError({
    path: first === undefined || first.path.length === 0 ? "job" : first.path.map(String).join("."),
    reason: first?.message ?? "not a job"
  })
}

/** Reads the stored form of this version and of the one before. */
export const decode = <A, I>(
  schema: Schema.Schema<A, I>,
  payload: string
): Either.Either<A, OpenCodeConfigError> =>
  Either.try(() => upgrade(JSON.parse(payload))).pipe(
    Either.mapLeft(() => new OpenCodeConfigError({ path: "job", reason: "its stored form is not JSON" })),
    Either.flatMap((value) => Either.mapLeft(Schema.decodeUnknownEither(schema)(value), issue))
  )

/** Version 0, which was never published, has the same fields. The steps from one version to the next stand here. */
const upgrade = (value: unknown): unknown =>
  isObject(value) && value["version"] === 0 ? { ...value, version: currentVersion } : value
