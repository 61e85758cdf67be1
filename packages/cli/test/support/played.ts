/** OpenCode as it was recorded: a scripted process for each one of the contract's scenarios. */
import type { Contract } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../../../core/test/support/contractFixtures.js"

/** Sends the recorded requests to the scenario's own provider. */
const ask = (baseUrl: string, requests: ReadonlyArray<Contract.ModelRequest>) =>
  Effect.forEach(requests, ({ authorization, prompts, roles, tools }) =>
    Effect.promise(async () => {
      const users = [...prompts]
      const response = await fetch(`${baseUrl}/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: authorization ?? "" },
        body: JSON.stringify({
          model: "m1",
          stream: true,
          messages: roles.map((role) => ({ role, content: role === "user" ? users.shift() : "" })),
          tools: tools.map((name) => ({ type: "function", function: { name } }))
        })
      })
      await response.text()
    }), { discard: true })

/** The process of a recorded scenario that this command starts; `undefined` if it belongs to none. */
export const played = (
  command: Mock.RecordedCommand,
  change: (process: Contract.ProcessRecord) => Contract.ProcessRecord = (process) => process
): Effect.Effect<Mock.Script> | undefined => {
  const scenario = command.env["EFFECT_OPENCODE_CONFORMANCE"]
  const recording = scenario === undefined ? undefined : fixtures.read(fixtures.directoryOf("1.18.33"), scenario)
  if (recording === undefined) return undefined
  const found = Object.values(recording.processes).find(({ args }) =>
    JSON.stringify(args) === JSON.stringify(command.args)
  )
  if (found === undefined) return Effect.dieMessage(`not recorded: ${command.args.join(" ")}`)
  const { exitCode, stderr, stdout } = change(found)
  const content = JSON.parse(command.env["OPENCODE_CONFIG_CONTENT"] ?? "{}")
  const data = path.join(command.env["XDG_DATA_HOME"] ?? "", "opencode")
  return Effect.gen(function*() {
    fs.mkdirSync(data, { recursive: true })
    fs.writeFileSync(path.join(data, "opencode.db"), "")
    yield* ask(content.provider.fake.options.baseURL, recording.requests)
    return Mock.script(Mock.awaitStdin, Mock.stdout(stdout), Mock.stderr(stderr), Mock.exit(exitCode ?? 0))
  })
}
