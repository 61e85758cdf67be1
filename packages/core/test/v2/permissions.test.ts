import { describe, expect, it } from "@effect/vitest"
import { Permission } from "effect-opencode"
import * as Either from "effect/Either"
import * as permissions from "../../src/internal/opencode/v2/permissions.js"

const rule = (action: string, effect: "allow" | "deny" | "ask", resource = "*") => ({ action, resource, effect })

const move = rule("opencode_session_move", "deny")

describe("rules of 2.x", () => {
  it("keep their order and get the names of 2.x", () => {
    expect(permissions.encode({ "*": "deny", bash: { "*": "deny", "git *": "allow" }, task: "deny", read: "allow" }))
      .toEqual([
        rule("*", "deny"),
        rule("shell", "deny"),
        rule("shell", "allow", "git *"),
        rule("subagent", "deny"),
        rule("read", "allow")
      ])
    expect(permissions.encode("deny")).toEqual([rule("*", "deny")])
    expect(permissions.encode(undefined)).toEqual([])
  })

  it("a pattern for a name of 1.x also means its name in 2.x", () => {
    expect(permissions.encode({ "ba*": "deny" })).toEqual([rule("ba*", "deny"), rule("shell", "deny")])
    expect(permissions.encode({ "*s*": "deny" })).toEqual([rule("*s*", "deny")])
  })

  it("`write` and `patch` never overrule `edit`, and stand for it alone", () => {
    const made = permissions.encode(Permission.make({ edit: "allow" }))
    expect(made.filter(({ action }) => action === "edit")).toEqual([rule("edit", "allow")])
    expect(made.some(({ action }) => action === "write" || action === "patch")).toBe(false)
    expect(permissions.encode({ write: "deny" })).toEqual([rule("edit", "deny")])
  })

  it("names that 2.x does not have are left out", () => {
    expect(permissions.encode({ todowrite: "allow", lsp: "allow", doom_loop: "deny", plan_exit: "deny" })).toEqual([])
  })

  it("those of a session come after the tools that are turned off, and nobody answers a question", () => {
    const made = permissions.forSession({
      tools: { bash: false, webfetch: true },
      permission: { read: { "~/x/*": "deny", "$HOME": "deny" } }
    }, "/home/me")
    expect(Either.getOrThrow(made)).toEqual([
      rule("shell", "deny"),
      rule("read", "deny", "/home/me/x/*"),
      rule("read", "deny", "/home/me"),
      move,
      rule("question", "deny")
    ])
  })

  it("close code that reaches the network without `webfetch`, and a move to another directory", () => {
    const added = (permission: Permission.Rules, tools?: Record<string, boolean>) =>
      Either.getOrThrow(permissions.forSession({ permission, ...(tools === undefined ? {} : { tools }) }, "/home"))
        .filter(({ action }) => action === "execute" || action === move.action)
    const code = rule("execute", "deny")
    expect(added({ bash: "deny" })).toEqual([move])
    expect(added("allow")).toEqual([move])
    for (
      const closed of [
        "deny",
        { webfetch: "deny" },
        { "*": "allow", webfetch: { "*": "deny", "https://a/*": "allow" } },
        { webfetch: { "https://a/*": "deny" } },
        { "web*": "deny", websearch: "allow" }
      ] as const
    ) {
      expect(added(closed)).toEqual([move, code])
    }
    expect(added({ bash: "allow" }, { webfetch: false })).toEqual([move, code])
    expect(added({ "*": "deny", webfetch: "allow" })).toEqual([move])
    expect(added({ webfetch: "deny", execute: "allow" })).toEqual([rule("execute", "allow"), move])
    expect(added({ "opencode_*": "allow" })).toEqual([])
  })

  it("are refused if a home directory is not known, or a pattern has rules of its own", () => {
    expect(Either.isLeft(permissions.forSession({ permission: { read: { "~/x": "deny" } } }, undefined))).toBe(true)
    expect(Either.isLeft(permissions.forSession({ permission: { read: { x: { y: "deny" } } } }, "/home"))).toBe(true)
  })

  it("directories outside are asked for where the version allows them by default", () => {
    const own = rule("external_directory", "allow", "/data/tool-output/*")
    const agent = (rules: ReadonlyArray<ReturnType<typeof rule>>) => ({
      id: "build",
      isSubagent: false,
      rules,
      model: undefined
    })
    // 2.0.24
    expect(permissions.baseline(agent([rule("*", "allow"), own]))).toEqual([rule("external_directory", "ask"), own])
    // 2.0.14
    expect(permissions.baseline(agent([rule("*", "allow"), rule("external_directory", "ask"), own]))).toEqual([])
    // A configuration file says so.
    expect(permissions.baseline(agent([rule("*", "allow"), rule("external_directory", "allow")]))).toEqual([])
  })
})
