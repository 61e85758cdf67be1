import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"

/** The name that OpenCode expects by default (1.18.33). */
export const username = "opencode"

const randomBytes = (count: number): Effect.Effect<Uint8Array> =>
  // Not `Random`, because its seed would reveal the password.
  Effect.sync(() => globalThis.crypto.getRandomValues(new Uint8Array(count)))

/** Generates a random password of 256 bits. */
export const password: Effect.Effect<Redacted.Redacted> = Effect.map(
  randomBytes(32),
  (bytes) => Redacted.make(Encoding.encodeBase64Url(bytes))
)

/** Generates an id for the processes of one server. */
export const id: Effect.Effect<string> = Effect.map(randomBytes(12), Encoding.encodeHex)
