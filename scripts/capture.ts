/**
 * Records the scenarios of the contract with one version of OpenCode, as fixtures, and prints what is different from the
 * last ones by meaning.
 *
 *   pnpm capture <version | binary> [scenario …]
 */
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Contract, Version } from "effect-opencode"
import { Conformance } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as fixtures from "../packages/core/test/support/contractFixtures.js"
import { clean } from "./lib/clean.js"
import { binaryOf, versionOf } from "./lib/installed.js"

const [asked, ...only] = process.argv.slice(2)
if (asked === undefined) {
  console.error("which version, or which binary? pnpm capture <version | binary> [scenario …]")
  process.exit(2)
}

const root = fileURLToPath(new URL("../packages/core/test/fixtures/contract/", import.meta.url))

const installed = binaryOf(asked)
try {
  const version = versionOf(installed.file)
  const before = Date.now()
  const recorded = await Effect.runPromise(
    Conformance.record({
      binary: installed.file,
      version,
      httpServer: Layer.orDie(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      scenarios: only.length > 0 ? only : Conformance.scenarioNames(version),
      onProgress: ({ ended, scenario, state, total }) =>
        Effect.sync(() => {
          if (state === "ended") console.log(`${ended} of ${total}: ${scenario}`)
        })
    }).pipe(Effect.provide(NodeContext.layer))
  )
  console.log(`recorded in ${((Date.now() - before) / 1000).toFixed(1)} s`)
  const directory = path.join(root, Version.format(version))
  for (const [name, recording] of Object.entries(recorded)) {
    if (!("scenario" in recording)) {
      console.log(`! ${name}: ${recording.reason}`)
      continue
    }
    const fresh = clean(recording)
    const last = fixtures.read(directory, name)
    if (last !== undefined) {
      for (const line of fixtures.differences(last, fresh, Contract.facts(version), version)) console.log(line)
    }
    fixtures.write(directory, fresh)
  }
  console.log(`written to ${path.relative(process.cwd(), directory)}`)
  if (!fs.existsSync(directory)) process.exitCode = 1
} finally {
  installed.remove()
}
