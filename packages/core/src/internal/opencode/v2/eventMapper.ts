import type { ProviderRetry, RunEvent } from "../../../RunEvent.js"
import * as json from "../../util/json.js"
import { isObject, number, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import * as decode from "../decode.js"
import type { Event, Happening, Mapper, MapperOptions, Signal } from "../privateServer.js"
import * as providerErrors from "../providerErrors.js"
import * as parts from "./parts.js"
import * as server from "./server.js"
import * as shapes from "./shapes.js"

const isAborted = (error: unknown): boolean => isObject(error) && error["type"] === "aborted"

const types = new Map<unknown, string>([
  ["step-start", "step_start"],
  ["text", "text"],
  ["reasoning", "reasoning"],
  ["tool", "tool_use"],
  ["step-finish", "step_finish"]
])

/** The events of sub-agents that are answered or emitted. */
const ofChildren: ReadonlySet<string> = new Set([
  "permission.asked",
  "permission.replied",
  "form.created",
  "session.retry.scheduled"
])

interface Begun {
  readonly tool: string | undefined
  readonly input: unknown
  readonly start: number | undefined
}

const modelOf = (u: unknown): ReadonlyArray<Signal> => {
  const [provider, id] = isObject(u) ? [string(u["providerID"]), string(u["id"])] : []
  return provider === undefined || id === undefined ? [] : [{ _tag: "Model", model: `${provider}/${id}` }]
}

/** The session of a sub-agent, as the call of the tool that has started it reports. */
const subSessionOf = ({ metadata }: WireObject): string | undefined =>
  isObject(metadata) ? string(metadata["sessionID"]) : undefined

/** Any other tool may name sessions that are not ours. */
const delegating = "subagent"

const delegated = (tool: string | undefined, data: WireObject): ReadonlyArray<Signal> => {
  const sessionId = tool === delegating ? subSessionOf(data) : undefined
  return sessionId === undefined ? [] : [{ _tag: "Delegated", sessionId }]
}

/**
 * Turns the events of one prompt into those of a run. Each part is emitted once, whether it arrived as an event or in the
 * list of messages. A step that is tried again after a failure of its provider begins once.
 */
export const make = ({ isClosing, retries, sessionId, thinking }: MapperOptions): Mapper => {
  const emitted = new Set<unknown>()
  const starts = new Map<string, number | undefined>()
  const calls = new Map<string, Begun>()
  const models = new Map<string, Pick<ProviderRetry, "provider" | "model">>()
  /** The last error, as JSON: a failed step is reported a second time as the failure of the prompt. */
  let lastError: string | undefined
  /** True if a permission was rejected since the last step began, which aborts that step. */
  let isRejected = false

  const line = (type: string, now: number, rest: WireObject): RunEvent =>
    decode.fromWire({ type, timestamp: now, sessionID: sessionId, ...rest })

  const emit = (part: WireObject, now: number): ReadonlyArray<RunEvent> => {
    const type = types.get(part["type"])
    if (type === undefined || emitted.has(part["id"])) return []
    emitted.add(part["id"])
    return part["type"] === "reasoning" && !thinking ? [] : [line(type, now, { part })]
  }

  const fail = (error: unknown, now: number): ReadonlyArray<RunEvent> => {
    const text = json.stringify(error)
    if (text === lastError) return []
    lastError = text
    return [line("error", now, { error })]
  }

  /** An aborted step is explained by the abort or the rejection. */
  const isExplained = (error: unknown): boolean => isAborted(error) && (isClosing() || isRejected)

  const retry = ({ data, sessionId: of }: Event): Happening => {
    const error = data["error"]
    const { kind, message } = providerErrors.describe(error)
    const signal: Signal = kind === "rate-limit"
      ? { _tag: "RateLimited", until: number(data["at"]) }
      : { _tag: "Alive" }
    return {
      says: [{
        _tag: "ProviderRetry",
        attempt: retries.next(of),
        kind,
        reason: message,
        ...models.get(of),
        sessionId: of
      }],
      signals: [signal]
    }
  }

  const hearModel = ({ data, sessionId: of }: Event): void => {
    const model = isObject(data["model"]) ? data["model"] : {}
    models.set(of, { provider: string(model["providerID"]), model: string(model["id"]) })
  }

  const unexpected = (shape: string): Happening => ({ says: [], signals: [{ _tag: "Unexpected", shape }] })

  const alive: ReadonlyArray<Signal> = [{ _tag: "Alive" }]
  const says = (events: ReadonlyArray<RunEvent>): Happening => ({ says: events, signals: alive })

  const ask = ({ data }: Event): Happening => {
    const request = server.requestOf(data)
    return request === undefined ? says([]) : { says: [], signals: [{ _tag: "Asked", request }] }
  }

  const replied = ({ data, sessionId: of }: Event): Happening => {
    const [requestId, reply] = [string(data["requestID"]), string(data["reply"])]
    if (requestId === undefined || reply === undefined) return says([])
    if (reply === "reject" && of === sessionId) isRejected = true
    return { says: [], signals: [{ _tag: "Replied", requestId, reply }, { _tag: "Alive" }] }
  }

  const child = (event: Event): Happening => {
    switch (event.type) {
      case "session.created":
        return {
          says: [],
          signals: [{
            _tag: "Child",
            sessionId: event.sessionId,
            parentId: event.parentId,
            rules: server.rulesOf(event.data["permissions"])
          }]
        }
      case "session.step.started":
        hearModel(event)
        return says([])
      case "session.step.ended":
        return { says: [], signals: [{ _tag: "Recovered", sessionId: event.sessionId }, { _tag: "Alive" }] }
      case "session.retry.scheduled":
        return retry(event)
      default:
        return says([])
    }
  }

  const own = (event: Event, now: number): Happening => {
    const { created, data } = event
    const owner: parts.Owner = { sessionId, messageId: string(data["assistantMessageID"]) ?? "" }
    const call = string(data["id"]) ?? ""
    switch (event.type) {
      case "session.step.started":
        hearModel(event)
        isRejected = false
        lastError = undefined
        return { says: emit(parts.stepStart(owner), now), signals: [...alive, ...modelOf(data["model"])] }
      case "session.text.started":
      case "session.reasoning.started":
        starts.set(`${event.type.split(".")[1]} ${owner.messageId} ${String(data["ordinal"])}`, created)
        return says([])
      case "session.text.delta":
      case "session.reasoning.delta": {
        const kind = event.type === "session.text.delta" ? "text" : "reasoning"
        const delta = string(data["delta"])
        if (delta === undefined || (kind === "reasoning" && !thinking)) return says([])
        const { id } = parts.text(owner, kind, number(data["ordinal"]) ?? 0, delta)
        return says([{
          _tag: "TextDelta",
          sessionId,
          messageId: owner.messageId,
          partId: String(id),
          kind,
          text: delta
        }])
      }
      case "session.text.ended":
      case "session.reasoning.ended": {
        const kind = event.type === "session.text.ended" ? "text" : "reasoning"
        const ordinal = number(data["ordinal"]) ?? 0
        const start = starts.get(`${kind} ${owner.messageId} ${String(data["ordinal"])}`)
        return says(emit(parts.text(owner, kind, ordinal, data["text"], { start, end: created }), now))
      }
      case "session.tool.input.started":
        calls.set(call, { tool: string(data["name"]), input: undefined, start: created })
        return says([])
      case "session.tool.called":
        calls.set(call, { tool: calls.get(call)?.tool ?? string(data["name"]), input: data["input"], start: created })
        return says([])
      case "session.tool.progress":
        return { says: [], signals: [...alive, ...delegated(calls.get(call)?.tool ?? delegating, data)] }
      case "session.tool.success":
      case "session.tool.failed": {
        const begun = calls.get(call)
        const ended: parts.Call = {
          callId: call,
          tool: begun?.tool,
          input: begun?.input,
          time: { start: begun?.start, end: created }
        }
        // Without it, the agent could have asked for something that nobody has answered, or without the run's rules. A
        // call without a name can be such a one.
        if (
          event.type === "session.tool.success" && (begun?.tool ?? delegating) === delegating &&
          subSessionOf(data) === undefined
        ) {
          return unexpected("session.tool.success: metadata.sessionID")
        }
        return {
          says: emit(
            event.type === "session.tool.success"
              ? parts.toolCompleted(owner, ended, data["content"], data["metadata"])
              : parts.toolFailed(owner, ended, data["error"], data["metadata"]),
            now
          ),
          signals: [...alive, ...delegated(begun?.tool ?? delegating, data)]
        }
      }
      case "session.step.ended":
        return says(emit(parts.stepFinish(owner, data["finish"], data["cost"], data["tokens"]), now))
      case "session.step.failed": {
        const error = data["error"]
        // What the step has used is known although it failed.
        const spent = data["tokens"] === undefined
          ? []
          : emit(parts.stepFinish(owner, "error", data["cost"], data["tokens"]), now)
        return says([...spent, ...(isAborted(error) ? [] : fail(error, now))])
      }
      case "session.retry.scheduled":
        return retry(event)
      case "session.execution.succeeded":
        return { says: [], signals: [{ _tag: "Ended" }] }
      case "session.execution.failed":
        return {
          says: isExplained(data["error"]) ? [] : fail(data["error"], now),
          signals: [{ _tag: "Ended" }]
        }
      case "session.execution.interrupted":
        return { says: interrupted(string(data["reason"]), now), signals: [{ _tag: "Ended" }] }
      default:
        return says([])
    }
  }

  const interrupted = (reason: string | undefined, now: number): ReadonlyArray<RunEvent> =>
    isClosing() || isRejected
      ? []
      : fail({
        type: "aborted",
        message: `the session was interrupted${reason === undefined ? "" : `: ${reason}`}`
      }, now)

  return {
    event: (event, now) => {
      const shape = event.sessionId === sessionId || ofChildren.has(event.type)
        ? shapes.event(event.type, event.data)
        : undefined
      if (shape !== undefined) return unexpected(shape)
      switch (event.type) {
        case "permission.asked":
          return ask(event)
        case "permission.replied":
          return replied(event)
        case "form.created": {
          const form = isObject(event.data["form"]) ? string(event.data["form"]["id"]) : undefined
          return form === undefined
            ? says([])
            : { says: [], signals: [{ _tag: "Form", sessionId: event.sessionId, formId: form }] }
        }
        default:
          return event.sessionId === sessionId ? own(event, now) : child(event)
      }
    },
    repair: (messages, now) => {
      const missing: Array<RunEvent> = []
      const signals: Array<Signal> = []
      for (const message of messages) {
        const shape = shapes.message(message)
        if (shape !== undefined) return unexpected(shape)
        if (message["type"] === "assistant") {
          for (const part of parts.ofMessage(sessionId, message)) missing.push(...emit(part, now))
          signals.push(...modelOf(message["model"]))
          for (const { id, isRunning, name, state } of parts.calls(message)) {
            // An event that comes later does not name the tool.
            if (!calls.has(id)) calls.set(id, { tool: name, input: state["input"], start: undefined })
            if (isRunning) signals.push(...delegated(name, state))
          }
          const error = message["error"]
          if (error !== undefined && error !== null && !isAborted(error)) missing.push(...fail(error, now))
        } else if (message["type"] === "idle") {
          if (message["outcome"] === "interrupted") missing.push(...interrupted(undefined, now))
          // A compaction that failed is an error of no answer.
          if (message["outcome"] === "failed" && lastError === undefined) {
            missing.push(...fail({ type: "unknown", message: "the session has failed" }, now))
          }
          signals.push({ _tag: "Ended" })
        }
      }
      return { says: missing, signals }
    }
  }
}
