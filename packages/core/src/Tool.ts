/**
 * Typed access to the calls of OpenCode's own tools. The reported call is kept as `event`; an unknown tool (of an MCP
 * server or a plugin), or a known one with unexpected input, is an {@link Other}.
 *
 * Only the listed fields are checked: additional fields are ignored, optional fields may be `null`, and metadata of an
 * unexpected shape is absent.
 *
 * Shapes as printed by OpenCode 1.18.33; `bash`, `read` and `task` also by 1.14.34, 1.15.13 and 1.17.19. OpenCode 2.0.14
 * names some tools and fields differently: `shell` is {@link Bash}, `subagent` is {@link Task}, `patch` is
 * {@link ApplyPatch}, `path` is `filePath`.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as toolNames from "./internal/opencode/toolNames.js"
import { lenient, nullable, renamed, required } from "./internal/util/schemas.js"
import type * as RunEvent from "./RunEvent.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface BashInput extends Schema.Schema.Type<typeof BashInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const BashInput = Schema.Struct({
  command: Schema.String,
  description: nullable(Schema.String),
  /** Milliseconds. */
  timeout: nullable(Schema.Number),
  workdir: nullable(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ReadInput extends Schema.Schema.Type<typeof ReadInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ReadInput = Schema.Struct({
  filePath: Schema.String,
  /** The first line, counted from 1. */
  offset: nullable(Schema.Number),
  /** The maximum number of lines. */
  limit: nullable(Schema.Number)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface WriteInput extends Schema.Schema.Type<typeof WriteInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const WriteInput = Schema.Struct({
  filePath: Schema.String,
  content: Schema.String
})

/**
 * An empty `oldString` creates the file.
 *
 * @since 0.1.0
 * @category models
 */
export interface EditInput extends Schema.Schema.Type<typeof EditInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const EditInput = Schema.Struct({
  filePath: Schema.String,
  oldString: Schema.String,
  newString: Schema.String,
  replaceAll: nullable(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ApplyPatchInput extends Schema.Schema.Type<typeof ApplyPatchInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ApplyPatchInput = Schema.Struct({
  /** From `*** Begin Patch` to `*** End Patch`. */
  patchText: Schema.String
})

/**
 * @since 0.1.0
 * @category models
 */
export interface GlobInput extends Schema.Schema.Type<typeof GlobInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const GlobInput = Schema.Struct({
  pattern: Schema.String,
  path: nullable(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface GrepInput extends Schema.Schema.Type<typeof GrepInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const GrepInput = Schema.Struct({
  pattern: Schema.String,
  path: nullable(Schema.String),
  include: nullable(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface TaskInput extends Schema.Schema.Type<typeof TaskInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const TaskInput = Schema.Struct({
  description: Schema.String,
  prompt: Schema.String,
  subagentType: renamed(required(Schema.String), "subagent_type"),
  /** An earlier task to continue. */
  taskId: renamed(nullable(Schema.String), "task_id"),
  command: nullable(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Todo extends Schema.Schema.Type<typeof Todo> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Todo = Schema.Struct({
  content: Schema.String,
  /** `pending`, `in_progress`, `completed` or `cancelled`. */
  status: Schema.String,
  /** `high`, `medium` or `low`. */
  priority: nullable(Schema.String)
})

/**
 * The whole list: each call replaces the previous one.
 *
 * @since 0.1.0
 * @category models
 */
export interface TodoWriteInput extends Schema.Schema.Type<typeof TodoWriteInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const TodoWriteInput = Schema.Struct({
  todos: Schema.Array(Todo)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface WebFetchInput extends Schema.Schema.Type<typeof WebFetchInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const WebFetchInput = Schema.Struct({
  url: Schema.String,
  /** `text`, `markdown` or `html`. */
  format: nullable(Schema.String),
  /** Seconds. */
  timeout: nullable(Schema.Number)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ExecuteInput extends Schema.Schema.Type<typeof ExecuteInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ExecuteInput = Schema.Struct({
  /** JavaScript. */
  code: Schema.String
})

/**
 * @since 0.1.0
 * @category models
 */
export interface InvalidInput extends Schema.Schema.Type<typeof InvalidInput> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const InvalidInput = Schema.Struct({
  /** The tool that the model asked for. */
  tool: Schema.String,
  error: Schema.String
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const BashMetadata = Schema.Struct({
  exit: lenient(Schema.Number),
  truncated: lenient(Schema.Boolean),
  outputPath: lenient(Schema.String)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const ReadMetadata = Schema.Struct({
  preview: lenient(Schema.String),
  truncated: lenient(Schema.Boolean)
})

/**
 * Metadata of `write` and `edit`. OpenCode 1.18.33 sends `filepath` and `exists` with the former, `diff` and `filediff`
 * with the latter.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FileMetadata = Schema.Struct({
  filepath: lenient(Schema.String),
  exists: lenient(Schema.Boolean),
  diff: lenient(Schema.String),
  filediff: lenient(Schema.Struct({
    file: lenient(Schema.String),
    patch: lenient(Schema.String),
    additions: lenient(Schema.Number),
    deletions: lenient(Schema.Number)
  }))
})

/**
 * A file that a patch changed.
 *
 * @since 0.1.0
 * @category models
 */
export interface PatchedFile extends Schema.Schema.Type<typeof PatchedFile> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const PatchedFile = Schema.Struct({
  filePath: Schema.String,
  /** `add`, `update`, `delete` or `move`. */
  type: lenient(Schema.String),
  /** The new path of a moved file. */
  movePath: lenient(Schema.String),
  patch: lenient(Schema.String),
  additions: lenient(Schema.Number),
  deletions: lenient(Schema.Number)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const ApplyPatchMetadata = Schema.Struct({
  files: lenient(Schema.Array(PatchedFile)),
  diff: lenient(Schema.String)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const GlobMetadata = Schema.Struct({
  count: lenient(Schema.Number),
  truncated: lenient(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const GrepMetadata = Schema.Struct({
  matches: lenient(Schema.Number),
  truncated: lenient(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const TaskMetadata = Schema.Struct({
  sessionId: lenient(Schema.String)
})

/**
 * A tool that the code of an {@link Execute} has called.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExecutedCall extends Schema.Schema.Type<typeof ExecutedCall> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ExecutedCall = Schema.Struct({
  tool: Schema.String,
  /** `completed` or `error`; `running` for a call that the code did not wait for. */
  status: lenient(Schema.String),
  input: lenient(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const ExecuteMetadata = Schema.Struct({
  toolCalls: lenient(Schema.Array(ExecutedCall)),
  error: lenient(Schema.Boolean)
})

const NoMetadata = Schema.Struct({})

/**
 * The fields of every call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call<Tag extends string, Input> {
  readonly _tag: Tag
  readonly input: Input
  readonly status: RunEvent.ToolUse["status"]
  /** The output that the model received. */
  readonly output?: string | undefined
  /** Why the call failed, or was refused. */
  readonly error?: string | undefined
  /** The call as it was reported. */
  readonly event: RunEvent.ToolUse
}

/**
 * A shell command.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bash extends Call<"Bash", BashInput> {
  /** `undefined` for a command that did not end by itself, for example within its `timeout`. */
  readonly exit?: number | undefined
  readonly truncated?: boolean | undefined
  /** The file with the complete output, if it was truncated. */
  readonly outputPath?: string | undefined
}

/**
 * A file that was read, or a directory that was listed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Read extends Call<"Read", ReadInput> {
  /** The beginning of the content, without line numbers. */
  readonly preview?: string | undefined
  readonly truncated?: boolean | undefined
}

/**
 * A file that was written as a whole.
 *
 * @since 0.1.0
 * @category models
 */
export interface Write extends Call<"Write", WriteInput> {
  /** The absolute path if OpenCode reports it, else that of the input. */
  readonly path: string
  /** True if the file existed before. */
  readonly exists?: boolean | undefined
  /** OpenCode 1.18.33 does not send one. */
  readonly patch?: string | undefined
}

/**
 * A text that was replaced in a file.
 *
 * @since 0.1.0
 * @category models
 */
export interface Edit extends Call<"Edit", EditInput> {
  /** The absolute path if OpenCode reports it, else that of the input. */
  readonly path: string
  /** For reading: OpenCode removes indentation and carriage returns. */
  readonly patch?: string | undefined
  readonly additions?: number | undefined
  readonly deletions?: number | undefined
}

/**
 * A patch of any number of files. OpenCode 1.18.33 offers it instead of `edit` and `write` to some models: `gpt-5` got
 * it, `gpt-4.1` and `gpt-oss-20b` did not. `patch` is another name of the same tool.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApplyPatch extends Call<"ApplyPatch", ApplyPatchInput> {
  /** Empty for a call that failed. */
  readonly files: ReadonlyArray<PatchedFile>
  /** The patches of all files. For reading: OpenCode removes indentation and carriage returns. */
  readonly diff?: string | undefined
}

/**
 * A search for files by name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Glob extends Call<"Glob", GlobInput> {
  readonly count?: number | undefined
  readonly truncated?: boolean | undefined
}

/**
 * A search for lines in files.
 *
 * @since 0.1.0
 * @category models
 */
export interface Grep extends Call<"Grep", GrepInput> {
  readonly matches?: number | undefined
  readonly truncated?: boolean | undefined
}

/**
 * A sub-agent. What it did is not among the events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Task extends Call<"Task", TaskInput> {
  /** The session of the sub-agent; `undefined` if none was created. */
  readonly sessionId?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TodoWrite extends Call<"TodoWrite", TodoWriteInput> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface WebFetch extends Call<"WebFetch", WebFetchInput> {}

/**
 * Code of the model that calls tools, among them those of MCP servers (OpenCode 2.0.14). OpenCode 1 does not have it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Execute extends Call<"Execute", ExecuteInput> {
  /** The tools that the code has called, in order. */
  readonly calls: ReadonlyArray<ExecutedCall>
  /** True if the code has failed, although the call has completed: its output says why. */
  readonly failed: boolean
}

/**
 * What OpenCode reports for a tool that the model asked for and does not have.
 *
 * @since 0.1.0
 * @category models
 */
export interface Invalid extends Call<"Invalid", InvalidInput> {}

/**
 * Any other tool, or an unexpected input. The name is in `event.tool`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Other extends Call<"Other", unknown> {}

/**
 * A tool call.
 *
 * @since 0.1.0
 * @category models
 */
export type Tool =
  | Bash
  | Read
  | Write
  | Edit
  | ApplyPatch
  | Glob
  | Grep
  | Task
  | TodoWrite
  | WebFetch
  | Execute
  | Invalid
  | Other

type Common = Omit<Call<never, never>, "_tag" | "input">

const decoder = <A, I, M, J>(
  input: Schema.Schema<A, I>,
  metadata: Schema.Schema<M, J>,
  make: (input: A, common: Common, metadata: M | undefined) => Tool
) => {
  const decodeInput = Schema.decodeUnknownOption(input)
  const decodeMetadata = Schema.decodeUnknownOption(metadata)
  return (event: RunEvent.ToolUse, common: Common): Option.Option<Tool> =>
    Option.map(
      decodeInput(event.input),
      (input) => make(input, common, Option.getOrUndefined(decodeMetadata(event.metadata)))
    )
}

const applyPatch = decoder(ApplyPatchInput, ApplyPatchMetadata, (input, common, metadata) => ({
  _tag: "ApplyPatch",
  input,
  ...common,
  files: metadata?.files ?? [],
  diff: metadata?.diff
}))

// A Map, because an object literal would match "constructor" and "__proto__".
const decoders = new Map([
  [
    "bash",
    decoder(BashInput, BashMetadata, (input, common, metadata) => ({ _tag: "Bash", input, ...common, ...metadata }))
  ],
  [
    "read",
    decoder(ReadInput, ReadMetadata, (input, common, metadata) => ({ _tag: "Read", input, ...common, ...metadata }))
  ],
  [
    "write",
    decoder(WriteInput, FileMetadata, (input, common, metadata) => ({
      _tag: "Write",
      input,
      ...common,
      path: metadata?.filepath ?? metadata?.filediff?.file ?? input.filePath,
      exists: metadata?.exists,
      patch: metadata?.filediff?.patch ?? metadata?.diff
    }))
  ],
  [
    "edit",
    decoder(EditInput, FileMetadata, (input, common, metadata) => ({
      _tag: "Edit",
      input,
      ...common,
      path: metadata?.filediff?.file ?? metadata?.filepath ?? input.filePath,
      patch: metadata?.filediff?.patch ?? metadata?.diff,
      additions: metadata?.filediff?.additions,
      deletions: metadata?.filediff?.deletions
    }))
  ],
  ["apply_patch", applyPatch],
  ["patch", applyPatch],
  [
    "glob",
    decoder(GlobInput, GlobMetadata, (input, common, metadata) => ({ _tag: "Glob", input, ...common, ...metadata }))
  ],
  [
    "grep",
    decoder(GrepInput, GrepMetadata, (input, common, metadata) => ({ _tag: "Grep", input, ...common, ...metadata }))
  ],
  [
    "task",
    decoder(TaskInput, TaskMetadata, (input, common, metadata) => ({ _tag: "Task", input, ...common, ...metadata }))
  ],
  ["todowrite", decoder(TodoWriteInput, NoMetadata, (input, common) => ({ _tag: "TodoWrite", input, ...common }))],
  ["webfetch", decoder(WebFetchInput, NoMetadata, (input, common) => ({ _tag: "WebFetch", input, ...common }))],
  [
    "execute",
    decoder(ExecuteInput, ExecuteMetadata, (input, common, metadata) => ({
      _tag: "Execute",
      input,
      ...common,
      calls: metadata?.toolCalls ?? [],
      failed: metadata?.error === true
    }))
  ],
  ["invalid", decoder(InvalidInput, NoMetadata, (input, common) => ({ _tag: "Invalid", input, ...common }))]
])

/**
 * Reads the tool call of a `ToolUse` event. Total: it never throws, and the event is kept.
 *
 * @example
 * ```ts
 * import { RunEvent, Tool } from "effect-opencode"
 * import type { RunResult } from "effect-opencode"
 *
 * export const failedCommands = (result: RunResult.RunResult) =>
 *   result.events.filter(RunEvent.is("ToolUse")).map(Tool.fromEvent).filter(Tool.is("Bash"))
 *     .filter((bash) => bash.exit !== 0)
 *     .map((bash) => bash.input.command)
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromEvent = (event: RunEvent.ToolUse): Tool => {
  const common: Common = { status: event.status, output: event.output, error: event.error, event }
  const named = toolNames.asBefore(event)
  const known = decoders.get(named.tool)?.(named, common) ?? Option.none()
  return Option.getOrElse(known, (): Tool => ({ _tag: "Other", input: event.input, ...common }))
}

/**
 * Narrows a call to one of its kinds.
 *
 * @example
 * ```ts
 * import { Tool } from "effect-opencode"
 *
 * export const subAgents = (tools: ReadonlyArray<Tool.Tool>) =>
 *   tools.filter(Tool.is("Task")).map((task) => [task.input.subagentType, task.sessionId])
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const is = <Tag extends Tool["_tag"]>(tag: Tag) => (tool: Tool): tool is Extract<Tool, { readonly _tag: Tag }> =>
  tool._tag === tag
