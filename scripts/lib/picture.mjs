/** An SVG picture of a recording: its screens one after the other, then the last one for a while. */
const cell = { width: 8.4, height: 18, font: 14 }
const margin = 16
const title = 32

/** How much faster than the recorded run. */
const speed = 4
/** How long the last screen stays, in seconds. */
const stay = 15

const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

const round = (value) => Math.round(value * 100) / 100

/**
 * A line in pieces with a place of their own: characters outside of ASCII often come from another font, whose width
 * differs.
 */
const line = (text, y) =>
  [...text.matchAll(/[\x21-\x7e]+(?: [\x21-\x7e]+)*|[^\x20-\x7e]/gu)].map(({ 0: piece, index }) => {
    const x = round([...text.slice(0, index)].length * cell.width)
    const length = [...piece].length
    const fit = length > 1 ? ` textLength="${round(length * cell.width)}"` : ""
    return `<text x="${x}" y="${y}"${fit}>${escape(piece)}</text>`
  }).join("")

export const picture = ({ command, duration, height, screens, width }, description) => {
  const inner = { width: round(width * cell.width), height: height * cell.height }
  const outer = { width: Math.ceil(inner.width + 2 * margin), height: inner.height + title + margin }
  const film = screens.map(({ at, lines }, index) => ({ at: at / 1000 / speed, index, lines }))
  const total = round(film.at(-1).at + stay)
  const steps = film.map(({ at, index }) =>
    `${index === 0 ? 0 : round(100 * at / total)}%{transform:translateY(${-index * inner.height}px)}`
  )
  const last = (film.length - 1) * inner.height
  const frames = film.map(({ index, lines }) =>
    lines.map((text, row) => line(text, index * inner.height + row * cell.height + cell.font)).join("\n")
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${outer.width}" height="${outer.height}" viewBox="0 0 ${outer.width} ${outer.height}" role="img" aria-labelledby="t d">
<title id="t">${escape(command)}, ${Math.round(duration / 1000)} seconds</title>
<desc id="d">${escape(description)}</desc>
<style>
text{font:${cell.font}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6deeb;white-space:pre}
.film{animation:film ${total}s step-end infinite}
@keyframes film{${steps.join("")}100%{transform:translateY(${-last}px)}}
@media (prefers-reduced-motion:reduce){.film{animation:none;transform:translateY(${-last}px)}}
</style>
<rect width="${outer.width}" height="${outer.height}" rx="8" fill="#101418"/>
<circle cx="20" cy="16" r="5" fill="#ff5f57"/><circle cx="38" cy="16" r="5" fill="#febc2e"/><circle cx="56" cy="16" r="5" fill="#28c840"/>
<text x="76" y="21" style="fill:#8b98a8">$ ${escape(command)}</text>
<svg x="${margin}" y="${title}" width="${inner.width}" height="${inner.height}" viewBox="0 0 ${inner.width} ${inner.height}"><g class="film">
${frames.join("\n")}
</g></svg>
</svg>
`
}
