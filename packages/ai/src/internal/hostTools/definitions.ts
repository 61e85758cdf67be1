/** Tools as OpenCode's client of the Model Context Protocol sees them. */
import * as Tool from "@effect/ai/Tool"
import * as Option from "effect/Option"
import { HostToolsError } from "../../HostToolsError.js"

export interface Definition {
  readonly name: string
  readonly description?: string
  readonly inputSchema: { readonly [key: string]: unknown }
}

export interface Definitions {
  /** What `tools/list` answers. */
  readonly list: ReadonlyArray<Definition>
  /** From OpenCode's name of a tool to its name in the toolkit. */
  readonly names: ReadonlyMap<string, string>
}

/** OpenCode's name for a text that it uses in the name of a tool (1.18.33, 2.0.14). */
export const sanitized = (text: string): string => text.replaceAll(/[^a-zA-Z0-9_-]/g, "_")

/** The JSON Schema of a struct without fields, as Effect writes it: anything but `null`. */
const anything = "/schemas/%7B%7D"

/**
 * OpenCode drops all tools of a server if the schema of one is not an object's (1.18.33), which that of a struct without
 * fields or of a union is not.
 */
const objectSchema = (tool: Tool.Any): { readonly [key: string]: unknown } => {
  const schema = Tool.getJsonSchema(tool as never) as unknown as { readonly [key: string]: unknown }
  if (schema["$id"] === anything) return { type: "object", properties: {}, additionalProperties: false }
  return schema["type"] === "object" ? schema : { ...schema, type: "object" }
}

/** True if the program has a handler for the tool. */
const isServed = (tool: Tool.Any): boolean =>
  !Tool.isProviderDefined(tool) || (tool as unknown as Tool.AnyProviderDefined).requiresHandler

const define = (name: string, tool: Tool.Any): Definition => {
  const description = Tool.getDescription(tool as never)
  return {
    name,
    ...(description === undefined ? {} : { description }),
    inputSchema: objectSchema(tool)
  }
}

/** The definitions of a toolkit, or the two tools that would have the same name. */
export const make = (
  server: string,
  tools: Readonly<Record<string, Tool.Any>>
): { readonly definitions: Definitions; readonly clash: Option.Option<HostToolsError> } => {
  const names = new Map<string, string>()
  const list: Array<Definition> = []
  for (const [name, tool] of Object.entries(tools)) {
    if (!isServed(tool)) continue
    const full = `${sanitized(server)}_${sanitized(name)}`
    const other = names.get(full)
    if (other !== undefined) {
      return {
        definitions: { list, names },
        clash: Option.some(
          new HostToolsError({
            reason: "name-clash",
            detail: `OpenCode would call both tools "${other}" and "${name}" ${full}; rename one of them`
          })
        )
      }
    }
    names.set(full, name)
    list.push(define(name, tool))
  }
  return { definitions: { list, names }, clash: Option.none() }
}
