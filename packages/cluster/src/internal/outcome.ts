import type * as Redaction from "effect-opencode/Redaction"
import type { RunResult } from "effect-opencode/RunResult"
import * as Cause from "effect/Cause"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as AgentJob from "../AgentJob.js"
import type { Status } from "../RunLedger.js"

/** 1 MiB: a result is read by everybody who asks for it. */
export const maxText = 1_048_576

/** Masked first: of a secret at the place of the cut, a part would remain. */
const cut = (text: string, redactor: Redaction.Redactor): string => {
  const known = redactor.known(text)
  return known.length <= maxText ? known : known.slice(-maxText)
}

/** What is kept of a run. Secrets of the runner that the agent has repeated are masked. */
export const resultOf = (
  run: RunResult,
  of: { readonly id: string; readonly runner: string; readonly attempt: number; readonly resumed: boolean },
  redactor: Redaction.Redactor
): AgentJob.JobResult =>
  new AgentJob.JobResult({
    id: of.id,
    runId: run.runId,
    runner: of.runner,
    attempt: of.attempt,
    ...(of.resumed ? { resumed: true } : {}),
    answer: cut(run.answer, redactor),
    text: cut(run.text, redactor),
    ...(run.text.length > maxText || run.answer.length > maxText ? { truncated: true } : {}),
    ...(run.sessionId === undefined ? {} : { sessionId: run.sessionId }),
    usage: run.usage,
    cost: run.cost,
    ...(run.unpriced === undefined ? {} : { unpriced: run.unpriced }),
    steps: run.steps,
    toolCalls: run.toolCalls.length,
    finishReason: run.finishReason,
    duration: run.duration
  })

const statuses: { readonly [tag: string]: Status } = { JobLostError: "lost", JobCancelledError: "cancelled" }

export const statusOf: (outcome: AgentJob.Outcome) => Status = Either.match({
  onLeft: (error) => statuses[error._tag] ?? "failed",
  onRight: () => "succeeded" as const
})

const encodeOutcome = Schema.encodeEither(AgentJob.Outcome)

/** The stored form, in which known secrets are masked and long texts are cut: an error has all that its agent said. */
export const encode = (
  outcome: AgentJob.Outcome,
  redactor: Redaction.Redactor,
  instead: (detail: string) => AgentJob.JobLostError
): { readonly status: Status; readonly outcome: string } =>
  Either.match(
    Either.flatMap(
      Either.try(() => encodeOutcome(outcome)),
      Either.map((value) =>
        JSON.stringify(value, (_, inner: unknown) => typeof inner === "string" ? cut(inner, redactor) : inner)
      )
    ),
    {
      onLeft: () => fallback(instead("the outcome cannot be stored")),
      onRight: (json) => ({ status: statusOf(outcome), outcome: json })
    }
  )

const fallback = (error: AgentJob.JobLostError): { readonly status: Status; readonly outcome: string } => ({
  status: "lost",
  outcome: JSON.stringify({ _tag: "Left", left: { ...error, _tag: error._tag } })
})

/** Reads a stored outcome; one that this version cannot read is a lost one. */
export const decode = (id: string, json: string): AgentJob.Outcome =>
  Either.match(Schema.decodeEither(Schema.parseJson(AgentJob.Outcome))(json), {
    onRight: (outcome) => outcome,
    onLeft: () =>
      Either.left(
        new AgentJob.JobLostError({
          id,
          reason: "defect",
          attempts: 0,
          detail: "its outcome was stored by a version of this package that cannot be read"
        })
      )
  })

/** A short account of an unexpected failure. */
export const detailOf = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause).split("\n")[0]?.slice(0, 500) ?? ""
