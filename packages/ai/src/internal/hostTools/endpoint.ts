/** What a token opens: the tools of one run, or those of the runs that share warm servers. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { HostToolsError } from "../../HostToolsError.js"
import type { Binding } from "./binding.js"
import type { Definitions } from "./definitions.js"
import type * as messages from "./messages.js"
import * as plugin from "./plugin.js"

/** A call with the run that it belongs to. */
export interface Resolved {
  readonly binding: Binding
  readonly params: unknown
  readonly callId: string | undefined
  readonly sessionId: string | undefined
}

export interface Endpoint {
  readonly definitions: Definitions
  /** Called when the tools have been listed. */
  readonly listed: () => void
  /** Finds the run of a call; fails with the reason for a refusal. */
  readonly resolve: (call: messages.Call) => Effect.Effect<Resolved, string>
  /** Answers a report of the plugin; none if it is refused. */
  readonly report: (route: string, body: unknown) => Effect.Effect<Option.Option<{ readonly [key: string]: unknown }>>
}

/** The connection of one run to its endpoint. */
export interface Connection {
  /** Called when a step of the run has begun, before which OpenCode has asked for the tools. */
  readonly stepStarted: (sessionId: string | undefined) => Effect.Effect<void>
  /** Fails if OpenCode has not connected. */
  readonly connected: Effect.Effect<void, HostToolsError>
  readonly close: Effect.Effect<void>
}

const notConnected = (detail: string) => new HostToolsError({ reason: "not-connected", detail })

const neverListed = notConnected(
  "OpenCode did not connect to the tools of this program, so the agent had to work without them; the run's own network " +
    "or a proxy for 127.0.0.1 can be the reason"
)

export interface OfRun {
  readonly endpoint: Endpoint
  readonly connection: Connection
}

/** The endpoint of a run that has OpenCode to itself. */
export const ofRun = (definitions: Definitions, binding: Binding): OfRun => {
  let isListed = false
  const connected = Effect.suspend(() => isListed ? Effect.void : neverListed)
  return {
    endpoint: {
      definitions,
      listed: () => {
        isListed = true
      },
      resolve: ({ _meta, arguments: params }) =>
        Effect.succeed({
          binding,
          params: params ?? {},
          callId: undefined,
          sessionId: _meta?.["ai.opencode/sessionID"]
        }),
      report: () => Effect.succeedNone
    },
    connection: {
      stepStarted: () => Effect.catchAll(connected, binding.fail),
      connected,
      close: Effect.void
    }
  }
}

/** A session of a warm server. */
interface Entry {
  /** Those who have reported the session. Only its own plugin knows it before its first step. */
  readonly keys: Set<string>
  status: string
  binding: Binding | undefined
  /** Completed when the session belongs to a run. */
  bound: Deferred.Deferred<Binding>
}

interface Ticket {
  readonly entry: Entry
  readonly tool: string
  readonly args: string
  readonly callId: string | undefined
  readonly sessionId: string
}

const Session = Schema.Struct({ key: Schema.String, session: Schema.String, status: Schema.String })

const Call = Schema.Struct({
  key: Schema.String,
  session: Schema.String,
  from: Schema.String,
  callId: Schema.optional(Schema.String),
  tool: Schema.String,
  args: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

const isSession = Schema.is(Session)

const isCall = Schema.is(Call)

/** Sessions and tickets that nobody uses are kept up to this number. */
const capacity = 1000

const trim = <K, A>(map: Map<K, A>, isUsed: (value: A) => boolean): void => {
  for (const [key, value] of map) {
    if (map.size <= capacity) return
    if (!isUsed(value)) map.delete(key)
  }
}

/** Equal for equal values, whatever the order of their fields. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0))
      : inner)

const digits = "0123456789abcdefghijklmnopqrstuvwxyz"

/** Random text that cannot be guessed. */
export const secret = (length: number): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(length))
  return Array.from(bytes, (byte) => digits[byte % digits.length]).join("")
}

/** How long a call waits for the first step of its run, which has begun before the call. */
const patience = "30 seconds"

export interface Shared {
  readonly endpoint: Endpoint
  readonly connect: (binding: Binding) => Connection
}

/** The endpoint of the runs with one toolkit on warm servers. */
export const shared = (definitions: Definitions): Shared => {
  const sessions = new Map<string, Entry>()
  const tickets = new Map<string, Ticket>()

  const entryOf = (id: string): Entry => {
    const known = sessions.get(id)
    if (known !== undefined) return known
    const entry: Entry = {
      keys: new Set(),
      status: "unknown",
      binding: undefined,
      bound: Effect.runSync(Deferred.make<Binding>())
    }
    sessions.set(id, entry)
    trim(sessions, ({ binding }) => binding !== undefined)
    return entry
  }

  const problemOf = (entry: Entry): HostToolsError | undefined =>
    entry.keys.size === 0
      ? notConnected(
        "OpenCode did not load the plugin that tells the sessions of a warm server apart; a server without plugins " +
          "(`pure`) cannot have tools of the host"
      )
      : entry.keys.size > 1
      ? new HostToolsError({
        reason: "conflict",
        detail: "somebody other than OpenCode has claimed the session of this run, so its calls were refused"
      })
      : entry.status !== "connected"
      ? notConnected(`OpenCode did not connect to the tools of this program (status: ${entry.status})`)
      : undefined

  return {
    endpoint: {
      definitions,
      listed: () => {},
      resolve: (call) =>
        Effect.gen(function*() {
          const { [plugin.argument]: id, ...params } = call.arguments ?? {}
          const ticket = typeof id === "string" ? tickets.get(id) : undefined
          if (ticket === undefined) return yield* Effect.fail("it has no ticket of a session")
          tickets.delete(String(id))
          if (definitions.names.get(ticket.tool) !== call.name || ticket.args !== canonical(params)) {
            return yield* Effect.fail("its ticket is for another call")
          }
          const bound = yield* Effect.timeoutOption(Deferred.await(ticket.entry.bound), patience)
          if (Option.isNone(bound)) return yield* Effect.fail("no run of this program works in its session")
          const binding = bound.value
          const problem = problemOf(ticket.entry)
          if (problem !== undefined) {
            yield* binding.fail(problem)
            return yield* Effect.fail(problem.detail)
          }
          return { binding, params, callId: ticket.callId, sessionId: ticket.sessionId }
        }),
      report: (route, body) =>
        Effect.sync(() => {
          if (route === plugin.routes.session && isSession(body)) {
            const entry = entryOf(body.session)
            entry.keys.add(body.key)
            entry.status = body.status
            return Option.some({})
          }
          if (route === plugin.routes.call && isCall(body)) {
            const entry = sessions.get(body.session)
            if (entry === undefined || !entry.keys.has(body.key)) return Option.none()
            const id = secret(16)
            tickets.set(id, {
              entry,
              tool: body.tool,
              args: canonical(body.args),
              callId: body.callId,
              sessionId: body.from
            })
            trim(tickets, () => false)
            return Option.some({ ticket: id })
          }
          return Option.none()
        })
    },
    connect: (binding) => {
      let own: { readonly id: string; readonly entry: Entry } | undefined
      let isChecked = false
      return {
        stepStarted: (id) =>
          Effect.suspend(() => {
            if (id === undefined || isChecked) return Effect.void
            isChecked = true
            const entry = entryOf(id)
            own = { id, entry }
            entry.binding = binding
            const problem = problemOf(entry)
            return problem === undefined
              ? Effect.asVoid(Deferred.succeed(entry.bound, binding))
              : binding.fail(problem)
          }),
        connected: Effect.suspend(() => {
          const problem = own === undefined
            ? notConnected("the run has ended without a step, so OpenCode cannot have had the tools")
            : problemOf(own.entry)
          return problem ?? Effect.void
        }),
        close: Effect.sync(() => {
          // The next turn of the session reports it again, possibly from another server.
          if (own !== undefined && sessions.get(own.id)?.binding === binding) sessions.delete(own.id)
          for (const [id, ticket] of tickets) {
            if (ticket.entry === own?.entry) tickets.delete(id)
          }
        })
      }
    }
  }
}
