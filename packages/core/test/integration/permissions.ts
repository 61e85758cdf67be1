/** A model that tries every tool which can change something, for the profiles of permissions. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as support from "./support.js"

const { Reply } = support

/** Every tool of 1.18.33 that could change a file, and two that must work. */
export const calls = [
  { name: "write", arguments: { filePath: "written.txt", content: "x" } },
  { name: "edit", arguments: { filePath: "a.txt", oldString: "alpha", newString: "beta" } },
  { name: "bash", arguments: { command: "echo x > by-bash.txt", description: "write" } },
  {
    name: "apply_patch",
    arguments: { patchText: "*** Begin Patch\n*** Add File: patched.txt\n+x\n*** End Patch" }
  },
  { name: "task", arguments: { description: "write", prompt: "write a file", subagent_type: "general" } },
  { name: "webfetch", arguments: { url: "http://127.0.0.1:9/", format: "text" } },
  { name: "read", arguments: { filePath: "/etc/hostname" } },
  { name: "read", arguments: { filePath: ".env" } },
  { name: "read", arguments: { filePath: "a.txt" } }
]

export const respond = support.steps([...calls.map((call) => Reply.toolCalls([call])), Reply.text("done")])

export const fill = (directory: string): void => {
  fs.writeFileSync(path.join(directory, "a.txt"), "alpha\n")
  fs.writeFileSync(path.join(directory, ".env"), "SECRET=1\n")
}

export const writing = [
  "write",
  "edit",
  "bash",
  "apply_patch",
  "patch",
  "task",
  "webfetch",
  "websearch",
  "skill",
  "question"
]

export const offered = Effect.map(support.asked, (requests) => new Set(requests.flatMap(({ tools }) => tools)))
