import type { PermissionRejected, RunEvent, SessionError, ToolUse } from "../../RunEvent.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as tail from "../util/tail.js"
import * as answers from "./answer.js"
import * as decode from "./decode.js"
import { isFinal } from "./finishReason.js"
import * as stderr from "./stderr.js"

/** The facts that the events show. */
export interface Evidence {
  /** Events that OpenCode printed, without diagnostics. */
  readonly eventCount: number
  readonly finishReason: string | undefined
  /** True if the last step finished, with a reason that ends a conversation. */
  readonly finished: boolean
  /** The last `error` event that no finished step followed. */
  readonly pendingError: SessionError | undefined
  /** True if a finished step followed an `error` event. */
  readonly recovered: boolean
  /** The last rejected permission that no further step followed. */
  readonly rejection: PermissionRejected | undefined
  /** Failed attempts at the provider. */
  readonly retries: number
  /** True if the last step shows no text, but unreadable lines that look like events. */
  readonly answerLost?: boolean | undefined
}

/**
 * A running summary of events for the verdict, the budgets and the partial facts of an error. It is mutable for speed,
 * because it sees every event of every run; one fold owns it and never shares it.
 */
export interface Summary extends Evidence {
  readonly add: (event: RunEvent) => void
  /** Sets the session, if it is known before any event. */
  readonly inSession: (sessionId: string) => void
  /** Sets the model that answers, if OpenCode reports one. */
  readonly answeredBy: (model: string) => void
  /** The texts of the agent, separated by blank lines. */
  readonly text: () => string
  /** The texts of its final message only. */
  readonly answer: () => string
  readonly sessionId: string | undefined
  /** The model of the last step, as `provider/model`, if OpenCode reports one. */
  readonly model: string | undefined
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  /** True if some of the cost is unknown, so that `cost` is less than what was spent. */
  readonly unpriced: boolean
  /** Steps that began, repetitions of one message included. */
  readonly steps: number
  readonly toolCalls: number
  /** Unreadable lines that look like events, and events with an unreadable text. */
  readonly lostLines: number
}

/** The permission that a tool asks for, if it differs from the tool's name. */
const asksFor = new Map([["write", "edit"], ["patch", "edit"], ["apply_patch", "edit"], ["multiedit", "edit"]])

/** Bounded, because rejections in sub-agents are announced, too, without a call in this conversation. */
const maxAnnounced = 16

/** OpenCode reports a cost of 0 without a price (1.18.33). */
export const isUnpriced = (cost: number, tokens: TokenUsage.TokenUsage): boolean => cost === 0 && tokens.total > 0

/** An unreadable field of a step that makes its cost unknown. */
const costs = /^(cost|tokens)(\.|$)/

export const make = (options: {
  readonly keepText: number
  /** Masks secrets in a text before it is cut. */
  readonly clean?: ((text: string) => string) | undefined
  /** True if the price is known, so that a cost of 0 is a real cost. */
  readonly isPriced?: boolean | undefined
}): Summary => {
  const { clean = (text: string) => text } = options
  const answer = answers.make()
  const pieces: Array<string> = []
  const last = tail.make(Number.isFinite(options.keepText) ? options.keepText : 1)
  const keepAll = !Number.isFinite(options.keepText)
  /**
   * Announced on stderr, not yet seen on stdout: the pipes are read independently, and stderr can be ahead by a step.
   */
  let announced: ReadonlyArray<PermissionRejected> = []
  /** Seen on stdout, not yet announced on stderr. */
  let unannounced: ToolUse | undefined
  const explain = (said: PermissionRejected, { input }: ToolUse): PermissionRejected => ({
    ...said,
    patterns: stderr.patternsOf(said.patterns, input)
  })
  const rejectionOf = (event: ToolUse): PermissionRejected => {
    const permission = asksFor.get(event.tool) ?? event.tool
    const latest = [...announced].reverse()
    const said = latest.find(({ patterns }) => stderr.isFrom(patterns, event.input)) ??
      latest.find((one) => one.permission === permission) ?? latest[0]
    announced = announced.filter((one) => one !== said)
    unannounced = said === undefined ? event : undefined
    return said === undefined
      ? { _tag: "PermissionRejected", permission: event.tool, patterns: [] }
      : explain(said, event)
  }
  /** Whether the last step began and has not finished. */
  let isInStep = false
  /** Since the step before this one has finished. */
  let lostInStep = false
  let saidInStep = false
  const lose = (): void => {
    self.lostLines++
    lostInStep = true
  }
  /** True if the agent's last step ended the conversation; a compaction does not count as a step of the agent. */
  let hasEnded = false
  let hasSaid = false
  const say = (texts: ReadonlyArray<string>): void => {
    for (const text of texts) {
      if (keepAll) {
        pieces.push(text)
        continue
      }
      if (hasSaid) last.push(answers.separator)
      last.push(clean(text), true)
      hasSaid = true
    }
  }
  const text = (): string => {
    const held = answer.held()
    if (keepAll) return answers.join([...pieces, ...held])
    return answers.join([...(hasSaid ? [last.read()] : []), ...held.map(clean)]).slice(-options.keepText)
  }
  const self = {
    sessionId: undefined as string | undefined,
    model: undefined as string | undefined,
    usage: TokenUsage.empty,
    cost: 0,
    unpriced: false,
    steps: 0,
    toolCalls: 0,
    eventCount: 0,
    finishReason: undefined as string | undefined,
    finished: false,
    pendingError: undefined as SessionError | undefined,
    recovered: false,
    rejection: undefined as PermissionRejected | undefined,
    retries: 0,
    lostLines: 0,
    answerLost: false,
    text,
    answer: () => answers.join(answer.final()),
    inSession: (sessionId: string) => {
      self.sessionId ??= sessionId
    },
    answeredBy: (model: string) => {
      self.model = model
    },
    add: (event: RunEvent) => {
      switch (event._tag) {
        case "Diagnostic":
          if (event.lost === true) lose()
          return
        case "TextDelta":
        case "PermissionAsked":
          return
        case "PermissionRejected":
          self.rejection = unannounced === undefined ? event : explain(event, unannounced)
          announced = unannounced === undefined ? [...announced, event].slice(-maxAnnounced) : announced
          unannounced = undefined
          return
        case "ProviderRetry":
          self.retries++
          return
      }
      self.eventCount++
      if (event.sessionId !== undefined) self.sessionId ??= event.sessionId
      say(answer.add(event))
      if (decode.textOf(event) !== "") {
        saidInStep = true
        self.answerLost = false
      }
      switch (event._tag) {
        case "StepStart":
          self.steps++
          isInStep = true
          if (!answer.summarizes()) hasEnded = false
          self.finished = false
          // The run continued, so the rejection did not end it.
          self.rejection = undefined
          return
        case "StepFinish":
          if (decode.isToolCall(event)) self.toolCalls++
          // Every finished step began, also if the line that said so was lost.
          if (!isInStep) self.steps++
          isInStep = false
          self.usage = TokenUsage.add(self.usage, event.tokens)
          self.cost += event.cost
          if (event.unread?.some((field) => costs.test(field)) === true) self.unpriced = true
          else if (options.isPriced !== true && isUnpriced(event.cost, event.tokens)) self.unpriced = true
          self.answerLost = lostInStep && !saidInStep
          lostInStep = saidInStep = false
          // A compaction does not end the conversation: OpenCode continues after it, or it came after the end.
          if (answer.summarizes()) {
            self.finished = hasEnded
            return
          }
          self.finishReason = event.reason
          hasEnded = isFinal(event.reason)
          self.finished = hasEnded
          if (self.pendingError !== undefined) {
            self.pendingError = undefined
            self.recovered = true
          }
          return
        case "SessionError":
          self.pendingError = event
          return
        case "ToolUse":
          self.toolCalls++
          if (stderr.isRejected(event)) self.rejection = rejectionOf(event)
          return
        case "Text":
          if (event.unread !== undefined) lose()
          // OpenCode continues with text that it writes for itself; a plugin's message to the user only changes
          // nothing.
          if (event.synthetic !== true || decode.isIgnored(event.raw) || answer.isSummary(event)) return
          hasEnded = false
          self.finished = false
          return
        case "Unknown":
          if (decode.isToolCall(event)) self.toolCalls++
      }
    }
  }
  return self
}
