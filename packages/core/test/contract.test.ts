import { describe, expect, it } from "@effect/vitest"
import { Contract, Version } from "effect-opencode"
import * as fs from "node:fs"
import * as contract from "../src/internal/opencode/contract.js"
import * as fixtures from "./support/contractFixtures.js"
import { page } from "./support/versionsPage.js"

const versionOf = (text: string): Version.Version => Version.parse(text)!

const recordings = new Map(fixtures.versions.map((version) => [version, fixtures.all(version)]))

const missing: Contract.Missing = { reason: "not recorded" }

const judged = (
  version: string,
  change: (recording: Contract.Recording) => Contract.Recording = (recording) => recording,
  of: ReadonlyArray<Contract.Fact> = Contract.facts(versionOf(version))
): ReadonlyArray<Contract.Judgement> =>
  of.flatMap((fact) => {
    const recording = recordings.get(version)?.[fact.scenario]
    return Contract.judge(fact, versionOf(version), recording === undefined ? missing : change(recording)) ?? []
  })

const rows = (judgements: ReadonlyArray<Contract.Judgement>, ...statuses: ReadonlyArray<Contract.Status>) =>
  judgements.filter(({ status }) => statuses.includes(status)).map(({ expected, fact, seen, status }) =>
    `${fact.id} ${status}: expected ${Contract.valueText(expected)}, seen ${Contract.valueText(seen)}`
  )

/** Changes to a recording, each to one part of it. */
const changes: { readonly [name: string]: (recording: Contract.Recording) => Contract.Recording } = {
  stdout: (recording) => eachProcess(recording, () => ({ stdout: "" })),
  more: (recording) =>
    eachProcess(recording, ({ stdout }) => ({
      stdout: `${stdout}noise\n{"type":"reasoning","sessionID":"ses_1","part":{"type":"reasoning","text":"more"}}\n`
    })),
  stderr: (recording) => eachProcess(recording, ({ stderr }) => ({ stderr: stderr === "" ? "noise\n" : "" })),
  "a line of the log": (recording) =>
    eachProcess(recording, ({ stderr }) => ({
      stderr:
        `${stderr}timestamp=2026-01-01T00:00:00 level=WARN run=1 message="configuration normalization diagnostic" ` +
        "source=OPENCODE_CONFIG_CONTENT path=$.noise kind=invalid opencode.ai\n"
    })),
  exit: (recording) => eachProcess(recording, () => ({ exitCode: 99, signal: undefined })),
  requests: (recording) => ({
    ...recording,
    requests: recording.requests.map((request) => ({
      ...request,
      authorization: "another",
      prompts: request.prompts.map(() => "another"),
      tools: ["question"]
    }))
  }),
  titles: (recording) => ({
    ...recording,
    requests: recording.requests.map((request) => ({ ...request, isTitle: true }))
  }),
  observations: (recording) => ({
    ...recording,
    observed: Object.fromEntries(
      Object.entries(recording.observed).map(([name, value]) => [name, value === "deleted" ? "x" : "deleted"])
    )
  }),
  "observed texts": (recording) => ({
    ...recording,
    observed: otherTexts(recording.observed) as typeof recording.observed
  }),
  "no events": (recording) => ({ ...recording, observed: noEvents(recording.observed) })
}

/** Everything but its shape is another. */
const otherTexts = (value: unknown): unknown => {
  if (typeof value === "string") return `another ${value}`
  if (typeof value === "number") return value + 1
  if (Array.isArray(value)) return value.map(otherTexts)
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, otherTexts(inner)]))
    : value
}

const noEvents = (observed: Contract.Recording["observed"]): Contract.Recording["observed"] =>
  Object.fromEntries(
    Object.entries(observed).map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, 2) : value])
  )

const eachProcess = (
  recording: Contract.Recording,
  change: (process: Contract.ProcessRecord) => Partial<Contract.ProcessRecord>
): Contract.Recording => ({
  ...recording,
  processes: Object.fromEntries(
    Object.entries(recording.processes).map(([name, process]) => [name, { ...process, ...change(process) }])
  )
})

/** The newest version of each major that was recorded. */
const newest = ["1.18.33", "2.0.14"]

describe("the contract", () => {
  for (const version of fixtures.versions) {
    it(`is as expected in the recordings of ${version}`, () => {
      expect(rows(judged(version), "differs", "untried")).toEqual([])
    })
  }

  it("is on the page of versions", async () => {
    await expect(page()).toMatchFileSnapshot("../../../docs/versions.md")
  })

  it("has no facts about an unsupported version", () => {
    expect(Contract.facts(Version.make(3, 0, 0))).toEqual([])
    expect(Contract.invocation(Version.make(3, 0, 0), { runId: "1", prompt: "hi", options: {} })).toBeUndefined()
    expect(Contract.queries(Version.make(3, 0, 0))).toBeUndefined()
    expect(Contract.server(Version.make(3, 0, 0))).toBeUndefined()
    expect(Contract.privateServer(Version.make(3, 0, 0))).toBeUndefined()
    expect(Contract.variables(Version.make(3, 0, 0), { model: "a/b" })).toEqual({})
  })

  it("knows of a private server where runs have one", () => {
    expect(Contract.privateServer(versionOf("1.18.33"))).toBeUndefined()
    expect(Contract.privateServer(versionOf("2.0.14"))?.args).toContain("--stdio")
  })
})

describe.each(newest)("the contract of %s", (newest) => {
  const facts = Contract.facts(versionOf(newest))

  it("holds, without an exception", () => {
    expect(rows(judged(newest), "known")).toEqual([])
    expect(judged(newest).length).toBe(facts.length)
    expect(facts.length).toBeGreaterThanOrEqual(80)
  })

  it("notices a change of each fact", () => {
    const unnoticed = facts.filter((fact) => {
      const recording = recordings.get(newest)![fact.scenario]!
      return Object.values(changes).every((change) =>
        Contract.judge(fact, versionOf(newest), change(recording))?.status === "holds"
      )
    })
    expect(unnoticed.map(({ id }) => id)).toEqual([])
  })

  it("shows a changed expectation in its row, and in no other", () => {
    const read = facts.map((fact): Contract.Fact => {
      const seen = fact.observe(recordings.get(newest)![fact.scenario]!, versionOf(newest))
      return { ...fact, observe: () => seen }
    })
    for (const fact of read) {
      const changed = read.map((one): Contract.Fact =>
        one === fact
          ? { ...one, expected: one.expected.map((expectation) => ({ ...expectation, value: "changed" })) }
          : one
      )
      expect(judged(newest, undefined, changed).filter(({ status }) => status !== "holds").map(({ fact }) => fact.id))
        .toEqual([fact.id])
    }
  })

  it("names each fact once, with a sentence, a consequence and files that exist", () => {
    expect(new Set(facts.map(({ id }) => id)).size).toBe(facts.length)
    for (const { id, otherwise, says, usedBy } of facts) {
      expect(id).toMatch(/^[a-z-]+(\.[\w-]+)+$/i)
      expect(says).toMatch(/^[A-Z`].*\.$/)
      expect(otherwise).toMatch(/\.$/)
      expect(usedBy.length).toBeGreaterThan(0)
      const gone = usedBy.filter((file) => !fs.existsSync(new URL(`../src/${file}`, import.meta.url)))
      expect({ id, gone }).toEqual({ id, gone: [] })
    }
  })

  it("has ten facts that matter most, from two scenarios", () => {
    const most = Contract.mostImportant(versionOf(newest))
    expect(most.length).toBe(10)
    expect(most.every(({ weight }) => weight === "matters")).toBe(true)
    expect(new Set(most.map(({ scenario }) => scenario)).size).toBe(2)
  })

  it("has ranges without gaps behind their beginning, and without overlaps", () => {
    for (const { expected, id } of facts) {
      expected.slice(1).forEach(({ from }, index) => expect({ id, from }).toEqual({ id, from: expected[index]!.below }))
      expect(expected[expected.length - 1]!.below).toBeUndefined()
    }
  })
})

describe("a judgement", () => {
  const fact: Contract.Fact = {
    id: "a.fact",
    says: "It is so.",
    scenario: "text",
    weight: "note",
    expected: [{ from: Version.make(1, 2, 0), below: Version.make(1, 15, 0), value: { a: 1, b: [2] } }, {
      from: Version.make(1, 15, 0),
      value: "new"
    }],
    observe: ({ observed }) => observed["it"],
    usedBy: [],
    otherwise: "It matters."
  }
  const seeing = (it: unknown): Contract.Recording => ({
    scenario: "text",
    processes: {},
    requests: [],
    observed: { it }
  })
  const status = (version: string, it: unknown) => Contract.judge(fact, versionOf(version), seeing(it))?.status

  it("takes the expectation of the version", () => {
    expect(status("1.18.33", "new")).toBe("holds")
    expect(status("1.18.33", { a: 1, b: [2] })).toBe("differs")
    expect(status("1.14.99", { b: [2], a: 1 })).toBe("known")
    expect(status("1.14.99", "new")).toBe("differs")
    expect(status("1.1.65", "new")).toBeUndefined()
  })

  it("says what could not be tried", () => {
    expect(Contract.judge(fact, versionOf("1.18.33"), seeing(undefined))).toMatchObject({
      status: "untried",
      reason: "the scenario \"text\" did not get that far"
    })
    expect(Contract.judge(fact, versionOf("1.18.33"), missing)).toMatchObject({
      status: "untried",
      reason: "not recorded"
    })
  })

  it("knows that a value varies", () => {
    const varying = { ...fact, expected: [{ value: "new", varies: true }] }
    expect(Contract.judge(varying, versionOf("1.15.13"), seeing("another"))?.status).toBe("known")
    expect(Contract.judge(varying, versionOf("1.15.13"), seeing("new"))?.status).toBe("holds")
  })

  it("has a text for every value", () => {
    expect(contract.textOf({ b: 1, a: [{ d: 1, c: undefined }] })).toBe("{\"a\":[{\"d\":1}],\"b\":1}")
    expect(contract.textOf(undefined)).toBe("nothing")
  })
})
