import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import { OpenCodeConfigError } from "../../../OpenCodeError.js"
import type { File } from "../../opencode/privateServer.js"
import type { Client } from "../../run/client.js"
import type { Plan } from "../../run/plan.js"
import type { PromptPart } from "./api.js"

type Services = Pick<Client, "fileSystem" | "path">

/** The types that providers accept besides text; all others are sent as bytes. */
const mimes = new Map([
  [".png", "image/png"],
  [".jpg", "image/jpeg"],
  [".jpeg", "image/jpeg"],
  [".gif", "image/gif"],
  [".webp", "image/webp"],
  [".pdf", "application/pdf"]
])

const isText = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

const problem = (index: number, reason: string) => new OpenCodeConfigError({ path: `files.${index}`, reason })

/** A server on this machine reads the file itself, as `opencode run` does (1.18.33). */
const local = ({ fileSystem, path }: Services, file: string, index: number) =>
  Effect.gen(function*() {
    const info = yield* fileSystem.stat(file)
    const url = yield* path.toFileUrl(file)
    return {
      type: "file" as const,
      mime: info.type === "Directory" ? "application/x-directory" : "text/plain",
      url: url.href,
      filename: path.basename(file)
    }
  }).pipe(Effect.mapError(() => problem(index, `the file ${file} cannot be read`)))

/** The content is sent, as with `opencode run --attach` (1.18.33). */
const remote = ({ fileSystem, path }: Services, file: string, index: number) =>
  Effect.gen(function*() {
    const bytes = yield* Effect.mapError(
      fileSystem.readFile(file),
      () => problem(index, `${file} is not a readable file; directories cannot be sent to a remote server`)
    )
    const mime = isText(bytes)
      ? "text/plain"
      : mimes.get(path.extname(file).toLowerCase()) ?? "application/octet-stream"
    return {
      type: "file" as const,
      mime,
      url: `data:${mime};base64,${Encoding.encodeBase64(bytes)}`,
      filename: path.basename(file)
    }
  })

/** The files alone, as OpenCode 2 takes them. */
export const filesOf = (parts: ReadonlyArray<PromptPart>): ReadonlyArray<File> =>
  parts.flatMap((part) => part.type === "file" ? [{ uri: part.url, name: part.filename ?? "file" }] : [])

/** The message to the model: the run's files, then its prompt unchanged. */
export const make = (
  services: Services,
  { cwd, options, prompt }: Plan,
  isLocal: boolean
): Effect.Effect<ReadonlyArray<PromptPart>, OpenCodeConfigError> =>
  Effect.map(
    Effect.forEach(options.files ?? [], (file, index) => {
      const resolved = services.path.resolve(cwd, file)
      return isLocal ? local(services, resolved, index) : remote(services, resolved, index)
    }),
    (files): ReadonlyArray<PromptPart> => [...files, { type: "text", text: prompt }]
  )
