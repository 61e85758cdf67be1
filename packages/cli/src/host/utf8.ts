/**
 * Reads text that must be UTF-8: invalid bytes would reach the model as replacement characters.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/** A text could not be read. */
export class ReadError extends Schema.TaggedError<ReadError>("effect-opencode-cli/ReadError")("ReadError", {
  /** The name of the file or stream. */
  name: Schema.String,
  /** What is wrong with it, without a full stop. */
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.name} ${this.reason}`
  }
}

/** The decoded bytes, or `undefined` if they are invalid; an incomplete last character is left out. */
const sound = (bytes: Uint8Array, length: number): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true })
  } catch {
    return undefined
  }
}

/** The longest valid UTF-8 prefix. */
const soundPart = (bytes: Uint8Array): string => {
  let good = 0
  let bad = bytes.length + 1
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (sound(bytes, middle) === undefined) bad = middle
    else good = middle
  }
  return sound(bytes, good) ?? ""
}

const isUtf16 = ([first, second]: Uint8Array): boolean =>
  first === 0xff && second === 0xfe || first === 0xfe && second === 0xff ||
  first !== undefined && second !== undefined && (first === 0) !== (second === 0)

const place = (bytes: Uint8Array): string => {
  const before = soundPart(bytes).split("\n")
  return `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`
}

/** Decodes the bytes, without a byte order mark. */
export const decode = (name: string, bytes: Uint8Array): Either.Either<string, ReadError> => {
  if (isUtf16(bytes)) {
    return Either.left(new ReadError({ name, reason: "is UTF-16, not UTF-8: save it as UTF-8" }))
  }
  return Either.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => new ReadError({ name, reason: `is not UTF-8 (${place(bytes)}): save it as UTF-8` })
  })
}

/** Reads a file as text. */
export const readFile = (file: string): Effect.Effect<string, ReadError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFile(file)).pipe(
    Effect.mapError((cause) => new ReadError({ name: file, reason: "cannot be read", cause })),
    Effect.flatMap((bytes) => decode(file, bytes))
  )
