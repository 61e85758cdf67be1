/** Decides by tables which names and values are secrets. */

/** `AWS_SECRET_ACCESS_KEY`, `apiKey`, `x-api-key` and `API_KEY_2` as words, without a final number. */
const wordsOf = (name: string): ReadonlyArray<string> =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/\d+$/, ""))
    .filter((word) => word !== "")

const set = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/))

/** The last word of a name that describes a secret without holding it. */
const about = set(`
  file filename path dir directory folder sock socket name type mode method url uri endpoint host hostname port enabled
  disabled required timeout ttl lifetime expiry expires expiration length size limit count min max version algorithm
  alg format provider prefix helper command cmd env var variable backend store storage manager agent realm domain scheme
  budget parallelism usage ratio rate policy rotation index issuer audience user username email region location
`)

/** Words before "key" that make it a keyboard, table or list key, or a public one. */
const beforeKey = set(`
  public primary foreign sort partition cache map lookup index group row column object hot short press arrow translation
  locale routing modifier leader ctrl escape enter pub
`)
const afterKey = set(`
  bind binds binding bindings board boards map maps code codes word words press stroke strokes frame frames value values
  up down repeat delay
`)

/** Words of names that count tokens. */
const counted = set(`
  max min num number total limit count budget input output context completion prompt reasoning cache cached thinking per
  used remaining window
`)

/** The environment in which a secret is used, at the end of its name. */
const stages = set("prod production live dev development stage staging test testing qa ci")

const afterAuth = set("header headers string data content json basic bearer config")

const always =
  /^(secrets?|passwords?|passwd|passphrases?|passcodes?|credentials?|creds?|authori[sz]ation|cookies?|jwts?|mnemonic|bearer)$/
const joined =
  /(password|passwd|passphrase|secret|credentials?|(api|access|secret|private|signing|encryption|master|auth|ssh|license|service)keys?|(db|user|admin|root|smtp|mail|mysql|pg|mongo|redis|ftp)(pass|pw)|(auth|access|refresh|bearer|api|id|bot|session)tokens?)$/

const saysSecret = (words: ReadonlyArray<string>): boolean =>
  words.some((word, index) => {
    const isLast = index === words.length - 1 || (index === words.length - 2 && stages.has(words[index + 1]!))
    const next = words[index + 1]
    const previous = words[index - 1]
    if (always.test(word) || joined.test(word)) return true
    switch (word) {
      case "key":
        return !(previous !== undefined && beforeKey.has(previous)) && !(next !== undefined && afterKey.has(next))
      case "keys":
        return isLast && previous !== undefined && !beforeKey.has(previous)
      case "token":
      case "tokens":
        return !words.some((other) => counted.has(other))
      case "pass":
      case "pat":
      case "pw":
        return isLast
      case "pwd":
        return isLast && previous !== undefined && previous !== "old"
      case "mysqlpwd":
      case "sshpass":
        return true
      case "auth":
        return isLast || afterAuth.has(next!)
      case "connection":
        return next === "string" || next === "strings"
      default:
        return word === "connectionstring"
    }
  })

/** True if a variable, setting or header with this name holds a secret. */
export const isSecretName = (name: string): boolean => {
  const words = wordsOf(name)
  return saysSecret(words) && !about.has(words[words.length - 1]!)
}

/** Names below a secret one that describe it without holding it. */
const describing =
  /^(type|kind|mode|model|method|scopes?|token_?type|expires?(_?(at|in))?|description|provider|npm|(\w+_?)?(url|uri)|email)$/i

export const isDescription = (name: string): boolean => describing.test(name)

/** Ordinary request headers. */
const commonHeader =
  /^(accept(-\w+)*|content-\w+(-\w+)*|user-agent|host|date|connection|cache-control|origin|referer|(x-)?request-id|anthropic-version|anthropic-beta|openai-(organization|project|beta)|http-referer|x-title)$/i

export const isCommonHeader = (name: string): boolean => commonHeader.test(name)

/** Response headers that help to diagnose and hold no secret. */
const harmless = /^(retry-after(-ms)?|date|content-type|(x-)?request-id|(x|anthropic)-ratelimit-.*)$/i

export const isHarmlessHeader = (name: string): boolean => harmless.test(name)

export const isHeaders = (name: string): boolean => /headers$/i.test(name)

/** Masking shorter values would mask ordinary words. */
export const minLength = 6

const common = set(`
  default disabled enabled required optional production development staging testing localhost undefined anonymous
  password passwd secret changeme postgres mysql mariadb oracle mongodb rabbitmq administrator example placeholder
  redacted <redacted> dummy-key not-needed no-key-required keyring keychain session bearer oauth2 system browser internal
  external public private global project inherit reviewed always unlimited
`)

/** `/usr/bin`, `~/x`, `./x`, `C:\x`; a slash at the beginning is not enough: base64 has it, too. */
const path =
  /^(~|\.{1,2})?\/$|^(~|\.{1,2})\/|^[A-Za-z]:[\\/]|^file:|^\/(usr|bin|sbin|etc|home|Users|var|opt|tmp|private|root|mnt|media|run|srv|dev|proc|sys|lib|lib64|data|app|work|workspace|nix|Library|Applications|Volumes)(\/|$)/

/** OpenCode replaces these by the value of a variable or a file. */
const reference = /\{(env|file):([^}]+)\}/g

export const isReference = (value: string): boolean => value.search(reference) !== -1

/** The variables that a value refers to. */
export const referredVariables = (value: string): ReadonlyArray<string> =>
  [...value.matchAll(reference)].flatMap(([, kind, name = ""]) => kind === "env" ? [name] : [])

const isPlainUrl = (value: string): boolean =>
  /^[a-z][a-z0-9+.-]*:\/\/[^\s@]*$/i.test(value) && !/[\w-]{20,}/.test(value.replace(/^[^/]*\/\/[^/]*/, ""))

/** True for the name of a variable, which only refers to a secret. */
const isVariable = (value: string): boolean => /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(value) && isSecretName(value)

/** True if a value with a secret name can be a secret: not a short or common word, a path or an address. */
export const canBeSecret = (value: string): boolean =>
  value.length >= minLength && !common.has(value.toLowerCase()) && !path.test(value) && !isReference(value) &&
  !isPlainUrl(value) && !isVariable(value)

/** True if a value looks like a secret whatever its name: long, without blanks, of letters and digits. */
export const looksRandom = (value: string): boolean =>
  value.length >= 16 && /^[\w.~+/=:$!-]+$/.test(value) && /\d/.test(value) && /[A-Za-z]/.test(value) &&
  canBeSecret(value) && !/^[a-z]+:\/\//i.test(value)
