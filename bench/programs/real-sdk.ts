/** The real binary, started by `@opencode-ai/sdk`: a server that gets all prompts at once and is then closed. */
import { createOpencode } from "@opencode-ai/sdk"
import * as path from "node:path"
import { job, report, start } from "../lib/meter.js"
import * as real from "../lib/real.js"
import type { Job } from "../lib/real.js"

const asked = job<Job>()
process.chdir(asked.work)
// The SDK starts the first `opencode` on PATH, in the environment of the program.
Object.assign(process.env, real.dataOf(asked, "sdk"), {
  PATH: `${path.dirname(asked.binary)}:${process.env["PATH"]}`,
  OPENCODE_DISABLE_AUTOUPDATE: "1"
})

const [providerID, modelID] = asked.config.model.split("/") as [string, string]

const stop = start()
const { client, server } = await createOpencode({ port: 0, timeout: 60_000, config: asked.config })
const texts = await Promise.all(asked.prompts.map(async (text) => {
  const session = await client.session.create({ body: { title: "benchmark" }, throwOnError: true })
  const answer = await client.session.prompt({
    path: { id: session.data.id },
    body: { model: { providerID, modelID }, parts: [{ type: "text", text }] },
    throwOnError: true
  })
  return answer.data.parts.map((part) => part.type === "text" ? part.text : "").join("")
}))
server.close()
// The CPU time of a child is known only after it has ended.
await new Promise((resolve) => setTimeout(resolve, 500))
const measured = stop()
report(real.withChildren({ ...measured, wall: measured.wall - 500 }, texts, asked))
