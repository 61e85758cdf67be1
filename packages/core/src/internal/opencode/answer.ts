import type { RunEvent } from "../../RunEvent.js"
import * as decode from "./decode.js"

/**
 * Separates the agent's texts from those that OpenCode writes for itself (1.18.33). On stdout a compaction looks like
 * any other step; it is recognized by OpenCode's continuation text right after it, or by the overflow before it.
 */
export interface Answer {
  /** Returns the texts that this event shows to be the agent's: its own, or those that were held back. */
  readonly add: (event: RunEvent) => ReadonlyArray<string>
  /** The texts of the last step, which could still be a summary. */
  readonly held: () => ReadonlyArray<string>
  /** The texts of the agent's last step, which is the final message of a run that has finished. */
  readonly final: () => ReadonlyArray<string>
  /** True if the last step is a compaction, as far as that is known before its end. */
  readonly summarizes: () => boolean
  /** True if a text belongs to the summary, and not to what follows it. */
  readonly isSummary: (text: RunEvent) => boolean
}

interface Step {
  readonly messageId: string | undefined
  /** True for a compaction, which is OpenCode's memory and not part of the conversation. */
  readonly isSummary: boolean
  readonly said: Array<RunEvent>
  /** Texts before this index have been returned. */
  given: number
  isFinished: boolean
  /** A compaction has no tools. */
  hasTools: boolean
}

const none: ReadonlyArray<string> = []

/** A blank line. */
export const separator = "\n\n"

/** Joins texts. */
export const join = (texts: ReadonlyArray<string>): string => texts.join(separator)

const textsOf = (events: ReadonlyArray<RunEvent>): ReadonlyArray<string> =>
  events.map(decode.textOf).filter((text) => text !== "")

/** Recognized by its words, because older versions do not mark it. */
const continuation = /^(?:The previous request exceeded the provider's size limit[^]*)?Continue if you have next steps/

/** True if OpenCode continues by itself with this text, after a compaction. */
const continues = ({ raw, text }: Extract<RunEvent, { readonly _tag: "Text" }>): boolean =>
  decode.isContinuation(raw) || continuation.test(text)

export const make = (onOwn: (event: RunEvent) => void = () => undefined): Answer => {
  let last: Step | undefined
  let before: Step | undefined
  /** OpenCode compacts after an overflow and retries, unless that is disabled: then no step follows. */
  let overflowed = false

  const give = (step: Step | undefined): ReadonlyArray<string> => {
    if (step === undefined || step.isSummary || step.given === step.said.length) return none
    const texts = textsOf(step.said.slice(step.given))
    step.given = step.said.length
    return texts
  }

  const begin = (messageId: string | undefined, isOwn: boolean | undefined): Step => {
    if (last !== undefined && !last.isSummary) before = last
    last = { messageId, isSummary: isOwn ?? overflowed, said: [], given: 0, isFinished: false, hasTools: false }
    return last
  }

  /** The step of an event; if its beginning was not printed, it begins now. */
  const within = (messageId: string | undefined): Step =>
    last === undefined || last.isFinished ? begin(messageId, undefined) : last

  return {
    add: (event) => {
      const step = last
      if (event._tag === "Text" && event.synthetic === true) {
        onOwn(event)
        // Through a server the summary is known before its end.
        if (step?.isSummary === true && !step.isFinished) {
          step.said.push(event)
          return none
        }
        if (!continues(event) || step === undefined || !step.isFinished || step.hasTools) return none
        if (!step.isSummary) step.said.forEach(onOwn)
        last = undefined
        return none
      }
      switch (event._tag) {
        case "StepStart":
          begin(event.messageId, decode.ownMark(event.raw))
          return give(step)
        case "Text":
        case "Reasoning":
        case "Unknown": {
          const current = within("messageId" in event ? event.messageId : undefined)
          current.said.push(event)
          if (current.isSummary) onOwn(event)
          return current === step ? none : give(step)
        }
        case "ToolUse": {
          const current = within(event.messageId)
          current.hasTools = true
          return current === step ? give(step) : [...give(step), ...give(current)]
        }
        case "StepFinish": {
          const isSame = event.messageId !== undefined && event.messageId === step?.messageId
          const current = isSame ? step : within(event.messageId)
          current.isFinished = true
          if (current.isSummary) overflowed = false
          return current === step ? none : give(step)
        }
        case "SessionError":
          overflowed = event.name === "ContextOverflowError"
          return none
        default:
          return none
      }
    },
    held: () => last === undefined || last.isSummary ? none : textsOf(last.said.slice(last.given)),
    final: () => textsOf((last === undefined || last.isSummary ? before : last)?.said ?? []),
    summarizes: () => last?.isSummary === true,
    isSummary: (text) => last?.isSummary === true && last.said.includes(text)
  }
}

/** The events of a run in which OpenCode writes for itself. */
export const own = (events: Iterable<RunEvent>): ReadonlySet<RunEvent> => {
  const found = new Set<RunEvent>()
  const answer = make((event) => found.add(event))
  for (const event of events) answer.add(event)
  return found
}
