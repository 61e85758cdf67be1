/**
 * The facts about the real OpenCode hold. `CONFORMANCE=all` (`pnpm test:conformance`) records every scenario; otherwise
 * those that take the most processor time for the fewest facts are left out.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import { Contract, Version } from "effect-opencode"
import { Conformance } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import { version as installed } from "../../../core/test/support/home.js"
import * as opencode2 from "../../../core/test/support/opencode2.js"

const { resolve } = createRequire(import.meta.url)

const isComplete = process.env["CONFORMANCE"] === "all"

const directories = () => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("effect-opencode-conformance-"))

const check = (binary: string, version: Version.Version, scenarios: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const before = directories()
    const facts = Contract.facts(version).filter(({ scenario }) => scenarios.includes(scenario))
    const judgements = yield* Conformance.run({
      binary,
      version,
      facts,
      patience: "10 minutes",
      httpServer: Layer.orDie(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
    })
    expect(
      judgements.filter(({ status }) => status !== "holds").map(({ expected, fact, reason, seen }) => ({
        id: fact.id,
        expected: Contract.valueText(expected),
        seen: Contract.valueText(seen),
        reason
      }))
    ).toEqual([])
    expect(judgements.length).toBe(facts.length)
    expect(directories().filter((name) => !before.includes(name))).toEqual([])
  }).pipe(Effect.provide(NodeContext.layer))

describe("conformance", () => {
  it.live(`holds on everything with ${installed}`, () => {
    const version = Version.parse(installed)!
    const cheap = [
      "command line",
      "text",
      "session",
      "rules",
      "asked",
      "auto",
      "cut",
      "arguments",
      "terminate",
      "server"
    ]
    return check(
      resolve("opencode-ai/bin/opencode.exe"),
      version,
      isComplete ? Conformance.scenarioNames(version) : cheap
    )
  }, 1_200_000)

  it.live.skipIf(opencode2.binary === undefined)(`holds on everything with OpenCode 2${opencode2.why}`, () => {
    const binary = opencode2.binary!
    const version = Version.parse(opencode2.version ?? execFileSync(binary, ["--version"], { encoding: "utf8" }))!
    return check(binary, version, isComplete ? Conformance.scenarioNames(version) : ["text", "rules", "failures"])
  }, 1_200_000)
})
