/**
 * Renders what agents write. It is hostile input: HTML in it is text, a link leads to a web address or a mailbox and
 * tells them nothing of the page, and an image is a link, because it would be loaded from elsewhere.
 */
import MarkdownIt from "markdown-it"
import type { Html } from "./html.js"
import * as html from "./html.js"

const renderer = new MarkdownIt({ html: false, linkify: false, typographer: false, xhtmlOut: true, breaks: true })

renderer.validateLink = (url) => /^(?:https?|mailto):/i.test(url.trim())
renderer.disable(["image"])

const { rules } = renderer.renderer

rules["link_open"] = (tokens, index, options, _env, self) => {
  tokens[index]?.attrSet("rel", "noreferrer noopener nofollow")
  return self.renderToken(tokens, index, options)
}
// The page has headings of its own, up to the fourth level.
rules["heading_open"] = () => `<p class="title"><strong>`
rules["heading_close"] = () => `</strong></p>\n`
rules["table_open"] = () => `<div class="scroll" tabindex="0" role="region" aria-label="table"><table>`
rules["table_close"] = () => `</table></div>\n`
// The page's policy allows no style in an attribute.
rules["th_open"] = () => "<th>"
rules["td_open"] = () => "<td>"

/** A table of a few characters can have thousands of cells. */
const isBloated = (rendered: string, text: string): boolean => rendered.length > 10_000 + 10 * text.length

/** Renders Markdown; a text that would become much longer stays as it is. */
export const render = (text: string): Html => {
  const rendered = renderer.render(html.visible(text))
  return isBloated(rendered, text) ? html.html`<div class="plain">${text}</div>` : html.trusted(rendered)
}
