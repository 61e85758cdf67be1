/** One prompt as a program of `@opencode-ai/sdk` sends it: a server of its own, which is closed at the end. */
import { createOpencode } from "@opencode-ai/sdk"
import { config, limit, prompt } from "../job.js"

const [providerID, modelID] = config.model.split("/") as [string, string]

const { client, server } = await createOpencode({ port: 0, timeout: 60_000, config })
try {
  const session = await client.session.create({ body: { title: "comparison" }, throwOnError: true })
  const answer = await client.session.prompt({
    path: { id: session.data.id },
    body: { model: { providerID, modelID }, parts: [{ type: "text", text: prompt }] },
    throwOnError: true,
    ...(limit === undefined ? {} : { signal: AbortSignal.timeout(limit) })
  })
  console.log(answer.data.parts.map((part) => part.type === "text" ? part.text : "").join(""))
} finally {
  server.close()
}
