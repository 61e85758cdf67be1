import { assert, describe, expect, it } from "@effect/vitest"
import { OpenCodeError, RunEvent, RunResult, StructuredOutput, TokenUsage } from "effect-opencode"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import { combine } from "../src/internal/opencode/combineResults.js"
import * as jsonCandidates from "../src/internal/opencode/jsonCandidates.js"
import { json } from "./support/arbitraries.js"

const Id = Schema.String.pipe(Schema.minLength(2), Schema.brand("Id"))

const Shape = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("circle"), radius: Schema.Int }),
  Schema.Struct({ kind: Schema.Literal("square"), side: Schema.Int, label: Schema.NullOr(Schema.String) })
)

const Report = Schema.Struct({
  id: Id,
  at: Schema.Date,
  note: Schema.optional(Schema.String),
  retries: Schema.optionalWith(Schema.Int, { default: () => 0 }),
  shape: Shape,
  tags: Schema.Array(Schema.String)
})

interface Tree {
  readonly name: string
  readonly at: Date
  readonly children: ReadonlyArray<Tree>
}
interface TreeEncoded {
  readonly name: string
  readonly at: string
  readonly children: ReadonlyArray<TreeEncoded>
}
const Tree: Schema.Schema<Tree, TreeEncoded> = Schema.Struct({
  name: Schema.String,
  at: Schema.Date,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree, TreeEncoded> => Tree))
}).annotations({ identifier: "Tree" })

class Finding extends Schema.Class<Finding>("Finding")({
  file: Schema.NonEmptyString,
  // JSON has no -0.
  line: Schema.NumberFromString.pipe(Schema.int()),
  found: Schema.Date
}) {}

const Ok = Schema.Struct({ ok: Schema.Boolean })
const decodeOk = StructuredOutput.decode(Ok)
const ok = (value: boolean) => Either.right({ ok: value })

const fence = (content: string, info = "json") => `\`\`\`${info}\n${content}\n\`\`\``

const problemOf = <A>(decoded: Either.Either<A, StructuredOutput.Problem>): StructuredOutput.Problem =>
  Either.getOrThrowWith(Either.flip(decoded), () => new Error("it decoded"))

describe("instruction", () => {
  const schemaIn = (text: string): Record<string, any> => {
    const found = jsonCandidates.candidates(text).map((candidate) => {
      try {
        return JSON.parse(candidate)
      } catch {
        return undefined
      }
    }).find((value) => value?.$schema !== undefined)
    return found
  }

  it("contains the JSON Schema of the encoded side", () => {
    const { properties, required, ...schema } = schemaIn(StructuredOutput.instruction(Report))
    assert.deepStrictEqual(required, ["id", "at", "shape", "tags"])
    assert.deepStrictEqual(properties.id.minLength, 2)
    assert.strictEqual(properties.shape.anyOf.length, 2)
    assert.strictEqual(properties.at.$ref, "#/$defs/Date")
    assert.strictEqual(schema["$defs"].Date.type, "string")
  })

  it("defines recursive schemas", () => {
    const schema = schemaIn(StructuredOutput.instruction(Tree))
    assert.strictEqual(schema.$ref, "#/$defs/Tree")
    assert.strictEqual(schema.$defs.Tree.properties.children.items.$ref, "#/$defs/Tree")
  })

  it("keeps the definitions of a Schema that is annotated with a JSON Schema", () => {
    const jsonSchema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "array",
      items: { $ref: "#/$defs/name" },
      $defs: { name: { type: "string" } }
    }
    const annotated = Schema.Unknown.pipe(Schema.filter(Array.isArray, { jsonSchema }))
    assert.deepStrictEqual(schemaIn(StructuredOutput.instruction(annotated)), jsonSchema)
  })

  it("asks for one fence marked json", () => {
    assert.include(StructuredOutput.instruction(Ok), "```json\n")
  })

  it("refuses schemas with requirements at compile time", () => {
    const effectful = Schema.String as Schema.Schema<string, string, "service">
    // @ts-expect-error its decoding needs a service
    assert.include(StructuredOutput.instruction(effectful), "string")
    // @ts-expect-error its decoding needs a service
    StructuredOutput.decode(effectful)
  })
})

describe("candidates", () => {
  const cases: ReadonlyArray<readonly [name: string, text: string, expected: ReadonlyArray<string>]> = [
    ["nothing", "", []],
    ["prose", "I am done.", []],
    ["the whole text", " {\"a\": \"```json\\n1\\n```\"}\n", ["{\"a\": \"```json\\n1\\n```\"}"]],
    ["a scalar as the whole text", "42", ["42"]],
    ["a string as the whole text", "\"a {b}\"", ["\"a {b}\""]],
    ["a fence", `Here:\n\n${fence("{\"a\":1}")}\nDone.`, ["{\"a\":1}"]],
    ["a scalar in a fence", `Here:\n${fence("true")}`, ["true"]],
    ["a fence with tildes", "Here:\n~~~json\n[1]\n~~~", ["[1]"]],
    ["a fence with a title and CRLF", "Here:\r\n```JSON title=x\r\n[1]\r\n```\r\n", ["[1]"]],
    ["an unclosed fence", "Here:\n```json\n[1]", ["[1]"]],
    ["a fence closed directly after the value", "Here:\n```json\n[1]```", ["[1]"]],
    ["a fence after text without a line feed", `I will look.${fence("[1]")}`, ["[1]"]],
    ["a fence on one line", "Here: ```json {\"a\": 1} ```", ["{\"a\": 1}"]],
    ["a fence in a list", "1. Here:\n   ```json\n   [1]\n   ```", ["[1]"]],
    [
      "several fences, the last first, json before others",
      [fence("[1]"), fence("[2]", ""), fence("[3]"), fence("[4]", "text"), "[5]"].join("\n"),
      ["[3]", "[1]", "[4]", "[2]", "[5]"]
    ],
    ["prose after a fence is outside of it", `${fence("[1]", "")}\n[2]\n${fence("[3]", "")}`, ["[3]", "[1]", "[2]"]],
    ["a fence in a fence", `x\n\`\`\`\`markdown\n# Title\n${fence("[1]")}\n\`\`\`\``, ["[1]"]],
    ["a fence in a fence of the same length", `x\n\`\`\`markdown\n# Title\n${fence("[1]")}\n\`\`\``, ["[1]"]],
    [
      "fences in strings",
      `x\n${fence("{\"a\": [\n\"```json\",\n\"```\",\n\"```\\n\"\n]}")}`,
      ["{\"a\": [\n\"```json\",\n\"```\",\n\"```\\n\"\n]}"]
    ],
    ["brackets in strings", "It is {\"a\": \"}{][ \\\" \\\\\"} now", ["{\"a\": \"}{][ \\\" \\\\\"}"]],
    ["prose with braces", "In {curly} and [square] things {{x}} [a](b): {\"a\": [1, {}]}!", ["{\"a\": [1, {}]}"]],
    ["braces around", "Use {{\"a\": 1}} or [ {\"b\": 2}", ["[ {\"b\": 2}", "{\"a\": 1}"]],
    ["an unmatched quote", "{\"oops {\"a\": 1}", ["{\"a\": 1}"]],
    ["prose, the last first", "{\"a\": 1} and {\"a\": 2}", ["{\"a\": 2}", "{\"a\": 1}"]],
    ["an incomplete value without its parts", "So: {\"a\": [{\"b\": 1}, {\"b\": 2}], \"c\": x}", [
      "{\"a\": [{\"b\": 1}, {\"b\": 2}], \"c\": x"
    ]],
    ["a broken fence", `x\n${fence("{\"a\": 1,}")}`, ["{\"a\": 1,}"]],
    ["two values in a fence", `x\n${fence("[1]\n[2]")}`, ["[1]\n[2]", "[2]", "[1]"]],
    ["a scalar as the last line", "The answer is\n\n**42**\n", ["42"]],
    ["no scalar inside a line", "The answer is 42", []],
    ["code", `x\n${fence("if (a) { return [b] }", "js")}`, []]
  ]
  for (const [name, text, expected] of cases) {
    it(name, () => assert.deepStrictEqual(jsonCandidates.candidates(text), expected))
  }

  it.prop("finds what JSON.parse accepts", [json, fc.nat(4)], ([value, indent]) => {
    const text = JSON.stringify(value, null, indent)
    assert.deepStrictEqual(jsonCandidates.candidates(text), [text])
    if (typeof value === "object" && value !== null) {
      assert.deepStrictEqual(jsonCandidates.candidates(`So: ${text}.`), [text])
    }
  })

  const syntax = fc.array(
    fc.oneof(
      fc.constantFrom("{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u00e9", "\\u0", " ", "\n", "\t", "\u0000"),
      fc.constantFrom("0", "-", "1", ".5", "e+3", "01", "true", "nul", "\"a\"", "\"a\":", "{}", "[]", "[1,"),
      fc.constantFrom("```", "```json\n", "\n```\n", "~~~", "*")
    ),
    { maxLength: 14 }
  ).map((parts) => parts.join(""))

  it.prop("accepts what JSON.parse accepts and nothing else", [syntax], ([text]) => {
    const parses = (candidate: string) => {
      try {
        JSON.parse(candidate)
        return true
      } catch {
        return false
      }
    }
    const trimmed = text.trim()
    const found = jsonCandidates.candidates(text)
    if (parses(trimmed)) assert.deepStrictEqual(found, [trimmed])
    for (const candidate of found) assert.include(text, candidate)
    assert.strictEqual(Either.isRight(StructuredOutput.decode(Schema.Unknown)(text)), found.some(parses))
    // A fence without a mark comes before prose, but only if it is JSON as a whole.
    if (!/[`~]/.test(trimmed)) {
      const [first] = jsonCandidates.candidates(`x\n${fence(trimmed, "")}\n\n[0, 0]`)
      assert.strictEqual(first, parses(trimmed) ? trimmed : "[0, 0]")
    }
  }, { fastCheck: { numRuns: 500 } })

  it.prop("never throws", [fc.string({ unit: "binary" })], ([text]) => {
    assert.isArray(jsonCandidates.candidates(text))
  })

  describe("takes linear time on 1 MB of", () => {
    const size = 1_000_000
    const repeated = [
      ..."{[\"`~*1- \n}]t\\",
      "{ ",
      "[ ",
      "{\"",
      "[\"",
      "{\\\"",
      "{\"a\":",
      "{\"a\":{",
      "{\"a",
      "[1",
      "[1,",
      "[1 ",
      "[[x",
      "[{",
      "{}",
      "[] ",
      "[\"[\",",
      "[\"\\u",
      "[-",
      "```\n",
      "``` ",
      "~~~ ",
      "~~~json ",
      "```json\n",
      "```json\n[",
      "```json\n{\"a\":",
      "```\n[1,",
      "[\"```json\",\n",
      "[\"```json\"\n",
      "\"```json\",\n",
      "<think>",
      "</think>",
      "<think>{</think>",
      "</think>[\"",
      "[\"</think>\", ",
      "[\"<think>",
      "{\"a\": </think>",
      "```json\n[1]\n```\n",
      "true "
    ]
    for (const part of repeated) {
      it(JSON.stringify(part), async () => {
        const of = (length: number) => part.repeat(Math.ceil(length / part.length))
        // A quadratic step takes many minutes for the long texts, and longer than a test's time for the short ones.
        const short = of(size / 4)
        for (const text of [of(size), `x {"${short}`, `x ["a",${short}`, `x\n\`\`\`json\n${short}\n`]) {
          const total = jsonCandidates.candidates(text).reduce((sum, candidate) => sum + candidate.length, 0)
          assert.isAtMost(total, 4 * text.length)
          // Lets vitest's worker answer.
          await new Promise((resolve) => setImmediate(resolve))
        }
        assert.isTrue(Either.isLeft(decodeOk(`x ${short}`)))
      })
    }

    it("closed brackets", () => {
      const text = `${"[".repeat(size / 2)}${"]".repeat(size / 2)}`
      assert.deepStrictEqual(jsonCandidates.candidates(`x ${text}.`), [text])
    })

    it("brackets with a break in the middle", () => {
      const text = `${"[".repeat(size / 2)}x${"]".repeat(size / 2)}`
      assert.deepStrictEqual(jsonCandidates.candidates(text), [])
    })
  })
})

describe("decode", () => {
  /** What agents write around their answers; none of it is a value of the schemas below. */
  const noise = fc.array(
    fc.constantFrom(
      "I looked at {curly} things",
      "see [1] and [the docs](http://x)",
      "e.g. {x: 1}",
      "`inline {code}`",
      "a \"quoted\" word",
      "it's 42",
      "\n",
      "\n\n",
      "- item",
      "} ]",
      "{{template}}",
      "{} is empty",
      "```js\nconst a = { b: [1] }\n```\n"
    ),
    { maxLength: 6 }
  ).map((parts) => parts.join(" "))

  const embeddings: ReadonlyArray<(text: string) => string> = [
    (text) => `\n${fence(text)}\n`,
    (text) => fence(text),
    (text) => `\n${fence(text, "")}\n`,
    (text) => `\n\`\`\`\`markdown\n${fence(text)}\n\`\`\`\`\n`,
    (text) => ` ${text} `,
    (text) => `\n${text}\n`,
    (text) => `The answer:${text}.`
  ]

  const schemas: { readonly [name: string]: Schema.Schema<any, any> } = {
    Report,
    Tree,
    Finding,
    Shape,
    tuple: Schema.Tuple(Id, Schema.Date, Schema.Array(Shape)),
    map: Schema.Struct({ byId: Schema.Map({ key: Schema.String, value: Schema.Int }) }),
    option: Schema.Struct({ maybe: Schema.Option(Schema.Date), big: Schema.BigInt })
  }

  for (const [name, schema] of Object.entries(schemas)) {
    const decode = StructuredOutput.decode(schema)
    const encode = Schema.encodeSync(schema)
    it.prop(
      `survives prose and fences: ${name}`,
      [Arbitrary.make(schema), fc.constantFrom(...embeddings), noise, noise, fc.nat(4)],
      ([value, embed, before, after, indent]) => {
        const text = `${before}${embed(JSON.stringify(encode(value), null, indent))}${after}`
        const decoded = decode(text)
        expect(Either.getOrThrowWith(decoded, ({ issues }) => new Error(`${issues}\n${text}`))).toEqual(value)
      }
    )
  }

  it.prop("decodes strings with fences and brackets", [
    fc.array(fc.constantFrom("```json\n", "```", "\n", "{", "}", "[", "]", "\"", "\\", "{\"ok\":", "true"))
  ], ([parts]) => {
    const value = { text: parts.join("") }
    const text = `Here:\n${fence(JSON.stringify(value, null, 2))}\n`
    expect(StructuredOutput.decode(Schema.Struct({ text: Schema.String }))(text)).toEqual(Either.right(value))
  })

  it("tries the next candidate", () => {
    expect(decodeOk(`${fence("{\"ok\": true}")}\n${fence("{\"ok\": 1}")}`)).toEqual(ok(true))
    expect(decodeOk(`${fence("{\"ok\": true}")}\n${fence("{\"ok\": true,}")}`)).toEqual(ok(true))
    expect(decodeOk(`{"ok": false}\n${fence("[]")}`)).toEqual(ok(false))
  })

  it("takes the last candidate that decodes", () => {
    expect(decodeOk(`${fence("{\"ok\": true}")}\nNo:\n${fence("{\"ok\": false}")}`)).toEqual(ok(false))
  })

  it("takes no part of an incomplete answer", () => {
    const lax = StructuredOutput.decode(Schema.Struct({ ok: Schema.optional(Schema.Boolean) }))
    assert.strictEqual(
      problemOf(lax("So: {\"list\": [{\"ok\": true}, {\"ok\": false}], \"more")).reason,
      "invalid-json"
    )
  })

  it("decodes scalars", () => {
    expect(StructuredOutput.decode(Schema.Literal("yes", "no"))("So:\n\n\"yes\"")).toEqual(Either.right("yes"))
    expect(StructuredOutput.decode(Schema.Int)(`So:\n${fence("7")}`)).toEqual(Either.right(7))
  })

  it("reports a missing JSON value", () => {
    expect(decodeOk("I could not do it.")).toEqual(
      Either.left({ reason: "no-json", issues: "The answer has no JSON value in it." })
    )
  })

  it("reports invalid JSON", () => {
    const problem = problemOf(decodeOk(`x\n${fence("{\"ok\": true,}")}`))
    assert.strictEqual(problem.reason, "invalid-json")
    assert.include(problem.issues, "position")
  })

  it("shows all issues of the first candidate as a tree", () => {
    const both = Schema.Struct({ a: Schema.Int, b: Schema.Struct({ c: Schema.Boolean }) })
    const problem = problemOf(StructuredOutput.decode(both)(`[1]\n${fence("{\"a\": 1.5, \"b\": {\"c\": 0}}")}`))
    assert.strictEqual(problem.reason, "mismatch")
    assert.include(problem.issues, "├─ [\"a\"]")
    assert.include(problem.issues, "Expected an integer, actual 1.5")
    assert.include(problem.issues, "Expected boolean, actual 0")
  })

  it("keeps the tree short", () => {
    const problem = problemOf(decodeOk(JSON.stringify({ ok: "x".repeat(100_000) })))
    assert.isBelow(problem.issues.length, 8100)
  })

  it("survives a value too deep for Schema", () => {
    const deep = 100_000
    const text = `${"{\"name\":\"a\",\"at\":\"2020-01-01\",\"children\":[".repeat(deep)}${"]}".repeat(deep)}`
    const problem = problemOf(StructuredOutput.decode(Tree)(text))
    assert.strictEqual(problem.reason, "mismatch")
    assert.include(problem.issues, "call stack")
  })
})

describe("repairPrompt", () => {
  it("contains the tree", () => {
    const problem = problemOf(decodeOk("{\"ok\": 1}"))
    const prompt = StructuredOutput.repairPrompt(problem)
    assert.include(prompt, problem.issues)
    assert.include(prompt, "Expected boolean, actual 1")
  })

  it("reports a missing JSON value too", () => {
    assert.include(StructuredOutput.repairPrompt(problemOf(decodeOk("no"))), "no JSON value")
  })
})

const usage = (n: number): TokenUsage.TokenUsage => ({ ...TokenUsage.empty, total: n, input: n })

const result = (n: number, text: string) =>
  new RunResult.RunResult({
    runId: `run-${n}`,
    answer: text,
    text,
    events: [RunEvent.fromWire({ type: "text", part: { text } })],
    sessionId: n === 1 ? undefined : "ses_1",
    usage: usage(n),
    cost: n,
    steps: n,
    finishReason: n === 1 ? "stop" : "length",
    exitCode: n === 1 ? 0 : undefined,
    forced: n === 1,
    stderr: `stderr ${n}\n`,
    attempts: n,
    duration: Duration.millis(n * 100)
  })

describe("the model's thinking", () => {
  const draft = "{\"ok\": true}"
  const blocks = [
    `<think>${draft}</think>`,
    `<THINK>\n${fence(draft)}\n</THINK>`,
    `<thinking budget="high">${draft}</thinking>`,
    `<reasoning>First <think>${draft}</think> and then ${draft}</reasoning>`,
    `<seed:think>${draft}</seed:think>`,
    `<think>\n${draft}\n<think>again</think>${draft}</think>`,
    `${draft} was my first thought.\n</think>`,
    `◁think▷${draft}◁/think▷`,
    `[THINK]${draft}[/THINK]`,
    `<reasoning_content>${draft}</reasoning_content>`,
    `<inner_monologue>${draft}</inner_monologue>`,
    `<|begin_of_thought|>${draft}<|end_of_thought|>`,
    `<think>\n${fence(draft)}`
  ]

  it.each(blocks)("is not an answer: %s", (block) => {
    assert.strictEqual(problemOf(decodeOk(`${block}\n`)).reason, "no-json")
    assert.strictEqual(problemOf(decodeOk(`${block}\n\nThe tests fail.`)).reason, "no-json")
  })

  it.each(blocks.slice(0, -1))("does not hide the answer after it: %s", (block) => {
    expect(decodeOk(`${block}{"ok": false}`)).toEqual(ok(false))
    expect(decodeOk(`${block}\n${fence("{\"ok\": false}")}`)).toEqual(ok(false))
    expect(decodeOk(`${fence("{\"ok\": false}")}\n<think>${draft}</think>`)).toEqual(ok(false))
  })

  it("is distinguished from text that mentions it", () => {
    expect(decodeOk(`I removed the <think> tag.\n${fence(draft)}`)).toEqual(ok(true))
    expect(decodeOk(`\`<think>\` and \`</think>\` are parsed now: ${draft} A closing \`</think>\` too.`)).toEqual(
      ok(true)
    )
    const Said = StructuredOutput.decode(Schema.Struct({ said: Schema.String }))
    for (const said of ["</think>", "<think>", "a <think>b</think> c", "</think></think>"]) {
      const value = JSON.stringify({ said })
      for (const text of [value, fence(value), `It is ${value} so.`, `<think>${draft}</think>${value}`]) {
        expect(Said(text)).toEqual(Either.right({ said }))
      }
    }
  })
})

describe("a repeated JSON Schema", () => {
  const Loose = Schema.Struct({ note: Schema.optional(Schema.String) })
  const told = JSONSchema.make(Loose)

  it("is not an answer", () => {
    const decode = StructuredOutput.decode(Loose)
    const { $schema, ...bare } = told
    assert.isString($schema)
    for (const quoted of [told, bare, Object.fromEntries(Object.entries(told).reverse())]) {
      const text = `The schema is\n${fence(JSON.stringify(quoted, null, 2))}\nI could not find a note.`
      assert.strictEqual(problemOf(decode(text)).reason, "mismatch")
      expect(decode(`${fence("{\"note\": \"here\"}")}\nas in\n${fence(JSON.stringify(quoted))}`)).toEqual(
        Either.right({ note: "here" })
      )
    }
    assert.strictEqual(problemOf(decode(StructuredOutput.instruction(Loose))).reason, "invalid-json")
  })
})

describe("combine", () => {
  it("returns a single result unchanged", () => {
    const one = result(1, "a")
    assert.strictEqual(combine([one]), one)
  })

  it("adds results up", () => {
    const all = combine([result(1, "a"), result(2, "b"), result(3, "c")])
    expect(all).toEqual(
      new RunResult.RunResult({
        runId: "run-1",
        answer: "c",
        text: "c",
        events: ["a", "b", "c"].map((text) => RunEvent.fromWire({ type: "text", part: { text } })),
        sessionId: "ses_1",
        usage: usage(6),
        cost: 6,
        steps: 6,
        finishReason: "length",
        exitCode: undefined,
        forced: true,
        stderr: "stderr 1\nstderr 2\nstderr 3\n",
        rawLines: undefined,
        attempts: 6,
        duration: Duration.millis(600)
      })
    )
    // It is still a value of its Schema.
    expect(Schema.decodeSync(RunResult.RunResult)(Schema.encodeSync(RunResult.RunResult)(all))).toEqual(all)
  })

  it("keeps the raw lines that exist", () => {
    const raw = (n: number, rawLines?: ReadonlyArray<string>) =>
      new RunResult.RunResult({ ...result(n, "a"), rawLines }, { disableValidation: true })
    assert.deepStrictEqual(combine([raw(1, ["a"]), raw(2), raw(3, ["b"])]).rawLines, ["a", "b"])
  })
})

describe("loop", () => {
  const agent = (...answers: ReadonlyArray<string>) => {
    const prompts: Array<string> = []
    return {
      prompts,
      turn: (prompt: string) =>
        Effect.sync(() => {
          prompts.push(prompt)
          return result(prompts.length, answers[prompts.length - 1] ?? "enough")
        })
    }
  }
  const good = `Done.\n${fence("{\"ok\": true}")}`
  const bad = `Done.\n${fence("{\"ok\": \"yes\"}")}`

  it.effect("asks once when the answer decodes", () =>
    Effect.gen(function*() {
      const { prompts, turn } = agent(good)
      const answer = yield* StructuredOutput.loop({ schema: Ok, prompt: "Is it?", turn })
      expect(answer).toEqual({ value: { ok: true }, result: result(1, good) })
      assert.deepStrictEqual(prompts, [`Is it?\n\n${StructuredOutput.instruction(Ok)}`])
    }))

  it.effect("returns the issues and adds the turns up", () =>
    Effect.gen(function*() {
      const { prompts, turn } = agent(bad, "What?", good)
      const answer = yield* StructuredOutput.loop({ schema: Ok, prompt: "Is it?", turn })
      expect(answer).toEqual({
        value: { ok: true },
        result: combine([result(1, bad), result(2, "What?"), result(3, good)])
      })
      assert.strictEqual(prompts.length, 3)
      assert.include(prompts[1], "Expected boolean, actual \"yes\"")
      assert.include(prompts[2], "no JSON value")
    }))

  it.effect("gives up after two repairs", () =>
    Effect.gen(function*() {
      const { prompts, turn } = agent(bad, "What?", bad, good)
      const error = yield* Effect.flip(StructuredOutput.loop({ schema: Ok, prompt: "Is it? SECRET", turn }))
      assert.strictEqual(prompts.length, 3)
      expect(error).toMatchObject({
        _tag: "OpenCodeOutputError",
        reason: "mismatch",
        attempts: 3,
        runId: "run-1",
        sessionId: "ses_1",
        answer: bad,
        usage: usage(6),
        cost: 6,
        steps: 6,
        duration: Duration.millis(600)
      })
      for (const part of ["ses_1", "3 attempts", "Expected boolean", "`repairs`", "run-1", "{\"ok\": \"yes\"}"]) {
        assert.include(error.message, part)
      }
      assert.notInclude(error.message, "SECRET")
      // It survives JSON.
      const Union = OpenCodeError.OpenCodeError
      const wire = JSON.parse(JSON.stringify(Schema.encodeSync(Union)(error)))
      expect(Schema.decodeUnknownSync(Union)(wire)).toEqual(error)
    }))

  it.effect("does not repair when repairs are 0", () =>
    Effect.gen(function*() {
      const { prompts, turn } = agent("x".repeat(3000), good)
      const error = yield* Effect.flip(StructuredOutput.loop({ schema: Ok, prompt: "Is it?", repairs: 0, turn }))
      assert.strictEqual(prompts.length, 1)
      assert.strictEqual(error._tag, "OpenCodeOutputError")
      assert.include(error.message, "1 attempt,")
      assert.include(error.message, "x".repeat(500))
      assert.notInclude(error.message, "x".repeat(501))
    }))

  it.effect("fails with the error of a turn", () =>
    Effect.gen(function*() {
      const { turn } = agent(bad)
      let asked = 0
      const error = yield* Effect.flip(StructuredOutput.loop({
        schema: Ok,
        prompt: "Is it?",
        turn: (prompt) => asked++ === 0 ? turn(prompt) : Effect.fail("offline" as const)
      }))
      assert.strictEqual(error, "offline")
      assert.strictEqual(asked, 2)
    }))

  it.effect("refuses unusable options before it asks", () =>
    Effect.gen(function*() {
      const { prompts, turn } = agent()
      for (const repairs of [-1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(StructuredOutput.loop({ schema: Ok, prompt: "x", repairs, turn }))
        expect(error).toMatchObject({ _tag: "OpenCodeConfigError", path: "repairs" })
      }
      interface Anonymous {
        readonly next: Anonymous | null
      }
      const Anonymous: Schema.Schema<Anonymous> = Schema.Struct({
        next: Schema.NullOr(Schema.suspend((): Schema.Schema<Anonymous> => Anonymous))
      })
      const recursive = yield* Effect.flip(StructuredOutput.loop({ schema: Anonymous, prompt: "x", turn }))
      expect(recursive).toMatchObject({ _tag: "OpenCodeConfigError", path: "schema" })
      assert.include(recursive.message, "identifier")
      assert.deepStrictEqual(prompts, [])
    }))
})
