/**
 * OpenCode's own tools for a `Toolkit`: with them, a response names the calls that the agent has made, with parameters and
 * results. The agent has its tools in any case; what it may do says `permission`. Without them, the names of all calls are
 * in `metadata.opencode.tools` of the `finish` part.
 *
 * OpenCode 2 calls some of them by other names, `shell`, `subagent` and `patch`; they are the same tools here.
 *
 * A result is the text that OpenCode reports, which it cuts if it is long; that of a failed call is its message. A call whose
 * parameters are not those of the tool has no part.
 *
 * @example
 * ```ts
 * import { LanguageModel, Toolkit } from "@effect/ai"
 * import { OpenCodeTool } from "effect-opencode-ai"
 * import { Console, Effect } from "effect"
 *
 * export const program = LanguageModel.generateText({
 *   prompt: "Which tests fail?",
 *   toolkit: Toolkit.make(OpenCodeTool.Bash)
 * }).pipe(
 *   Effect.flatMap(({ toolCalls }) => Console.log(toolCalls.map(({ params }) => params.command)))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as AiTool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Tool from "effect-opencode/Tool"
import * as Schema from "effect/Schema"

const define = <const Name extends string, Fields extends Schema.Struct.Fields>(
  toolkitName: Name,
  providerName: string,
  parameters: Fields
) =>
  AiTool.providerDefined({
    id: `opencode.${providerName}`,
    toolkitName,
    providerName,
    args: {},
    parameters,
    success: Schema.String
  })({})

/**
 * A command of the shell.
 *
 * @since 0.1.0
 * @category tools
 */
export const Bash = define("OpenCodeBash", "bash", Tool.BashInput.fields)

/**
 * Reads a file or a directory.
 *
 * @since 0.1.0
 * @category tools
 */
export const Read = define("OpenCodeRead", "read", Tool.ReadInput.fields)

/**
 * Replaces text in a file.
 *
 * @since 0.1.0
 * @category tools
 */
export const Edit = define("OpenCodeEdit", "edit", Tool.EditInput.fields)

/**
 * Writes a file.
 *
 * @since 0.1.0
 * @category tools
 */
export const Write = define("OpenCodeWrite", "write", Tool.WriteInput.fields)

/**
 * Applies a patch to several files.
 *
 * @since 0.1.0
 * @category tools
 */
export const ApplyPatch = define("OpenCodeApplyPatch", "apply_patch", Tool.ApplyPatchInput.fields)

/**
 * Finds files by their names.
 *
 * @since 0.1.0
 * @category tools
 */
export const Glob = define("OpenCodeGlob", "glob", Tool.GlobInput.fields)

/**
 * Finds text in files.
 *
 * @since 0.1.0
 * @category tools
 */
export const Grep = define("OpenCodeGrep", "grep", Tool.GrepInput.fields)

/**
 * Fetches a page.
 *
 * @since 0.1.0
 * @category tools
 */
export const WebFetch = define("OpenCodeWebFetch", "webfetch", Tool.WebFetchInput.fields)

/**
 * Starts a sub-agent.
 *
 * @since 0.1.0
 * @category tools
 */
export const Task = define("OpenCodeTask", "task", Tool.TaskInput.fields)

/**
 * Writes the list of things to do.
 *
 * @since 0.1.0
 * @category tools
 */
export const Todo = define("OpenCodeTodo", "todowrite", Tool.TodoWriteInput.fields)

/**
 * Runs code that calls tools. OpenCode 2 only.
 *
 * @since 0.1.0
 * @category tools
 */
export const Execute = define("OpenCodeExecute", "execute", Tool.ExecuteInput.fields)

/**
 * All of them.
 *
 * @since 0.1.0
 * @category toolkits
 */
export const toolkit = Toolkit.make(Bash, Read, Edit, Write, ApplyPatch, Glob, Grep, WebFetch, Task, Todo, Execute)
