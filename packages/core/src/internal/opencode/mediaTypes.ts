/** The extensions by which OpenCode recognizes what it sends as it is; everything else is text to it (1.18.33, 2.0.14). */
const extensions = new Map([
  ["image/png", ".png"],
  ["image/jpeg", ".jpg"],
  ["image/gif", ".gif"],
  ["image/webp", ".webp"],
  ["application/pdf", ".pdf"]
])

const byExtension = new Map([...[...extensions].map(([type, extension]) => [extension, type] as const), [
  ".jpeg",
  "image/jpeg"
]])

const extensionOf = (name: string): string => /\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? ""

/** The media type that a file name stands for, if OpenCode sends its content as it is. */
export const ofName = (name: string): string | undefined => byExtension.get(extensionOf(name))

export const isText = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** The media type with which a content is sent: providers take text as `text/plain` only. */
export const sentAs = (mediaType: string, bytes: Uint8Array): string => {
  const type = mediaType.toLowerCase()
  return !extensions.has(type) && !/^(audio|video)\//.test(type) && isText(bytes) ? "text/plain" : type
}

/** The name of a file with a content, with an extension that stands for its type. */
export const nameOf = (mediaType: string, bytes: Uint8Array, name: string): string => {
  const sent = sentAs(mediaType, bytes)
  const extension = extensions.get(sent)
  if (extension !== undefined) return ofName(name) === sent ? name : `${name}${extension}`
  return ofName(name) === undefined ? name : `${name}${sent === "text/plain" ? ".txt" : ".bin"}`
}
