/** Finds the forms of secrets inside a text. */
import * as Encoding from "effect/Encoding"

const json = (text: string): string => JSON.stringify(text).slice(1, -1)

const ascii = (text: string): string =>
  text.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

const strictly = (percent: string): string =>
  percent.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

const percents = (text: string): ReadonlyArray<string> => {
  let percent: string
  try {
    percent = encodeURIComponent(text)
  } catch {
    // half of a surrogate pair
    return []
  }
  const all = [percent, strictly(percent)].flatMap((form) => [form, form.replaceAll("%20", "+")])
  return all.flatMap((form) => [form, form.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase())])
}

/** In base64 a text begins at one of three positions in a group; characters shared with its neighbours are left out. */
const base64 = (text: string): ReadonlyArray<string> => {
  const bytes = new TextEncoder().encode(text)
  return [0, 1, 2].flatMap((before) => {
    const shifted = new Uint8Array(before + bytes.length)
    shifted.set(bytes, before)
    const whole = Encoding.encodeBase64(shifted)
    const inner = whole.slice([0, 2, 3][before], Math.floor(((before + bytes.length) * 8) / 6))
    const forms = before === 0 ? [whole, inner] : [inner]
    return forms.flatMap((form) => [form, form.replaceAll("+", "-").replaceAll("/", "_")])
  })
}

/** Shorter ones would match any base64. */
const minEncoded = 6

/**
 * Returns the forms of a secret: unchanged, inside JSON (once or twice), in a URL or a form, in base64 and as sent by
 * `Basic`.
 */
export const of = (secret: string): ReadonlyArray<string> => {
  const escaped = json(secret)
  const forms = [secret, escaped, json(escaped), ascii(escaped), escaped.replaceAll("/", "\\/"), ...percents(secret)]
  return [...new Set(secret.length < minEncoded ? forms : [...forms, ...base64(secret)])]
}

export interface Span {
  readonly start: number
  readonly end: number
}

/** A hash of three characters excludes nearly every position at which no form begins. */
const hash = (a: number, b: number, c: number): number => ((a << 10) ^ (b << 5) ^ c) & 0xffff

/** Finds every occurrence of any form in one pass, in order; overlapping ones are merged. */
export const finder = (forms: ReadonlyArray<string>): (text: string) => ReadonlyArray<Span> => {
  const short = forms.filter((form) => form.length > 0 && form.length < 3)
  const buckets = new Map<number, Array<string>>()
  const begins = new Uint8Array(0x10000)
  for (const form of forms) {
    if (form.length < 3) continue
    const at = hash(form.charCodeAt(0), form.charCodeAt(1), form.charCodeAt(2))
    begins[at] = 1
    buckets.set(at, [...buckets.get(at) ?? [], form])
  }
  const merged = (found: Array<Span>): ReadonlyArray<Span> => {
    found.sort((a, b) => a.start - b.start || b.end - a.end)
    const spans: Array<{ start: number; end: number }> = []
    for (const { end, start } of found) {
      const last = spans[spans.length - 1]
      if (last !== undefined && start < last.end) last.end = Math.max(last.end, end)
      else spans.push({ start, end })
    }
    return spans
  }
  return (text) => {
    const found: Array<Span> = []
    if (buckets.size > 0) {
      let a = text.charCodeAt(0)
      let b = text.charCodeAt(1)
      for (let at = 0; at + 2 < text.length; at++) {
        const c = text.charCodeAt(at + 2)
        const place = hash(a, b, c)
        a = b
        b = c
        if (begins[place] === 0) continue
        for (const form of buckets.get(place)!) {
          if (text.startsWith(form, at)) found.push({ start: at, end: at + form.length })
        }
      }
    }
    for (const form of short) {
      for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + form.length)) {
        found.push({ start: at, end: at + form.length })
      }
    }
    return found.length === 0 ? found : merged(found)
  }
}
