import * as ParseResult from "effect/ParseResult"
import type * as AST from "effect/SchemaAST"

/** What a Schema expects, as its failures say it. */
export const expected = (ast: AST.AST): string => `${String(ast)} was expected`

/** All that does not fit, as a tree. Holds the values, which can be secrets. */
export const tree = (error: ParseResult.ParseError): string => ParseResult.TreeFormatter.formatErrorSync(error)
