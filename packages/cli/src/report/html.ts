/**
 * HTML by a template tag that escapes everything that is not HTML already. There is no other way to make HTML here.
 */

/** A piece of a page. */
export class Html {
  constructor(readonly text: string) {}
}

/** `undefined` and `false` render as nothing. */
export type Child = Html | string | number | undefined | false | ReadonlyArray<Child>

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

/** Replaces control characters, which HTML does not allow, by Unicode's pictures of them. */
const picture = (control: string): string => {
  const code = control.charCodeAt(0)
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd"
}

/** The text with pictures of the characters that HTML does not allow, escaped or not. */
export const visible = (text: string): string =>
  text
    .replace(/\r\n?/g, "\n")
    // eslint-disable-next-line no-control-regex -- these are the characters
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]|\p{Surrogate}/gu, picture)

/** Escapes for the text of an element, and for an attribute in double quotes. */
export const escape = (text: string): string =>
  visible(text).replace(/[&<>"']/g, (character) => entities[character] ?? "")

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

/** The template tag: values in the template's braces are escaped, unless they are HTML. */
export const html = (strings: TemplateStringsArray, ...children: ReadonlyArray<Child>): Html =>
  new Html(strings.reduce((text, part, index) => text + render(children[index - 1]) + part))

/** Our own style sheet or script, or what another renderer has escaped. */
export const trusted = (text: string): Html => new Html(text)
