import { describe, expect, it } from "@effect/vitest"
import { Permission } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"

const problem = (rules: unknown): Permission.Problem => {
  const found = Permission.check(rules)
  if (found === undefined) throw new Error("a problem was expected")
  return found
}

describe("Permission", () => {
  describe("check", () => {
    it("accepts allow and deny at any depth", () => {
      for (
        const rules of [
          "allow",
          "deny",
          {},
          { edit: "allow", bash: "deny" },
          { edit: {}, bash: { "*": "deny", "git log*": "allow" } },
          { external_directory: { "/tmp/**": "allow" }, webfetch: "deny" },
          { a: { b: { c: "allow" } } }
        ]
      ) {
        expect(Permission.check(rules)).toBeUndefined()
      }
    })

    it("refuses ask with the dotted path and the values to write instead", () => {
      expect(problem({ edit: { "*.py": "ask" } }).path).toBe("edit.*.py")
      expect(problem({ edit: "allow", bash: { "*": "allow", "rm *": "ask" } }).path).toBe("bash.rm *")
      expect(problem({ a: { b: { c: "ask" } } }).path).toBe("a.b.c")
      expect(problem("ask").path).toBe("")
      for (const rules of ["ask", { edit: "ask" }]) {
        expect(problem(rules).reason).toContain("ask")
        expect(problem(rules).reason).toContain("\"allow\" or \"deny\"")
      }
    })

    it("refuses other values with the path and the allowed values, without the value", () => {
      for (const value of ["canary-maybe", "Allow", "", 5, true, null, undefined, ["allow"]]) {
        const found = problem({ webfetch: "deny", bash: { "*": value } })
        expect(found.path).toBe("bash.*")
        expect(found.reason).toContain("\"allow\" or \"deny\"")
        expect(found.reason).not.toContain("canary")
      }
    })

    it("names the first of several mistakes", () => {
      expect(problem({ edit: "allow", bash: "ask", read: "maybe" }).path).toBe("bash")
    })

    it("checks a rule called __proto__", () => {
      expect(problem(JSON.parse("{\"__proto__\":{\"x\":\"ask\"}}")).path).toBe("__proto__.x")
    })
  })

  describe("profiles", () => {
    const { allowAll, denyAll, make, names, readOnly } = Permission

    it("name every class of action, so that nothing asks", () => {
      for (const profile of [allowAll, denyAll, readOnly, make({}), make({ bash: "allow" })]) {
        expect(Permission.check(profile)).toBeUndefined()
        expect(Object.keys(profile)).toEqual(expect.arrayContaining(["*", ...names]))
        // The last matching rule decides, so the one for everything has to come first.
        expect(Object.keys(profile)[0]).toBe("*")
      }
    })

    it("deny all or allow all except what needs a person", () => {
      expect(new Set(Object.values(denyAll))).toEqual(new Set(["deny"]))
      const denied = Object.entries(allowAll).filter(([, rule]) => rule === "deny").map(([name]) => name)
      expect(denied.sort()).toEqual(["plan_enter", "plan_exit", "question"])
    })

    it("allow only reading with readOnly", () => {
      const open = Object.entries(readOnly).filter(([, rule]) => rule !== "deny").map(([name]) => name)
      expect(open.sort()).toEqual(["glob", "grep", "list", "lsp", "read", "todowrite"])
      expect(readOnly["read"]).toEqual({ "*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow" })
    })

    it("are closed by default with make, patterns included", () => {
      expect(make({})).toEqual(denyAll)
      const profile = make({ read: "allow", bash: { "git log*": "allow" }, edit: { "*": "allow", "*.md": "deny" } })
      expect(profile).toMatchObject({ "*": "deny", read: "allow", write: "deny", task: "deny" })
      expect(Object.entries(profile["bash"]!)).toEqual([["*", "deny"], ["git log*", "allow"]])
      expect(profile["edit"]).toEqual({ "*": "allow", "*.md": "deny" })
    })
  })

  const action = fc.constantFrom("allow" as const, "deny" as const)
  const rules: fc.Arbitrary<Permission.Rules> = fc.letrec<{ rules: Permission.Rules }>((tie) => ({
    rules: fc.oneof({ maxDepth: 3 }, action, fc.dictionary(fc.string(), tie("rules"), { maxKeys: 3 }))
  })).rules

  it.prop("check and the Schema agree, and the Schema keeps rules as they are", { rules }, ({ rules }) => {
    expect(Permission.check(rules)).toBeUndefined()
    expect(Schema.is(Permission.Rules)(rules)).toBe(true)
  })

  it.prop("finds one bad leaf anywhere by its path", {
    rules,
    path: fc.array(fc.stringMatching(/^[a-z*]{1,6}$/), { minLength: 1, maxLength: 4 }),
    bad: fc.constantFrom("ask", "maybe", 1, null)
  }, ({ bad, path, rules }) => {
    const leaf = path.reduceRight<unknown>((value, name) => ({ [name]: value }), bad)
    const whole = { ...(typeof rules === "string" ? {} : rules), ...(leaf as object) }
    expect(problem(whole).path).toBe(path.join("."))
    expect(Schema.is(Permission.Rules)(whole)).toBe(false)
  })
})
