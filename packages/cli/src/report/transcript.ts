/**
 * The transcript of a run on a page.
 */
import * as format from "../display/format.js"
import { plural } from "../display/plural.js"
import type { Cut, Entry, Excerpt } from "./excerpt.js"
import type { Html } from "./html.js"
import { html } from "./html.js"
import * as markdown from "./markdown.js"

/** The text, with a note in place of a missing middle. */
export const cut = ({ head, omitted, tail }: Cut): Html =>
  omitted === 0 ? html`${head}` : html`${head}<span class="cut">${plural(omitted, "character")} left out</span>${tail}`

/** A text of an agent, as Markdown; both parts of a cut one by themselves. */
export const prose = ({ head, omitted, tail }: Cut): Html =>
  omitted === 0
    ? markdown.render(head)
    : html`${markdown.render(head)}<p><span class="cut">${plural(omitted, "character")} left out</span></p>${
      markdown.render(tail)
    }`

const isEmpty = ({ head, omitted }: Cut): boolean => head === "" && omitted === 0

// A parser drops the line break right after <pre>: this one, not one of the text.
export const block = (text: Cut): Html =>
  html`<pre class="scrolls">
${cut(text)}</pre>`

const part = (title: string, text: Cut): Html | undefined =>
  isEmpty(text) ? undefined : html`<div><div class="part">${title}</div>${block(text)}</div>`

const tool = (entry: Extract<Entry, { readonly _tag: "Tool" }>): Html => {
  const bad = entry.failed || entry.exit !== undefined
  const ending = entry.failed ? " failed" : entry.exit === undefined ? "" : ` exited with ${entry.exit}`
  return html`<details class="tool"${bad && html` open=""`}><summary><span class="verb">${entry.tool}</span>${
    bad && html`<span class="problem">${ending}</span>`
  } <bdi>${entry.title}</bdi>${
    entry.duration !== undefined && html` <span class="muted">${format.duration(entry.duration)}</span>`
  }</summary><div>${part("input", entry.input)}${part(entry.failed ? "error" : "output", entry.output)}</div></details>`
}

const entry = (entry: Entry): Html => {
  switch (entry._tag) {
    case "Text":
      return html`<li class="prose">${prose(entry.text)}</li>`
    case "Reasoning":
      return html`<li><details class="fold"><summary class="muted">reasoning</summary><div class="prose muted">${
        prose(entry.text)
      }</div></details></li>`
    case "Tool":
      return html`<li>${tool(entry)}</li>`
    case "Step":
      return html`<li class="step">step ended: ${entry.reason}, ${format.compact(entry.usage.total)} tokens, ${
        format.isUnpriced(entry.cost, entry.usage) ? "no cost reported" : format.dollars(entry.cost)
      }</li>`
    case "Note":
      return html`<li class="note said${entry.bad && " problem"}">${entry.kind}: ${cut(entry.text)}</li>`
  }
}

/** The events, in order. */
export const events = ({ head, omitted, tail }: Excerpt): Html =>
  head.length === 0
    ? html`<p class="empty">The run reported nothing.</p>`
    : html`<ol class="events">${head.map(entry)}${
      omitted > 0 && html`<li class="omitted">${format.count(omitted)} events left out</li>`
    }${tail.map(entry)}</ol>`
