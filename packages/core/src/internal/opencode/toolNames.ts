import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"

/** The tools of 2.x that have another name in 1.x. */
const names = new Map([["shell", "bash"], ["subagent", "task"]])

/** Fields of 2.x and their names in 1.x, by the tool's name in 1.x. */
const fields = new Map<string, ReadonlyArray<readonly [now: string, before: string]>>([
  ["read", [["path", "filePath"]]],
  ["write", [["path", "filePath"]]],
  ["edit", [["path", "filePath"]]],
  ["task", [["agent", "subagent_type"], ["sessionID", "sessionId"]]]
])

const rename = (u: unknown, pairs: ReadonlyArray<readonly [string, string]>): unknown => {
  if (!isObject(u)) return u
  const added: Array<readonly [string, unknown]> = pairs.flatMap(([now, before]) =>
    u[before] === undefined && u[now] !== undefined ? [[before, u[now]] as const] : []
  )
  return added.length === 0 ? u : { ...u, ...Object.fromEntries(added) }
}

export interface Named {
  readonly tool: string
  readonly input: unknown
  readonly metadata?: unknown
}

/** Names a call and its fields as 1.x does; the fields of 2.x stay, too. */
export const asBefore = <A extends Named>(call: A): A => {
  const tool = names.get(call.tool) ?? call.tool
  const pairs = fields.get(tool) ?? []
  const input = rename(call.input, pairs)
  const metadata = rename(call.metadata, pairs)
  return tool === call.tool && input === call.input && metadata === call.metadata
    ? call
    : { ...call, tool, input, metadata: metadata as WireObject }
}
