import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import type { Held } from "./sessions.js"

export type AnyToolkit = Toolkit.WithHandler<Record<string, Tool.Any>>

/**
 * What `LanguageModel.make` does not tell a provider about a call: the toolkit with its handlers, which an agent needs
 * while it runs; and the session in which the call was made.
 */
export interface Call {
  readonly method: string
  readonly toolkit: AnyToolkit | undefined
  readonly concurrency: number | "unbounded"
  readonly disableToolCallResolution: boolean
  held: Held | undefined
  /** The last message of OpenCode in its session. */
  messageId: string | undefined
}

export class CurrentCall extends Context.Reference<CurrentCall>()("effect-opencode-ai/CurrentCall", {
  defaultValue: (): Call => ({
    method: "generateText",
    toolkit: undefined,
    concurrency: 1,
    disableToolCallResolution: false,
    held: undefined,
    messageId: undefined
  })
}) {}
