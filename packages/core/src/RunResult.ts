/**
 * The result of a run that finished, and the pure folds that build one from events.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as answers from "./internal/opencode/answer.js"
import * as decode from "./internal/opencode/decode.js"
import * as fileChanges from "./internal/opencode/fileChanges.js"
import * as fuzzy from "./internal/opencode/fuzzyText.js"
import * as summary from "./internal/opencode/summary.js"
import { DurationInMillis } from "./internal/util/durationInMillis.js"
import * as schemas from "./internal/util/schemas.js"
import { unchecked } from "./internal/util/unchecked.js"
import { RunEvent } from "./RunEvent.js"
import { TokenUsage } from "./TokenUsage.js"

/**
 * The summary of a list of events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary {
  /** Everything the agent said, in order, separated by blank lines. */
  readonly text: string
  /** The text of its final message, see {@link RunResult}. */
  readonly answer: string
  /** The events that report a tool call. */
  readonly toolCalls: ReadonlyArray<RunEvent>
  readonly sessionId: string | undefined
  readonly usage: TokenUsage
  /** US dollars, sub-agents not included. */
  readonly cost: number
  /** `true` if a step used tokens at a cost of 0: OpenCode reports that for a model without a price. */
  readonly unpriced?: boolean | undefined
  /** Steps that began, see {@link RunResult}. */
  readonly steps: number
  /** The reason of the last finished step. */
  readonly finishReason: string | undefined
  /** Lines that could be events and cannot be read, see {@link RunResult}; absent if zero. */
  readonly lostLines?: number
}

/**
 * All changes of a run to one file, combined.
 *
 * @since 0.1.0
 * @category models
 */
export interface FileChange {
  /** As OpenCode reported it: absolute with 1.18.33. */
  readonly path: string
  readonly kind: "created" | "modified" | "deleted" | "moved"
  /** The previous path of a moved file. */
  readonly from?: string | undefined
  /** Lines, summed over all changes; `undefined` if a change does not report them: an overwritten file. */
  readonly additions?: number | undefined
  readonly deletions?: number | undefined
}

/**
 * The result of a run whose conversation finished.
 *
 * @since 0.1.0
 * @category models
 */
export class RunResult extends Schema.Class<RunResult>("effect-opencode/RunResult")({
  /** The id of the run; OpenCode's processes had it in their environment. */
  runId: Schema.String,
  /** The text of the final message: what the agent said in its last step, after all of its work. */
  answer: Schema.String,
  /**
   * Everything the agent said, separated by blank lines. Text that OpenCode writes for itself, such as the summary of a
   * compaction and the message that continues after it, is only in `events`.
   */
  text: Schema.String,
  /** Every event except `TextDelta`s, in order. */
  events: schemas.withDefault(Schema.Array(RunEvent), () => []),
  sessionId: Schema.optional(Schema.String),
  /**
   * The model of the last step, as `provider/model`. Only with `OpenCodeServer` and OpenCode 2: a process of OpenCode 1
   * does not report it.
   */
  model: Schema.optional(Schema.String),
  usage: TokenUsage,
  /** US dollars, sub-agents not included: OpenCode's events do not show them. */
  cost: schemas.AnyNumber,
  /** `true` if some of the cost is unknown and not in `cost`: OpenCode reports 0 for a model without a price. */
  unpriced: Schema.optional(Schema.Boolean),
  /** Steps (requests to the model) that began, repetitions after a cut stream included: what a budget of `steps` counts. */
  steps: schemas.AnyNumber,
  /** `stop`, `length`, `content-filter`, … */
  finishReason: Schema.String,
  /** `undefined` if the process had to be ended after the conversation had finished, with `OpenCodeServer` and with OpenCode 2. */
  exitCode: Schema.optional(schemas.AnyNumber),
  /** True if the process had to be ended because it did not exit within `exitGrace`. */
  forced: Schema.Boolean,
  /** True if stdout had lost the end of the conversation and it was recovered, see `recover`. */
  recovered: schemas.withDefault(Schema.Boolean, () => false),
  /**
   * Lines of stdout that look like events or pieces of them but could not be read, and unreadable texts: other text was
   * mixed into them, or they were too long. Their content is missing from all other fields.
   */
  lostLines: schemas.withDefault(schemas.AnyNumber, () => 0),
  /** The last 64 KiB of stderr, without ANSI codes and secrets; empty with `OpenCodeServer`. */
  stderr: Schema.String,
  /** The lines of stdout as they were printed, only with `keepRaw`. */
  rawLines: Schema.optional(Schema.Array(Schema.String)),
  /** Starts of the process, retries included. */
  attempts: schemas.AnyNumber,
  /** The time from the call to the outcome, waiting for the start-up gate included. In JSON: milliseconds. */
  duration: DurationInMillis
}) {
  /** The events that report a tool call, in order. */
  get toolCalls(): ReadonlyArray<RunEvent> {
    return this.events.filter(decode.isToolCall)
  }

  /** The files that the run's own tool calls changed; see the function `filesChanged`. */
  get filesChanged(): ReadonlyArray<FileChange> {
    return fileChanges.fold(this.events)
  }
}

/**
 * Returns a result without what can be megabytes, its `events` and `rawLines`. `toolCalls` and `filesChanged`, which
 * are read from the events, become empty.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withoutEvents = (result: RunResult): RunResult => {
  const { events: _, rawLines: __, ...facts } = result
  return unchecked(RunResult, { ...facts, events: [] })
}

/**
 * The slim form of the Schema of a {@link RunResult}, for messages and databases: its JSON lacks the events. A decoded
 * result lacks them too, see {@link withoutEvents}.
 *
 * @example
 * ```ts
 * import { OpenCode, RunResult } from "effect-opencode"
 * import { Effect, Schema } from "effect"
 *
 * export const program = OpenCode.run("Fix the test").pipe(
 *   Effect.flatMap(Schema.encode(Schema.parseJson(RunResult.Slim)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const Slim: Schema.Schema<RunResult, typeof RunResult.Encoded> = schemas.converted(
  RunResult,
  Schema.typeSchema(RunResult),
  { decode: (result) => result, encode: withoutEvents }
)

/**
 * Summarizes events.
 *
 * @example
 * ```ts
 * import { RunEvent, RunResult } from "effect-opencode"
 *
 * const events = [
 *   RunEvent.fromWire({ type: "text", part: { text: "Hello" } }),
 *   RunEvent.fromWire({ type: "step_finish", part: { reason: "stop", cost: 0.5 } })
 * ]
 * console.log(RunResult.fold(events).cost) // 0.5
 * ```
 *
 * @since 0.1.0
 * @category folding
 */
export const fold = (events: Iterable<RunEvent>): Summary => {
  const state = summary.make({ keepText: Number.POSITIVE_INFINITY })
  const toolCalls: Array<RunEvent> = []
  for (const event of events) {
    state.add(event)
    if (decode.isToolCall(event)) toolCalls.push(event)
  }
  return {
    text: state.text(),
    answer: state.answer(),
    toolCalls,
    sessionId: state.sessionId,
    usage: state.usage,
    cost: state.cost,
    ...(state.unpriced ? { unpriced: true } : {}),
    steps: state.steps,
    finishReason: state.finishReason,
    ...(state.lostLines === 0 ? {} : { lostLines: state.lostLines })
  }
}

/**
 * The files that completed calls of `write`, `edit` and `apply_patch` changed, each once, in the order of their first
 * change. Changes by shell commands and sub-agents are not included: `WorkingTree.diff` shows them in a git repository.
 *
 * A patch that adds a file over an existing one counts as `created`, because OpenCode does not report the difference.
 *
 * @example
 * ```ts
 * import { RunResult } from "effect-opencode"
 * import type { RunEvent } from "effect-opencode"
 *
 * export const report = (events: ReadonlyArray<RunEvent.RunEvent>) =>
 *   RunResult.filesChanged(events).map(({ kind, path }) => `${kind} ${path}`)
 * ```
 *
 * @since 0.1.0
 * @category folding
 */
export const filesChanged: (events: Iterable<RunEvent>) => ReadonlyArray<FileChange> = fileChanges.fold

/**
 * The patches that completed calls of `edit` and `apply_patch` carry, concatenated; `write` carries none (1.18.33), and
 * changes by shell commands and sub-agents are not included.
 *
 * It is for reading, not for `git apply`: OpenCode removes common indentation and carriage returns from its patches,
 * and a file that was changed twice appears twice. `WorkingTree.diff` returns the exact total.
 *
 * @example
 * ```ts
 * import { RunResult } from "effect-opencode"
 * import type { RunEvent } from "effect-opencode"
 *
 * export const show = (events: ReadonlyArray<RunEvent.RunEvent>) => console.log(RunResult.unifiedDiff(events))
 * ```
 *
 * @since 0.1.0
 * @category folding
 */
export const unifiedDiff: (events: Iterable<RunEvent>) => string = fileChanges.patches

/**
 * Returns the best available text: `text`, trimmed, if there is one; else whatever text the events carry, joined by
 * newlines; else the raw lines.
 *
 * @since 0.1.0
 * @category getters
 */
export const fuzzyText = (result: {
  readonly text: string
  readonly events: ReadonlyArray<RunEvent>
  readonly rawLines?: ReadonlyArray<string> | undefined
}): string => {
  const text = result.text.trim()
  if (text !== "") return text
  const found = notOwn(result.events).map(fuzzy.fromEvent).filter((piece) => piece !== "")
  if (found.length > 0) return found.join("\n").trim()
  const lines = (result.rawLines ?? []).map((line) => ({ line, event: decode.fromLine(line) }))
  const kept = new Set(notOwn(lines.map(({ event }) => event)))
  return lines.flatMap(({ event, line }) => kept.has(event) ? [line] : []).join("\n").trim()
}

const notOwn = (events: ReadonlyArray<RunEvent>): ReadonlyArray<RunEvent> => {
  const own = answers.own(events)
  return own.size === 0 ? events : events.filter((event) => !own.has(event))
}

/**
 * Separates the agent's texts from those that OpenCode writes for itself, event by event, see {@link agentTexts}.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentTexts {
  /** Takes the next event and returns the texts that it proves to be the agent's, in order. */
  readonly add: (event: RunEvent) => ReadonlyArray<string>
  /** Returns the rest, when no further event comes. */
  readonly end: () => ReadonlyArray<string>
}

/**
 * Finds the agent's texts in events as they arrive, for programs that show them live. On stdout the summary of a
 * compaction looks like any other text until OpenCode continues after it, so the text of a step is held back until a
 * tool call, the next step or the end proves that it is the agent's.
 *
 * @example
 * ```ts
 * import { OpenCode, RunResult } from "effect-opencode"
 * import { Chunk, Stream } from "effect"
 *
 * export const narration = Stream.suspend(() => {
 *   const texts = RunResult.agentTexts()
 *   return OpenCode.stream("Write a poem").pipe(
 *     Stream.mapConcat(texts.add),
 *     Stream.concat(Stream.suspend(() => Stream.fromChunk(Chunk.fromIterable(texts.end()))))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 * @category folding
 */
export const agentTexts = (): AgentTexts => {
  const answer = answers.make()
  return { add: answer.add, end: answer.held }
}
