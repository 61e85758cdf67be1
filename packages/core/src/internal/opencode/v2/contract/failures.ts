/** Facts about providers that fail. */
import type { SessionErrorKind } from "../../../../RunEvent.js"
import type { Fact, Recording } from "../../contract.js"
import { at, kindsOf } from "../../contract.js"
import * as providerErrors from "../../providerErrors.js"
import * as facts from "./fact.js"
import * as reading from "./reading.js"

const failures = facts.of("failures", {
  usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/providerErrors.ts"]
})

const text = facts.of("text", {
  usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/providerErrors.ts"]
})

const seen = (recording: Recording, name: string, observe: () => unknown): unknown =>
  reading.frames(recording, name) === undefined ? undefined : observe()

const errorOf = (recording: Recording, name: string): unknown =>
  at(reading.dataOf(recording, name, "session.execution.failed").at(-1), "error")

/** A failure that ends a prompt: its type, its status if it has one, and the kind that the library finds. */
const failure = (
  kind: string,
  says: string,
  value: { readonly type: string; readonly kind: SessionErrorKind; readonly status?: number },
  of: typeof failures = failures
): Fact =>
  of(
    `error.${kind}`,
    says,
    { ...value, ends: ["failed"], errors: 1 },
    (recording) => {
      const name = `${kind.replace("unknown-model", "unknownModel")}Events`
      return seen(recording, name, () => {
        const error = errorOf(recording, name)
        const status = at(error, "status")
        return {
          type: at(error, "type") ?? "no error",
          kind: providerErrors.describe(error).kind,
          ...(status === undefined ? {} : { status }),
          ends: reading.ends(recording, name),
          errors: reading.eventsOf(recording, name, "SessionError").length
        }
      })
    },
    "`kind` of OpenCodeSessionError is another, or the failure is not reported."
  )

/** A failure that is tried again. */
const retried = (name: string, reason: string, says: string, answer: string): Fact =>
  failures(
    `retry.${name}`,
    says,
    { retries: [reason], answer, ends: ["succeeded"] },
    (recording) =>
      seen(recording, `${name}Events`, () => ({
        retries: reading.eventsOf(recording, `${name}Events`, "ProviderRetry").map(({ kind }) => kind),
        answer: reading.eventsOf(recording, `${name}Events`, "Text").at(-1)?.text ?? "none",
        ends: reading.ends(recording, `${name}Events`)
      })),
    "Runs that recovered end as errors, or `maxProviderRetries` has no effect."
  )

export const all: ReadonlyArray<Fact> = [
  failure("unauthorized", "A refused key is `provider.auth` with its status.", {
    type: "provider.auth",
    kind: "authentication",
    status: 401
  }),
  failures(
    "error.message",
    "The words of a provider are the message of the error.",
    "canary refused",
    (recording) =>
      seen(recording, "unauthorizedEvents", () => at(errorOf(recording, "unauthorizedEvents"), "message") ?? "missing"),
    "OpenCodeSessionError lacks the provider's words."
  ),
  failure("quota", "An account that is used up is `provider.quota`, and is not tried again.", {
    type: "provider.quota",
    kind: "quota",
    status: 429
  }),
  failure("invalid", "A refused request is `provider.invalid-request` with its status.", {
    type: "provider.invalid-request",
    kind: "other",
    status: 400
  }),
  failure("missing", "A model that the provider does not have is recognized by its text.", {
    type: "provider.invalid-request",
    kind: "model-not-found",
    status: 404
  }),
  failure("overflow", "A conversation that is too long is recognized by its text, after a compaction that fails.", {
    type: "provider.invalid-request",
    kind: "context-overflow",
    status: 400
  }),
  failure("filter", "An answer that a filter ends is `provider.content-filter`.", {
    type: "provider.content-filter",
    kind: "content-filter"
  }),
  failure("malformed", "An answer that is not JSON is `provider.invalid-output`, and is not tried again.", {
    type: "provider.invalid-output",
    kind: "other",
    status: 200
  }),
  failure("unknown-model", "An unknown model is `provider.no-route`, before the provider is asked.", {
    type: "provider.no-route",
    kind: "model-not-found"
  }, text),
  failures(
    "answer.empty",
    "An empty answer has no text, ends with `stop`, and the prompt succeeds.",
    { texts: 0, reason: "stop", ends: ["succeeded"] },
    (recording) =>
      seen(recording, "emptyEvents", () => ({
        texts: reading.eventsOf(recording, "emptyEvents", "Text").length,
        reason: reading.eventsOf(recording, "emptyEvents", "StepFinish").at(-1)?.reason ?? "none",
        ends: reading.ends(recording, "emptyEvents")
      })),
    "Empty answers are judged differently.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/verdict.ts"], weight: "note" }
  ),
  failures(
    "filter.usage",
    "A filtered answer has its tokens and its cost although it failed.",
    { cost: 0.0001, tokens: "object" },
    (recording) =>
      seen(recording, "filterEvents", () => {
        const data = reading.dataOf(recording, "filterEvents", "session.step.failed").at(-1)
        return { cost: at(data, "cost") ?? "missing", ...kindsOf(data, ["tokens"]) }
      }),
    "Usage of filtered answers is missing.",
    { weight: "note" }
  ),
  retried(
    "retry",
    "provider-unavailable",
    "A provider that fails once is tried again, with an event for it.",
    "recovered"
  ),
  retried("limit", "rate-limit", "A rate limit is tried again, with an event for it.", "recovered"),
  failures(
    "retry.event",
    "The event of a retry has its number, its time and the error.",
    { attempt: "number", at: "number", error: "object" },
    (recording) =>
      seen(
        recording,
        "limitEvents",
        () =>
          kindsOf(reading.dataOf(recording, "limitEvents", "session.retry.scheduled")[0], ["attempt", "at", "error"])
      ),
    "The rate gate does not know how long to wait."
  ),
  retried("cut", "provider-unavailable", "A cut answer is continued, with an event for it.", "whole"),
  failures(
    "cut.message",
    "The continuation of a cut answer has the last message for itself.",
    ["whole"],
    (recording) =>
      seen(recording, "cutEvents", () => {
        const texts = reading.eventsOf(recording, "cutEvents", "Text")
        const message = texts.at(-1)?.messageId
        return texts.filter(({ messageId }) => messageId === message).map(({ text }) => text)
      }),
    "Answers contain the beginning of an answer that was cut.",
    { usedBy: ["internal/opencode/answer.ts"] }
  )
]
