import { describe, expect, it } from "@effect/vitest"
import { Permission } from "effect-opencode"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import type { Rule } from "../../src/internal/transport/server/protocol.js"
import * as rules from "../../src/internal/transport/server/rules.js"

const make = (permission: Permission.Rules | undefined, options: Partial<rules.Options> = {}) =>
  rules.make(permission, { home: "/home/user", ask: [], ...options })

const made = (permission: Permission.Rules | undefined, options?: Partial<rules.Options>) =>
  Either.getOrThrow(make(permission, options)).map(({ action, pattern, permission }) =>
    `${permission} ${pattern} ${action}`
  )

const closing = ["question * deny", "plan_enter * deny", "plan_exit * deny"]

/** OpenCode's decision: the last matching rule, and without one it asks (1.18.33). */
const decide = (all: ReadonlyArray<Rule>, permission: string, subject: string): Rule["action"] => {
  const fits = (pattern: string, text: string) =>
    new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".")}$`, "s").test(
      text
    )
  return all.filter((rule) => fits(rule.permission, permission) && fits(rule.pattern, subject)).at(-1)?.action ?? "ask"
}

describe("the rules of a session", () => {
  it("are those of a run in its order, and questions are denied", () => {
    expect(made(undefined)).toEqual(closing)
    expect(made("allow")).toEqual(["* * allow", ...closing])
    expect(made({ "*": "deny", read: "allow", bash: { "*": "deny", "git log*": "allow" } })).toEqual([
      "* * deny",
      "read * allow",
      "bash * deny",
      "bash git log* allow",
      ...closing
    ])
    expect(made({ question: "allow" }).at(-3)).toBe("question * deny")
  })

  it("contain the server's home directory, if it is known", () => {
    const permission = {
      external_directory: { "~/notes/*": "allow", "$HOME/x": "allow", "~": "deny", "~x": "deny" }
    } as const
    expect(made(permission).slice(0, 4)).toEqual([
      "external_directory /home/user/notes/* allow",
      "external_directory /home/user/x allow",
      "external_directory /home/user deny",
      "external_directory ~x deny"
    ])
    expect(make(permission, { home: undefined })).toMatchObject({
      _tag: "Left",
      left: { path: "permission.external_directory.~/notes/*" }
    })
  })

  it("are refused below a pattern", () => {
    expect(make({ bash: { git: { log: "allow" } } })).toMatchObject({
      _tag: "Left",
      left: { path: "permission.bash.git" }
    })
  })

  it("ask first and give way to the rules of a run", () => {
    expect(made({ bash: { "git *": "allow" } }, { ask: ["bash", "edit"] })).toEqual([
      "bash * ask",
      "edit * ask",
      "bash git * allow",
      "task * deny",
      ...closing
    ])
  })

  it("deny sub-agents when something is asked for, unless the run names them", () => {
    expect(made("allow", { ask: ["bash"] })).toContain("task * deny")
    expect(made({ "*": "allow" }, { ask: ["bash"] })).toContain("task * deny")
    expect(made({ task: "allow" }, { ask: ["bash"] })).not.toContain("task * deny")
    expect(made({ task: { general: "allow" } }, { ask: ["bash"] })).not.toContain("task * deny")
  })

  it("deny what a profile denies", () => {
    for (const name of Permission.names) {
      expect(decide(Either.getOrThrow(make(Permission.denyAll)), name, "anything")).toBe("deny")
      expect(decide(Either.getOrThrow(make(Permission.denyAll, { ask: ["*"] })), name, "anything")).toBe("deny")
    }
    expect(decide(Either.getOrThrow(make(Permission.denyAll)), "server_tool", "anything")).toBe("deny")
  })
})

const name = fc.constantFrom("*", "bash", "edit", "read", "task", "external_directory")
const pattern = fc.constantFrom("*", "git *", "rm *", "/etc/*")
const rule: fc.Arbitrary<Rule> = fc.record({
  permission: name,
  pattern,
  action: fc.constantFrom("allow" as const, "deny" as const, "ask" as const)
})
const some = fc.array(rule, { maxLength: 6 })

describe("the renewal of a session's rules", () => {
  it("is empty when they are the same already", () => {
    const wanted = Either.getOrThrow(make({ bash: "deny" }))
    expect(rules.renewal([], [], wanted)).toEqual(wanted)
    expect(rules.renewal(wanted, [], wanted)).toEqual([])
    const renewed = [...wanted, ...rules.renewal(wanted, [], [])]
    expect(rules.renewal(renewed, [], [])).toEqual([])
    // A looser rule before the same ones still applies.
    expect(rules.renewal([{ permission: "edit", pattern: "*", action: "allow" }, ...wanted], [], wanted)).not.toEqual(
      []
    )
  })

  it.prop(
    "cancels all earlier rules",
    {
      earlier: some,
      agent: some,
      wanted: some,
      permission: name,
      subject: fc.constantFrom("git log", "rm -rf /", "/etc/x")
    },
    ({ agent, earlier, permission, subject, wanted }) => {
      const after = [...earlier, ...rules.renewal(earlier, agent, wanted)]
      expect(decide([...agent, ...after], permission, subject)).toBe(decide([...agent, ...wanted], permission, subject))
    }
  )

  it("reads the valid rules only", () => {
    expect(rules.of({})).toEqual([])
    expect(rules.of({ permission: "allow" })).toEqual([])
    const good = { permission: "bash", pattern: "*", action: "deny" }
    expect(rules.of({ permission: [good, { permission: "bash" }, null, { ...good, action: "maybe" }] })).toEqual([good])
  })
})
