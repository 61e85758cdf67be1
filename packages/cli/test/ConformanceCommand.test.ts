import { describe, expect, it } from "@effect/vitest"
import { Contract, Version } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as fixtures from "../../core/test/support/contractFixtures.js"
import * as conformanceTable from "../src/display/conformanceTable.js"
import * as Style from "../src/display/Style.js"
import { runCli } from "./support/cli.js"
import { played } from "./support/played.js"

const report = (
  version: string,
  change: (recording: Contract.Recording | Contract.Missing) => Contract.Recording | Contract.Missing = (same) => same
): conformanceTable.Report => {
  const recorded = fixtures.all(version)
  return {
    library: "0.1.0",
    opencode: version,
    platform: "linux",
    node: "20.19.0",
    duration: 83_000,
    judgements: Contract.facts(Version.parse(version)!).flatMap((fact) =>
      Contract.judge(
        fact,
        Version.parse(version)!,
        change(recorded[fact.scenario] ?? { reason: "not recorded" })
      ) ?? []
    )
  }
}

const screen = { style: Style.plain, columns: 100 }

/** OpenCode as recorded, in its answers to the command line. */
const openCode = (change?: (process: Contract.ProcessRecord) => Contract.ProcessRecord) =>
  Mock.layer((command) =>
    command.args[0] === "--version" && command.env["EFFECT_OPENCODE_CONFORMANCE"] === undefined
      ? Mock.script(Mock.stdout("1.18.33\n"), Mock.exit(0))
      : played(command, change) ?? Effect.dieMessage(`not scripted: ${command.args.join(" ")}`)
  )

const conformance = (executor: ReturnType<typeof openCode>, ...args: ReadonlyArray<string>) =>
  runCli(["conformance", "--binary", process.execPath, ...args], { executor, env: { PATH: "/bin" } })

describe("the table of conformance", () => {
  it("shows what holds", async () => {
    await expect(conformanceTable.table(report("1.18.33"), screen).join("\n")).toMatchFileSnapshot(
      "./__snapshots__/conformance.txt"
    )
  })

  it("shows what is otherwise, and what could not be tried", async () => {
    const changed = report("1.18.33", (recording) => {
      if (!("scenario" in recording)) return recording
      if (recording.scenario === "server") return { reason: "the scenario failed: no port" }
      if (recording.scenario !== "text") return recording
      const { run } = recording.processes
      return {
        ...recording,
        processes: { run: { ...run!, stdout: run!.stdout.split("\n").slice(0, -2).join("\n"), stderr: "A new line\n" } }
      }
    })
    const text = conformanceTable.table({
      ...changed,
      judgements: changed.judgements.filter(({ fact, status }) =>
        status === "differs" || fact.id.startsWith("server.p") || fact.id.startsWith("stdin")
      )
    }, screen).join("\n")
    await expect(text).toMatchFileSnapshot("./__snapshots__/conformance-differs.txt")
    expect(conformanceTable.hasFailed(changed)).toBe(true)
  })

  it("shows OpenCode 2 by the same marks", () => {
    const lines = conformanceTable.table(report("2.0.14"), screen)
    expect(lines.join("\n")).toMatch(/\n✔ server\.ready {2,}A server that listens prints a line of JSON/)
    expect(lines.join("\n")).not.toMatch(/\n[✘!~?] /)
  })

  it("fails for no recorded version", () => {
    for (const version of fixtures.versions) {
      expect({ version, failed: conformanceTable.hasFailed(report(version)) }).toEqual({ version, failed: false })
    }
  })

  it("fails only for what matters", () => {
    const { judgements, ...machine } = report("1.18.33")
    const differing = (weight: Contract.Fact["weight"]) => ({
      ...machine,
      judgements: judgements.filter(({ fact }) => fact.weight === weight).slice(0, 1)
        .map((judgement) => ({ ...judgement, status: "differs" as const }))
    })
    expect(conformanceTable.hasFailed(differing("matters"))).toBe(true)
    expect(conformanceTable.hasFailed(differing("note"))).toBe(false)
    expect(conformanceTable.json(differing("note"))).toMatchObject({ ok: true, differs: 1, holds: 0 })
  })
})

describe("conformance", () => {
  it.live("exits with 0 if everything is as expected", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* conformance(
        openCode(),
        "--only",
        "version",
        "--only",
        "option,models.lines"
      )
      expect(stdout).toMatch(/^OpenCode 1\.18\.33, effect-opencode 0\.0\.0, linux, Node 20\.19\.0, /)
      expect(stdout).toMatch(/\n✔ version\.text {2,}`--version` prints the version and nothing else\.\n/)
      expect(stdout).toMatch(/\n\d+ facts as expected\n$/)
      expect(stderr).toBe("1 of 1: asking for its version, its help and its models\n")
      expect(code).toBe(0)
    }))

  it.live("exits with 1 if something that matters is otherwise", () =>
    Effect.gen(function*() {
      const executor = openCode((process) => ({ ...process, stdout: process.stdout.replace("fake/m1", "fake m1") }))
      const { code, stdout } = yield* conformance(executor, "--only", "models.lines", "--json")
      expect(code).toBe(1)
      expect(JSON.parse(stdout)).toEqual({
        ok: false,
        library: "0.0.0",
        opencode: "1.18.33",
        platform: "linux",
        node: "20.19.0",
        duration: expect.any(Number),
        holds: 0,
        known: 0,
        differs: 1,
        untried: 0,
        facts: [{
          id: "models.lines",
          status: "differs",
          weight: "matters",
          says: expect.any(String),
          expected: { configured: true, others: 0 },
          seen: { configured: false, others: 0 },
          otherwise: expect.any(String)
        }]
      })
    }))

  it.live("refuses an unknown fact, and an unsupported version", () =>
    Effect.gen(function*() {
      const unknown = yield* conformance(openCode(), "--only", "nonesuch")
      expect(unknown).toMatchObject({ code: 2, stdout: "" })
      expect(unknown.stderr).toMatch(/^error: --only: there is no fact "nonesuch"\.\nhint: subjects are agent, /)
      const other = yield* conformance(Mock.layer(() => Mock.script(Mock.stdout("3.0.0\n"), Mock.exit(0))))
      expect(other).toMatchObject({ code: 3, stdout: "" })
      expect(other.stderr).toContain("this library supports")
    }))

  it.live("puts no path of the machine into its report", () =>
    Effect.gen(function*() {
      const executor = openCode((process) => ({ ...process, stdout: `${process.stdout}${process.args.join(" ")}` }))
      const { stdout } = yield* conformance(executor, "--only", "models", "--json")
      expect(stdout).not.toContain(process.cwd())
      expect(stdout).not.toContain("effect-opencode-conformance-")
    }))
})
