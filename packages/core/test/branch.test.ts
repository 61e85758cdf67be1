/** Copies of conversations for a process of OpenCode 1, which cannot branch off after a message. */
import { describe, expect, it } from "@effect/vitest"
import * as branch from "../src/internal/opencode/branch.js"

const conversation = {
  info: { id: "ses_1", title: "t" },
  messages: [
    {
      info: { id: "msg_1", role: "user", sessionID: "ses_1" },
      parts: [{ id: "prt_1", messageID: "msg_1", text: "msg_1" }]
    },
    {
      info: { id: "msg_2", role: "assistant", sessionID: "ses_1", parentID: "msg_1" },
      parts: [{
        id: "prt_2",
        messageID: "msg_2",
        state: { metadata: { sessionId: "ses_child" }, output: ["see ses_1"] }
      }]
    },
    { info: { id: "msg_3", role: "user", sessionID: "ses_1" }, parts: [] }
  ]
}

describe("a branch of an exported conversation", () => {
  it("ends with its message, and has other ids that refer to each other", () => {
    expect(branch.make(conversation, "msg_2", "x")).toEqual({
      info: { id: "ses_1x", title: "t" },
      messages: [
        {
          info: { id: "msg_1x", role: "user", sessionID: "ses_1x" },
          parts: [{ id: "prt_1x", messageID: "msg_1x", text: "msg_1" }]
        },
        {
          info: { id: "msg_2x", role: "assistant", sessionID: "ses_1x", parentID: "msg_1x" },
          parts: [{
            id: "prt_2x",
            messageID: "msg_2x",
            state: { metadata: { sessionId: "ses_child" }, output: ["see ses_1"] }
          }]
        }
      ]
    })
  })

  it("does not exist after a message that the conversation does not have", () => {
    expect(branch.make(conversation, "msg_9", "x")).toBeUndefined()
  })
})
