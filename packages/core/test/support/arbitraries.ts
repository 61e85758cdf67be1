import { OpenCodeError, RunEvent } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import type * as verdicts from "../../src/internal/opencode/verdict.js"
import { eventsOf } from "./facts.js"
import * as fixtures from "./fixtures.js"

/** JSON values as a parser returns them: without -0. */
export const json: fc.Arbitrary<unknown> = fc.json({ maxDepth: 3 }).map((text): unknown => JSON.parse(text))

/** JSON objects, with names of the prototype among their keys. */
export const jsonObject: fc.Arbitrary<{ readonly [key: string]: unknown }> = fc.array(
  fc.tuple(
    fc.oneof(
      fc.string(),
      fc.constantFrom("type", "part", "text", "content", "error", "sessionID", "__proto__", "constructor")
    ),
    json
  ),
  { maxLength: 5 }
).map((entries) => Object.fromEntries(entries))

const eventTypes = [
  "step_start",
  "text",
  "reasoning",
  "tool_use",
  "step_finish",
  "error",
  "message",
  "tool_call",
  "done",
  "__proto__",
  "constructor",
  "toString",
  "effect-opencode/permission_rejected",
  "effect-opencode/provider_retry",
  "effect-opencode/text_delta",
  "effect-opencode/permission_asked",
  "effect-opencode/diagnostic"
]

/** Objects that look like events, but not quite. */
export const oddWire: fc.Arbitrary<RunEvent.WireObject> = fc.record({
  type: fc.constantFrom(...eventTypes),
  part: fc.oneof(jsonObject, json),
  error: fc.oneof(jsonObject, json),
  sessionID: fc.oneof(fc.constant("ses_1"), json),
  timestamp: json,
  content: json
}, { requiredKeys: ["type"] })

/** Objects as OpenCode prints them. */
export const goodWire: fc.Arbitrary<RunEvent.WireObject> = fc.oneof(
  fc.record({ type: fc.constant("step_start"), part: fc.record({ messageID: fc.constantFrom("msg_1", "msg_2") }) }),
  fc.record({ type: fc.constant("text"), part: fc.record({ text: fc.string() }) }),
  fc.record({
    type: fc.constant("tool_use"),
    part: fc.record({
      tool: fc.constantFrom("bash", "edit"),
      state: fc.record({
        status: fc.constantFrom("completed", "error"),
        error: fc.constantFrom("boom", "The user rejected permission to use this specific tool call.")
      })
    })
  }),
  fc.record({
    type: fc.constant("step_finish"),
    part: fc.record({
      reason: fc.constantFrom("stop", "length", "tool-calls", "unknown", "content-filter"),
      cost: fc.double({ min: 0, max: 1, noNaN: true })
    }, { requiredKeys: [] })
  }),
  fc.record({
    type: fc.constant("error"),
    error: fc.record({
      name: fc.constantFrom("APIError", "UnknownError", "MessageAbortedError", "ContextOverflowError"),
      data: fc.record({ message: fc.string(), statusCode: fc.constantFrom(400, 401, 429, 500) })
    })
  })
)

const fixtureEvents = fixtures.all.map(({ stdout }) => eventsOf(stdout))

/** The events of a run: the beginning of a real run, then anything. */
export const events: fc.Arbitrary<ReadonlyArray<RunEvent.RunEvent>> = fc.record({
  real: fc.constantFrom(...fixtureEvents),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  rest: fc.array(
    fc.oneof(
      goodWire.map(RunEvent.fromWire),
      oddWire.map(RunEvent.fromWire),
      fc.string().map(RunEvent.fromLine),
      fc.constant<RunEvent.RunEvent>({ _tag: "PermissionRejected", permission: "bash", patterns: ["rm *"] }),
      fc.constantFrom("text" as const, "reasoning" as const).map((kind): RunEvent.RunEvent => ({
        _tag: "TextDelta",
        sessionId: "ses_1",
        messageId: undefined,
        partId: "prt_1",
        kind,
        text: "a piece"
      })),
      fc.constant<RunEvent.RunEvent>({
        _tag: "PermissionAsked",
        sessionId: "ses_2",
        requestId: "per_1",
        permission: "bash",
        patterns: ["rm *"],
        callId: undefined,
        metadata: undefined
      }),
      fc.constant<RunEvent.RunEvent>({
        _tag: "ProviderRetry",
        attempt: 1,
        kind: "rate-limit",
        reason: "slow down",
        provider: undefined,
        model: undefined
      })
    ),
    { maxLength: 6 }
  )
}).map(({ real, rest, share }) => [...real.slice(0, Math.round(real.length * share)), ...rest])

export const exit: fc.Arbitrary<verdicts.Exit> = fc.oneof(
  fc.constantFrom(0, 1, 2, 137).map((code) => ({ _tag: "Code" as const, code })),
  fc.constantFrom("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "SIGSEGV")
    .map((signal) => ({ _tag: "Signal" as const, signal })),
  fc.constantFrom({ _tag: "Lost" as const }, { _tag: "Settled" as const }),
  fc.constantFrom("exited" as const, "unreachable" as const).map((reason) => ({
    _tag: "Server" as const,
    error: new OpenCodeError.OpenCodeServerError({ reason, url: "http://127.0.0.1:4096", stderr: "" })
  }))
)

export const endingGuard: fc.Arbitrary<Exclude<verdicts.Guard, { readonly _tag: "ExitGrace" }>> = fc.oneof(
  fc.constantFrom("startup" as const, "idle" as const, "total" as const)
    .map((phase) => ({ _tag: "Timeout" as const, phase, limit: Duration.seconds(1) })),
  fc.constantFrom("steps" as const, "cost" as const, "tokens" as const, "toolCalls" as const)
    .map((limit) => ({ _tag: "Budget" as const, limit, max: 1, reached: 2 })),
  fc.constantFrom("unknown" as const, "subagent" as const)
    .map((reason) => ({ _tag: "AgentFallback" as const, agent: "nope", reason })),
  fc.constant({
    _tag: "ProviderRetries" as const,
    retry: {
      _tag: "ProviderRetry" as const,
      attempt: 10,
      kind: "rate-limit" as const,
      reason: "slow down",
      provider: "fake",
      model: "m1"
    }
  })
)

export const guard: fc.Arbitrary<verdicts.Guard | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.constant({ _tag: "ExitGrace" as const }),
  endingGuard
)

export const stderr: fc.Arbitrary<string> = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "",
    "Error: Unexpected error\n\ndatabase is locked",
    "Error: Unexpected error\n\nfile is not a database",
    "Error: Session not found",
    ...fixtures.all.filter(({ stderr }) => stderr.length > 0).slice(0, 20).map(({ stderr }) => fixtures.textOf(stderr))
  )
)

/** Objects like those that stand for a value that JSON lacks. */
export const marked: fc.Arbitrary<unknown> = fc.tuple(
  fc.oneof(fc.constantFrom("Undefined", "Number", "BigInt", "Date", "Error", "Object"), fc.string()),
  fc.anything()
).map((pair) => ({ "effect-opencode/value": pair }))

/** Values of any kind that has a form in JSON, or that is an Error, a Date, a bigint or a number without one. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.constantFrom(undefined, null, true, false, -0, NaN, Infinity, -Infinity, 1e300),
      fc.bigInt(),
      fc.date({ noInvalidDate: false })
    ),
    fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, maxDepth: 2 }),
    marked,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(
      fc.tuple(fc.oneof(fc.string(), fc.constantFrom("__proto__", "toString", "effect-opencode/value")), tie("value")),
      {
        maxLength: 3
      }
    ).map((entries) => Object.fromEntries(entries)),
    fc.tuple(fc.constantFrom("Error", "TypeError", "ApiError"), fc.string(), tie("value")).map(
      ([name, message, cause]) => {
        const error = new Error(message, cause === undefined ? undefined : { cause })
        Object.defineProperty(error, "name", { value: name, configurable: true, writable: true })
        return error
      }
    )
  )
})).value
