import type * as Effect from "effect/Effect"
import type { OpenCodeServerError } from "../../OpenCodeError.js"
import type * as wire from "./wire.js"

export interface NewSession {
  /** The session's working directory; prompts of the session run in it. */
  readonly directory: string
  /** Without one the first prompt costs another call of a model. */
  readonly title: string
  readonly permission: ReadonlyArray<wire.Rule>
  readonly parentId?: string | undefined
}

/** One prompt. There is no `tools`: it would replace the session's permission rules for good. */
export interface Prompt {
  readonly parts: ReadonlyArray<PromptPart>
  readonly model?: { readonly providerID: string; readonly modelID: string } | undefined
  /** Not remembered by the session: each prompt names it. */
  readonly agent?: string | undefined
  readonly variant?: string | undefined
  /** Goes to the end of the system prompt, for this prompt alone. */
  readonly system?: string | undefined
  readonly format?: { readonly type: "json_schema"; readonly schema: unknown } | undefined
}

export type PromptPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "file"; readonly mime: string; readonly url: string; readonly filename?: string | undefined }

/** There is no "always": it would hold for all sessions of the directory, against their rules. */
export type PermissionReply = "once" | { readonly reject: string | undefined }

type Call<A> = Effect.Effect<A, OpenCodeServerError>

/** The calls of one server. None waits for a model; each has a time limit. */
export interface Api {
  /** Without credentials. */
  readonly url: string
  readonly health: Call<{ readonly version: string }>
  readonly createSession: (session: NewSession) => Call<wire.Session>
  readonly getSession: (sessionId: string) => Call<wire.Session>
  /** `permission` is appended to the rules that there are. */
  readonly patchSession: (
    sessionId: string,
    patch: { readonly title?: string | undefined; readonly permission?: ReadonlyArray<wire.Rule> | undefined }
  ) => Call<wire.Session>
  /** A run under way is not ended by it: abort first. */
  readonly deleteSession: (sessionId: string) => Call<void>
  /** The sessions of a directory that are no children, the last used first. */
  readonly sessions: (directory: string, limit?: number) => Call<ReadonlyArray<wire.Session>>
  readonly children: (sessionId: string) => Call<ReadonlyArray<wire.Session>>
  /** The copy has neither the permission rules nor the parent. */
  readonly fork: (sessionId: string, messageId?: string) => Call<wire.Session>
  /** Returns as soon as the server has the prompt; everything else comes as events. */
  readonly promptAsync: (sessionId: string, prompt: Prompt) => Call<void>
  /** Returns when the session has come to rest; succeeds where there was nothing to abort. */
  readonly abort: (sessionId: string) => Call<void>
  /** All messages, the oldest first. */
  readonly messages: (sessionId: string) => Call<ReadonlyArray<wire.Message>>
  /** What the sessions of a directory do; those that are idle are not among them. */
  readonly status: (directory: string) => Call<{ readonly [sessionId: string]: wire.Status }>
  /** What waits for an answer in a directory. A request of an aborted run can still be there. */
  readonly permissions: (directory: string) => Call<ReadonlyArray<wire.PermissionRequest>>
  /** `false` where the request waits no more. */
  readonly replyPermission: (directory: string, requestId: string, reply: PermissionReply) => Call<boolean>
  readonly questions: (directory: string) => Call<ReadonlyArray<wire.Question>>
  /** `false` where the question waits no more. */
  readonly rejectQuestion: (directory: string, questionId: string) => Call<boolean>
  readonly agents: (directory: string) => Call<ReadonlyArray<wire.Agent>>
  /** As `provider/model`. It also makes the directory ready: 0.8 s that the first prompt does not take any more. */
  readonly models: (directory: string) => Call<ReadonlyArray<string>>
  /** Aborts what runs in a directory and forgets its configuration and grants. */
  readonly disposeInstance: (directory: string) => Call<void>
  /** The same for all directories; their tools and MCP servers are ended. */
  readonly dispose: Call<void>
}
