import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import * as Report from "../../src/report/Report.js"
import * as script from "../../src/report/script.js"
import * as style from "../../src/report/style.js"
import { report } from "../support/reports.js"
import { result, text } from "../support/results.js"

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const browser = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, name)))
  .find(isExecutable)

if (browser === undefined) console.warn("The report is not looked at: there is no Chromium on the PATH.")

/** What a browser makes of a page, and its console output. */
const open = (page: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* fileSystem.makeTempDirectoryScoped()
    const file = path.join(directory, "report.html")
    yield* fileSystem.writeFileString(file, page)
    return yield* Effect.async<{ readonly document: string; readonly console: string }, Error>((resume) => {
      const child = execFile(
        browser ?? "",
        [
          "--headless=new",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--no-first-run",
          "--enable-logging=stderr",
          `--user-data-dir=${path.join(directory, "profile")}`,
          "--virtual-time-budget=5000",
          "--dump-dom",
          `file://${file}`
        ],
        { maxBuffer: 2 ** 27, timeout: 120_000, killSignal: "SIGKILL" },
        (error, stdout, stderr) =>
          resume(
            error === null
              ? Effect.succeed({
                document: stdout,
                console: stderr.split("\n").filter((line) => line.includes("CONSOLE")).join("\n")
              })
              : Effect.fail(error)
          )
      )
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const hidden = "id=\"controls\" hidden"

describe.skipIf(browser === undefined)("the report in Chromium", () => {
  it.effect("runs its own script only, without console errors", () =>
    Effect.gen(function*() {
      const hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
      const given = report(12, { matrix: true })
      const { console, document } = yield* open(Report.html({
        ...given,
        runs: [
          ...given.runs,
          Report.run(result({ id: "hostile", index: 12, name: hostile }), [text(hostile)], { runs: 13 })
        ]
      }))
      expect(console).toBe("")
      expect(document).toContain("<title>nightly.jsonl – effect-opencode</title>")
      expect(document).not.toContain("<img")
      expect(document).toContain("<output>13 runs</output>")
      expect(document).not.toContain(hidden)
    }))

  it.effect("blocks a foreign style and script", () =>
    Effect.gen(function*() {
      const page = Report.html(report(1, { matrix: false }))
      const { console, document } = yield* open(
        page.replace(script.js, `${script.js} `).replace(style.css, `${style.css} `)
      )
      expect(console).toContain("Content Security Policy")
      expect(document).toContain(hidden)
    }))
})
