import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Conversation from "../../Conversation.js"
import { OpenCodeConfigError, OpenCodeProcessError } from "../../OpenCodeError.js"
import type { QueryError } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as query from "../launch/query.js"
import type { Dialect } from "../opencode/dialect.js"
import * as runSnapshot from "../opencode/runSnapshot.js"
import { isObject } from "../util/object.js"
import * as systemError from "../util/systemError.js"

/** Reads a session. */
export type Ask = (sessionId: string) => Effect.Effect<Conversation.Conversation, QueryError>

/** Reads a session with the same binary, in the environment of a run. */
export const conversation = ({ client, cwd, dialect, env }: {
  readonly client: query.Services
  readonly dialect: Dialect
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
}): Ask =>
(sessionId) => {
  const { args, read } = dialect.session(sessionId)
  return Effect.flatMap(query.make(client, args, { cwd, env, throughFile: true }), (text) =>
    Option.match(read(text), {
      onNone: () =>
        new OpenCodeProcessError({
          exitCode: 0,
          hint: `\`opencode ${args.join(" ")}\` printed ${text.length} characters that are not a complete conversation`,
          partial: runSnapshot.make({ runId: "query-export", cwd, sessionId })
        }),
      onSome: Effect.succeed
    }))
}

/** Writes a conversation into the data of a process with this environment; returns its id. `file` is removed again. */
export const importing = ({ client, cwd, dialect, env, file }: {
  readonly client: query.Services
  readonly dialect: Dialect
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
  readonly file: string
}) =>
(conversation: Conversation.Conversation): Effect.Effect<string, QueryError> =>
  Effect.gen(function*() {
    const { args, read } = dialect.importing(file)
    const text = yield* Effect.mapError(
      Schema.encode(Schema.parseJson(Conversation.Conversation))(conversation),
      () => new OpenCodeConfigError({ path: "conversation", reason: "it cannot be written as JSON" })
    )
    yield* Effect.mapError(
      client.fileSystem.writeFileString(file, text, { mode: 0o600 }),
      (error) =>
        new OpenCodeConfigError({
          path: "conversation",
          reason: `it cannot be written to a file (${systemError.describe(error)})`
        })
    )
    const printed = yield* query.make(client, args, { cwd, env }).pipe(
      Effect.ensuring(Effect.ignore(client.fileSystem.remove(file)))
    )
    const { id } = conversation.info
    if (Option.contains(read(printed), id)) return id
    return yield* new OpenCodeProcessError({
      exitCode: 0,
      hint: `\`opencode ${args.join(" ")}\` did not say that it has imported the session ${id}`,
      partial: runSnapshot.make({ runId: `query-${args[0]}`, cwd, sessionId: id })
    })
  })

/** The parts of a conversation that stdout has shown, and the sub-agents that they name. */
export interface Parts {
  readonly add: (event: RunEvent) => void
  readonly has: (event: RunEvent) => boolean
  readonly children: () => ReadonlyArray<string>
}

const partId = (event: RunEvent): unknown => {
  const part = "raw" in event ? event.raw["part"] : undefined
  return isObject(part) ? part["id"] : undefined
}

export const parts = (): Parts => {
  const seen = new Set<unknown>()
  const children = new Set<string>()
  return {
    add: (event) => {
      seen.add(partId(event))
      const child = Conversation.childOfEvent(event)
      if (child !== undefined) children.add(child)
    },
    has: (event) => seen.has(partId(event)),
    children: () => [...children]
  }
}

/** Returns the events of the turn that stdout has not shown; empty if the session cannot be read. */
export const missing = (
  ask: Ask,
  sessionId: string,
  shown: Parts | undefined
): Effect.Effect<ReadonlyArray<RunEvent>> =>
  ask(sessionId).pipe(
    Effect.map((conversation) => Conversation.lastTurn(conversation).filter((event) => shown?.has(event) !== true)),
    Effect.tapError((error) => Effect.logDebug("The session could not be exported", error)),
    Effect.orElseSucceed((): ReadonlyArray<RunEvent> => []),
    Effect.withSpan("OpenCode.recover")
  )

/** The usage and cost of sub-agents. */
export interface Hidden {
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  /** True if some of the cost is unknown. */
  readonly unpriced: boolean
}

/** The value if no session could be read. */
export const unasked: Hidden = { usage: TokenUsage.empty, cost: 0, unpriced: true }

const none: Hidden = { usage: TokenUsage.empty, cost: 0, unpriced: false }

type IsPriced = (model: string) => boolean

const spentBy = (conversation: Conversation.Conversation, isPriced: IsPriced): Hidden => {
  const { cost, usage } = Conversation.spent(conversation)
  const { unpriced = false } = Conversation.spent({
    ...conversation,
    messages: conversation.messages.filter(({ info }) => !isPriced(`${info["providerID"]}/${info["modelID"]}`))
  })
  return { usage, cost, unpriced }
}

const plus = (self: Hidden, that: Hidden): Hidden => ({
  usage: TokenUsage.add(self.usage, that.usage),
  cost: self.cost + that.cost,
  unpriced: self.unpriced || that.unpriced
})

/** Adds up the usage of sessions and their descendants, each once. If one cannot be read, its cost is unknown. */
const below = (
  ask: Ask,
  isPriced: IsPriced,
  sessionIds: ReadonlyArray<string>,
  asked: Set<string>
): Effect.Effect<Hidden> =>
  Effect.reduce(sessionIds, none, (sum, sessionId) => {
    if (asked.has(sessionId)) return Effect.succeed(sum)
    asked.add(sessionId)
    return ask(sessionId).pipe(
      Effect.flatMap((conversation) =>
        Effect.map(
          below(ask, isPriced, Conversation.children(conversation), asked),
          (more) => plus(spentBy(conversation, isPriced), more)
        )
      ),
      Effect.tapError((error) => Effect.logDebug("The session of a sub-agent could not be exported", error)),
      Effect.orElseSucceed(() => unasked),
      Effect.map((more) => plus(sum, more))
    )
  })

/** Returns what the sub-agents of a run, and their own sub-agents, have spent. */
export const hidden = (ask: Ask, isPriced: IsPriced, shown: Parts | undefined): Effect.Effect<Hidden> =>
  Effect.suspend(() => below(ask, isPriced, shown?.children() ?? [], new Set()))
