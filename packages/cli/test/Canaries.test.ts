import * as Terminal from "@effect/platform/Terminal"
import { expect, it } from "@effect/vitest"
import { Events, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runCli } from "./support/cli.js"

/** An inherited variable, one from a file, a login: secrets that were never passed as secrets. */
const canaries = {
  inherited: "canary-inherited-4d1a",
  database: "canary-database-77c0",
  file: "canary-file-9be2\nsecond-canary-line-1f",
  login: "canary-login-53aa"
}

const all = Object.values(canaries).flatMap((canary) => canary.split("\n"))

const blabbing = (...last: ReadonlyArray<Mock.Step>) =>
  Mock.script(
    Mock.awaitStdin,
    Mock.stderr(`${all.join("\n")}\n`),
    Mock.stdout(`no json ${all.join(" ")}\n`),
    Mock.lines(Events.session([
      Events.turn([
        ...all.map((canary) => `said ${canary}`),
        ...all.map((canary) =>
          Events.tool({
            tool: "bash",
            title: `echo ${canary}`,
            input: { command: `echo ${canary}`, [canary]: 1 },
            output: canary
          })
        ),
        ...all.map((canary) => Events.tool({ tool: "read", input: { filePath: canary }, output: "", title: "" })),
        ...all.map((canary) => `said ${canary}`)
      ])
    ])),
    ...last
  )

const failing = blabbing(
  Mock.lines(Events.session([
    Events.stepStart(),
    Events.error({
      message: `the key ${all.join(" ")} is wrong`,
      statusCode: 401
    })
  ])),
  Mock.exit(1)
)

const binary = ["--binary", process.execPath, "--opencode-version", "1.18.33"]

const directory = Effect.acquireRelease(
  Effect.sync(() => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-canaries-")))
    fs.mkdirSync(path.join(root, "data", "opencode"), { recursive: true })
    fs.writeFileSync(
      path.join(root, "data", "opencode", "auth.json"),
      JSON.stringify({ a: { type: "api", key: canaries.login } })
    )
    fs.writeFileSync(path.join(root, "secrets.env"), `ACME="${canaries.file}"\n`)
    fs.writeFileSync(path.join(root, "jobs.jsonl"), "{\"prompt\":\"one\"}\n{\"prompt\":\"two\"}\n")
    return root
  }),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

/** Everything that the program shows and writes, by channel. */
const everything = (
  root: string,
  scripts: ReadonlyArray<Mock.Script>,
  isTTY: boolean,
  ...args: ReadonlyArray<string>
) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Mock.layer(scripts))
    const log: Array<string> = []
    const terminal: Terminal.Terminal = {
      columns: Effect.succeed(240),
      rows: Effect.succeed(24),
      isTTY: Effect.succeed(isTTY),
      readInput: Effect.die("nothing is read"),
      readLine: Effect.die("nothing is read"),
      display: (text) => Effect.sync(() => log.push(text))
    }
    const { stderr, stdout } = yield* runCli([...args, ...binary, "--extra-env-file", path.join(root, "secrets.env")], {
      stdoutIsTerminal: isTTY,
      stderrIsTerminal: isTTY,
      env: {
        ACME_API_KEY: canaries.inherited,
        DATABASE_URL: `postgres://me:${canaries.database}@db/x`,
        XDG_DATA_HOME: path.join(root, "data"),
        PATH: "/usr/bin"
      },
      executor: Layer.succeedContext(Context.add(context, Terminal.Terminal, terminal))
    })
    const own = new Set(["auth.json", "secrets.env", "jobs.jsonl"])
    const files = fs.readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !own.has(entry.name))
      .map((entry) => [entry.name, fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8")])
    const commands = yield* Effect.flatMap(Mock.MockCommandExecutor, ({ commands }) => commands).pipe(
      Effect.provide(context)
    )
    return {
      stdout,
      stderr,
      display: log.join(""),
      args: commands.flatMap(({ args }) => args).join(" "),
      ...Object.fromEntries(files)
    } as { readonly [what: string]: string }
  })

const expectNone = (seen: { readonly [what: string]: string }) => {
  for (const [what, text] of Object.entries(seen)) {
    expect({ what, canaries: text.match(/.{0,20}canary[\w-]*/g) }).toEqual({ what, canaries: null })
  }
}

for (const isTTY of [false, true]) {
  const where = isTTY ? "a terminal" : "a pipe"

  it.scopedLive(`run shows no secret in ${where}`, () =>
    Effect.gen(function*() {
      const root = yield* directory
      for (const [script, answer] of [[blabbing(Mock.exit(0)), "stdout"], [failing, "stderr"]] as const) {
        for (const more of [[], ["--json", "--keep-raw"], ["--verbose"]]) {
          const seen = yield* everything(
            root,
            [script],
            isTTY,
            "run",
            "go",
            "--transcript",
            path.join(root, "run.jsonl"),
            ...more
          )
          expectNone(seen)
          for (const stream of more.includes("--json") ? ["stdout"] : ["stderr", answer]) {
            expect(seen[stream]).toContain("said <redacted>")
          }
          expect(seen["run.jsonl"]).toContain("<redacted>")
        }
      }
    }))

  it.scopedLive(`batch shows and writes no secret in ${where}`, () =>
    Effect.gen(function*() {
      const root = yield* directory
      const seen = yield* everything(
        root,
        [blabbing(Mock.exit(0)), failing],
        isTTY,
        "batch",
        path.join(root, "jobs.jsonl"),
        ...["--jobs", "1", "--report", path.join(root, "report.html")],
        ...["--prompt", `{{prompt}} with ${canaries.inherited}`]
      )
      expectNone(seen)
      expect(seen["jobs.results.jsonl"]).toContain("said <redacted>")
      expect(seen["jobs.results.jsonl"]).toContain("the key <redacted>")
      expect(seen["report.html"]).toContain("said")
    }))
}
