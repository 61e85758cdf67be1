/** Facts about sessions: export, continuing, forks. */
import * as Option from "effect/Option"
import type { Conversation } from "../../../../Conversation.js"
import type { Fact, Recording } from "../../contract.js"
import { always, at } from "../../contract.js"
import * as questions from "../questions.js"
import * as reading from "./reading.js"

const base = { scenario: "session", weight: "matters" } as const

const sessionOf = (recording: Recording, name: string): unknown => reading.wires(recording, name)[0]?.["sessionID"]

const exported = (recording: Recording): Conversation | undefined => {
  const found = reading.process(recording, "export")
  return found === undefined ? undefined : Option.getOrUndefined(questions.session("").read(found.stdout))
}

/** Reads a fact from the exported session. */
const ofExport =
  (observe: (conversation: Conversation, recording: Recording) => unknown): Fact["observe"] => (recording) => {
    if (reading.process(recording, "export") === undefined) return undefined
    const conversation = exported(recording)
    return conversation === undefined ? "no session" : observe(conversation, recording)
  }

/** The request for a prompt; versions before 1.15 put a line feed before it. */
const requestFor = (recording: Recording, prompt: string) =>
  reading.requests(recording).find(({ prompts }) => reading.last(prompts)?.trim() === prompt)

/** The user's prompts in the request for this one. */
const history = (recording: Recording, prompt: string): ReadonlyArray<string> | undefined =>
  requestFor(recording, prompt)?.prompts.map((one) => one.trim())

const ofProcess = (name: string, observe: (recording: Recording) => unknown): Fact["observe"] => (recording) =>
  reading.process(recording, name) === undefined ? undefined : observe(recording)

export const facts: ReadonlyArray<Fact> = [
  {
    ...base,
    id: "export.messages",
    says: "`export` prints the session with its messages, after a line of progress at most.",
    expected: always({ isSession: true, roles: ["user", "assistant", "assistant"] }),
    observe: ofExport(({ info, messages }, recording) => ({
      isSession: info.id === sessionOf(recording, "first"),
      roles: messages.map(({ info }) => info.role)
    })),
    usedBy: ["internal/opencode/v1/questions.ts", "Conversation.ts"],
    otherwise: "`recover` and `Session.messages` do not work."
  },
  {
    ...base,
    id: "export.usage",
    says: "Exported messages have their cost and their tokens.",
    expected: always({ cost: 0.0002, input: 120, output: 40 }),
    observe: ofExport(({ messages }) => {
      const sum = (...path: ReadonlyArray<string>) =>
        messages.reduce((total, { info }) => total + Number(at(info, ...path) ?? 0), 0)
      return { cost: sum("cost"), input: sum("tokens", "input"), output: sum("tokens", "output") }
    }),
    usedBy: ["Conversation.ts", "internal/run/sessionExport.ts"],
    otherwise: "Usage with sub-agents and recovered runs is wrong."
  },
  {
    ...base,
    id: "export.finish",
    says: "Exported messages have the reason of their end.",
    expected: always(["tool-calls", "stop"]),
    observe: ofExport(({ messages }) =>
      messages.filter(({ info }) => info.role === "assistant").map(({ info }) => info.finish ?? "none")
    ),
    usedBy: ["internal/run/sessionExport.ts"],
    otherwise: "A lost end of a run cannot be recovered."
  },
  {
    ...base,
    id: "export.parts",
    says: "Exported messages have the parts of the events, tools with their state.",
    expected: always(["reasoning", "step-finish", "step-start", "text", "tool"]),
    observe: ofExport(({ messages }) =>
      [...new Set(messages.flatMap(({ parts }) => parts.map(({ type }) => String(type))))].sort()
    ),
    usedBy: ["Conversation.ts"],
    otherwise: "Recovered runs lack events."
  },
  {
    ...base,
    id: "title.verbatim",
    says: "`--title=text` stores the text unchanged, even if it looks like an option.",
    expected: always("verbatim"),
    observe: ofExport(({ info }, recording) =>
      info.title === recording.observed["title"] ? "verbatim" : info.title ?? "none"
    ),
    usedBy: ["internal/opencode/v1/invocation.ts"],
    otherwise: "A value of the program is read as an option."
  },
  {
    ...base,
    id: "session.continue",
    says: "`--continue` goes on with the last session: its id stays, and the model sees its prompts.",
    expected: always({ isSame: true, prompts: ["TOOLS", "SECOND"] }),
    observe: ofProcess("continued", (recording) => ({
      isSame: sessionOf(recording, "continued") === sessionOf(recording, "first"),
      prompts: history(recording, "SECOND") ?? "not asked"
    })),
    usedBy: ["internal/run/session.ts", "internal/opencode/v1/invocation.ts"],
    otherwise: "Conversations forget."
  },
  {
    ...base,
    id: "session.fork",
    says: "`--session` with `--fork` copies a session: another id, and the model sees the prompts before.",
    expected: always({ isSame: false, prompts: ["TOOLS", "SECOND", "THIRD"] }),
    observe: ofProcess("fork", (recording) => ({
      isSame: sessionOf(recording, "fork") === sessionOf(recording, "first"),
      prompts: history(recording, "THIRD") ?? "not asked"
    })),
    usedBy: ["internal/run/session.ts", "internal/opencode/v1/invocation.ts"],
    otherwise: "Forks forget, or change the original."
  },
  {
    ...base,
    id: "session.fork-question",
    says: "`tools.question: false` keeps the tool that asks the user out of a fork, which offers it otherwise.",
    expected: always(false),
    observe: ofProcess(
      "fork",
      (recording) => requestFor(recording, "THIRD")?.tools.includes("question")
    ),
    usedBy: ["internal/opencode/v1/unattended.ts"],
    otherwise: "A question of the model hangs a fork until its time limit."
  }
]
