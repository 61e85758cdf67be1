/**
 * The page's style sheet. The page's policy names its hash, so that no other style is applied.
 */
export const css = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f6f7f8; --text: #1b1f24; --muted: #5b6470; --rule: #e1e4e8; --rule-strong: #c4cad1;
  --shadow: rgb(27 31 36 / .28);
  --accent: #0b5cad;
  --success: #3aa58a; --limit: #e8b33f; --stopped: #8f7bcf; --failure: #a83212;
  --success-text: #0b6b55; --limit-text: #805600; --stopped-text: #62509a; --failure-text: #ad3610;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --raised: #1c2024; --text: #e4e7ea; --muted: #9aa3ad; --rule: #2b3036; --rule-strong: #444c55;
    --shadow: rgb(0 0 0 / .75);
    --accent: #79b4f2;
    --success: #2f9479; --limit: #f0c667; --stopped: #a394dd; --failure: #ff8a66;
    --success-text: #5cc7aa; --limit-text: #e3b04b; --stopped-text: #b8a8e6; --failure-text: #f2916c;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.5rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--muted); font-size: .8125rem; }
section { margin-top: 2.75rem; }
h1 { margin: 0; font-size: 1.625rem; line-height: 1.25; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .875rem; font-size: 1.0625rem; }
h3 { margin: 0; font-size: .875rem; font-weight: 600; }
.charts p { margin-bottom: .875rem; color: var(--muted); font-size: .8125rem; }
p { margin: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.muted, .about { color: var(--muted); }
.about { margin-top: .25rem; overflow-wrap: anywhere; }
.success { --ink: var(--success-text); fill: var(--success); }
.limit { --ink: var(--limit-text); fill: var(--limit); }
.stopped { --ink: var(--stopped-text); fill: var(--stopped); }
.failure { --ink: var(--failure-text); fill: var(--failure); }

.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1.25rem 2rem; margin: 1.75rem 0 0;
  padding: 1.125rem 0; border-block: 1px solid var(--rule);
}
.figures dt { color: var(--muted); font-size: .8125rem; }
.figures dd { margin: 0; }
.figures .figure { font-size: 1.625rem; line-height: 1.3; letter-spacing: -.015em; }
.figures .more { color: var(--muted); font-size: .8125rem; }
.outcomes { display: flex; flex-wrap: wrap; gap: .375rem 1.5rem; list-style: none; margin: 1rem 0 0; padding: 0; }
.outcome { white-space: nowrap; }
.outcome .mark { display: inline-block; width: 1.25em; color: var(--ink); font-weight: 600; }

/* Shadows at the edges show that there is more to the sides: two covers move with the content, two shadows stay. */
.scroll {
  --cover: var(--page); overflow-x: auto; overscroll-behavior-x: contain;
  background:
    linear-gradient(to right, var(--cover) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--cover) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shadow), transparent) left / 1rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shadow), transparent) right / 1rem 100% no-repeat scroll,
    var(--cover);
}
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4375rem .75rem; text-align: left; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-size: .8125rem; font-weight: 500; white-space: nowrap; vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--rule-strong); }
th.group { padding-bottom: 0; text-align: center; }
th.group > span { display: block; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
.number { text-align: right; white-space: nowrap; }
.cells tbody th { font-weight: 400; min-width: 6.5rem; max-width: 22rem; overflow-wrap: anywhere; }
.cells tbody tr + tr > * { border-top: 1px solid var(--rule); }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th button:hover { color: var(--text); }
th[aria-sort] button { color: var(--text); }
th[aria-sort] button::after { content: " ↓"; }
th[aria-sort="ascending"] button::after { content: " ↑"; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 2.25rem 2.75rem; }
.charts > div { min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0 0 1.25rem; padding: 0; color: var(--muted); font-size: .8125rem; }
.legend svg { width: .625rem; height: .625rem; margin-right: .4rem; }
.chart { display: block; overflow: visible; font-size: 12px; }
.chart .label, .chart .value { fill: var(--text); }
.chart .value { paint-order: stroke; stroke: var(--page); stroke-width: 8px; }
.chart .tick { fill: var(--muted); font-size: 11px; }
.chart .grid { stroke: var(--rule); }
.chart .base { stroke: var(--rule-strong); }
.chart .median { stroke: var(--text); stroke-width: 1.5; }
.chart .backdrop { fill: var(--page); }
.chart .share { stroke: var(--page); }

.controls { display: flex; flex-wrap: wrap; align-items: end; gap: .75rem 1rem; margin: 0 0 1rem; }
.controls[hidden] { display: none; }
.controls label { display: grid; gap: .125rem; color: var(--muted); font-size: .8125rem; min-width: 0; }
.controls label.search { flex: 1 1 14rem; }
.controls input, .controls select, .controls button {
  font: inherit; font-size: .875rem; color: var(--text); background: var(--page); border: 1px solid var(--rule-strong);
  border-radius: 4px; padding: .3125rem .5rem; height: 2.125rem; max-width: 100%;
}
.controls input { width: 100%; }
.controls select { max-width: 14rem; }
.controls button { cursor: pointer; padding-inline: .75rem; }
.controls button:hover { background: var(--raised); }
.controls output { color: var(--muted); font-size: .8125rem; flex-basis: 100%; }
.runs > tbody > tr:first-child > * { padding-bottom: 0; }
.runs > tbody > tr:last-child > td { padding-top: .0625rem; padding-bottom: .5rem; border-bottom: 1px solid var(--rule); }
.runs td.name { font-weight: 500; min-width: 9rem; max-width: 26rem; overflow-wrap: anywhere; }
.runs .cell { display: none; color: var(--muted); font-weight: 400; font-size: .8125rem; }
.runs > * > tr > * { padding-inline: .5rem; }
.runs > * > tr > :first-child { padding-left: 0; }
.runs > * > tr > :last-child { padding-right: 0; }
.runs td.outcome-cell { white-space: nowrap; }
.runs td.axis { color: var(--muted); min-width: 5rem; max-width: 16rem; overflow-wrap: anywhere; }

details > summary { cursor: pointer; }
.run > summary:focus-visible { outline-offset: -2px; }
.run > summary {
  list-style: none; display: flex; gap: .375rem; color: var(--muted); font-size: .8125rem; max-width: 100%;
}
summary::-webkit-details-marker { display: none; }
summary::marker { content: ""; }
.run > summary::before, .tool > summary::before, .fold > summary::before {
  content: "▸"; flex: none; width: 1em; color: var(--muted); display: inline-block;
}
.run[open] > summary::before, .tool[open] > summary::before, .fold[open] > summary::before { content: "▾"; }
.run > summary .line { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; flex: 0 1 auto; }
.run > summary .line.failure, .run > summary .line.limit, .run > summary .line.stopped { color: var(--ink); }
.run[open] > summary .line { white-space: normal; overflow-wrap: anywhere; }
.run > summary:hover .line { text-decoration: underline; text-underline-offset: 2px; }
.runs td.more { max-width: 0; }
.run .body { padding: .875rem 0 1.25rem 1.375rem; }
dl.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .125rem 1rem; margin: 0 0 1rem; font-size: .8125rem; }
dl.facts dt { color: var(--muted); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
h4 { margin: 1.25rem 0 .5rem; font-size: .8125rem; font-weight: 600; }
.said, pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.said { max-width: 46rem; }
pre {
  margin: 0; padding: .625rem .75rem; background: var(--raised); border-radius: 4px;
  font: .78125rem/1.5 var(--mono); tab-size: 2;
}
pre.scrolls { max-height: 26rem; overflow: auto; }
.prose { max-width: 46rem; overflow-wrap: anywhere; }
.prose > * { margin: 0 0 .625rem; }
.prose > :last-child { margin-bottom: 0; }
.prose .plain { white-space: pre-wrap; }
.prose ul, .prose ol { padding-left: 1.5rem; }
.prose li > p { margin: 0; }
.prose blockquote { padding-left: .75rem; border-left: 3px solid var(--rule-strong); color: var(--muted); }
.prose hr { border: 0; border-top: 1px solid var(--rule); }
.prose code { font: .8125em/1.5 var(--mono); background: var(--raised); border-radius: 3px; padding: .0625rem .25rem; }
.prose pre { max-height: 26rem; overflow: auto; }
.prose pre code { font: inherit; background: none; padding: 0; }
.prose table { width: auto; }
.prose th, .prose td { border-bottom: 1px solid var(--rule); overflow-wrap: normal; min-width: 5rem; }
.prose a { color: var(--accent); }
pre.diff {
  --cover: var(--raised); white-space: pre; overflow-wrap: normal;
  background:
    linear-gradient(to right, var(--cover) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--cover) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shadow), transparent) left / 1rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shadow), transparent) right / 1rem 100% no-repeat scroll,
    var(--cover);
}
.diff .file { color: var(--muted); font-weight: 600; }
.diff .hunk { color: var(--accent); }
.diff .added { color: var(--success-text); }
.diff .removed { color: var(--failure-text); }
.problem { color: var(--failure-text); }
.events { list-style: none; margin: 0; padding: 0 0 0 1rem; border-left: 2px solid var(--rule); }
.events > li { margin: .5rem 0; }
.events > li:first-child { margin-top: 0; }
.events .step, .events .omitted { color: var(--muted); font-size: .75rem; }
.tool > summary, .fold > summary { font-size: .8125rem; overflow-wrap: anywhere; }
.tool > summary .verb { font-family: var(--mono); font-weight: 600; }
.tool > div, .fold > div { margin: .375rem 0 .75rem 1em; display: grid; gap: .375rem; }
.tool .part { color: var(--muted); font-size: .75rem; }
.cut { display: block; color: var(--muted); font: italic .75rem/2 system-ui, sans-serif; }
.note { font-size: .8125rem; }
.empty { color: var(--muted); }
.sr-only { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 44rem) {
  main, header, footer { padding-inline: 1rem; }
  .charts { gap: 2rem; }
  dl.facts { grid-template-columns: minmax(0, 1fr); }
  dl.facts dd { margin-bottom: .25rem; }
  .run .body { padding-left: 0; }
  .runs .minor { display: none; }
  .runs .cell { display: block; }
  .runs td.name { min-width: 5rem; }
  .runs .outcome-cell .word, .runs > thead th:first-child { font-size: 0; }
}
@page { margin: 14mm; }
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --raised: #f6f7f8; --text: #000000; --muted: #444b54; --rule: #d5d9de; --rule-strong: #9aa2ab;
    --success: #3aa58a; --limit: #e8b33f; --stopped: #8f7bcf; --failure: #a83212;
    --success-text: #0b6b55; --limit-text: #805600; --stopped-text: #62509a; --failure-text: #ad3610;
  }
  body { font-size: 10pt; }
  main, header, footer { max-width: none; padding-inline: 0; }
  table { font-size: .9em; }
  .figures { grid-template-columns: repeat(5, auto); gap: 1rem; }
  .figures .figure { font-size: 1.25rem; }
  .charts { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1.25rem; }
  .chart { font-size: 9px; }
  .controls, .run:not([open]) > summary::before { display: none; }
  .chart, .outcomes { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .charts > div, .figures, .cells tr, .runs > tbody > tr:first-child { break-inside: avoid; }
  .runs > tbody > tr:first-child { break-after: avoid; }
  h2, h3, .legend { break-after: avoid; }
  .scroll { overflow: visible; }
  pre.scrolls { max-height: none; }
}
`

/** \`sha256-…\` of {@link css}, for the page's content security policy. */
export const hash = "sha256-6syuTUuqgLh5hrZlv+iir+Eng1CJiuZP78/1IK1VtyU="
