/**
 * HTML in which everything is escaped that is not HTML already: a tag for templates, and nothing else makes any.
 */

/** A piece of a page. */
export class Html {
  constructor(readonly text: string) {}
}

/** `undefined` and `false` are nothing. */
export type Child = Html | string | number | undefined | false | ReadonlyArray<Child>

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

/** Control characters, which HTML does not allow, as the pictures that Unicode has of them. */
const picture = (control: string): string => {
  const code = control.charCodeAt(0)
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd"
}

/** Fit for the text of an element, and for an attribute between double quotes. */
export const escape = (text: string): string =>
  text
    .replace(/\r\n?/g, "\n")
    // eslint-disable-next-line no-control-regex -- control characters are no HTML, escaped or not
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]|\p{Surrogate}/gu, picture)
    .replace(/[&<>"']/g, (character) => entities[character] ?? "")

const render = (child: Child): string =>
  child === undefined || child === false
    ? ""
    : child instanceof Html
    ? child.text
    : typeof child === "string"
    ? escape(child)
    : typeof child === "number"
    ? String(child)
    : child.map(render).join("")

/** A piece of a page: what is in the template's braces is escaped, unless it is HTML. */
export const html = (strings: TemplateStringsArray, ...children: ReadonlyArray<Child>): Html =>
  new Html(strings.reduce((text, part, index) => text + render(children[index - 1]) + part))

/** A style sheet or a script of ours, which must not be escaped. */
export const trusted = (text: string): Html => new Html(text)
