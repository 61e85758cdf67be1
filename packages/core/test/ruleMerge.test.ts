import { describe, expect, it } from "@effect/vitest"
import { Permission, RunConfig } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as configContent from "../src/internal/opencode/configContent.js"
import * as ruleMerge from "../src/internal/opencode/ruleMerge.js"
import * as permissionOrder from "../src/internal/opencode/v1/permissionOrder.js"
import * as wildcard from "../src/internal/opencode/wildcard.js"

type Rule = readonly [permission: string, pattern: string, action: unknown]

/** OpenCode's reading of rules (1.18.33). */
const flat = (rules: unknown): ReadonlyArray<Rule> =>
  Object.entries(typeof rules === "string" ? { "*": rules } : rules as object).flatMap(([name, rule]) =>
    typeof rule === "string"
      ? [[name, "*", rule] as const]
      : Object.entries(rule as object).map(([pattern, action]) => [name, pattern, action] as const)
  )

/** OpenCode's decision: the last matching rule. */
const decide = (rules: ReadonlyArray<Rule>, name: string, text: string): unknown =>
  rules.filter(([permission, pattern]) => wildcard.matches(permission, name) && wildcard.matches(pattern, text)).at(-1)
    ?.[2]

const names = ["bash", "bash_x", "edit", "read", "db_get", "db_set", "other"]
const texts = ["git status", "git push", "rm x", "git", ""]
const everything = names.flatMap((name) => texts.map((text) => [name, text] as const))

/** What rules decide about everything, or about a part of it. */
const decisions = (rules: ReadonlyArray<Rule>, about = everything) =>
  about.map(([name, text]) => `${name} ${text}: ${String(decide(rules, name, text))}`)

const action = fc.constantFrom("allow" as const, "deny" as const)

const record = <A>(key: fc.Arbitrary<string>, value: fc.Arbitrary<A>, maxLength: number) =>
  fc.uniqueArray(fc.tuple(key, value), { selector: ([key]) => key, maxLength }).map((entries) =>
    Object.fromEntries(entries)
  )

const rule: fc.Arbitrary<Permission.Rules> = fc.oneof(
  { weight: 2, arbitrary: action },
  record(fc.constantFrom("*", "git *", "git status", "rm *", "git p*"), action, 4)
)

const rules: fc.Arbitrary<Permission.Rules> = fc.oneof(
  { weight: 1, arbitrary: action },
  { weight: 6, arbitrary: record(fc.constantFrom(...names, "*", "db_*", "b*", "*_x"), rule, 5) }
)

describe("rules of several layers", () => {
  const cases: ReadonlyArray<readonly [outer: unknown, inner: unknown, merged: unknown]> = [
    ["deny", { "host_*": "allow" }, { "*": "deny", "host_*": "allow" }],
    [{ "*": "deny" }, { bash: "allow" }, { "*": "deny", bash: "allow" }],
    [{ bash: "allow" }, "deny", "deny"],
    [{ bash: "allow" }, { "*": "deny" }, { bash: "allow", "*": "deny" }],
    [{ bash: "deny" }, { "*": "allow" }, { bash: "deny", "*": "allow" }],
    [{ bash: "deny" }, { bash: { "git *": "allow" } }, { bash: { "*": "deny", "git *": "allow" } }],
    [{ bash: { "git *": "allow" } }, { bash: "deny" }, { bash: "deny" }],
    [{ bash: { "*": "deny", "git *": "allow" } }, { bash: { "*": "deny" } }, { bash: { "*": "deny" } }],
    [{ bash: "deny", "*": "allow" }, { bash: "deny" }, { "*": "allow", bash: "deny" }],
    [{ edit: "allow" }, {}, { edit: "allow" }],
    [{}, { edit: "allow" }, { edit: "allow" }],
    [undefined, "deny", "deny"],
    ["deny", undefined, "deny"],
    [
      { bash: { "rm *": "allow" }, "*": "deny" },
      { bash: { "git *": "allow" } },
      { "*": "deny", bash: { "*": "deny", "git *": "allow" } }
    ]
  ]

  for (const [outer, inner, merged] of cases) {
    it(`${JSON.stringify(outer)}, then ${JSON.stringify(inner)}`, () => {
      expect(JSON.stringify(ruleMerge.rules(outer, inner))).toBe(JSON.stringify(merged))
    })
  }

  it.prop("are decided by the inner layer, else by the outer one", { outer: rules, inner: rules }, ({
    inner,
    outer
  }) => {
    const merged = flat(ruleMerge.rules(outer, inner))
    const both = [...flat(outer), ...flat(inner)]
    expect(decisions(merged)).toEqual(decisions(both))
  }, { fastCheck: { numRuns: 1000 } })

  it.prop("open nothing else when one name or pattern is allowed", {
    outer: rules,
    name: fc.constantFrom(...names),
    patterns: fc.oneof(fc.constant(undefined), fc.constantFrom("git status", "git *"))
  }, ({ name, outer, patterns }) => {
    const inner: Permission.Rules = { [name]: patterns === undefined ? "allow" : { [patterns]: "allow" } }
    const before = flat(outer)
    const config = RunConfig.merge({ permission: outer }, { permission: inner })
    for (
      const after of [
        flat(config.permission),
        flat(configContent.permissionOf({ configOverrides: { permission: outer }, permission: inner }))
      ]
    ) {
      const others = everything.filter(([other, text]) => other !== name || !wildcard.matches(patterns ?? "*", text))
      expect(decisions(after, others)).toEqual(decisions(before, others))
    }
  }, { fastCheck: { numRuns: 1000 } })

  it("are merged wherever rules can be", () => {
    const outer = {
      permission: "deny",
      agent: { a: { permission: "deny" } },
      mode: { m: { permission: { bash: "deny" } } }
    }
    const inner = {
      permission: { read: "allow" },
      agent: { a: { permission: { read: "allow" } } },
      mode: { m: { permission: "allow" } }
    }
    expect(RunConfig.merge({ configOverrides: outer }, { configOverrides: inner }).configOverrides).toEqual({
      permission: { "*": "deny", read: "allow" },
      agent: { a: { permission: { "*": "deny", read: "allow" } } },
      mode: { m: { permission: "allow" } }
    })
    expect(RunConfig.configContent({ configOverrides: { permission: "deny" }, permission: { bash: "allow" } })).toEqual(
      {
        permission: { "*": "deny", bash: "allow" }
      }
    )
  })
})

describe("ordered rules over those of OpenCode's files", () => {
  /** Names whose decision by our rules does not depend on which of two patterns is the wider one. */
  const plain: fc.Arbitrary<Permission.Rules> = fc.oneof(
    { weight: 1, arbitrary: action },
    { weight: 6, arbitrary: record(fc.constantFrom(...names, "*", "db_*", "b*"), rule, 5) }
  )

  const over = (files: Permission.Rules, ours: Permission.Rules) =>
    flat(
      configContent.deep(
        typeof files === "string" ? { "*": files } : files,
        permissionOrder.ordered(ours) as object as never
      )
    )

  it.prop("keep their decision over any files if they cover everything", {
    files: rules,
    ours: plain,
    rest: action
  }, ({ files, ours, rest }) => {
    const whole = ruleMerge.rules(rest, ours) as Permission.Rules
    const told = over(files, whole)
    expect(decisions(told)).toEqual(decisions(flat(whole)))
  }, { fastCheck: { numRuns: 1000 } })

  it.prop("never allow what they deny", { files: rules, ours: rules, rest: action }, ({ files, ours, rest }) => {
    const whole = ruleMerge.rules(rest, ours) as Permission.Rules
    const told = over(files, whole)
    const denied = everything.filter(([name, text]) => decide(flat(whole), name, text) === "deny")
    expect(decisions(told, denied)).toEqual(decisions(flat(whole), denied))
  }, { fastCheck: { numRuns: 1000 } })

  it.prop(
    "deny what they deny by name",
    { files: rules, denied: fc.subarray(names) },
    ({ denied, files }) => {
      const ours = Object.fromEntries(denied.map((name) => [name, "deny" as const]))
      const told = over(files, ours)
      const about = everything.filter(([name]) => denied.includes(name))
      expect(decisions(told, about)).toEqual(about.map(([name, text]) => `${name} ${text}: deny`))
    },
    { fastCheck: { numRuns: 500 } }
  )

  it("hold for the profiles", () => {
    const open = {
      "*": "allow",
      ...Object.fromEntries(Permission.names.map((name) => [name, { "*": "allow" }])),
      host: "allow"
    }
    const profiles = [Permission.denyAll, Permission.readOnly, Permission.make({ bash: { "git *": "allow" } })]
    for (const profile of profiles) {
      const told = over(open as Permission.Rules, profile)
      for (const name of [...Permission.names, "host", "bash_x", "reader"]) {
        for (const text of [...texts, ".env", "*"]) {
          expect([name, text, decide(told, name, text)]).toEqual([name, text, decide(flat(profile), name, text)])
        }
      }
    }
  })
})
