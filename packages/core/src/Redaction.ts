/**
 * What is secret, and how it is masked: the one redaction of errors, transcripts, recordings, results and live output.
 *
 * A value is a secret if it is `Redacted`, or if the variable, setting or header that holds it says so by its name
 * (`ACME_API_KEY`, `apiKey`, `Authorization`, `GH_PAT`, `NPM_CONFIG__AUTH`), or if it is the password of an address
 * (`DATABASE_URL`). What is `Redacted` is masked however short it is, unless it is blank. What only a name calls secret
 * is masked from six characters on and unless it is an ordinary value: a common word (`production`, `postgres`), a path,
 * a plain address, the name of the user. Masked are also the forms that a secret has in JSON, in an address, in base64
 * and in what `Authorization: Basic` sends, and each line of a secret that has several.
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
 * Takes secrets out of what is written down or shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Redactor {
  /** Masks known secrets in a text. */
  readonly known: (text: string) => string
  /** Masks known secrets in a text, and what looks like one: for what a program or a provider says. */
  readonly text: (text: string) => string
  /** Masks known secrets in every text and every name inside a value, and the values of secret headers. */
  readonly inside: <A>(value: A) => A
  /** An event as it may be shown. What the model says is searched for known secrets alone. */
  readonly event: (event: RunEvent) => RunEvent
  /** A line of output, which stays JSON if it is JSON: all of the above, and values under names that say secret. */
  readonly line: (line: string) => string
  /** The same for the lines of one stream in their order: a private key is masked to its end. */
  readonly lines: () => (line: string) => string
}

/**
 * What stands in the place of a secret.
 *
 * @since 0.1.0
 * @category getters
 */
export const mask: string = redact.mask

/**
 * Whether a variable, a setting or a header of this name holds a secret.
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
 * The secret values inside a configuration, a set of variables or any other value, the longest first. A text that is
 * JSON is looked into.
 *
 * @since 0.1.0
 * @category getters
 */
export const secretsOf = (value: unknown): ReadonlyArray<string> => secretSearch.secretsOf(value)

/**
 * Masks these secrets.
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
 * The secrets among the variables of this process, which a run inherits by default.
 *
 * @since 0.1.0
 * @category getters
 */
export const inherited: Effect.Effect<ReadonlyArray<string>> = knownSecrets.inherited

/**
 * Everything that a run with this configuration must not show: its own secrets, those among the variables of this
 * process, and the keys and tokens of logins (`opencode auth login`, `opencode mcp auth`), those in a data directory of
 * its own among them.
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
