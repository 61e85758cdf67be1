/**
 * What is known about a server of OpenCode 2: its start, its routes, its replies and its events, as values. The
 * transports perform the requests and know none of their names.
 */
import type * as Either from "effect/Either"
import type * as Option from "effect/Option"
import type { Conversation } from "../../Conversation.js"
import type { RunConfig } from "../../RunConfig.js"
import type { RunEvent } from "../../RunEvent.js"
import type { WireObject } from "../util/object.js"
import type { Problem } from "./problem.js"
import type { RetryCount } from "./retryCount.js"

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** The route as shown, without ids, which the errors of runs carry. */
  readonly route: string
  readonly path: string
  readonly query?: { readonly [name: string]: string | undefined } | undefined
  readonly body?: unknown
}

/** A rule of a session; the last matching rule decides. */
export interface Rule {
  readonly action: string
  readonly resource: string
  readonly effect: "allow" | "deny" | "ask"
}

export interface Agent {
  readonly id: string
  readonly isSubagent: boolean
  readonly rules: ReadonlyArray<Rule>
  /** The model that the configuration names for it. */
  readonly model: Model | undefined
}

export interface Model {
  readonly provider: string
  readonly id: string
  readonly variant?: string | undefined
}

export interface Session {
  readonly id: string
  readonly directory: string | undefined
  /** The agent of its next prompt; `undefined` for the default one. */
  readonly agent: string | undefined
  readonly title: string | undefined
  /** The model of its next prompt, if it has one of its own. */
  readonly model: Model | undefined
  /** The session whose agent has started it as a sub-agent. */
  readonly parentId: string | undefined
  readonly rules: ReadonlyArray<Rule>
}

export interface McpServer {
  readonly name: string
  /** False once it has connected or failed. */
  readonly isPending: boolean
}

export interface File {
  readonly uri: string
  readonly name: string
}

/** A request of the agent, or of a sub-agent, for a permission. */
export interface PermissionRequest {
  readonly id: string
  readonly sessionId: string
  readonly permission: string
  readonly patterns: ReadonlyArray<string>
  /** The tool call that waits. */
  readonly callId: string | undefined
  readonly metadata: WireObject | undefined
}

/** The requests that a run needs. */
export interface Routes {
  /** Answered by every server of this major, and by no other. */
  readonly info: Request
  /** Also loads the configuration of the directory. */
  readonly agents: (directory: string) => Request
  readonly models: (directory: string) => Request
  /** The documents of the configuration in a directory. */
  readonly configuration: (directory: string) => Request
  /** The MCP servers of a directory. */
  readonly mcp: (directory: string) => Request
  readonly create: (session: {
    readonly directory: string
    readonly title: string
    readonly agent: string | undefined
    readonly model: Model | undefined
    readonly rules: ReadonlyArray<Rule>
  }) => Request
  readonly session: (sessionId: string) => Request
  /** The sessions of a directory; the one used last comes first. */
  readonly lastSession: (directory: string) => Request
  /** Copies a session up to a message, or whole. */
  readonly fork: (sessionId: string, before: string | undefined) => Request
  /** Replaces the rules of a session. */
  readonly setRules: (sessionId: string, rules: ReadonlyArray<Rule>, title?: string) => Request
  readonly setAgent: (sessionId: string, agent: string) => Request
  readonly setModel: (sessionId: string, model: Model) => Request
  /** Sets the system prompt of a session, which stays until it is replaced, or removes it. */
  readonly setSystem: (sessionId: string, system: string | undefined) => Request
  readonly prompt: (sessionId: string, text: string, files: ReadonlyArray<File>) => Request
  /** Answered at once, too; the reply does not name the message. */
  readonly command: (sessionId: string, name: string, text: string, files: ReadonlyArray<File>) => Request
  readonly interrupt: (sessionId: string) => Request
  /** The sessions that the server works on. */
  readonly active: Request
  /** The messages of a session, the newest first. */
  readonly messages: (sessionId: string, cursor: string | undefined) => Request
  /** The open permission requests of a session. */
  readonly requests: (sessionId: string) => Request
  readonly answer: (sessionId: string, requestId: string, answer: "once" | "reject", reason?: string) => Request
  /** The open questions of the agent. */
  readonly forms: (sessionId: string) => Request
  /** Declines a question of the agent. */
  readonly decline: (sessionId: string, formId: string) => Request
  readonly events: Request
  /** Writes a conversation into the data of the server; it continues in the directory. */
  readonly importing: (conversation: Conversation, directory: string) => Request
}

/** A page of messages, and the cursor of the next one. */
export interface Page {
  readonly messages: ReadonlyArray<WireObject>
  readonly next: string | undefined
}

/** Read the replies; `undefined` for an unexpected shape. */
export interface Replies {
  /** The server's version, as text. */
  readonly version: (body: unknown) => string | undefined
  readonly agents: (body: unknown) => ReadonlyArray<Agent> | undefined
  readonly models: (body: unknown) => ReadonlyArray<string> | undefined
  /** The model that the configuration names, if it names one. */
  readonly configuredModel: (body: unknown) => Option.Option<Model> | undefined
  readonly mcp: (body: unknown) => ReadonlyArray<McpServer> | undefined
  readonly session: (body: unknown) => Session | undefined
  /** A session as it was sent. */
  readonly rawSession: (body: unknown) => WireObject | undefined
  readonly sessions: (body: unknown) => ReadonlyArray<Session> | undefined
  /** The id of the message that holds the prompt. */
  readonly prompt: (body: unknown) => string | undefined
  readonly messages: (body: unknown) => Page | undefined
  readonly active: (body: unknown) => ReadonlyArray<string> | undefined
  readonly requests: (body: unknown) => ReadonlyArray<PermissionRequest> | undefined
  /** The ids of the listed questions. */
  readonly ids: (body: unknown) => ReadonlyArray<string> | undefined
}

/** One event of a session. */
export interface Event {
  readonly type: string
  readonly sessionId: string
  readonly parentId: string | undefined
  /** In milliseconds by the server's clock. */
  readonly created: number | undefined
  readonly data: WireObject
}

export type Received =
  | { readonly _tag: "Connected" }
  | { readonly _tag: "Event"; readonly event: Event }
  | { readonly _tag: "Ignored" }
  | { readonly _tag: "Unreadable" }

/** What an event asks of the transport, besides emitting. */
export type Signal =
  /** The agent works. */
  | { readonly _tag: "Alive" }
  /** The prompt has ended. */
  | { readonly _tag: "Ended" }
  | { readonly _tag: "Asked"; readonly request: PermissionRequest }
  | { readonly _tag: "Replied"; readonly requestId: string; readonly reply: string }
  | { readonly _tag: "Form"; readonly sessionId: string; readonly formId: string }
  /** A sub-agent has started with these rules. */
  | {
    readonly _tag: "Child"
    readonly sessionId: string
    readonly parentId: string | undefined
    readonly rules: ReadonlyArray<Rule>
  }
  /** A tool call reports the session of its sub-agent, which may be one of an earlier prompt. */
  | { readonly _tag: "Delegated"; readonly sessionId: string }
  /** The model that answers the prompt, as `provider/model`. */
  | { readonly _tag: "Model"; readonly model: string }
  /** The provider has answered a sub-agent. */
  | { readonly _tag: "Recovered"; readonly sessionId: string }
  | { readonly _tag: "RateLimited"; readonly until: number | undefined }
  /** Something necessary is missing in an event or a message. */
  | { readonly _tag: "Unexpected"; readonly shape: string }

export interface Happening {
  readonly says: ReadonlyArray<RunEvent>
  readonly signals: ReadonlyArray<Signal>
}

/** Turns the events of one prompt into those of a run. */
export interface Mapper {
  readonly event: (event: Event, now: number) => Happening
  /** Returns what the messages after the prompt's own show and no event has shown. */
  readonly repair: (messages: ReadonlyArray<WireObject>, now: number) => Happening
}

export interface MapperOptions {
  readonly sessionId: string
  /** True to emit reasoning. */
  readonly thinking: boolean
  readonly retries: RetryCount
  /** True while we abort the prompt, whose end is then no error. */
  readonly isClosing: () => boolean
}

export interface PrivateServer {
  readonly args: ReadonlyArray<string>
  /** The address in the line that says that the server listens. */
  readonly address: (line: string) => string | undefined
  /** The name of the database file, which no other major uses. */
  readonly database: string
  readonly username: string
  /** In milliseconds; the server is lost if it sends nothing for so long. */
  readonly patience: number
  readonly routes: Routes
  readonly replies: Replies
  /** Reads a frame of the events. Total. */
  readonly receive: (frame: string) => Received
  readonly mapper: (options: MapperOptions) => Mapper
  /** The rules of a run for its session, after those that ask for the permissions of these names. */
  readonly rules: (
    config: RunConfig,
    home: string | undefined,
    ask?: ReadonlyArray<string>
  ) => Either.Either<ReadonlyArray<Rule>, Problem>
  /** The rules that a session gets before those of its run, whatever the version has as its default. */
  readonly baseline: (agent: Agent) => ReadonlyArray<Rule>
  /** The name of a permission in the options of a run. */
  readonly permissionOf: (action: string) => string
  /** Reads a session with its messages, the oldest first. */
  readonly conversation: (info: unknown, messages: ReadonlyArray<unknown>) => Option.Option<Conversation>
  /** The names of the MCP servers that a run configures. */
  readonly mcp: (config: RunConfig) => ReadonlyArray<string>
  /** The model of a run, if its options name one. */
  readonly model: (config: RunConfig) => Model | undefined
  /** What a line of stderr says about a part of our configuration that the server drops. */
  readonly dropped: (line: string) => string | undefined
}
