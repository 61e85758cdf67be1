/**
 * Recognizes and masks secrets in errors, transcripts, recordings, results and live output.
 *
 * A value is a secret if it is `Redacted`, if the name of its variable, setting or header says so (`ACME_API_KEY`,
 * `apiKey`, `Authorization`, `GH_PAT`, `NPM_CONFIG__AUTH`), or if it is the password in a URL (`DATABASE_URL`). A
 * `Redacted` value is masked at any length, unless it is blank. A value that is secret only by its name is masked from
 * six characters on, unless it is an ordinary value: a common word (`production`, `postgres`), a path, a plain URL, the
 * user's name. The forms of a secret in JSON, URLs, base64 and `Authorization: Basic` are masked, too, and so is each
 * line of a multi-line secret.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as environment from "./internal/launch/environment.js"
import * as knownSecrets from "./internal/launch/knownSecrets.js"
import * as redact from "./internal/opencode/redact.js"
import * as secretSearch from "./internal/opencode/secretSearch.js"
import * as secretNames from "./internal/util/secretNames.js"
import type { Isolation } from "./Isolation.js"
import type { RunConfig } from "./RunConfig.js"
import type { RunEvent } from "./RunEvent.js"

/**
 * Masks secrets in everything that is stored or shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Redactor {
  /** Masks known secrets in a text. */
  readonly known: (text: string) => string
  /** Masks known secrets in a text, and everything that looks like one: for output of programs and providers. */
  readonly text: (text: string) => string
  /** Masks known secrets in every text and every name inside a value, and the values of secret headers. */
  readonly inside: <A>(value: A) => A
  /** Masks an event so that it can be shown. The model's own text is searched for known secrets only. */
  readonly event: (event: RunEvent) => RunEvent
  /** Masks a line of output, which stays JSON if it is JSON: all of the above, and values with secret names. */
  readonly line: (line: string) => string
  /** Masks consecutive lines of one stream, so that a private key is masked to its end. */
  readonly lines: () => (line: string) => string
}

/**
 * The text that replaces a secret.
 *
 * @since 0.1.0
 * @category getters
 */
export const mask: string = redact.mask

/**
 * True if a variable, setting or header with this name holds a secret.
 *
 * @example
 * ```ts
 * import { Redaction } from "effect-opencode"
 *
 * console.log(Redaction.isSecretName("ACME_API_KEY")) // true
 * console.log(Redaction.isSecretName("keybinds")) // false
 * console.log(Redaction.isSecretName("SSH_AUTH_SOCK")) // false
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const isSecretName: (name: string) => boolean = secretNames.isSecretName

/**
 * Collects the secret values inside a configuration, a set of variables or any other value, longest first. A string
 * that is JSON is searched, too.
 *
 * @since 0.1.0
 * @category getters
 */
export const secretsOf = (value: unknown): ReadonlyArray<string> => secretSearch.secretsOf(value)

/**
 * Makes a redactor for these secrets.
 *
 * @example
 * ```ts
 * import { Redaction } from "effect-opencode"
 *
 * const { text } = Redaction.make(Redaction.secretsOf({ apiKey: "hunter2hunter2" }))
 * console.log(text("401: the key hunter2hunter2 is wrong")) // "401: the key <redacted> is wrong"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (secrets: ReadonlyArray<string>) => Redactor = redact.make

/**
 * The secrets in the variables of this process, which a run inherits by default.
 *
 * @since 0.1.0
 * @category getters
 */
export const inherited: Effect.Effect<ReadonlyArray<string>> = knownSecrets.inherited

/**
 * Makes a redactor for a run with this configuration: its own secrets, those in the variables of this process, and the
 * keys and tokens of logins (`opencode auth login`, `opencode mcp auth`), also of its own data directory.
 *
 * @since 0.1.0
 * @category getters
 */
export const ofRun = (
  config: RunConfig,
  isolation: Isolation = "none"
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(
    Effect.zip(FileSystem.FileSystem, Path.Path),
    ([fileSystem, path]) =>
      environment.secrets({ fileSystem, path, environment: { extend: true, variables: {} } }, config, isolation)
  )
