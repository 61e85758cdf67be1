import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { createHash } from "node:crypto"
import * as failures from "../src/failures.js"
import * as excerpt from "../src/report/excerpt.js"
import { escape, html } from "../src/report/html.js"
import { render } from "../src/report/markdown.js"
import * as outcomes from "../src/report/outcomes.js"
import * as Report from "../src/report/Report.js"
import * as scale from "../src/report/scale.js"
import * as script from "../src/report/script.js"
import * as style from "../src/report/style.js"
import * as markup from "./support/markup.js"
import { conversation, report } from "./support/reports.js"
import { result, text, usage } from "./support/results.js"

const hash = (content: string): string => `sha256-${createHash("sha256").update(content).digest("base64")}`

/** The page without the parts that all pages share. */
const variable = (page: string): string => page.replace(style.css, "…").replace(script.js, "…")

const pages = {
  one: Report.html(report(1, { matrix: false })),
  twelve: Report.html(report(12, { matrix: true })),
  many: Report.html(report(500, { matrix: true })),
  none: Report.html({ title: "empty", runs: [] })
}

const words = (page: string): string => markup.parse(page).text.replace(/\s+/g, " ")

describe("html", () => {
  it("renders one run", async () => {
    await expect(variable(pages.one)).toMatchFileSnapshot("snapshots/report-one.html")
  })

  it("is the same for the same input in any order of completion", () => {
    const input = report(12, { matrix: true })
    expect(Report.html({ ...input, runs: [...input.runs].reverse() })).toBe(pages.twelve)
  })

  it.each(Object.entries(pages))("is well-formed: %s", (_, page) => {
    const { problems, tags } = markup.parse(page)
    expect(problems).toEqual([])
    const ids = tags.flatMap(({ attributes }) => attributes.get("id") ?? [])
    expect(new Set(ids).size).toBe(ids.length)
    const references = tags.flatMap(({ attributes }) =>
      ["aria-labelledby", "aria-describedby"].flatMap((name) => attributes.get(name)?.split(" ") ?? [])
    )
    expect(references.filter((id) => !ids.includes(id))).toEqual([])
  })

  it.each(Object.entries(pages))("loads nothing from elsewhere: %s", (_, page) => {
    const { tags } = markup.parse(page)
    const attributes = new Set(tags.flatMap((tag) => [...tag.attributes.keys()]))
    for (const name of ["src", "href", "style", "action", "formaction", "srcset", "poster", "background"]) {
      expect(attributes).not.toContain(name)
    }
    expect([...attributes].filter((name) => name.startsWith("on"))).toEqual([])
    expect(style.css).not.toMatch(/url\(|@import|@font-face/)
    expect(script.js).not.toMatch(/fetch|XMLHttp|import\(|innerHTML|eval|new Function|localStorage|cookie/)
    for (const name of ["iframe", "object", "embed", "link", "base", "form", "img"]) {
      expect(tags.map((tag) => tag.name)).not.toContain(name)
    }
  })

  it("allows only its own style and script", () => {
    const policies = markup.parse(pages.one).tags
      .filter(({ attributes }) => attributes.get("http-equiv") === "Content-Security-Policy")
      .map(({ attributes }) => attributes.get("content"))
    expect(policies).toEqual([
      `default-src 'none'; style-src '${hash(style.css)}'; script-src '${hash(script.js)}'; base-uri 'none'; ` +
      "form-action 'none'"
    ])
    // a browser hashes the text between the tags
    expect(pages.one).toContain(`<style>${style.css}</style>`)
    expect(pages.one).toContain(`<script>${script.js}</script>`)
  })

  it("adds up", () => {
    const shown = words(pages.twelve)
    expect(shown).toContain("Runs 12 in 6 cells Success 92% 11 of 12 Cost $1.3083 median $0.1048 a run")
    expect(shown).toContain("✓ success 11 ◷ budget 1")
    expect(shown).toContain("openai/gpt-5-codex review 2 100% $0.0371 $0.0371 25.1k 25.1k 38.2 s 38.2 s")
  })

  it("compares repeated jobs when there is no matrix", () => {
    const runs = [1, 2, 3, 4].map((place) =>
      Report.run(
        result({
          id: `${place}`,
          index: place,
          name: `job ${place <= 2 ? 1 : 0} #${2 - place % 2}`,
          repeat: 2 - place % 2,
          outcome: place === 4 ? "OpenCodeTimeoutError" : "success"
        }),
        [],
        { runs: 4 }
      )
    )
    const shown = words(Report.html({ title: "repeats", runs }))
    expect(shown).toContain("Runs 4 of 2 jobs")
    expect(shown).toContain("job 1 2 100%")
    expect(shown).toContain("job 0 2 50%")
  })

  it("has charts with a title and a description in words", () => {
    const { tags, text } = markup.parse(pages.twelve)
    const charts = tags.filter(({ attributes }) => attributes.get("role") === "img")
    expect(charts.length).toBe(3)
    for (const { attributes } of charts) expect(attributes.get("aria-labelledby")).toMatch(/^chart-/)
    expect(text).toContain("openai/gpt-5-codex · review: $0.0330 to $0.0413, median $0.0371")
    expect(text).toContain("anthropic/claude-sonnet-4-5 · build: 1 of 2 succeeded")
  })

  it("has a block for each run in its charts", () => {
    const blocks = (page: string) => [...page.matchAll(/<title>(?:1 run|([0-9]+) runs), [^<]*: \$/g)]
    expect(blocks(pages.one).length).toBe(1)
    const counted = blocks(pages.many).reduce((sum, [, count]) => sum + Number(count ?? 1), 0)
    expect(counted).toBe(500)
  })

  it("shortens a cell's name in the middle and shows it whole in the tooltip", () => {
    const cell = { model: "openrouter/anthropic/claude-sonnet-4.5-thinking", agent: "review" }
    const runs = ["a", "b"].map((id) =>
      Report.run(result({ id, cell: id === "a" ? cell : { ...cell, agent: "build" } }), [], { runs: 2 })
    )
    const page = Report.html({ title: "long", runs })
    expect(page).toContain(
      ">openrouter/anthropic/…-4.5-thinking · review<title>openrouter/anthropic/claude-sonnet-4.5-thinking · review<"
    )
    expect(page).toContain(">openrouter/anthropic/…t-4.5-thinking · build<")
  })

  it("does not show an unknown cost as 0", () => {
    const runs = [
      result({ id: "a", unpriced: true, usage: usage(10) }),
      result({ id: "b", index: 1, unpriced: true, cost: 0.5, usage: usage(10) }),
      result({ id: "c", index: 2, cost: 0.25, usage: usage(10) })
    ].map((result) => ({ result, transcript: undefined, missing: undefined }))
    const mixed = Report.html({ title: "x", runs })
    expect(words(mixed)).toContain("≥$0.7500")
    expect(words(mixed)).toContain("unknown of 2 runs")
    expect(words(mixed)).toContain("cost unknown: OpenCode has no price for some tokens of the run")
    expect(mixed).toContain("chart-cost")
    const unknown = Report.html({ title: "x", runs: runs.slice(0, 1) })
    expect(words(unknown)).toContain("The cost of 1 run is unknown")
    expect(words(unknown)).not.toContain("No run cost anything")
    expect(unknown).not.toContain("chart-cost")
  })

  it("draws no cost chart without costs", () => {
    const page = Report.html({ title: "free", runs: [Report.run(result({ id: "a" }), [], { runs: 1 })] })
    expect(words(page)).toContain("No run cost anything")
    expect(page).not.toContain("chart-cost")
    expect(variable(page)).not.toMatch(/NaN|Infinity|undefined/)
  })

  it("shows what happened in a run", () => {
    const shown = words(pages.one)
    for (
      const part of [
        "I read src/auth/redirect.ts first",
        "reasoning The redirect is decided before the session is there.",
        "read src/auth/redirect.ts 340 ms input filePath: /repo/src/auth/redirect.ts output 1: export const",
        "newString: to.startsWith(\"/\") && !to.startsWith(\"//\")",
        "bash exited with 1 npm test 340 ms",
        // without the colours of a terminal
        "✓ 41 passed ✗ 1 failed",
        "webfetch failed https://example.com 340 ms input url: https://example.com error not permitted",
        "APIError: Overloaded",
        "Warning: something on stdout",
        "step ended: stop, 5.60k tokens, $0.0150"
      ]
    ) expect(shown).toContain(part)
  })

  it("says why a transcript is missing, and shows the answer instead", () => {
    const runs = [{
      result: result({ answer: "The answer." }),
      transcript: undefined,
      missing: "No transcript: gone."
    }]
    expect(words(Report.html({ title: "x", runs }))).toContain("Answer The answer. No transcript: gone.")
  })

  it("shows the directory in which a run worked", () => {
    const worktree = {
      path: "/repo-trees/a",
      branch: "batch/a",
      base: "0123abc",
      kept: true,
      reason: "it has commits",
      commits: 2
    }
    const page = Report.html({ title: "x", runs: [Report.run(result({ worktree }), [], { runs: 1 })] })
    expect(words(page)).toContain("Branch batch/a, 2 commits on 0123abc Worktree /repo-trees/a, kept: it has commits")
  })
})

/** A report whose every text from a person or a model is this one. */
const everywhere = (hostile: string, cell = true): string =>
  Report.html({
    title: hostile,
    source: hostile,
    runs: [
      Report.run(
        result({
          id: hostile,
          name: hostile,
          prompt: hostile,
          cwd: hostile,
          model: hostile,
          agent: hostile,
          cell: cell ? { [hostile]: hostile } : {},
          outcome: hostile,
          message: `first line\n${hostile}`,
          finishReason: hostile,
          answer: hostile,
          sessionId: hostile,
          runId: hostile,
          transcript: hostile,
          worktree: { path: hostile, branch: hostile, base: hostile, kept: true, reason: hostile, commits: 1 }
        }),
        [
          text(`.${hostile}`),
          RunEvent.fromWire({ type: "reasoning", part: { text: `.${hostile}` } }),
          RunEvent.fromWire({
            type: "tool_use",
            part: {
              tool: hostile,
              state: { status: "error", input: { a: hostile, [hostile]: 1 }, error: `.${hostile}`, title: hostile }
            }
          }),
          RunEvent.fromWire({ type: "step_finish", part: { reason: hostile } }),
          RunEvent.fromWire({ type: "error", error: { name: hostile, data: { message: hostile } } }),
          RunEvent.fromWire({ type: "effect-opencode/permission_rejected", permission: hostile, patterns: [hostile] }),
          RunEvent.fromLine(`.${hostile}`),
          RunEvent.fromWire({ type: hostile })
        ],
        { runs: 1 }
      )
    ]
  })

const isProse = ({ attributes }: markup.Tag): boolean => /^prose\b/.test(attributes.get("class") ?? "")

/** The tags inside what agents wrote, and all others. */
const byWriter = (
  page: string
): { readonly agents: ReadonlyArray<markup.Tag>; readonly ours: ReadonlyArray<markup.Tag> } => {
  const agents: Array<markup.Tag> = []
  const ours: Array<markup.Tag> = []
  let depth = 0
  for (const tag of markup.parse(page).tags) {
    if (depth > 0 && !tag.empty) depth += tag.closes ? -1 : 1
    if (depth > 0) agents.push(tag)
    else ours.push(tag)
    if (depth === 0 && !tag.closes && isProse(tag)) depth = 1
  }
  return { agents, ours }
}

/** The page without its texts and what they are formatted with. */
const skeleton = (page: string): ReadonlyArray<string> =>
  byWriter(page).ours.map(({ attributes, closes, empty, name }) =>
    `${closes ? "/" : ""}${name} ${[...attributes.keys()].join(" ")}${empty ? "/" : ""}`
  )

describe("a run with unreadable parts", () => {
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
  const events = [
    `{"type":"tool_use","part":{"tool":"bash","state":{"status":"completed","input":{"tree":${deep}},"output":""}}}`,
    `{"type":"tool_use","part":{"tool":"bash","state":{"status":"completed","input":${deep},"output":""}}}`,
    `{"type":"brand_new","tree":${deep}}`,
    `{"type":"text","sessionID":"ses_1","part":{"te`,
    `{"type":"text","part":{"text":"The answer."}}`
  ].map(RunEvent.fromLine)

  it("is on the page, with a mark for a hidden value or a lost event", () => {
    const page = Report.html({ title: "x", runs: [Report.run(result({ lostLines: 1 }), events, { runs: 1 })] })
    expect(page).toContain("The answer.")
    expect(page).toContain("not shown:")
    expect(page).toContain("lost event")
    expect(page).toContain("(1 event lost)")
  })
})

describe("text of a model", () => {
  const harmless = skeleton(everywhere("harmless"))

  it.each([
    "</script><script>alert(1)</script>",
    "<img src=x onerror=\"alert(1)\">",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "<!--",
    "-->]]>",
    "</pre></details></td></tr></table>",
    "&lt;b&gt; &amp; &#60; &copy",
    "line\u2028paragraph\u2029end",
    "${alert(1)} {{x}} `",
    "\u202eright to left",
    "\u0000\u0007\u001b[31mred\u001b[0m\u009b2J",
    "half \ud83d of a pair, and \udc00 the other",
    "javascript:alert(1)"
  ])("stays text: %j", (hostile) => {
    const page = everywhere(hostile)
    expect(markup.parse(page).problems).toEqual([])
    expect(skeleton(page)).toEqual(harmless)
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Surrogate}/u)
  })

  /** What Markdown may make of a text. */
  const allowed: { readonly [attribute: string]: RegExp } = {
    class: /^(?:scroll|title|plain|cut|language-.*)$/s,
    href: /^(?:https?|mailto):/i,
    rel: /^noreferrer noopener nofollow$/,
    title: /^/,
    start: /^\d+$/,
    tabindex: /^0$/,
    role: /^region$/,
    "aria-label": /^table$/
  }
  const elements = "p br strong em s code pre ul ol li blockquote hr a div table thead tbody tr th td span".split(" ")
  const refused = (page: string) =>
    byWriter(page).agents.flatMap(({ attributes, name }) => [
      ...elements.includes(name) ? [] : [name],
      ...[...attributes].filter(([attribute, value]) => !(allowed[attribute]?.test(value) ?? false))
    ])

  it.each([
    ["[x](javascript:alert(1))", "[x](javascript:alert(1))"],
    ["[x](JAVA\tSCRIPT:alert(1))", "[x](JAVA SCRIPT:alert(1))"],
    ["[x](&#106;avascript:alert(1))", "[x](javascript:alert(1))"],
    ["[x](data:text/html;base64,PHNjcmlwdD4=)", "[x](data:text/html;base64,PHNjcmlwdD4=)"],
    ["[x](file:///etc/passwd)", "[x](file:///etc/passwd)"],
    ["<javascript:alert(1)>", "<javascript:alert(1)>"],
    ["![pixel](https://tracker.invalid/a.png)", "! pixel"],
    ["[x](https://e.invalid \"a\\\" onmouseover=\\\"alert(1)\")", "x"],
    ["```\" onload=\"alert(1)\nrm -rf\n```", "rm -rf"],
    ["| a |\n|:-:|\n| <script>alert(1)</script> |", "<script>alert(1)</script>"],
    ["# </h1><script>alert(1)</script>", "</h1><script>alert(1)</script>"],
    ["`</code><script>alert(1)</script>`", "</code><script>alert(1)</script>"]
  ])("as Markdown makes nothing but text and links to the web: %j", (hostile, shown) => {
    const page = Report.html({ title: "x", runs: [Report.run(result(), [text(hostile)], { runs: 1 })] })
    expect(markup.parse(page).problems).toEqual([])
    expect(refused(page)).toEqual([])
    expect(words(page)).toContain(shown)
  })

  it("stays as it is if it would become much longer", () => {
    const table = `${"|a".repeat(2000)}\n${"|-".repeat(2000)}\n${"|x\n".repeat(1000)}`
    expect(render(table).text.length).toBeLessThan(2 * table.length)
  })

  it("is formatted", () => {
    const page = Report.html({
      title: "x",
      runs: [Report.run(result(), [text("# Done\n\n- **one**\n\n| a | b |\n|---|---|\n| 1 | 2 |")], { runs: 1 })]
    })
    expect(byWriter(page).agents.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["ul", "li", "strong", "table", "td"])
    )
  })

  const any = FastCheck.array(
    FastCheck.oneof(
      FastCheck.string({ unit: "binary", minLength: 1 }),
      FastCheck.constantFrom(
        ...["<", ">", "\"", "'", "&", "</", "<!--", "\r", "\n", "\u2028", "\ud800", "script", "="],
        ...["[", "](", ")", "!", "`", "```", "*", "# ", "- ", "|", "\n|-|\n", "javascript:", "https://", "\\"]
      )
    ),
    { minLength: 1 }
  ).map((parts) => `x${parts.join("")}x`)

  it.prop("changes only the texts of the page", [any], ([hostile]) => {
    const page = everywhere(hostile)
    expect(markup.parse(page).problems).toEqual([])
    expect(skeleton(page)).toEqual(harmless)
    expect(refused(page)).toEqual([])
  })

  it.prop("is shown unchanged", [FastCheck.string({ unit: "grapheme" })], ([written]) => {
    const { problems, text } = markup.parse(`<!DOCTYPE html>${escape(written)}`)
    expect(problems).toEqual([])
    expect(text).toBe(written)
  })

  it.each([["a\r\nb\rc", "a\nb\nc"], ["\u0000\u001b\u007f\u009b\ufffe", "␀␛␡��"], ["\ud83d", "�"], ["\t\n", "\t\n"]])(
    "%j is shown as %j",
    (written, shown) => {
      expect(escape(written)).toBe(shown)
    }
  )

  it("is escaped by templates", () => {
    expect(html`<p>${"<b>"}${html`<i>${"&"}</i>`}${[1, false, undefined, "\""]}</p>`.text)
      .toBe("<p>&lt;b&gt;<i>&amp;</i>1&quot;</p>")
  })
})

describe("a large report", () => {
  it("keeps a sane size, and says what is missing", () => {
    const many = Array.from({ length: 300 }, () => conversation("src/a.ts")).flat()
    const eventsOf = (index: number) => [
      ...many,
      ...(index % 20 === 0 ? [text("x".repeat(5_000_000))] : []),
      text("The last word.")
    ]
    const runs = Array.from(
      { length: 500 },
      (_, index) =>
        Report.run(
          result({ id: `${index}`, index, prompt: "y".repeat(100_000), answer: "z".repeat(100_000) }),
          eventsOf(index),
          { runs: 500 }
        )
    )
    const page = Report.html({ title: "large", runs })
    expect(page.length).toBeLessThan(30_000_000)
    expect(page).toMatch(/[0-9],[0-9]{3} events left out/)
    expect(page).toMatch(/4,99[0-9],[0-9]{3} characters left out/)
    expect(page).toContain("The last word.")
  })

  it("shows a single run almost completely", () => {
    const output = "line\n".repeat(2000)
    const page = Report.html({ title: "one", runs: [Report.run(result(), [text(output)], { runs: 1 })] })
    expect(page).not.toContain("left out")
  })
})

describe("cut", () => {
  it.each([
    ["abcdef", 6, { head: "abcdef", omitted: 0, tail: "" }],
    ["abcdefghi", 6, { head: "abcd", omitted: 3, tail: "hi" }],
    ["a😀b😀c", 3, { head: "a", omitted: 4, tail: "c" }],
    ["\u001b[31mred\u001b[0m", 100, { head: "red", omitted: 0, tail: "" }]
  ])("%j to %d", (written, length, expected) => {
    expect(excerpt.cut(written, length)).toEqual(expected)
  })
})

describe("excerpt", () => {
  const sizeOf = (part: excerpt.Excerpt): number => JSON.stringify(part).length

  it.prop("is hardly longer than its limit", {
    texts: FastCheck.array(FastCheck.string({ maxLength: 400 })),
    transcript: FastCheck.integer({ min: 2000, max: 20_000 })
  }, ({ texts, transcript }) => {
    const events = texts.map((content) => text(`.${content}`))
    const made = excerpt.make(events, { transcript, text: transcript / 5 })
    expect(made.head.length + made.omitted + made.tail.length).toBe(events.length)
    // each character may be written as an escape of six
    expect(sizeOf(made)).toBeLessThan(6 * transcript + 2000)
  })

  it("keeps the start and the end", () => {
    const events = Array.from({ length: 100 }, (_, index) => text(`event ${index}`))
    const made = excerpt.make(events, { transcript: 2000, text: 400 })
    const shown = [...made.head, ...made.tail].flatMap((entry) => entry._tag === "Text" ? entry.text.head : [])
    expect(shown[0]).toBe("event 0")
    expect(shown.at(-1)).toBe("event 99")
    expect(made.omitted).toBe(100 - shown.length)
    expect(made.omitted).toBeGreaterThan(50)
  })

  it("prints inputs for people", () => {
    expect(excerpt.inputText({ command: "ls", code: "a\nb", flag: true, none: null, list: [1] }))
      .toBe("command: ls\ncode:\n  a\n  b\nflag: true\nnone: null\nlist: [1]")
    expect(excerpt.inputText("plain")).toBe("plain")
    expect(excerpt.inputText([1])).toBe("[\n  1\n]")
    expect(excerpt.inputText(undefined)).toBe("")
  })
})

describe("outcomes", () => {
  it.each([
    ["success", "success", "success"],
    ["OpenCodeTimeoutError", "limit", "timeout"],
    ["OpenCodeBinaryNotFoundError", "failure", "no binary"],
    ["OpenCodePermissionError", "stopped", "permission"],
    ["WorktreeError", "failure", "worktree"],
    ["Defect", "failure", "defect"],
    ["Error", "failure", "error"],
    ["", "failure", ""]
  ])("%s is a %s, labelled %s", (outcome, family, label) => {
    expect([outcomes.family(outcome), failures.kindOfOutcome(outcome)]).toEqual([family, label])
  })
})

describe("scale", () => {
  it.each([
    [0.0031, [0, 0.002, 0.004]],
    [0.27, [0, 0.1, 0.2, 0.3]],
    [1, [0, 0.5, 1]],
    [7, [0, 2.5, 5, 7.5]]
  ])("has ticks for amounts up to %d", (max, ticks) => {
    expect(scale.amount(max).ticks.map((tick) => Number(tick.toPrecision(6)))).toEqual(ticks)
  })

  it.each([
    [45_000, [0, 15_000, 30_000, 45_000]],
    [67_000, [0, 30_000, 60_000, 90_000]],
    [5 * 3_600_000, [0, 7_200_000, 14_400_000, 21_600_000]]
  ])("has ticks for times up to %d", (max, ticks) => {
    expect(scale.time(max).ticks).toEqual(ticks)
  })

  it.prop("has few ticks and covers every value", [
    FastCheck.double({ min: 1e-9, max: 1e12, noNaN: true }),
    FastCheck.constantFrom(scale.amount, scale.time)
  ], ([value, make]) => {
    const { max, ticks } = make(value)
    expect(max).toBeGreaterThan(0)
    expect(max).toBeGreaterThanOrEqual(value * (1 - 1e-6))
    expect(ticks[0]).toBe(0)
    expect(ticks.length).toBeLessThanOrEqual(4)
    expect(ticks).toEqual([...ticks].sort((a, b) => a - b))
  })
})

describe("read", () => {
  it.scoped("loads transcripts and reports unreadable ones", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const directory = yield* fileSystem.makeTempDirectoryScoped()
      const lines = [
        { type: "effect-opencode/run_start", timestamp: 1, runId: "a", attempt: 1, cwd: "/repo" },
        { type: "text", sessionID: "ses_1", part: { text: "Hello from the file" } }
      ]
      yield* fileSystem.makeDirectory(path.join(directory, "transcripts"))
      yield* fileSystem.writeFileString(
        path.join(directory, "transcripts", "a.jsonl"),
        lines.map((line) => `${JSON.stringify(line)}\n`).join("")
      )
      const results = [
        result({ id: "a", index: 0, transcript: "transcripts/a.jsonl" }),
        result({ id: "b", index: 1, transcript: "transcripts/b.jsonl" }),
        result({ id: "c", index: 2 })
      ]
      const runs = yield* Report.read(results, { directory })
      expect(runs.map(({ missing, transcript }) => [transcript?.head.length, missing?.slice(0, 13)])).toEqual([
        [1, undefined],
        [undefined, "No transcript"],
        [undefined, undefined]
      ])
      expect(words(Report.html({ title: "x", runs }))).toContain("Hello from the file")
    }).pipe(Effect.provide(NodeContext.layer)))
})
