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
  readonly output?: string | undefined
}

/** What 2.x reports to have done with a file, and its name in 1.x. */
const kinds = new Map<unknown, string>([["added", "add"], ["modified", "update"], ["deleted", "delete"]])

/** The files that a patch moves: their new paths and their old ones. */
const moves = (input: unknown): ReadonlyMap<unknown, string> => {
  const text = isObject(input) ? input["patchText"] : undefined
  const found = typeof text === "string" ? text.matchAll(/^\*\*\* Update File: (.+)\r?\n\*\*\* Move to: (.+)$/gm) : []
  return new Map(Array.from(found, ([, from, to]) => [to!.trim(), from!.trim()]))
}

/** The changes of files that 2.x reports, as 1.x does. */
const changed = (tool: string, input: unknown, metadata: unknown): unknown => {
  if (!isObject(metadata) || !Array.isArray(metadata["files"])) return metadata
  const files: ReadonlyArray<unknown> = metadata["files"]
  switch (tool) {
    case "edit":
    case "write":
      return metadata["filediff"] === undefined && isObject(files[0])
        ? { ...metadata, filediff: files[0] }
        : metadata
    case "patch": {
      const moved = moves(input)
      return {
        ...metadata,
        files: files.map((file) => {
          if (!isObject(file) || file["file"] === undefined) return file
          const from = moved.get(file["file"])
          return from === undefined
            ? { filePath: file["file"], type: kinds.get(file["status"]), ...file }
            : { filePath: from, type: "move", movePath: file["file"], ...file }
        })
      }
    }
    default:
      return metadata
  }
}

/** 2.x says only in the output whether a file was there. */
const existed = ({ output }: Named, metadata: unknown): unknown => {
  const found = /^(Created|Wrote) file successfully/.exec(output ?? "")
  return found === null || !isObject(metadata) || metadata["exists"] !== undefined
    ? metadata
    : { ...metadata, exists: found[1] === "Wrote" }
}

/** Names a call and its fields as 1.x does; the fields of 2.x stay, too. */
export const asBefore = <A extends Named>(call: A): A => {
  const tool = names.get(call.tool) ?? call.tool
  const pairs = fields.get(tool) ?? []
  const input = rename(call.input, pairs)
  const renamed = changed(tool, input, rename(call.metadata, pairs))
  const metadata = tool === "write" ? existed(call, renamed) : renamed
  return tool === call.tool && input === call.input && metadata === call.metadata
    ? call
    : { ...call, tool, input, metadata: metadata as WireObject }
}
