/** A prompt of `@effect/ai` as the prompt of a run. Pure. */
import type * as Prompt from "@effect/ai/Prompt"
import type { Attachment } from "effect-opencode/RunConfig"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"

/** What a conversation asks of the agent. */
export interface Asked {
  /** The texts of all system messages. */
  readonly system: string | undefined
  /** Everything before the messages that are new, the newest of which are the user's. */
  readonly history: ReadonlyArray<Prompt.Message>
  /** The last message of the user. */
  readonly message: Prompt.Message
  readonly text: string
  readonly files: ReadonlyArray<string | Attachment>
}

type Read<A> = Either.Either<A, string>

/** The first bytes of the images that OpenCode sends as they are. */
const signatures: ReadonlyArray<readonly [mediaType: string, bytes: ReadonlyArray<number>, at?: number]> = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x57, 0x45, 0x42, 0x50], 8]
]

/** `image/*` stands for the type that the bytes show. */
const mediaTypeOf = (mediaType: string, data: Uint8Array): Read<string> => {
  if (mediaType !== "image/*") return Either.right(mediaType)
  const found = signatures.find(([, bytes, at = 0]) => bytes.every((byte, index) => data[at + index] === byte))
  return found === undefined
    ? Either.left("the type of an image is not known; name it in `mediaType`")
    : Either.right(found[0])
}

const dataUrl = /^data:([^,]*?)(;base64)?,([^]*)$/i

const bytesOf = (data: Prompt.FilePart["data"]): Read<Uint8Array> => {
  if (data instanceof Uint8Array) return Either.right(data)
  const [, , isBase64, content = ""] = dataUrl.exec(String(data)) ?? [undefined, "", ";base64", String(data)]
  return isBase64 === undefined
    ? Either.try({
      try: () => new TextEncoder().encode(decodeURIComponent(content)),
      catch: () => "the data of a file is not that of an address"
    })
    : Either.mapLeft(Encoding.decodeBase64(content), () => "the data of a file is not base64")
}

const fileOf = ({ data, fileName, mediaType }: Prompt.FilePart): Read<Attachment> => {
  const isUrl = data instanceof URL || (typeof data === "string" && /^[a-z][a-z+.-]*:\/\//i.test(data))
  const isInline = (data instanceof URL || typeof data === "string") && dataUrl.test(String(data))
  return isUrl && !isInline
    ? Either.left("a file is given by its address; OpenCode does not fetch it, so pass its bytes")
    : Either.flatMap(bytesOf(data), (bytes) =>
      Either.map(mediaTypeOf(mediaType, bytes), (type) => ({
        mediaType: type,
        data: bytes,
        ...(fileName === undefined ? {} : { name: fileName.replace(/^.*[/\\]/, "") })
      })))
}

const isFile = (part: Prompt.Part): part is Prompt.FilePart => part.type === "file"

const filesOf = (messages: ReadonlyArray<Prompt.Message>): Read<ReadonlyArray<Attachment>> =>
  Either.all(
    messages.flatMap((message) =>
      message.role === "user" || message.role === "assistant"
        ? (message.content as ReadonlyArray<Prompt.Part>).filter(isFile).map(fileOf)
        : []
    )
  )

const textsOf = (message: Prompt.UserMessage): ReadonlyArray<string> =>
  message.content.flatMap((part) => part.type === "text" && part.text !== "" ? [part.text] : [])

/** Reads the messages of a prompt; the text says why an agent cannot be asked this. */
export const read = ({ content }: Prompt.Prompt): Read<Asked> => {
  const spoken = content.filter(({ role }) => role !== "system")
  const system = content.flatMap((message) => message.role === "system" ? [message.content] : []).join("\n\n")
  const last = spoken.map(({ role }) => role !== "user").lastIndexOf(true)
  const asked = spoken.slice(last + 1) as ReadonlyArray<Prompt.UserMessage>
  const message = asked.at(-1)
  if (message === undefined) {
    return Either.left("an agent answers the user, so the last message of the prompt must be the user's")
  }
  return Either.flatMap(filesOf(asked), (files) => {
    const text = asked.flatMap(textsOf).join("\n\n")
    if (text.trim() === "" && files.length === 0) return Either.left("the last message of the user is empty")
    return Either.right({
      system: system === "" ? undefined : system,
      history: spoken.slice(0, last + 1),
      message,
      text: text.trim() === "" ? "See the attached files." : text,
      files
    })
  })
}

const canonical = (part: Prompt.Part): unknown => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return [part.type, part.text]
    case "file": {
      const { data } = part
      return [
        part.type,
        part.mediaType,
        part.fileName,
        data instanceof Uint8Array ? Encoding.encodeBase64(data) : String(data)
      ]
    }
    case "tool-call":
      return [part.type, part.id, part.name, part.params]
    case "tool-result":
      return [part.type, part.id, part.name, part.isFailure, part.result]
  }
}

/**
 * Equal for conversations that say the same. System messages belong to each prompt, so they are not part of it; options of
 * messages do not reach the agent.
 */
export const said = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<string> =>
  messages.flatMap((message) =>
    message.role === "system"
      ? []
      : [JSON.stringify([message.role, (message.content as ReadonlyArray<Prompt.Part>).map(canonical)])]
  )

const shown = (text: string): string => text.replaceAll("</", "<\\/")

const json = (u: unknown): string => shown(typeof u === "string" ? u : JSON.stringify(u) ?? "null")

const told = (part: Prompt.Part): string => {
  switch (part.type) {
    case "text":
      return shown(part.text)
    case "reasoning":
      return ""
    case "file":
      return `[attached: ${shown(part.fileName ?? part.mediaType)}]`
    case "tool-call":
      return `<tool_call name="${shown(part.name)}">${json(part.params)}</tool_call>`
    case "tool-result":
      return `<tool_result name="${shown(part.name)}"${part.isFailure ? " failed=\"true\"" : ""}>${
        json(part.result)
      }</tool_result>`
  }
}

/** Retells a conversation that the agent has not had, in front of what is new, with its files. */
export const retell = (asked: Asked): Read<Pick<Asked, "text" | "files">> => {
  if (asked.history.length === 0) return Either.right(asked)
  const messages = asked.history.map((message) => {
    const content = (message.content as ReadonlyArray<Prompt.Part>).map(told).filter((text) => text !== "").join("\n")
    return `<${message.role}>\n${content}\n</${message.role}>`
  })
  return Either.map(filesOf(asked.history), (files) => ({
    text: [
      "This is the conversation so far, which you continue:",
      `<conversation>\n${messages.join("\n")}\n</conversation>`,
      "The next message of the user:",
      asked.text
    ].join("\n\n"),
    files: [...files, ...asked.files]
  }))
}
