import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Schema } from "effect"
import * as guard from "../src/internal/guard.js"

const nullish = <A>(schema: Schema.Schema<A>) => Schema.optional(Schema.NullOr(schema))

/** Everything that the compiler knows, and a field that it does not know. */
const schema = Schema.Struct({
  type: Schema.Literal("a", "b", 3),
  text: Schema.String,
  flag: Schema.UndefinedOr(Schema.Boolean),
  whatever: Schema.Unknown,
  count: nullish(Schema.Number),
  exact: Schema.optionalWith(Schema.Number, { exact: true }),
  date: nullish(Schema.DateFromSelf),
  names: Schema.optional(Schema.Array(Schema.String)),
  inner: nullish(Schema.Struct({ read: nullish(Schema.Number), deep: Schema.Struct({ name: Schema.String }) }))
})

const anything = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, "a", "b", 3, "", 0, true, false, NaN, [], {}, ["x"], [1]),
  fc.date(),
  fc.record(
    {
      read: fc.constantFrom<unknown>(1, null, undefined, "1"),
      deep: fc.constantFrom<unknown>({ name: "x" }, { name: 1 }, {}, null)
    },
    { requiredKeys: [] }
  )
)

const values = fc.record(
  Object.fromEntries(Object.keys(schema.fields).map((name) => [name, fc.oneof(valueOf(name), anything)])),
  { requiredKeys: [] }
)

/** Something that fits, so that not every record fails at its first field. */
function valueOf(name: string): fc.Arbitrary<unknown> {
  return fc.constant({ type: "a", text: "x", flag: true, count: 1, exact: 1, names: ["x"] }[name])
}

describe("guard", () => {
  const isOurs = guard.make(schema)
  const isTheirs = Schema.is(schema)

  it.prop("says what Schema.is says", { value: fc.oneof(values, anything) }, ({ value }) => {
    expect(isOurs(value)).toBe(isTheirs(value))
  }, { fastCheck: { numRuns: 5000 } })

  it("says yes to what fits, unknown fields and all", () => {
    const fitting = { type: "b", text: "", flag: undefined, whatever: 1, new: 1 }
    for (const more of [{}, { count: null }, { inner: { deep: { name: "x", more: 1 } } }, { date: new Date(0) }]) {
      expect(isOurs({ ...fitting, ...more })).toBe(true)
    }
    expect(isOurs({ ...fitting, inner: { deep: {} } })).toBe(false)
    expect(isOurs({ type: "b", text: "", flag: undefined })).toBe(false)
  })
})
