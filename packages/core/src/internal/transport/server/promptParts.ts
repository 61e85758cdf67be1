import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import { OpenCodeConfigError } from "../../../OpenCodeError.js"
import * as inputs from "../../launch/inputs.js"
import * as mediaTypes from "../../opencode/mediaTypes.js"
import type { File } from "../../opencode/privateServer.js"
import type { Client } from "../../run/client.js"
import type { Plan } from "../../run/plan.js"
import type { PromptPart } from "./api.js"

type Services = Pick<Client, "fileSystem" | "path">

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
    const mime = mediaTypes.isText(bytes) ? "text/plain" : mediaTypes.ofName(file) ?? "application/octet-stream"
    return inline(mime, bytes, path.basename(file))
  })

/** The files alone, as OpenCode 2 takes them. */
export const filesOf = (parts: ReadonlyArray<PromptPart>): ReadonlyArray<File> =>
  parts.flatMap((part) => part.type === "file" ? [{ uri: part.url, name: part.filename ?? "file" }] : [])
const inline = (mime: string, bytes: Uint8Array, filename: string): PromptPart => ({
  type: "file",
  mime,
  url: `data:${mime};base64,${Encoding.encodeBase64(bytes)}`,
  filename
})

/** The message to the model: the run's files, then its prompt unchanged. */
export const make = (
  services: Services,
  { cwd, options, prompt }: Plan,
  isLocal: boolean
): Effect.Effect<ReadonlyArray<PromptPart>, OpenCodeConfigError> =>
  Effect.map(
    Effect.forEach(options.files ?? [], (file, index) => {
      if (typeof file !== "string") {
        return Effect.succeed(
          inline(mediaTypes.sentAs(file.mediaType, file.data), file.data, inputs.nameOf(file, index))
        )
      }
      const resolved = services.path.resolve(cwd, file)
      return isLocal ? local(services, resolved, index) : remote(services, resolved, index)
    }),
    (files): ReadonlyArray<PromptPart> => [...files, { type: "text", text: prompt }]
  )
