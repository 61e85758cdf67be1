/** Bytes that a script writes. */
import type * as MockCommandExecutor from "../../MockCommandExecutor.js"
import * as Utf8 from "../utf8.js"

export const toChunks = (content: MockCommandExecutor.Content): ReadonlyArray<Uint8Array> => {
  const parts = typeof content === "string" || content instanceof Uint8Array ? [content] : content
  return parts.map((part) => typeof part === "string" ? Utf8.encode(part) : part)
}

export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
