import type * as Option from "effect/Option"
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
