/** What the model is shown of a result. */
import * as Encoding from "effect/Encoding"
import type { Part } from "../../HostTools.js"

/** JSON, but a text as it is; `null` for a tool without a result. */
export const textOf = (encoded: unknown): string =>
  typeof encoded === "string" ? encoded : JSON.stringify(encoded ?? null)

export const text = (value: string): Part => ({ type: "text", text: value })

type Wire = { readonly [key: string]: unknown }

const base64 = (data: Uint8Array | string): string => typeof data === "string" ? data : Encoding.encodeBase64(data)

const encode = (part: Part): Wire => {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text }
    case "image":
      return { type: "image", data: base64(part.data), mimeType: part.mediaType }
    case "resource":
      return {
        type: "resource",
        resource: {
          uri: part.uri,
          ...(part.mediaType === undefined ? {} : { mimeType: part.mediaType }),
          ...("text" in part ? { text: part.text } : { blob: base64(part.data) })
        }
      }
  }
}

export interface Answer {
  readonly content: ReadonlyArray<Part>
  readonly isError: boolean
}

/** OpenCode shows the model only the texts of an error, and never structured content (1.18.33). */
export const toWire = ({ content, isError }: Answer): Wire => ({
  content: (isError ? content.filter(({ type }) => type === "text") : content).map(encode),
  ...(isError ? { isError: true } : {})
})
