import { describe, expect, it } from "@effect/vitest"
import { RunEvent, RunResult, TokenUsage, Tool } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import { readdirSync, readFileSync } from "node:fs"
import { json, jsonObject } from "./support/arbitraries.js"
import { eventsOf } from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"

const directory = new URL("./fixtures/tools/", import.meta.url)

const captured = (name: string): ReadonlyArray<RunEvent.ToolUse> =>
  eventsOf(new Uint8Array(readFileSync(new URL(name, directory)))).filter(RunEvent.is("ToolUse"))

const files = readdirSync(directory).filter((name) => name.endsWith(".jsonl"))

const everyEvent: ReadonlyArray<readonly [name: string, event: RunEvent.ToolUse]> = [
  ...fixtures.all.map((fixture) => [fixture.name, eventsOf(fixture.stdout)] as const),
  ...files.map((name) => [name, captured(name)] as const)
].flatMap(([name, events]) => events.filter(RunEvent.is("ToolUse")).map((event) => [name, event] as const))

const tags: { readonly [tool: string]: Tool.Tool["_tag"] } = {
  bash: "Bash",
  read: "Read",
  write: "Write",
  edit: "Edit",
  apply_patch: "ApplyPatch",
  glob: "Glob",
  grep: "Grep",
  task: "Task",
  todowrite: "TodoWrite",
  webfetch: "WebFetch",
  invalid: "Invalid"
}

/** A tool event as OpenCode prints it. */
const use = (tool: string, input: unknown, rest: { readonly [key: string]: unknown } = {}): RunEvent.ToolUse => {
  const event = RunEvent.fromWire({
    type: "tool_use",
    part: { tool, state: { status: "completed", input, ...rest } }
  })
  if (event._tag !== "ToolUse") throw new Error("not a tool event")
  return event
}

const write = (filePath: string, content: string, exists: boolean) =>
  use("write", { filePath, content }, { metadata: { filepath: filePath, exists } })

const patch = (...files: ReadonlyArray<{ readonly [key: string]: unknown }>) =>
  use("apply_patch", { patchText: "" }, { metadata: { files } })

describe("fromEvent", () => {
  it("recognises every tool event of every capture except foreign and malformed ones", () => {
    expect(everyEvent.length).toBeGreaterThan(200)
    const others = new Set<string>()
    const seen = new Set<string>()
    for (const [name, event] of everyEvent) {
      const tool = Tool.fromEvent(event)
      seen.add(tool._tag)
      if (tool._tag === "Other") others.add(`${name}: ${event.tool}`)
      else expect(tool._tag).toBe(tags[event.tool])
      expect(tool.event).toBe(event)
      expect(tool).toMatchObject({ status: event.status, output: event.output, error: event.error })
    }
    expect([...seen].sort()).toEqual([...Object.values(tags), "Other"].sort())
    expect([...others].filter((name) => !name.includes(": tiny_")).sort()).toEqual([
      "1.18.33/tool-bad-args: read",
      "others.jsonl: skill"
    ])
  })

  it("returns what the tools report", () => {
    const tool = (name: string, scenario: string) => {
      const found = eventsOf(fixtures.get(scenario).stdout).filter(RunEvent.is("ToolUse"))
        .find((event) => event.tool === name)
      return found === undefined ? undefined : Tool.fromEvent(found)
    }
    expect(tool("bash", "1.18.33/tool-bash-nonzero")).toMatchObject({ _tag: "Bash", exit: 3, truncated: false })
    const timedOut = tool("bash", "1.18.33/tool-bash-timeout")
    expect(timedOut).toMatchObject({ _tag: "Bash", input: { timeout: 1500 } })
    expect(timedOut).not.toHaveProperty("exit", expect.anything())
    expect(tool("task", "1.18.33/task-subagent")).toMatchObject({
      _tag: "Task",
      input: { subagentType: "general" },
      sessionId: expect.stringMatching(/^ses_/)
    })
    expect(tool("glob", "1.18.33/tool-glob")).toMatchObject({ count: 2, truncated: false })
    expect(tool("grep", "1.18.33/tool-grep")).toMatchObject({ matches: 2, truncated: false })
    expect(tool("todowrite", "1.18.33/tool-todowrite")).toMatchObject({
      input: { todos: [{ content: "first", status: "in_progress", priority: "high" }, { content: "second" }] }
    })
    expect(tool("webfetch", "1.18.33/tool-webfetch-ok")).toMatchObject({ input: { format: "text" } })
    expect(
      captured("write.jsonl").map(Tool.fromEvent).filter(Tool.is("Write")).map(({ exists, path }) => [
        path,
        exists
      ])
    ).toEqual([
      ["/workspace/new.txt", false],
      ["/workspace/a.txt", true],
      ["/workspace/sub/deep/c.txt", false],
      ["/workspace/empty.txt", false]
    ])
    const [bash] = captured("others.jsonl").map(Tool.fromEvent).filter(Tool.is("Bash"))
    expect(bash).toMatchObject({ input: { workdir: "sub", timeout: 5000, description: "where" }, exit: 4 })
    const [invalid] = captured("apply-patch-not-offered.jsonl").map(Tool.fromEvent).filter(Tool.is("Invalid"))
    expect(invalid?.input.tool).toBe("apply_patch")
    const moved = captured("apply-patch.jsonl").map(Tool.fromEvent).filter(Tool.is("ApplyPatch"))[2]
    expect(moved?.files).toMatchObject([{ type: "move", movePath: "/workspace/sub/moved.txt" }])
  })

  it("ignores unknown fields, accepts null, and falls back to Other for an unexpected input only", () => {
    const odd = Tool.fromEvent(use("bash", { command: "ls", timeout: null, description: null, new: [1] }, {
      metadata: { exit: "three", truncated: true, outputPath: null, new: {} }
    }))
    expect(odd).toMatchObject({ _tag: "Bash", input: { command: "ls" }, exit: undefined, truncated: true })
    for (const metadata of [undefined, null, 3, "text", []]) {
      expect(Tool.fromEvent(use("edit", { filePath: "a", oldString: "b", newString: "c" }, { metadata })))
        .toMatchObject({ _tag: "Edit", path: "a", patch: undefined })
    }
    for (const input of [undefined, null, "ls", {}, { command: 1 }, { command: "ls", timeout: "5" }]) {
      expect(Tool.fromEvent(use("bash", input))).toMatchObject({ _tag: "Other", input })
    }
    for (const tool of ["__proto__", "constructor", "toString", ""]) {
      expect(Tool.fromEvent(use(tool, {}))._tag).toBe("Other")
    }
    expect(Tool.fromEvent(use("patch", { patchText: "" }))).toMatchObject({ _tag: "ApplyPatch", files: [] })
  })

  it("reads the tools of OpenCode 2 (2.0.14)", () => {
    expect(Tool.fromEvent(use("execute", { code: "return 1 + 1" }, {
      metadata: { toolCalls: [{ tool: "mine.greet", status: "completed", input: { who: "you" } }], truncated: false }
    }))).toMatchObject({
      _tag: "Execute",
      input: { code: "return 1 + 1" },
      calls: [{ tool: "mine.greet", status: "completed", input: { who: "you" } }],
      failed: false
    })
    expect(Tool.fromEvent(use("execute", { code: "throw new Error('no')" }, {
      output: "Error: no",
      metadata: { toolCalls: [], error: true, truncated: false }
    }))).toMatchObject({ _tag: "Execute", status: "completed", failed: true, calls: [] })
    expect(Tool.fromEvent(use("subagent", { description: "d", prompt: "p", agent: "general" }, {
      metadata: { sessionID: "ses_1", status: "completed" }
    }))).toMatchObject({ _tag: "Task", input: { subagentType: "general" }, sessionId: "ses_1" })
    for (const input of [{}, { code: 1 }]) expect(Tool.fromEvent(use("execute", input))._tag).toBe("Other")
  })

  const toolUse = fc.record({
    tool: fc.oneof(
      fc.constantFrom(...Object.keys(tags), "patch", "execute", "shell", "subagent", "__proto__"),
      fc.string()
    ),
    status: fc.constantFrom("completed" as const, "error" as const),
    input: fc.oneof(
      jsonObject,
      fc.anything(),
      fc.record({
        command: json,
        filePath: fc.oneof(fc.string(), json),
        oldString: fc.string(),
        newString: fc.string(),
        content: fc.string(),
        patchText: fc.oneof(fc.string(), json)
      }, { requiredKeys: [] })
    ),
    metadata: fc.oneof(
      fc.anything(),
      fc.record({
        exit: json,
        exists: fc.oneof(fc.boolean(), json),
        filediff: fc.oneof(json, fc.record({ patch: json, file: json })),
        files: fc.oneof(
          json,
          fc.array(fc.record({
            filePath: fc.constantFrom("a", "b", "c"),
            file: fc.constantFrom(undefined, 1, "a", "b"),
            status: fc.constantFrom("added", "modified", "deleted", "other"),
            type: fc.constantFrom("add", "update", "delete", "move"),
            movePath: fc.constantFrom(null, "a", "b", "c"),
            patch: fc.oneof(fc.string(), json)
          }))
        )
      }, { requiredKeys: [] })
    )
  })

  it.prop("is total, and so are the folds", [fc.array(toolUse)], ([uses]) => {
    const events = uses.map((fields): RunEvent.ToolUse => ({ _tag: "ToolUse", raw: {}, ...fields }))
    for (const event of events) expect(Tool.fromEvent(event).event).toBe(event)
    const paths = RunResult.filesChanged(events).map(({ path }) => path)
    expect(new Set(paths).size).toBe(paths.length)
    expect(RunResult.unifiedDiff(events)).toMatch(/^$|\n$/)
  })
})

describe("filesChanged", () => {
  it("reads real calls", () => {
    expect(RunResult.filesChanged(captured("write.jsonl"))).toEqual([
      { path: "/workspace/new.txt", kind: "created", additions: 2, deletions: 0 },
      { path: "/workspace/a.txt", kind: "modified" },
      { path: "/workspace/sub/deep/c.txt", kind: "created", additions: 1, deletions: 0 },
      { path: "/workspace/empty.txt", kind: "created", additions: 0, deletions: 0 }
    ])
    expect(RunResult.filesChanged(captured("edit.jsonl"))).toEqual([
      { path: "/workspace/a.txt", kind: "modified", additions: 3, deletions: 2 },
      { path: "/workspace/made.txt", kind: "created", additions: 1, deletions: 0 }
    ])
    expect(RunResult.filesChanged(captured("edit-odd.jsonl")).at(-1)).toEqual(
      { path: "/workspace/sp ace ü.txt", kind: "created", additions: 2, deletions: 1 }
    )
    expect(RunResult.filesChanged(captured("apply-patch.jsonl"))).toEqual([
      { path: "/workspace/added.txt", kind: "created", additions: 3, deletions: 1 },
      { path: "/workspace/a.txt", kind: "deleted", additions: 1, deletions: 3 },
      { path: "/workspace/sub/moved.txt", kind: "moved", from: "/workspace/sub/b.txt", additions: 1, deletions: 1 },
      { path: "/workspace/old.txt", kind: "deleted", additions: 0, deletions: 2 },
      { path: "/workspace/x.txt", kind: "created", additions: 2, deletions: 0 }
    ])
    expect(RunResult.filesChanged(captured("others.jsonl"))).toEqual([])
  })

  /** As OpenCode 2.0.14 reports the changes of a file. */
  const changed = (file: string, status: string, additions: number, deletions: number, hunk: string) => ({
    file,
    patch: `Index: /w/${file}\n===\n--- /w/${file}\n+++ /w/${file}\n${hunk}\n`,
    status,
    additions,
    deletions
  })

  const ofOpenCode2 = [
    use("write", { path: "w.txt", content: "one\ntwo\n" }, {
      output: "Created file successfully: w.txt",
      metadata: { truncated: false }
    }),
    use("edit", { path: "e.txt", oldString: "one", newString: "three" }, {
      output: "Edited e.txt (1 replacement)",
      metadata: { files: [changed("e.txt", "modified", 1, 1, "@@ -1,2 +1,2 @@\n-one\n+three\n two")], truncated: false }
    }),
    use("patch", {
      patchText:
        "*** Begin Patch\n*** Add File: p.txt\n+hello\n*** Update File: moved.txt\n*** Move to: there.txt\n@@\n" +
        "-moved\n+there\n*** Delete File: gone.txt\n*** End Patch"
    }, {
      metadata: {
        files: [
          changed("p.txt", "added", 1, 0, "@@ -0,0 +1,1 @@\n+hello"),
          changed("there.txt", "modified", 1, 1, "@@ -1,1 +1,1 @@\n-moved\n+there"),
          changed("gone.txt", "deleted", 0, 1, "@@ -1,1 +0,0 @@\n-gone")
        ],
        truncated: false
      }
    })
  ]

  it("reads calls of OpenCode 2", () => {
    expect(RunResult.filesChanged(ofOpenCode2)).toEqual([
      { path: "w.txt", kind: "created", additions: 2, deletions: 0 },
      { path: "e.txt", kind: "modified", additions: 1, deletions: 1 },
      { path: "p.txt", kind: "created", additions: 1, deletions: 0 },
      { path: "there.txt", kind: "moved", from: "moved.txt", additions: 1, deletions: 1 },
      { path: "gone.txt", kind: "deleted", additions: 0, deletions: 1 }
    ])
    expect(RunResult.unifiedDiff(ofOpenCode2).match(/^@@ .*/gm)).toEqual([
      "@@ -1,2 +1,2 @@",
      "@@ -0,0 +1,1 @@",
      "@@ -1,1 +1,1 @@",
      "@@ -1,1 +0,0 @@"
    ])
  })

  it("follows a file through moves", () => {
    const kinds = (...events: ReadonlyArray<RunEvent.RunEvent>) =>
      RunResult.filesChanged(events).map(({ from, kind, path }) => [kind, path, ...(from === undefined ? [] : [from])])
    const move = (filePath: string, movePath: string) => patch({ filePath, movePath, type: "move" })
    const remove = (filePath: string) => patch({ filePath, type: "delete" })
    expect(kinds(write("a", "", false), move("a", "b"))).toEqual([["created", "b"]])
    expect(kinds(move("a", "b"), write("b", "", true))).toEqual([["moved", "b", "a"]])
    expect(kinds(move("a", "b"), move("b", "c"))).toEqual([["moved", "c", "a"]])
    expect(kinds(move("a", "b"), move("b", "a"))).toEqual([["modified", "a"]])
    expect(kinds(move("a", "b"), remove("b"))).toEqual([["deleted", "a"]])
    expect(kinds(move("a", "b"), write("a", "", false), remove("b"))).toEqual([["modified", "a"]])
    expect(kinds(write("b", "", true), write("c", "", true), move("a", "b"))).toEqual([
      ["modified", "c"],
      ["moved", "b", "a"]
    ])
    expect(kinds(remove("a"), write("a", "", false))).toEqual([["modified", "a"]])
    expect(kinds(write("a", "", false), remove("a"))).toEqual([["deleted", "a"]])
  })

  it("reads a result", () => {
    const events = captured("edit.jsonl")
    const result = new RunResult.RunResult({
      runId: "run-1",
      answer: "",
      text: "",
      events,
      usage: TokenUsage.empty,
      cost: 0,
      steps: 1,
      finishReason: "stop",
      forced: false,
      stderr: "",
      attempts: 1,
      duration: Duration.millis(1)
    })
    expect(result.filesChanged).toEqual(RunResult.filesChanged(events))
  })
})

describe("unifiedDiff", () => {
  it("joins the patches of completed calls", () => {
    expect(RunResult.unifiedDiff([])).toBe("")
    expect(RunResult.unifiedDiff(captured("write.jsonl"))).toBe("")
    const wires = captured("apply-patch.jsonl").filter(({ status }) => status === "completed")
    const expected = wires.map(({ metadata }) =>
      (metadata as { readonly files: ReadonlyArray<{ readonly patch: string }> }).files.map(({ patch }) => patch).join(
        ""
      )
    ).join("")
    expect(RunResult.unifiedDiff(captured("apply-patch.jsonl"))).toBe(expected)
    expect(RunResult.unifiedDiff([...captured("edit.jsonl"), ...captured("others.jsonl")]).match(/^@@ .*/gm)).toEqual([
      "@@ -1,2 +1,2 @@",
      "@@ -1,2 +1,3 @@",
      "@@ -0,0 +1,1 @@"
    ])
  })
})
