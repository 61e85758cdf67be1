import { describe, expect, it } from "@effect/vitest"
import * as opencode2 from "../bin/opencode2.js"

describe("the scripted OpenCode 2", () => {
  it("ends a branch before the message that it is given", async () => {
    const { handle } = opencode2.make({
      version: "2.0.14",
      models: [],
      newSession: () => "ses_branch",
      onPrompt: () => undefined
    })
    const ask = async (method: string, path: string, body?: unknown) =>
      handle(
        new Request(`http://opencode${path}`, {
          method,
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
      )
    await ask("POST", "/api/experimental/session/import", {
      info: { id: "ses_1" },
      messages: [{ id: "msg_1" }, { id: "msg_2" }, { id: "msg_3" }]
    })
    const messages = async () => {
      const reply = await ask("GET", "/api/session/ses_branch/message")
      return ((await reply.json()) as { readonly data: ReadonlyArray<{ readonly id: string }> }).data.map(({ id }) =>
        id
      )
    }
    await ask("POST", "/api/session/ses_1/fork", { before: "msg_2" })
    expect(await messages()).toEqual(["msg_1"])
    await ask("POST", "/api/session/ses_1/fork", {})
    expect(await messages()).toEqual(["msg_3", "msg_2", "msg_1"])
    expect((await ask("POST", "/api/session/ses_1/fork", { before: "msg_9" })).status).toBe(404)
  })
})
