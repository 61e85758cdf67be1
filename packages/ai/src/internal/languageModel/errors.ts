/** Errors of a run as errors of `@effect/ai`. */
import * as AiError from "@effect/ai/AiError"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { HostToolsError } from "../../HostToolsError.js"

/** The name under which errors say where they come from. */
export const module = "OpenCodeLanguageModel"

/** A failure of an HTTP response has no field for its cause. */
const causes = new WeakMap<AiError.AiError, OpenCodeError.OpenCodeError>()

const isOpenCodeError = Schema.is(OpenCodeError.OpenCodeError)

export const errorOf = (error: AiError.AiError): Option.Option<OpenCodeError.OpenCodeError> => {
  const cause = "cause" in error ? error.cause : undefined
  return Option.orElse(
    Option.fromNullable(causes.get(error)),
    () => isOpenCodeError(cause) ? Option.some(cause) : Option.none()
  )
}

const field = (u: unknown, name: string): unknown => Predicate.hasProperty(u, name) ? u[name] : undefined

const text = (u: unknown): string | undefined => typeof u === "string" ? u : undefined

const headersOf = (u: unknown): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(Predicate.isRecord(u) ? u : {}).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, value]] : []
    )
  )

/** OpenCode reports the address in the metadata of an error (1.18.33), with the query that it has sent. */
const requestOf = (error: unknown) => {
  const address = text(field(field(field(error, "data"), "metadata"), "url")) ?? ""
  const parsed = URL.canParse(address) ? new URL(address) : undefined
  return {
    method: "POST" as const,
    url: parsed === undefined ? address : `${parsed.origin}${parsed.pathname}`,
    urlParams: [],
    hash: Option.none<string>(),
    headers: {}
  }
}

const ofSession = (method: string, error: OpenCodeError.OpenCodeSessionError): AiError.AiError => {
  const { kind, reason, statusCode } = error
  const data = field(error.error, "data")
  if (statusCode !== undefined) {
    const body = text(field(data, "responseBody"))
    return new AiError.HttpResponseError({
      module,
      method,
      reason: "StatusCode",
      request: requestOf(error.error),
      response: { status: statusCode, headers: headersOf(field(data, "responseHeaders")) },
      description: reason,
      ...(body === undefined ? {} : { body })
    })
  }
  return kind === "provider-unavailable"
    ? new AiError.HttpRequestError({
      module,
      method,
      reason: "Transport",
      request: requestOf(error.error),
      description: reason,
      cause: error
    })
    : new AiError.UnknownError({ module, method, description: error.message, cause: error })
}

const converted = (method: string, error: OpenCodeError.OpenCodeError): AiError.AiError => {
  switch (error._tag) {
    case "OpenCodeSessionError":
      return ofSession(method, error)
    case "OpenCodeConfigError":
      return new AiError.MalformedInput({ module, method, description: error.message, cause: error })
    case "OpenCodeOutputError":
      return new AiError.MalformedOutput({ module, method, description: error.message, cause: error })
    default:
      return new AiError.UnknownError({ module, method, description: error.message, cause: error })
  }
}

export const toAiError = (error: OpenCodeError.OpenCodeError, method: string): AiError.AiError => {
  const made = converted(method, error)
  causes.set(made, error)
  return made
}

export const refused = (method: string, description: string): AiError.MalformedInput =>
  new AiError.MalformedInput({ module, method, description })

export const malformed = (method: string, description: string, cause: unknown): AiError.MalformedOutput =>
  new AiError.MalformedOutput({ module, method, description, cause })

/** Problems of the program's own wiring are input; what happened while the run was on is not. */
const isInput = ({ reason }: HostToolsError): boolean => reason !== "not-connected" && reason !== "conflict"

/** Converts the errors that are ours; those of a tool's handler pass unchanged. */
export const convert = (method: string) => <E>(error: E): E | AiError.AiError =>
  error instanceof HostToolsError
    ? new (isInput(error) ? AiError.MalformedInput : AiError.UnknownError)({
      module,
      method,
      description: error.message,
      cause: error
    })
    : isOpenCodeError(error)
    ? toAiError(error, method)
    : error
