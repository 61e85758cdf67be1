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
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import { version as installed } from "../../../core/test/support/home.js"

const { resolve } = createRequire(import.meta.url)

const binary = resolve("opencode-ai/bin/opencode.exe")

const expensive = process.env["CONFORMANCE"] === "all"
  ? []
  : ["refusals", "unauthorized", "retry", "content filter", "unknown model", "interrupt", "compaction", "sub-agent"]

const directories = () => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("effect-opencode-conformance-"))

describe("conformance", () => {
  it.live(`holds on everything with ${installed}`, () =>
    Effect.gen(function*() {
      const before = directories()
      const version = Version.parse(installed)!
      const facts = Contract.facts(version).filter(({ scenario }) => !expensive.includes(scenario))
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
    }).pipe(Effect.provide(NodeContext.layer)), 1_200_000)
})
