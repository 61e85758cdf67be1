import { assert, describe, it } from "@effect/vitest"
import * as AgentJob from "effect-opencode-cluster/AgentJob"
import * as RunConfig from "effect-opencode/RunConfig"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as jobs from "../src/internal/jobs.js"
import { branchOf, subjectOf } from "../src/internal/workspaces.js"

const job: AgentJob.AgentJob = { id: "a", prompt: "Fix it" }

const pathOf = (job: AgentJob.AgentJob) => AgentJob.check(job)?.path

const stored = (job: AgentJob.AgentJob) => Either.getOrThrow(jobs.encode(AgentJob.AgentJob, job))

describe("a job", () => {
  it("is refused for what would not work, before it is stored", () => {
    assert.strictEqual(pathOf({ ...job, id: "" }), "id")
    assert.strictEqual(pathOf({ ...job, id: "a\nb" }), "id")
    assert.strictEqual(pathOf({ ...job, id: "x".repeat(201) }), "id")
    assert.strictEqual(pathOf({ ...job, options: { model: "gpt-5" } }), "model")
    assert.strictEqual(pathOf({ ...job, maxCrashes: -1 }), "maxCrashes")
    assert.strictEqual(pathOf({ ...job, secrets: ["A=B"] }), "secrets")
    assert.strictEqual(pathOf({ ...job, version: 7 }), "version")
    assert.strictEqual(pathOf({ ...job, workspace: { url: "--upload-pack=x" } }), "workspace.url")
    assert.strictEqual(pathOf({ ...job, workspace: { url: "r", ref: "-x" } }), "workspace.ref")
    assert.strictEqual(pathOf({ ...job, workspace: { url: "r" }, options: { cwd: "/w" } }), "options.cwd")
    assert.strictEqual(pathOf({ ...job, workspace: { url: "r" }, afterCrash: "resume" }), "afterCrash")
    assert.isUndefined(pathOf({ ...job, workspace: { url: "git@example.com:a/b.git" } }))
  })

  it("is refused with secrets in it, whose values the error does not show", () => {
    const value = "canary-8c1f0b7d"
    const refused: ReadonlyArray<AgentJob.AgentJob> = [
      { ...job, options: { extraEnv: { DEPLOY_TOKEN: value } } },
      { ...job, options: { extraEnv: { X: RunConfig.secret(value) } } },
      { ...job, options: { mcp: { a: { headers: { Authorization: `Bearer ${value}` } } } } },
      { ...job, workspace: { url: `https://me:${value}@example.com/a.git` } },
      { ...job, workspace: { url: `https://${value}@example.com/a.git` } }
    ]
    for (const one of refused) {
      const error = AgentJob.check(one)
      assert.isDefined(error)
      assert.notInclude(error.message, value)
    }
    assert.isUndefined(
      AgentJob.check({ ...job, options: { mcp: { a: { headers: { Authorization: "{env:TOKEN}" } } } } })
    )
  })

  it("is refused with options that belong to the runner", () => {
    const decode = Schema.decodeUnknownEither(AgentJob.AgentJob)
    for (const options of [{ runId: "r" }, { isolation: "none" }, { password: "p" }, { keepRaw: true }]) {
      assert.isTrue(Either.isLeft(decode({ ...job, options })), JSON.stringify(options))
    }
  })

  it("has one stored form, whatever the order of its fields and the unit of its times", () => {
    const one = stored({ ...job, options: { timeout: "5 minutes", model: "a/b" } })
    const other = stored({ options: { model: "a/b", timeout: 300_000 }, prompt: "Fix it", id: "a" })
    assert.strictEqual(one, other)
    assert.deepStrictEqual(jobs.differences(one, other), [])
    assert.deepStrictEqual(jobs.differences(one, stored({ ...job, prompt: "x" })), ["options", "prompt"])
  })

  it("is read back as it was stored, also an endless time", () => {
    const endless: AgentJob.AgentJob = { ...job, options: { timeout: Infinity, budget: { steps: Infinity } } }
    const read = Either.getOrThrow(jobs.decode(AgentJob.AgentJob, stored(endless)))
    assert.strictEqual(stored({ ...read, version: undefined }), stored(endless))
  })

  it("of the version before is read; what is no job is not", () => {
    const before = JSON.stringify({ ...JSON.parse(stored(job)), version: jobs.currentVersion - 1 })
    assert.strictEqual(Either.getOrThrow(jobs.decode(AgentJob.AgentJob, before)).prompt, "Fix it")
    assert.isTrue(Either.isLeft(jobs.decode(AgentJob.AgentJob, "{")))
    assert.isTrue(Either.isLeft(jobs.decode(AgentJob.AgentJob, "{}")))
  })
})

describe("the branch of an attempt", () => {
  it("is a name that git takes, different for different ids", () => {
    assert.strictEqual(branchOf("node-22/api", 2), "opencode/node-22/api/2")
    const ids = fc.string({ minLength: 1, maxLength: 200 })
    fc.assert(fc.property(ids, ids, (one, other) => {
      assert.match(branchOf(one, 1), /^opencode(\/[A-Za-z0-9_-]+)+\/1$/)
      if (one !== other) assert.notStrictEqual(branchOf(one, 1), branchOf(other, 1))
    }))
  })

  it("stands beside those of other jobs: none begins with the whole of another", () => {
    assert.strictEqual(branchOf("release/2", 1).replace(/-[0-9a-f]{8}/, ""), "opencode/release-2/1")
    const ids = fc.array(fc.constantFrom("a", "1", "23", "b!"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("/"))
    fc.assert(fc.property(ids, ids, fc.integer({ min: 1, max: 23 }), (one, other, attempt) => {
      if (one !== other) assert.isFalse(branchOf(one, 1).startsWith(`${branchOf(other, attempt)}/`))
    }))
  })

  it("has the first line of the prompt as the subject of its commit", () => {
    assert.strictEqual(subjectOf("\n  Fix it\nnow"), "Fix it")
    assert.lengthOf(subjectOf("x".repeat(200)), 72)
    assert.isNotEmpty(subjectOf(""))
  })
})
