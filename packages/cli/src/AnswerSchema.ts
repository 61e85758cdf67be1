/** The JSON Schema that an answer must satisfy, as an Effect Schema that the library can ask for. */
import { Ajv, type ErrorObject, type Options } from "ajv"
import addFormats from "ajv-formats"
import { Ajv2019 } from "ajv/dist/2019.js"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Either from "effect/Either"
import type * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import * as values from "./commandLine/values.js"

export interface AnswerSchema {
  /** As it was written; part of a job's identity. */
  readonly json: { readonly [key: string]: unknown }
  readonly schema: Schema.Schema<unknown>
}

/** Unknown keywords and formats are refused: a mistyped one would accept every answer. */
const options: Options = {
  allErrors: true,
  strictSchema: true,
  strictTypes: false,
  strictTuples: false,
  // Nothing is printed: every problem is an error.
  logger: false
}

const drafts: ReadonlyArray<readonly [name: RegExp, make: () => Ajv]> = [
  [/^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/, () => new Ajv2020(options)],
  [/^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, () => new Ajv2019(options)],
  [/^https?:\/\/json-schema\.org\/draft-07\/schema#?$/, () => new Ajv(options)]
]

const latest = "https://json-schema.org/draft/2020-12/schema"

/** The keys of a JSON pointer. */
const keysOf = (pointer: string): ReadonlyArray<string> =>
  pointer.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))

const issueOf = ({ instancePath, keyword, message, params }: ErrorObject): Schema.FilterIssue => {
  const extra: unknown = keyword === "additionalProperties" || keyword === "unevaluatedProperties"
    ? params[keyword === "additionalProperties" ? "additionalProperty" : "unevaluatedProperty"]
    : keyword === "enum"
    ? params["allowedValues"]
    : keyword === "const"
    ? params["allowedValue"]
    : undefined
  return {
    path: keysOf(instancePath),
    message: `${message ?? `does not satisfy "${keyword}"`}${extra === undefined ? "" : `: ${JSON.stringify(extra)}`}`
  }
}

const messageOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/^strict mode: /, "").replace(
    /^schema is invalid: /,
    ""
  )

/** The value of a JSON Schema: of draft 2020-12 (the default), 2019-09 or 7, as its `$schema` says. */
export const make = (json: unknown): Either.Either<AnswerSchema, string> =>
  Either.gen(function*() {
    if (!values.isObject(json)) return yield* Either.left("must be a JSON Schema, which is an object")
    const { $schema: draft = latest } = json
    const ajv = drafts.find(([name]) => typeof draft === "string" && name.test(draft))?.[1]()
    if (ajv === undefined) return yield* Either.left("its `$schema` must be draft 2020-12, 2019-09 or 7")
    const validate = yield* Either.try({
      try: () => addFormats.default(ajv).compile(json),
      catch: (cause) => `not a valid JSON Schema: ${messageOf(cause)}`
    })
    if ("$async" in validate) return yield* Either.left("not a valid JSON Schema: it is asynchronous")
    return {
      json,
      schema: Schema.Unknown.pipe(
        Schema.filter((value) => validate(value) ? true : (validate.errors ?? []).map(issueOf), {
          title: "answer",
          // Effect's type knows the keywords that Effect writes; this object is shown to the agent as it is.
          jsonSchema: { $schema: draft, ...json } as object as JSONSchema.JsonSchema7
        })
      )
    }
  })
