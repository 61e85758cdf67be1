import { describe, expect, it } from "@effect/vitest"
import { RunConfig } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as configContent from "../src/internal/opencode/configContent.js"
import * as permissionOrder from "../src/internal/opencode/v1/permissionOrder.js"
import * as arbitraries from "./support/arbitraries.js"

const freeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze)
    Object.freeze(value)
  }
  return value
}

const own = (object: object, key: string): unknown => Object.getOwnPropertyDescriptor(object, key)?.value

type Plain = { readonly [key: string]: unknown }

const isPlain = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value)

/** OpenCode's decision: the last matching rule. */
const decide = (rules: Plain, name: string): unknown => {
  const pattern = (key: string) =>
    new RegExp(`^${key.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "s")
  return Object.entries(rules).filter(([key]) => pattern(key).test(name)).at(-1)?.[1]
}

/** Objects whose key decides whether its value is an object, so that shapes always agree. */
const shaped = (depth: number): fc.Arbitrary<Plain> =>
  fc.record({
    leaves: fc.array(
      fc.tuple(
        fc.constantFrom("l1", "l2", "__proto__", "constructor"),
        fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.array(fc.integer()))
      ),
      { maxLength: 3 }
    ),
    inner: depth === 0
      ? fc.constant([])
      : fc.array(fc.tuple(fc.constantFrom("o1", "o2"), shaped(depth - 1)), { maxLength: 2 })
  }).map(({ inner, leaves }): Plain => Object.fromEntries<unknown>([...leaves, ...inner]))

describe("merge", () => {
  it("adds up lists of plugins, and replaces other lists", () => {
    const outer = { configOverrides: { plugin: ["a", "b"], instructions: ["x"] } }
    const inner = { configOverrides: { plugin: ["b", "c"], instructions: ["y"] } }
    expect(RunConfig.merge(outer, inner).configOverrides).toEqual({ plugin: ["a", "b", "c"], instructions: ["y"] })
  })

  describe("deep", () => {
    it("merges objects key by key and replaces anything else", () => {
      expect(configContent.deep(
        { a: 1, b: { c: 2, d: [1, 2] }, e: { f: 1 }, g: "x" },
        { a: 2, b: { d: [3], h: null }, e: "leaf", g: { i: 1 } }
      )).toEqual({ a: 2, b: { c: 2, d: [3], h: null }, e: "leaf", g: { i: 1 } })
    })

    it.prop("has the empty object as neutral element, on both sides", { a: arbitraries.jsonObject }, ({ a }) => {
      expect(configContent.deep(a, {})).toEqual(a)
      expect(configContent.deep({}, a)).toEqual(a)
    })

    it.prop("is idempotent", { a: arbitraries.jsonObject }, ({ a }) => {
      expect(configContent.deep(a, a)).toEqual(a)
    })

    it.prop("is associative if shapes agree", {
      a: shaped(3),
      b: shaped(3),
      c: shaped(3)
    }, ({ a, b, c }) => {
      expect(configContent.deep(configContent.deep(a, b), c)).toEqual(configContent.deep(a, configContent.deep(b, c)))
    }, { fastCheck: { numRuns: 300 } })

    it("lets a leaf between two objects erase the values below", () => {
      expect(configContent.deep(configContent.deep({ a: { x: 1 } }, { a: "leaf" }), { a: { y: 2 } })).toEqual({
        a: { y: 2 }
      })
    })

    it.prop("keeps every leaf of the right side, and those of the left that the right lacks", {
      a: arbitraries.jsonObject,
      b: arbitraries.jsonObject
    }, ({ a, b }) => {
      const check = (merged: Plain, left: Plain, right: Plain): void => {
        expect(new Set(Object.keys(merged))).toEqual(new Set([...Object.keys(left), ...Object.keys(right)]))
        for (const key of Object.keys(merged)) {
          const value = own(merged, key)
          const [below, above] = [own(left, key), own(right, key)]
          if (!Object.hasOwn(right, key)) expect(value).toEqual(below)
          else if (isPlain(below) && isPlain(above)) check(value as Plain, below, above)
          else expect(value).toEqual(above)
        }
      }
      check(configContent.deep(a, b), a, b)
    }, { fastCheck: { numRuns: 300 } })

    it.prop("changes neither side", { a: arbitraries.jsonObject, b: arbitraries.jsonObject }, ({ a, b }) => {
      const before = JSON.stringify([a, b])
      configContent.deep(freeze(a), freeze(b))
      expect(JSON.stringify([a, b])).toBe(before)
    })

    it("adds a key called __proto__ like any other", () => {
      const evil = JSON.parse("{\"__proto__\":{\"polluted\":true},\"constructor\":{\"prototype\":{\"polluted\":true}}}")
      for (
        const merged of [
          configContent.deep({ a: 1 }, evil),
          configContent.deep(evil, { a: 1 }),
          configContent.deep(evil, evil)
        ]
      ) {
        expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
        expect(own(merged, "__proto__")).toEqual({ polluted: true })
        expect((merged as { polluted?: unknown }).polluted).toBeUndefined()
      }
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    })

    it("replaces anything but plain objects as a whole", () => {
      const secret = Redacted.make("s")
      expect(configContent.deep({ key: { a: 1 } }, { key: secret })["key"]).toBe(secret)
      expect(configContent.deep({ key: secret }, { key: { a: 1 } })).toEqual({ key: { a: 1 } })
    })
  })

  describe("configContent", () => {
    it("is undefined without configuration", () => {
      expect(RunConfig.configContent({})).toBeUndefined()
      expect(RunConfig.configContent({ model: "a/b", extraEnv: { A: "1" }, files: ["x"] })).toBeUndefined()
    })

    it("is an object as soon as one part is given, even an empty one", () => {
      expect(RunConfig.configContent({ configOverrides: {} })).toEqual({})
      expect(RunConfig.configContent({ permission: {} })).toEqual({ permission: {} })
    })

    it("merges permission, mcp and tools over the overrides, recursively", () => {
      expect(RunConfig.configContent({
        configOverrides: {
          theme: "x",
          permission: { edit: "allow", bash: { "*": "allow", "rm *": "allow" } },
          mcp: { one: { type: "local", enabled: true } },
          tools: { bash: true, edit: true }
        },
        permission: { bash: { "rm *": "deny" }, external_directory: { "/tmp/*": "allow" } },
        mcp: { one: { enabled: false }, two: { type: "remote" } },
        tools: { bash: false }
      })).toEqual({
        theme: "x",
        permission: {
          edit: "allow",
          bash: { "*": "allow", "rm *": "deny" },
          external_directory: { "/tmp/*": "allow" }
        },
        mcp: { one: { type: "local", enabled: false }, two: { type: "remote" } },
        tools: { bash: false, edit: true }
      })
    })

    it("turns one action for everything into a rule for everything", () => {
      const content = (below: unknown, permission: "deny" | { readonly edit: "deny" }) =>
        RunConfig.configContent({ configOverrides: { permission: below }, permission })
      expect(content({ edit: "allow" }, "deny")).toEqual({ permission: "deny" })
      expect(content("allow", { edit: "deny" })).toEqual({ permission: { "*": "allow", edit: "deny" } })
    })

    it("keeps the order of patterns: the last match decides", () => {
      const content = RunConfig.configContent({
        permission: { bash: { "*": "deny", "git *": "allow", "git push*": "deny" } }
      })
      expect(JSON.stringify(content)).toBe(
        "{\"permission\":{\"bash\":{\"*\":\"deny\",\"git *\":\"allow\",\"git push*\":\"deny\"}}}"
      )
    })

    it("replaces instructions: several, one, a glob, none", () => {
      const configOverrides = { instructions: ["old.md"], theme: "x" }
      for (const instructions of [["a.md", "b.md"], ["a.md"], ["docs/**/*.md"], []]) {
        expect(RunConfig.configContent({ configOverrides, instructions })).toEqual({ theme: "x", instructions })
        expect(RunConfig.configContent({ instructions })).toEqual({ instructions })
      }
      expect(RunConfig.configContent({ configOverrides })).toEqual(configOverrides)
    })

    it("neither changes nor shares the caller's objects", () => {
      const config = freeze({
        configOverrides: { permission: { bash: { "*": "allow" } }, instructions: ["old.md"] },
        permission: { bash: { "rm *": "deny" as const } },
        mcp: { one: { enabled: true } },
        tools: { bash: false },
        instructions: ["new.md"]
      })
      const before = JSON.stringify(config)
      const content = RunConfig.configContent(config)
      expect(JSON.stringify(config)).toBe(before)
      expect(content?.["instructions"]).not.toBe(config.instructions)
    })
  })

  describe("asTold", () => {
    type Flat = { readonly [key: string]: "allow" | "deny" }

    const told = (permission: unknown): Plain => permissionOrder.ordered(permission) as Plain

    const builtIn = ["bash", "edit", "read", "webfetch"]
    const foreign = ["db_get", "db_set", "tool_1", "tool_2", "tool_3"]
    const key = fc.constantFrom(...builtIn, ...foreign, "*", "db_*", "tool_*", "b*")
    const rules: fc.Arbitrary<Flat> = fc.uniqueArray(
      fc.tuple(key, fc.constantFrom("allow" as const, "deny" as const)),
      { selector: ([key]) => key, maxLength: 8 }
    ).map((entries) => Object.fromEntries(entries))

    it.prop("never allows what the rules deny", { rules }, ({ rules }) => {
      for (const name of [...builtIn, ...foreign, "other"]) {
        if (decide(rules, name) === "deny") expect(decide(told(rules), name)).toBe("deny")
      }
    }, { fastCheck: { numRuns: 1000 } })

    it.prop("decides every named and every built-in tool as the rules do", { rules }, ({ rules }) => {
      for (const name of [...builtIn, ...Object.keys(rules).filter((key) => !key.includes("*"))]) {
        expect(decide(told(rules), name)).toBe(decide(rules, name))
      }
    }, { fastCheck: { numRuns: 1000 } })

    it.prop("decides built-in tools as the rules do despite a config file", {
      file: rules,
      own: fc.dictionary(fc.constantFrom(...builtIn), fc.constantFrom("allow" as const, "deny" as const)),
      star: fc.constantFrom("allow" as const, "deny" as const)
    }, ({ file, own, star }) => {
      const ours = { "*": star, ...own }
      for (const name of Object.keys(own)) {
        expect(decide(configContent.deep(file, told(ours)), name)).toBe(decide(ours, name))
      }
    }, { fastCheck: { numRuns: 500 } })

    it("does not open other tools by the name of one", () => {
      expect(decide(told({ "*": "deny", "tool_1": "allow" }), "tool_2")).toBe("deny")
      expect(decide(told({ "*": "allow", "tool_1": "deny", "tool_2": "allow" }), "tool_1")).toBe("deny")
      expect(decide(told({ "*": "allow", "tool_1": "deny", "tool_2": "allow" }), "tool_2")).toBe("allow")
    })

    it("does not put a pattern after an exception to it", () => {
      const bash = (rules: Flat, command: string) => decide(told({ bash: rules })["bash"] as Plain, command)
      expect(bash({ "*": "allow", "git *": "allow", "git push": "deny" }, "git push")).toBe("deny")
      expect(bash({ "*": "deny", "git *": "deny", "git status": "allow" }, "git status")).toBe("allow")
      expect(bash({ "*": "deny", "git *": "allow", "git push*": "deny" }, "git push -f")).toBe("deny")
      expect(bash({ "*": "deny", "git *": "allow", "git push*": "deny" }, "git log")).toBe("allow")
    })

    it("turns one action for everything into a rule for everything and keeps other configuration", () => {
      expect(told("deny")).toEqual({ "*": "deny", "**": "deny" })
      expect(permissionOrder.asTold({ permission: "deny", theme: "x" }, "other")).toEqual({
        permission: "deny",
        theme: "x"
      })
      for (const content of [{ theme: "x" }, { permission: {}, agent: { x: {} } }]) {
        expect(permissionOrder.asTold(content, undefined)).toBe(content)
      }
    })
  })

  describe("asTold, with rules of an agent", () => {
    const rules = { bash: "deny" }
    const said = { bash: "deny", "bas?": "deny" }
    const working = { name: "build", mode: "primary", disable: false, hidden: false, permission: said }

    it("uses build if no agent is named", () => {
      expect(permissionOrder.agentOf({ permission: rules as never })).toBe("build")
      expect(permissionOrder.agentOf({ configOverrides: { permission: "deny" } })).toBe("build")
      expect(permissionOrder.agentOf({ permission: "deny", agent: "plan" })).toBe("plan")
      for (const configOverrides of [{ default_agent: "plan" }, { agent: { build: { disable: true } } }]) {
        expect(permissionOrder.agentOf({ permission: "deny", configOverrides })).toBeUndefined()
      }
      expect(permissionOrder.agentOf({ permission: {} })).toBeUndefined()
      expect(permissionOrder.agentOf({})).toBeUndefined()
      expect(permissionOrder.asTold({ permission: rules, agent: { build: { model: "a/b" }, x: {} } }, "build")).toEqual(
        {
          permission: rules,
          agent: { build: { ...working, model: "a/b" }, x: { name: "x", permission: said } }
        }
      )
    })

    it("adds the rules under the name of a native agent", () => {
      expect(permissionOrder.asTold({ permission: rules }, "build")).toEqual({
        permission: rules,
        agent: { build: working }
      })
      for (const [content, agent] of [[{}, "plan"], [{ default_agent: "plan" }, undefined]] as const) {
        expect(permissionOrder.asTold({ ...content, permission: rules }, agent)).toEqual({
          ...content,
          permission: rules,
          agent: { plan: { name: "plan", permission: said } }
        })
      }
    })

    it("adds the rules under every defined agent and creates no agent that may not exist", () => {
      expect(permissionOrder.asTold({ permission: rules }, "nope")).toEqual({ permission: rules })
      expect(permissionOrder.asTold({ permission: rules }, "one", { defined: ["one"], modes: ["two"] })).toEqual({
        permission: rules,
        agent: { one: { name: "one", permission: said }, two: { name: "two", permission: said } },
        mode: { two: { permission: said } }
      })
    })

    it("merges the program's own rules for an agent over them", () => {
      const own = { permission: { "*": "deny", read: "allow" }, agent: { build: { permission: { bash: "allow" } } } }
      const { agent } = permissionOrder.asTold(own, "build") as { agent: Plain }
      const build = (agent["build"] as Plain)["permission"] as Plain
      expect(["read", "bash", "edit"].map((name) => decide(build, name))).toEqual(["allow", "allow", "deny"])
    })

    it("overrides an inherited OPENCODE_PERMISSION", () => {
      expect(permissionOrder.variables({})).toEqual({})
      expect(permissionOrder.variables({ permission: {} })).toEqual({})
      const variables = { OPENCODE_PERMISSION: JSON.stringify(said) }
      expect(permissionOrder.variables({ permission: { bash: "deny" } })).toEqual(variables)
      expect(permissionOrder.variables({ configOverrides: { permission: { bash: "deny" } } })).toEqual(variables)
    })
  })

  describe("RunConfig.merge", () => {
    const config: fc.Arbitrary<RunConfig.RunConfig> = fc.record({
      model: fc.string(),
      fork: fc.boolean(),
      files: fc.array(fc.string()),
      instructions: fc.array(fc.string()),
      extraEnv: fc.dictionary(fc.constantFrom("A", "B"), fc.string()),
      permission: fc.dictionary(fc.constantFrom("edit", "bash"), fc.constantFrom("allow" as const, "deny" as const)),
      tools: fc.dictionary(fc.constantFrom("a", "b"), fc.boolean()),
      mcp: fc.dictionary(fc.constantFrom("a", "b"), fc.dictionary(fc.constantFrom("x", "y"), fc.integer())),
      configOverrides: fc.dictionary(fc.constantFrom("a", "b"), fc.integer())
    }, { requiredKeys: [] })

    it.prop("has the empty configuration as neutral element, on both sides", { config }, ({ config }) => {
      expect(RunConfig.merge(config, RunConfig.empty)).toEqual(config)
      expect(RunConfig.merge(RunConfig.empty, config)).toEqual(config)
    })

    it.prop("is associative", { a: config, b: config, c: config }, ({ a, b, c }) => {
      expect(RunConfig.merge(RunConfig.merge(a, b), c)).toEqual(RunConfig.merge(a, RunConfig.merge(b, c)))
    }, { fastCheck: { numRuns: 300 } })

    it.prop("changes neither side, and is the same data-first and data-last", { a: config, b: config }, ({ a, b }) => {
      expect(RunConfig.merge(b)(freeze(a))).toEqual(RunConfig.merge(a, freeze(b)))
    })

    it("merges the configuration objects recursively and replaces everything else", () => {
      expect(RunConfig.merge(
        {
          model: "a/b",
          agent: "plan",
          files: ["a"],
          instructions: ["x.md"],
          extraEnv: { A: "1", B: "1" },
          permission: { bash: { "*": "deny" } },
          configOverrides: { provider: { one: { key: 1 } } }
        },
        {
          model: "c/d",
          files: ["b"],
          instructions: [],
          extraEnv: { B: "2" },
          permission: { bash: { "ls*": "allow" } },
          configOverrides: { provider: { two: {} } }
        }
      )).toEqual({
        model: "c/d",
        agent: "plan",
        files: ["b"],
        instructions: [],
        extraEnv: { A: "1", B: "2" },
        permission: { bash: { "*": "deny", "ls*": "allow" } },
        configOverrides: { provider: { one: { key: 1 }, two: {} } }
      })
    })

    it("ignores an undefined field", () => {
      expect(RunConfig.merge({ model: "a/b" }, { model: undefined })).toEqual({ model: "a/b" })
    })

    it("replaces a secret as a whole", () => {
      const secret = RunConfig.secret("s")
      const merged = RunConfig.merge({ extraEnv: { KEY: RunConfig.secret("old") } }, {
        extraEnv: { KEY: secret },
        password: secret
      })
      expect(merged.extraEnv?.["KEY"]).toBe(secret)
      expect(merged.password).toBe(secret)
    })
  })
})
