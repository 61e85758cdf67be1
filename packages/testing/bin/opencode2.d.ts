/** One prompt and what answers it. After its end it says nothing more. */
export interface Turn {
  readonly prompt: string
  /** Resolves when the prompt has ended. */
  readonly over: Promise<void>
  readonly isOver: () => boolean
  /** Sends a line of OpenCode 1 as the events of OpenCode 2; a line that is no event is sent as it is. */
  readonly print: (line: string) => void
  readonly event: (type: string, data?: { readonly [name: string]: unknown }) => void
  /** Asks for a permission; false if it was rejected, which has ended the prompt. */
  readonly ask: (request: {
    readonly permission: string
    readonly patterns: ReadonlyArray<string>
    readonly tool: string
    readonly input: unknown
  }) => Promise<boolean>
  readonly interrupt: (reason: string) => void
  /** Ends the prompt without an event that says so. */
  readonly rest: () => void
  readonly end: () => void
}

export interface Refusal {
  readonly status: number
  readonly message: string
}

export interface Options {
  readonly version: string
  readonly models: ReadonlyArray<string>
  /** Default: no password is needed. */
  readonly password?: string | undefined
  /** Makes the id of a new session. */
  readonly newSession: () => string
  /** Called with each prompt; calls `admit` unless it refuses the prompt. */
  readonly onPrompt: (
    turn: Turn,
    admit: () => void
  ) => Refusal | undefined | Promise<Refusal | undefined>
}

export interface Server {
  readonly handle: (request: Request) => Promise<Response>
  /** Ends the open streams of events. */
  readonly cut: () => void
}

export const make: (options: Options) => Server
