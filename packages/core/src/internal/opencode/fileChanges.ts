import type * as RunEvent from "../../RunEvent.js"
import type { FileChange } from "../../RunResult.js"
import * as Tool from "../../Tool.js"

interface Change extends FileChange {
  readonly patch: string | undefined
}

const hunkHeader = /^@@ .*$/m

/** Counted from the patch, because OpenCode's own count is off by one for deleted files. */
const count = (patch: string | undefined, sign: string): number | undefined => {
  const start = patch?.search(hunkHeader) ?? -1
  return patch === undefined || start < 0
    ? undefined
    : patch.slice(start).split("\n").filter((line) => line.startsWith(sign)).length
}

const change = (
  path: string,
  kind: FileChange["kind"],
  from: {
    readonly patch?: string | undefined
    readonly additions?: number | undefined
    readonly deletions?: number | undefined
  }
): Change => ({
  path,
  kind,
  additions: count(from.patch, "+") ?? from.additions,
  deletions: count(from.patch, "-") ?? from.deletions,
  patch: from.patch
})

/** An empty text has no lines, and a final line feed does not begin one. */
const lines = (text: string): number => text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0)

const kinds: { readonly [type: string]: FileChange["kind"] } = { add: "created", delete: "deleted" }

const ofFile = (file: Tool.PatchedFile): Change =>
  file.movePath === undefined
    ? change(file.filePath, kinds[file.type ?? ""] ?? "modified", file)
    : { ...change(file.movePath, "moved", file), from: file.filePath }

const ofTool = (tool: Tool.Tool): ReadonlyArray<Change> => {
  if (tool.status !== "completed") return []
  switch (tool._tag) {
    case "Write":
      return tool.exists === false
        ? [change(tool.path, "created", { patch: tool.patch, additions: lines(tool.input.content), deletions: 0 })]
        : [change(tool.path, "modified", tool)]
    case "Edit":
      return [
        change(
          tool.path,
          tool.input.oldString === "" && /^@@ -0,0 /m.test(tool.patch ?? "") ? "created" : "modified",
          tool
        )
      ]
    case "ApplyPatch":
      return tool.files.map(ofFile)
    default:
      return []
  }
}

function* changes(events: Iterable<RunEvent.RunEvent>): Generator<Change> {
  for (const event of events) {
    if (event._tag === "ToolUse") yield* ofTool(Tool.fromEvent(event))
  }
}

const sum = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a + b

/** Combines two successive changes of one file. */
const merge = (before: FileChange, after: FileChange): FileChange => {
  const counts = {
    additions: sum(before.additions, after.additions),
    deletions: sum(before.deletions, after.deletions)
  }
  const origin = before.from ?? before.path
  if (after.kind === "deleted") return { path: origin, kind: "deleted", ...counts }
  if (before.kind === "created") return { path: after.path, kind: "created", ...counts }
  return origin === after.path
    ? { path: after.path, kind: "modified", ...counts }
    : { path: after.path, kind: "moved", from: origin, ...counts }
}

export const fold = (events: Iterable<RunEvent.RunEvent>): ReadonlyArray<FileChange> => {
  const found: Array<FileChange> = []
  for (const { patch: _, ...change } of changes(events)) {
    const at = found.findIndex(({ path }) => path === (change.from ?? change.path))
    const merged = at < 0 ? change : merge(found[at]!, change)
    const other = found.findIndex(({ path }, index) => path === merged.path && index !== at)
    // If another file exists at the first path of a moved and deleted file, that path counts as modified; a file that
    // was overwritten by a move is dropped.
    const result: FileChange = other >= 0 && merged.kind === "deleted" ? { ...found[other]!, kind: "modified" } : merged
    if (at < 0) found.push(result)
    else found[at] = result
    if (other >= 0) found.splice(other, 1)
  }
  return found
}

export const patches = (events: Iterable<RunEvent.RunEvent>): string => {
  let text = ""
  for (const { patch } of changes(events)) {
    if (patch !== undefined) text += `${patch.replace(/\n+$/, "")}\n`
  }
  return text
}
