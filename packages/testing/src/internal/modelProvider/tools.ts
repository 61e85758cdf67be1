/** The tools of OpenCode, whose names and parameters differ between its majors (1.18.33, 2.0.14). */
import * as Predicate from "effect/Predicate"

interface Tool {
  readonly names: readonly [string, string]
  readonly parameters: ReadonlyArray<readonly [string, string]>
}

const path = ["filePath", "path"] as const

const tools: ReadonlyArray<Tool> = [
  { names: ["bash", "shell"], parameters: [] },
  { names: ["task", "subagent"], parameters: [["subagent_type", "agent"]] },
  { names: ["apply_patch", "patch"], parameters: [] },
  { names: ["read", "read"], parameters: [path] },
  { names: ["edit", "edit"], parameters: [path] },
  { names: ["write", "write"], parameters: [path] },
  { names: ["skill", "skill"], parameters: [["name", "id"]] }
]

type Properties = { readonly [name: string]: unknown }

const isObject = (u: unknown): u is Properties => Predicate.isRecord(u)

/** The parameters of a tool that a request offers; `undefined` if the request does not offer it. */
const parametersOf = (body: unknown, name: string): Properties | undefined => {
  const offered = isObject(body) && Array.isArray(body["tools"]) ? body["tools"] as ReadonlyArray<unknown> : []
  for (const tool of offered) {
    const described = isObject(tool) && isObject(tool["function"]) ? tool["function"] : {}
    if (described["name"] !== name) continue
    const { parameters } = described
    return isObject(parameters) && isObject(parameters["properties"]) ? parameters["properties"] : {}
  }
  return undefined
}

const renamed = (given: Properties, known: Properties, pairs: Tool["parameters"]): Properties => {
  const other = (name: string): string => {
    for (const [one, two] of pairs) {
      const to = name === one ? two : name === two ? one : undefined
      if (to !== undefined && !(name in known) && to in known && !(to in given)) return to
    }
    return name
  }
  return Object.keys(given).every((name) => other(name) === name)
    ? given
    : Object.fromEntries(Object.entries(given).map(([name, value]) => [other(name), value]))
}

export interface Call {
  readonly name: string
  readonly arguments: unknown
}

/**
 * Writes a call as the requesting OpenCode knows it: a tool that it does not offer, and parameters that the tool does not
 * have, by their names in the other major.
 */
export const translate = (call: Call, body: unknown): Call => {
  const tool = tools.find(({ names }) => names.includes(call.name))
  if (tool === undefined) return call
  const name = [call.name, ...tool.names].find((name) => parametersOf(body, name) !== undefined)
  if (name === undefined) return call
  return {
    name,
    arguments: isObject(call.arguments)
      ? renamed(call.arguments, parametersOf(body, name) ?? {}, tool.parameters)
      : call.arguments
  }
}
