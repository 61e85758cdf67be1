import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import type { Contract } from "effect-opencode"
import { Events, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Doctor from "../src/commands/Doctor.js"
import * as processes from "../src/commands/orphans.js"
import * as Style from "../src/display/Style.js"
import { runCli } from "./support/cli.js"
import { played } from "./support/played.js"

const binary = ["--binary", process.execPath]

/** OpenCode as far as the doctor queries it, and a smoke run that finds the scripted model's answer or another one. */
const openCode = (
  options?: {
    readonly version?: string
    readonly models?: string
    readonly answer?: string
    readonly processes?: string
    /** Changes what the processes of the contract's scenarios print. */
    readonly recorded?: (process: Contract.ProcessRecord) => Contract.ProcessRecord
  }
) =>
  Mock.layer((command) => {
    if (command.command === "ps") return Mock.script(Mock.stdout(options?.processes ?? ""), Mock.exit(0))
    const scenario = played(command, options?.recorded)
    if (scenario !== undefined) return scenario
    const [first] = command.args
    if (first === "--version") return Mock.script(Mock.stdout(`${options?.version ?? "1.18.33"}\n`), Mock.exit(0))
    if (first === "models") return Mock.script(Mock.stdout(options?.models ?? "acme/large\nacme/small\n"), Mock.exit(0))
    return Mock.script(
      Mock.awaitStdin,
      Mock.lines(Events.session(Events.turn(options?.answer ?? "everything works"))),
      Mock.exit(0)
    )
  })

interface Machine {
  readonly home: string
  readonly temporary: string
  readonly findings: (
    executor: Layer.Layer<Mock.MockCommandExecutor | import("@effect/platform").CommandExecutor.CommandExecutor>,
    options?: { readonly args?: ReadonlyArray<string>; readonly env?: { readonly [name: string]: string } }
  ) => Effect.Effect<ReadonlyArray<{ check: string; status: string; message: string; advice?: string }>>
  readonly printed: () => string
}

/** A home and a temporary directory of the test. */
const machine = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const home = yield* fileSystem.makeTempDirectoryScoped()
  const temporary = yield* fileSystem.makeTempDirectoryScoped()
  const printed: Array<string> = []
  const self: Machine = {
    home,
    temporary,
    printed: () => printed.join("\n"),
    findings: (executor, options) =>
      Effect.map(
        runCli(["doctor", "--json", ...binary, ...(options?.args ?? [])], {
          executor,
          withoutProc: true,
          env: { HOME: home, ...options?.env },
          temporaryDirectory: temporary
        }),
        ({ code, stderr, stdout }) => {
          printed.push(stdout, stderr)
          const { findings, ok } = JSON.parse(stdout)
          expect(code).toBe(ok ? 0 : 1)
          expect(ok).toBe(findings.every(({ status }: { status: string }) => status !== "problem"))
          return findings
        }
      )
  }
  return self
})

const platform = Effect.provide(NodeContext.layer)

const of = (check: string) => (findings: ReadonlyArray<{ readonly check: string }>) =>
  findings.filter((finding) => finding.check === check)

describe("doctor", () => {
  it.scopedLive("finds no problem on a healthy machine", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const found = yield* findings(openCode(), { env: { ANTHROPIC_API_KEY: "canary-key" } })
      expect(found.map(({ check, status }) => `${check} ${status}`)).toEqual([
        "binary ok",
        "credentials ok",
        "directories ok",
        "leftovers ok",
        "containment ok",
        "sandbox ok",
        "models ok",
        "smoke ok",
        "contract ok"
      ])
    }).pipe(platform))

  it.scopedLive("reports what ends the processes of a run", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const saying = (text: string) =>
        Mock.layer((command) =>
          command.command === "/bin/sh"
            ? Mock.script(Mock.stdout(text), Mock.exit(0))
            : Mock.script(Mock.stdout("1.18.33\n"), Mock.exit(0))
        )
      expect(of("containment")(yield* findings(saying("")))).toEqual([{
        check: "containment",
        status: "ok",
        message: expect.stringMatching(/^a run ends with its program; .*; `--containment namespace` is possible$/)
      }])
      expect(of("containment")(yield* findings(saying("missing mkfifo\nmissing tr\n")))).toEqual([{
        check: "containment",
        status: "warning",
        message: "No watchdog can be started, because there is no mkfifo, tr: runs go on if their program is killed.",
        advice: "install coreutils and grep"
      }])
    }).pipe(platform))

  it.scopedLive("names credentials and shows none", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const { findings, home, printed } = yield* machine
      const directory = `${home}/.local/share/opencode`
      yield* fileSystem.makeDirectory(directory, { recursive: true })
      yield* fileSystem.writeFileString(
        `${directory}/auth.json`,
        JSON.stringify({ anthropic: { type: "api", key: "canary-stored" }, github: { refresh: "canary-refresh" } }),
        { mode: 0o644 }
      )
      const env = {
        OPENAI_API_KEY: "canary-env",
        GROQ_API_KEY: "",
        OPENCODE_AUTH_CONTENT: JSON.stringify({ mistral: { key: "canary-content" } })
      }
      expect(of("credentials")(yield* findings(openCode(), { env }))).toEqual([
        { check: "credentials", status: "ok", message: "stored for anthropic, github" },
        {
          check: "credentials",
          status: "warning",
          message: `Others can read ${directory}/auth.json.`,
          advice: `chmod 600 ${directory}/auth.json`
        },
        { check: "credentials", status: "ok", message: "in $OPENCODE_AUTH_CONTENT for mistral" },
        { check: "credentials", status: "ok", message: "in the environment: OPENAI_API_KEY" }
      ])

      yield* fileSystem.writeFileString(`${directory}/auth.json`, "{ \"anthropic\": canary-broken }")
      yield* fileSystem.chmod(`${directory}/auth.json`, 0o600)
      expect(of("credentials")(yield* findings(openCode(), { env: { OPENCODE_AUTH_CONTENT: "canary-broken" } })))
        .toEqual([
          {
            check: "credentials",
            status: "problem",
            message: expect.stringMatching(
              /^The stored credentials in .*auth\.json cannot be used: not valid JSON/
            ),
            advice: "opencode auth login"
          },
          {
            check: "credentials",
            status: "problem",
            message: expect.stringMatching(/^\$OPENCODE_AUTH_CONTENT cannot be used: not valid JSON/),
            advice: "correct it or unset it"
          },
          expect.objectContaining({ status: "warning", advice: expect.stringContaining("opencode auth login") })
        ])
      expect(printed()).not.toContain("canary")
    }).pipe(platform))

  it.scopedLive("starts nothing when OpenCode is missing", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const found = yield* findings(openCode(), { args: [], env: { PATH: "/nowhere" } })
      expect(of("binary")(found)).toHaveLength(1)
      const without = yield* runCli(["doctor", "--json", "--binary", "/nowhere/opencode"], {
        env: { HOME: "/nowhere" }
      })
      const missing = JSON.parse(without.stdout).findings
      expect(missing.map(({ check }: { check: string }) => check)).not.toContain("smoke")
      expect(of("binary")(missing)).toEqual([{
        check: "binary",
        status: "problem",
        message: "The OpenCode binary \"/nowhere/opencode\" was not found. Searched: /nowhere/opencode.",
        advice: expect.stringContaining("npm install -g opencode-ai")
      }])
    }).pipe(platform))

  it.scopedLive("recognises versions that do not work and versions that work badly", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const version = (version: string) => Effect.map(findings(openCode({ version })), of("binary"))
      expect(yield* version("1.18.33")).toMatchObject([{
        status: "ok",
        message: expect.stringContaining("OpenCode 1.18.33 at ")
      }])
      expect(yield* version("1.17.19")).toMatchObject([{
        status: "warning",
        message: expect.stringContaining("can lose the end")
      }])
      expect(yield* version("3.0.1")).toMatchObject([{
        status: "problem",
        message: expect.stringContaining("below 3.0.0")
      }])
      expect(yield* version("what?")).toMatchObject([{
        status: "problem",
        message: expect.stringContaining("printed no version")
      }])
    }).pipe(platform))

  it.scopedLive("checks the directories that OpenCode uses", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const { findings, home } = yield* machine
      yield* fileSystem.writeFileString(`${home}/file`, "")
      const found = yield* findings(openCode(), {
        env: { XDG_CACHE_HOME: `${home}/file`, XDG_STATE_HOME: `${home}/new` }
      })
      expect(of("directories")(found)).toEqual([{
        check: "directories",
        status: "problem",
        message: `OpenCode's cache directory ${home}/file/opencode cannot be written to.`,
        advice: "correct its owner or mode, or set XDG_CACHE_HOME"
      }])
    }).pipe(platform))

  it.scopedLive("finds what earlier runs left behind", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const { findings, temporary } = yield* machine
      const [old, fresh] = [`${temporary}/effect-opencode-old`, `${temporary}/effect-opencode-fresh`]
      for (const directory of [old, fresh, `${temporary}/other`]) yield* fileSystem.makeDirectory(directory)
      const twoHoursAgo = Date.now() / 1000 - 7200
      yield* fileSystem.utimes(old, twoHoursAgo, twoHoursAgo)
      const inUse = `7 1 S /usr/bin/opencode run TMPDIR=${old}/tmp\n`
      expect(of("leftovers")(yield* findings(openCode({ processes: inUse })))).toMatchObject([{ status: "ok" }])

      const killed = `7 1 S /usr/bin/opencode run EFFECT_OPENCODE_RUN=:aaaaabbbbbccccc\n`
      expect(of("leftovers")(yield* findings(openCode({ processes: killed })))).toEqual([{
        check: "leftovers",
        status: "problem",
        message: "The run aaaaabbbbbccccc has ended, but left 1 process running: 7.",
        advice: "kill 7"
      }, {
        check: "leftovers",
        status: "warning",
        message: `1 directory left by ended runs: ${old}.`,
        advice: expect.stringContaining(`rm -r ${temporary}/effect-opencode-`)
      }])
    }).pipe(platform))

  it.scopedLive("looks for a model", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const asked = (model: string) => Effect.map(findings(openCode(), { args: ["--model", model] }), of("models"))
      expect(yield* asked("acme/large")).toMatchObject([{
        status: "ok",
        message: "acme/large, one of 2 models of acme"
      }])
      expect(yield* asked("acme/huge")).toMatchObject([{
        status: "problem",
        message: "acme/huge is not one of the 2 models of acme."
      }])
      const none = yield* findings(openCode({ models: "\n" }))
      expect(of("models")(none)).toMatchObject([{ status: "problem", message: "OpenCode offers no models." }])
    }).pipe(platform))

  it.scopedLive("does not accept a wrong answer of the smoke run", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      const found = yield* findings(openCode({ answer: "something else" }))
      expect(of("smoke")(found)).toMatchObject([{ status: "problem", advice: expect.stringContaining("plugin") }])
    }).pipe(platform))

  it.scopedLive("tries the facts that matter most", () =>
    Effect.gen(function*() {
      const { findings } = yield* machine
      expect(of("contract")(yield* findings(openCode()))).toEqual([{
        check: "contract",
        status: "ok",
        message: "10 of 10 facts that this library relies on are as expected"
      }])
      const silent = openCode({ recorded: (process) => ({ ...process, stderr: "" }) })
      expect(of("contract")(yield* findings(silent))).toEqual([{
        check: "contract",
        status: "problem",
        message: "Only 9 of 10 facts that this library relies on are as expected. This is otherwise in OpenCode " +
          "1.18.33: A permission that nobody grants is rejected, with a line on stderr that names it (ask.stderr).",
        advice: "`effect-opencode conformance` checks everything and shows what it saw"
      }])
    }).pipe(platform))

  it("prints findings for people", () => {
    const findings = [
      new Doctor.Finding({ check: "binary", status: "ok", message: "OpenCode 1.18.33 at /usr/bin/opencode" }),
      new Doctor.Finding({ check: "credentials", status: "warning", message: "There are none.", advice: "log in" }),
      new Doctor.Finding({ check: "leftovers", status: "problem", message: "1 process.", advice: "kill 7" })
    ]
    expect(findings.flatMap((finding) => Doctor.render(finding, { style: Style.plain, columns: 80 }))).toEqual([
      "✔ binary       OpenCode 1.18.33 at /usr/bin/opencode",
      "! credentials  There are none.",
      "               → log in",
      "✘ leftovers    1 process.",
      "               → kill 7"
    ])
    const narrow = { style: Style.plain, columns: 40 }
    const long = { message: "There are none: only some models work.", advice: "opencode auth login, or a variable" }
    expect(Doctor.render(new Doctor.Finding({ check: "credentials", status: "warning", ...long }), narrow)).toEqual([
      "! credentials  There are none: only some",
      "               models work.",
      "               → opencode auth login, or",
      "                 a variable"
    ])
    const wide = new Doctor.Finding({ check: "binary", status: "ok", message: "日本語 ".repeat(5).trim() })
    expect(Doctor.render(wide, narrow)).toEqual([
      "✔ binary       日本語 日本語 日本語",
      "               日本語 日本語"
    ])
    expect(Doctor.conclusion(findings, Style.plain)).toBe("1 problem, 1 warning")
    expect(Doctor.conclusion(findings.slice(0, 2), Style.plain)).toBe("no problems, 1 warning")
    expect(Doctor.conclusion(findings.slice(0, 1), Style.plain)).toBe("no problems")
  })
})

describe("processes of runs", () => {
  const id = "aaaaabbbbbccccc"
  const inner = "111112222233333"
  const process = (pid: number, ppid: number, name: string, ids = "") => ({
    pid,
    ppid,
    name,
    environment: ids === "" ? "HOME=/root\0" : `HOME=/root\0EFFECT_OPENCODE_RUN=${ids}\0PATH=/bin\0`
  })

  it("are under way while the program that started them lives", () => {
    const table = [
      process(1, 0, "init"),
      process(10, 1, "node"),
      process(11, 10, "opencode", `:${id}`),
      process(12, 1, "bash", `:${id}`)
    ]
    expect(processes.leftovers(table)).toEqual({ runs: [], underWay: 1 })
  })

  it("are left behind when that program is gone", () => {
    const opencode = process(11, 1, "opencode", `:${id}`)
    const tool = process(12, 11, "bash", `:${id}`)
    expect(processes.leftovers([process(1, 0, "init"), opencode, tool])).toEqual({
      runs: [{ runId: id, pids: [11, 12] }],
      underWay: 0
    })
    // Orphans are adopted by other processes than process 1, too.
    const user = [process(1, 0, "init"), process(90, 1, "systemd"), { ...opencode, ppid: 90 }]
    expect(processes.leftovers(user).runs).toEqual([{ runId: id, pids: [11] }])
  })

  it("belong to the innermost run", () => {
    const table = [
      process(10, 1, "node"),
      process(11, 10, "opencode", `:${id}`),
      process(12, 11, "node", `:${id}`),
      process(13, 12, "opencode", `:${id}:${inner}`)
    ]
    expect(processes.leftovers(table)).toEqual({ runs: [], underWay: 2 })
  })

  it("are parsed from /proc and from ps", () => {
    expect(processes.parseStat("42 (a (strange) name) S 7 42 42 0 -1")).toEqual({
      pid: 42,
      ppid: 7,
      name: "a (strange) name"
    })
    expect(processes.parseStat("42 (gone) Z 7 42")).toBeUndefined()
    expect(processes.parseStat("nonsense")).toBeUndefined()
    const ps =
      `   42     7 S+   /usr/bin/opencode run HOME=/x EFFECT_OPENCODE_RUN=:${id} A=b\n   43     1 Z    <defunct>\n`
    const [found, ...others] = processes.parsePs(ps)
    expect(others).toEqual([])
    expect(found).toMatchObject({ pid: 42, ppid: 7, name: "opencode" })
    expect(processes.runIds(found?.environment ?? "")).toEqual([id])
    expect(processes.runIds("X_EFFECT_OPENCODE_RUN=no\0EFFECT_OPENCODE_RUN=short")).toEqual([])
  })
})
