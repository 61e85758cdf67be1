import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { Attachment } from "../../RunConfig.js"
import * as mediaTypes from "../opencode/mediaTypes.js"
import type { Leash } from "../process/leash.js"
import * as systemError from "../util/systemError.js"
import * as directories from "./directories.js"

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly leash: Leash
}

interface Given {
  readonly files?: ReadonlyArray<string | Attachment> | undefined
  readonly system?: string | undefined
}

/** What a process reads from files. */
export interface Inputs {
  /** Paths only. */
  readonly files: ReadonlyArray<string> | undefined
  /** The file that holds the system prompt. */
  readonly system: string | undefined
}

/** The name that the model sees. */
export const nameOf = ({ data, mediaType, name }: Attachment, index: number): string =>
  mediaTypes.nameOf(mediaType, data, name ?? `file-${index + 1}`)

const write = (
  { fileSystem, path }: Services,
  option: string,
  file: string,
  content: Uint8Array
): Effect.Effect<string, OpenCodeConfigError> =>
  Effect.andThen(
    fileSystem.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 }),
    fileSystem.writeFile(file, content, { mode: 0o600 })
  ).pipe(
    Effect.as(file),
    Effect.mapError((error) =>
      new OpenCodeConfigError({
        path: option,
        reason: `it cannot be written to a temporary file (${systemError.describe(error)})`
      })
    )
  )

/** Writes contents into files of a temporary directory, which is removed when the scope closes. */
export const make = (
  services: Services,
  { files, system }: Given
): Effect.Effect<Inputs, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const isPath = (file: string | Attachment): file is string => typeof file === "string"
    if (system === undefined && (files === undefined || files.every(isPath))) {
      return { files: files?.filter(isPath), system: undefined }
    }
    const directory = yield* directories.temporary(services)
    return {
      files: files === undefined ? undefined : yield* Effect.forEach(files, (file, index) =>
        isPath(file)
          ? Effect.succeed(file)
          : write(
            services,
            `files.${index}`,
            // Each in a directory of its own, because names can repeat.
            services.path.join(directory, String(index + 1), nameOf(file, index)),
            file.data
          )),
      system: system === undefined
        ? undefined
        : yield* write(
          services,
          "system",
          services.path.join(directory, "instructions.md"),
          new TextEncoder().encode(system)
        )
    }
  })
