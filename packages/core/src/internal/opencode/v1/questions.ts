import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Conversation } from "../../../Conversation.js"
import type { Question } from "../dialect.js"

export const models: Question<ReadonlyArray<string>> = {
  args: ["models"],
  read: (printed) => printed.split("\n").map((line) => line.trim()).filter((line) => line.includes("/"))
}

const decode = Schema.decodeUnknownOption(Schema.parseJson(Conversation))

export const session = (sessionId: string): Question<Option.Option<Conversation>> => ({
  args: ["export", sessionId],
  // A progress line can precede the object.
  read: (printed) => decode(printed.slice(Math.max(0, printed.indexOf("{"))))
})

/**
 * The session keeps its id and gets the directory in which the command runs; an existing one keeps its messages
 * (1.18.33).
 */
export const importing = (file: string): Question<Option.Option<string>> => ({
  args: ["import", file],
  read: (printed) => Option.fromNullable(/^Imported session: (\S+)$/m.exec(printed)?.[1])
})
