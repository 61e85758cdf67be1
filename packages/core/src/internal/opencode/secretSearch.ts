import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import * as json from "../util/json.js"
import { isObject } from "../util/object.js"
import * as names from "../util/secretNames.js"
import { variableNames } from "./variables.js"

/**
 * What the place of a value says about it: nothing, secret by name, by being `Redacted`, as a header, in a login file,
 * or part of an environment, where most values are not secret.
 */
type Place = "plain" | "named" | "explicit" | "headers" | "environment" | "logins"

interface Item {
  readonly value: unknown
  readonly place: Place
  readonly name: string
}

/** Objects with user-chosen names: an agent called `secret-finder` is not a secret. */
const entries = /^(agent|agents|mode|provider|mcp|models|lsp|formatter|servers|mcpServers)$/

const isLoginsVariable = (name: string): boolean => /^OPENCODE_AUTH_CONTENT$/i.test(name)

/** The names of secrets in `auth.json` and `mcp-auth.json` (1.18.33). */
const loginFields = /^(key|access|refresh|token|code_?verifier|(oauth_?)?state)$/i

/** Without the scheme, because searching for it would take quadratic time. */
const userinfo = /(?<=[a-z0-9+.-]):\/\/([^\s/?#@]*)@/gi

const decoded = (percent: string): string => {
  try {
    return decodeURIComponent(percent)
  } catch {
    return percent
  }
}

/** The password of a URL, or a single word before its `@` that is too long for a user name. */
const inAddresses = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(userinfo)].flatMap(([, user = ""]) => {
    const at = user.indexOf(":")
    const secret = at === -1 ? (user.length >= 20 ? user : "") : user.slice(at + 1)
    return [secret, decoded(secret)]
  })

/** The value of `Authorization` after the scheme; for `Basic` also the password. */
const behindScheme = (text: string): ReadonlyArray<string> => {
  const match = /^(bearer|basic|token|apikey)\s+(\S+)$/i.exec(text)
  if (match?.[2] === undefined) return []
  const basic = match[1]!.toLowerCase() === "basic"
    ? Either.getOrElse(Encoding.decodeBase64String(match[2]), () => "")
    : ""
  return [match[2], basic.slice(basic.indexOf(":") + 1)]
}

/** The lines of a key in PEM form, which is printed line by line; in a variable they can end with `\n` as two characters. */
const linesOf = (text: string): ReadonlyArray<string> => {
  const whole = text.replaceAll("\\n", "\n").trim()
  const lines = whole.split(/\r?\n/).map((line) => line.trim())
  return lines.length === 1 ? [] : [whole, ...lines.filter((line) => !line.startsWith("-----"))]
}

/** Shorter lines of a secret are not masked, because most would be words. */
const minExplicitLine = 4

/** Collects the secret values inside a value, and the variables that stand for some. */
const collect = (root: unknown): { readonly found: Set<string>; readonly referred: Set<string> } => {
  const found = new Set<string>()
  const referred = new Set<string>()
  const seen = new WeakSet<object>()
  const stack: Array<Item> = [{ value: root, place: "plain", name: "" }]

  const add = (text: string): void => {
    if (names.canBeSecret(text)) found.add(text)
  }

  const addNamed = (text: string, name: string): void => {
    for (const variable of names.referredVariables(text)) referred.add(variable)
    if (names.isReference(text)) return
    const trimmed = text.trim()
    if (names.canBeSecret(trimmed)) {
      found.add(text)
      found.add(trimmed)
    }
    for (const part of [...behindScheme(trimmed), ...linesOf(text)]) add(part)
    if (/s$/i.test(name) && /^[^\s,;]+([,;][^\s,;]+)+$/.test(trimmed)) {
      for (const part of trimmed.split(/[,;]/)) add(part)
    }
  }

  const visitText = ({ name, place }: Item, text: string): void => {
    for (const part of inAddresses(text)) add(part)
    const inner = json.parsed(text)
    if (isLoginsVariable(name) && inner !== undefined) {
      stack.push({ value: inner, place: "logins", name: "" })
      return
    }
    switch (place) {
      case "explicit": {
        const trimmed = text.trim()
        if (trimmed !== "") {
          found.add(text)
          found.add(trimmed)
          for (const line of linesOf(text)) if (line.length >= minExplicitLine) found.add(line)
          for (const part of behindScheme(trimmed)) add(part)
        }
        break
      }
      case "named":
        addNamed(text, name)
        break
      case "headers":
        if (!names.isCommonHeader(name)) addNamed(text, name)
        break
      case "environment":
        if (names.looksRandom(text)) found.add(text)
        break
      case "logins":
        if (loginFields.test(name)) addNamed(text, name)
        break
      case "plain":
        break
    }
    // The content of a JSON object is judged by its own names.
    if (inner !== undefined) stack.push({ value: inner, place: Array.isArray(inner) ? place : "plain", name })
  }

  const placeOf = (item: Item, name: string): Place => {
    if (item.place === "explicit") return "explicit"
    if (entries.test(item.name) && item.place === "plain") return "plain"
    if (names.isDescription(name)) return "plain"
    if (names.isSecretName(name)) return item.place === "logins" ? "logins" : "named"
    if (item.place === "plain" && names.isHeaders(name)) return "headers"
    if (item.place === "plain" && /^(environment|env)$/.test(name)) return "environment"
    return item.place
  }

  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { name, place, value } = item
    if (Redacted.isRedacted(value)) stack.push({ value: Redacted.value(value), place: "explicit", name })
    else if (typeof value === "string") visitText(item, value)
    // The content of a file, which is part of the prompt.
    else if (ArrayBuffer.isView(value)) continue
    else if (Array.isArray(value)) {
      if (seen.has(value)) continue
      seen.add(value)
      for (const element of value) stack.push({ value: element, place, name })
    } else if (isObject(value)) {
      if (seen.has(value)) continue
      seen.add(value)
      for (const [key, element] of Object.entries(value)) {
        const own = placeOf(item, key)
        // A login's secret fields are recognized by their own names, or by the name above them.
        const isLogin = own === "logins" && names.isSecretName(key) && typeof element === "string"
        stack.push({ value: element, place: isLogin ? "named" : own, name: key })
      }
    }
  }
  return { found, referred }
}

const longestFirst = (found: Iterable<string>): ReadonlyArray<string> =>
  [...new Set(found)].sort((a, b) => b.length - a.length)

/**
 * Collects the secret values inside a configuration: everything `Redacted`, texts with secret names (`apiKey`, `token`,
 * `Authorization`, …), headers, and passwords in URLs. `variables` are those that `{env:…}` can refer to.
 */
export const secretsOf = (
  value: unknown,
  variables: { readonly [name: string]: string | undefined } = {}
): ReadonlyArray<string> => {
  const { found, referred } = collect(value)
  for (const name of referred) {
    const meant = variables[name]
    if (meant !== undefined && names.canBeSecret(meant.trim())) found.add(meant.trim())
  }
  return longestFirst(found)
}

/** The secret values in the text of `auth.json` or `mcp-auth.json`. */
export const secretsOfLogins = (text: string): ReadonlyArray<string> =>
  json.parsed(text) === undefined ? [] : secretsOf({ [variableNames.logins]: text })

/** Words that describe the machine, which are not secrets even if someone uses one as a password. */
const ordinary = ["USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME", "HOME", "USERPROFILE", "SHELL", "PWD"]

/** The secret values among inherited variables. */
export const secretsOfVariables = (
  variables: { readonly [name: string]: string | undefined }
): ReadonlyArray<string> => {
  const words = new Set(ordinary.map((name) => variables[name]))
  return secretsOf(variables, variables).filter((secret) => !words.has(secret))
}
