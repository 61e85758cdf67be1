import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { isObject } from "./object.js"

/** What a Schema expects, as its failures say it. */
export const expected = (ast: AST.AST): string => `${String(ast)} was expected`

/** All that does not fit, as a tree. Holds the values, which can be secrets. */
export const tree = (error: ParseResult.ParseError): string => ParseResult.TreeFormatter.formatErrorSync(error)

/**
 * The JSON Schema of a Schema. Throws if there is none. `JSONSchema.make` leaves out the `$defs` of a Schema that is
 * annotated with a JSON Schema as a whole, and its references would point to nothing.
 */
export const jsonSchema = <A, I>(schema: Schema.Schema<A, I>): object => {
  const made = JSONSchema.make(schema)
  const annotated: unknown = Option.getOrUndefined(AST.getJSONSchemaAnnotation(schema.ast))
  const definitions = isObject(annotated) ? annotated["$defs"] : undefined
  return isObject(definitions) ? { ...made, $defs: { ...definitions, ...made.$defs } } : made
}
