/** Scripted processes that are servers of OpenCode 2 in memory: their prompts are requests, their output is events. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as opencode2 from "../../../bin/opencode2.js"
import * as MockCommandExecutor from "../../MockCommandExecutor.js"
import * as content from "../mockProcess/content.js"
import * as Utf8 from "../utf8.js"

/** What a server says that it is and has. */
interface Options {
  readonly version?: string | undefined
  readonly models?: ReadonlyArray<string> | undefined
}

export const isOpenCode2 = (options: Options | undefined): boolean =>
  Number((options?.version ?? "1").split(".")[0]) >= 2

/** A `fetch` that reaches nothing. */
export const nowhere: typeof globalThis.fetch = () => Promise.reject(new TypeError("fetch failed"))

/** What a prompt plays: a script, and then a permission that it asks for. */
export interface Part {
  readonly script: MockCommandExecutor.Script
  readonly asks?: { readonly permission: string; readonly patterns: ReadonlyArray<string> } | undefined
}

export interface Servers {
  /** Reaches the servers that run. */
  readonly fetch: typeof globalThis.fetch
  /** The script of a server's process, each of whose prompts plays the next part. */
  readonly script: (
    command: MockCommandExecutor.RecordedCommand,
    next: Effect.Effect<Part>
  ) => Effect.Effect<MockCommandExecutor.Script>
}

const isWaiting = ({ _tag }: MockCommandExecutor.Step): boolean => _tag === "AwaitStdin"

/** True if a script ends its process before it prints anything: a start that fails. */
const failsToStart = ({ steps }: MockCommandExecutor.Script): boolean => {
  const first = steps.find((step) => step._tag !== "Stderr" && step._tag !== "Sleep" && !isWaiting(step))
  return first?._tag === "Exit" || first?._tag === "Signal"
}

const sync = (f: () => void): MockCommandExecutor.Step => MockCommandExecutor.waitFor(Effect.sync(f))

/** Sends what a process of OpenCode 1 would print. */
const print = (turn: opencode2.Turn, text: string): void => {
  for (const line of text.split("\n")) {
    if (line !== "") turn.print(line)
  }
}

export const make = (options: Options | undefined): Servers => {
  const servers = new Map<string, opencode2.Server>()
  let ports = 40_000
  let sessions = 0

  return {
    fetch: (input, init) => {
      const request = new Request(input, init)
      const server = servers.get(new URL(request.url).origin)
      return server === undefined ? nowhere(input) : server.handle(request)
    },
    script: (command, next) =>
      Effect.gen(function*() {
        const first = yield* next
        if (failsToStart(first.script)) {
          return { ...first.script, steps: first.script.steps.filter((step) => !isWaiting(step)) }
        }
        const turns = yield* Queue.unbounded<opencode2.Turn>()
        const url = `http://127.0.0.1:${++ports}`
        const server = opencode2.make({
          version: options?.version ?? "2.0.14",
          models: options?.models ?? ["fake/m1"],
          password: command.env["OPENCODE_PASSWORD"],
          newSession: () => `ses_${String(++sessions).padStart(26, "0")}`,
          onPrompt: (turn, admit) => {
            admit()
            turns.unsafeOffer(turn)
            return undefined
          }
        })
        servers.set(url, server)

        const played = (
          turn: opencode2.Turn,
          steps: ReadonlyArray<MockCommandExecutor.Step>
        ): ReadonlyArray<MockCommandExecutor.Step> =>
          steps.flatMap((step): ReadonlyArray<MockCommandExecutor.Step> => {
            switch (step._tag) {
              case "Stdout":
                return [sync(() => print(turn, Utf8.decode(content.concat(step.chunks))))]
              // A server keeps its input open.
              case "AwaitStdin":
                return []
              case "CloseStdout":
                return [sync(server.cut)]
              case "Exit":
              case "Signal":
                return [
                  sync(() => {
                    servers.delete(url)
                    server.cut()
                  }),
                  step
                ]
              case "Decide":
                return [MockCommandExecutor.decide((record) => {
                  const chosen = step.choose(record)
                  return Effect.isEffect(chosen)
                    ? Effect.map(chosen, (steps) => played(turn, steps))
                    : played(turn, chosen)
                })]
              default:
                return [step]
            }
          })

        const answer = (given: Part | undefined): Effect.Effect<ReadonlyArray<MockCommandExecutor.Step>> =>
          Effect.gen(function*() {
            const turn = yield* Queue.take(turns)
            const { asks, script } = given ?? (yield* next)
            return [
              ...played(turn, script.steps),
              ...(asks === undefined ? [] : [
                MockCommandExecutor.waitFor(
                  Effect.asVoid(Effect.promise(() => turn.ask({ ...asks, tool: asks.permission, input: {} })))
                )
              ]),
              sync(turn.end),
              MockCommandExecutor.decide(() => answer(undefined))
            ]
          })

        return {
          ...first.script,
          steps: [
            MockCommandExecutor.stdout(`${JSON.stringify({ url })}\n`),
            MockCommandExecutor.decide(() => answer(first))
          ]
        }
      })
  }
}
