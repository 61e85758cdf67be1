import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as AnswerSchema from "../src/AnswerSchema.js"
import * as Job from "../src/jobs/Job.js"
import * as JobFile from "../src/jobs/JobFile.js"
import * as located from "../src/jobs/located.js"
import * as Matrix from "../src/jobs/Matrix.js"
import * as Template from "../src/jobs/Template.js"

interface Options extends Omit<Job.Input, "file" | "axes" | "templates"> {
  readonly axes?: { readonly [name: string]: string }
  readonly templates?: { readonly prompt?: string; readonly name?: string; readonly cwd?: string }
}

const plan = (format: JobFile.Format, text: string, options: Options = {}) =>
  Effect.either(Job.plan({
    ...options,
    file: JobFile.parse({ name: `jobs.${format}`, text, format }),
    axes: Either.getOrThrow(Matrix.parse(Object.entries(options.axes ?? {}))),
    templates: Object.fromEntries(
      Object.entries(options.templates ?? {}).map(([name, text]) => [name, located.source(`--${name}`, text)])
    )
  }))

const jobs = (format: JobFile.Format, text: string, options?: Options) =>
  Effect.map(
    plan(format, text, options),
    (planned) => Either.getOrThrowWith(planned, (error) => new Error(error.message))
  )

const json = (rows: ReadonlyArray<object>, options?: Options) => jobs("json", JSON.stringify(rows), options)

const ids = (planned: ReadonlyArray<Job.Job>) => planned.map(({ id }) => id)

const problems = (format: JobFile.Format, text: string, options?: Options) =>
  Effect.map(plan(format, text, options), (planned) =>
    Either.match(planned, {
      onLeft: ({ problems }) => problems.map(JobFile.format),
      onRight: () => []
    }))

describe("the schema of a job", () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] }
  const row = { prompt: "Is it?" }

  it.effect("comes from its field, or else from the command line", () =>
    Effect.gen(function*() {
      const byDefault = Either.getOrThrow(AnswerSchema.make({ type: "number" }))
      const planned = yield* json([{ ...row, schema }, { prompt: "How many?" }], { schema: byDefault })
      expect(planned.map((job) => job.schema?.json)).toEqual([schema, { type: "number" }])
      expect((yield* json([row]))[0]?.schema).toBeUndefined()
    }))

  it.effect("is JSON in a table, and braces in it stay as they are", () =>
    Effect.gen(function*() {
      const braced = { ...schema, description: "{{x}}" }
      const [job] = yield* jobs("csv", `prompt,schema\nIs it?,"${JSON.stringify(braced).replaceAll("\"", "\"\"")}"\n`)
      expect(job?.schema?.json).toEqual(braced)
    }))

  it.effect("belongs to the identity of the job", () =>
    Effect.gen(function*() {
      const [with_] = ids(yield* json([{ ...row, schema }]))
      const [without] = ids(yield* json([row]))
      const [other] = ids(yield* json([{ ...row, schema: { ...schema, required: [] } }]))
      expect(new Set([with_, without, other]).size).toBe(3)
      expect(ids(yield* json([row], { schema: Either.getOrThrow(AnswerSchema.make(schema)) }))).toEqual([with_])
    }))

  it.effect("is refused at its place", () =>
    Effect.gen(function*() {
      expect(yield* problems("jsonl", `{"prompt":"a","schema":{"type":"objekt"}}`)).toEqual([
        expect.stringMatching(/^jobs\.jsonl:1:24: `schema`: not a valid JSON Schema: data\/type must be equal to/)
      ])
      expect(yield* problems("jsonl", `{"prompt":"a","schema":"file.json"}`)).toEqual([
        "jobs.jsonl:1:24: `schema`: must be a JSON Schema, which is an object"
      ])
      expect(yield* problems("csv", "prompt,schema\na,{\n")).toEqual([
        expect.stringMatching(/^jobs\.csv:2:3: `schema`: not valid JSON/)
      ])
    }))
})

describe("Job.plan", () => {
  it.effect("turns a row into a job", () =>
    Effect.gen(function*() {
      const [job] = yield* json([{
        name: "Review {{file}}",
        prompt: "Review {{file}}: {{ focus }}",
        cwd: "repos/{{repo}}",
        model: "acme/large",
        agent: "plan",
        timeout: "5 minutes",
        budget: { cost: 0.5 },
        config: { files: ["{{file}}"], permission: { edit: "deny" }, title: "{{repo}}" },
        file: "a.ts",
        repo: "x",
        focus: { "a": [1] }
      }])
      expect(job).toEqual({
        id: job!.id,
        index: 0,
        name: "Review a.ts",
        prompt: "Review a.ts: {\"a\":[1]}",
        cwd: "repos/x",
        options: {
          model: "acme/large",
          agent: "plan",
          files: ["a.ts"],
          permission: { edit: "deny" },
          title: "x",
          timeout: Duration.minutes(5),
          budget: { cost: 0.5 }
        },
        cell: {},
        repeat: 1,
        places: {
          row: { source: "jobs.json", line: 1, column: 2 },
          fields: new Map(
            [["files", 189], ["permission", 215], ["title", 239], ["model", 99], ["agent", 120], ["cwd", 74]].map((
              [name, column]
            ) => [name, { source: "jobs.json", line: 1, column }])
          )
        }
      })
      expect(job!.id).toMatch(/^[0-9a-f]{16}$/)
    }))

  it.effect("reads cells by the type of the field", () =>
    Effect.gen(function*() {
      const text = [
        "prompt,config.title,config.thinking,config.files,config.permission,config.port,budget.cost,budget,timeout,config.password",
        "a,123,true,\"[\"\"x\"\"]\",deny,80,0.5,,2s,pass-word",
        "b,,,,\"{\"\"bash\"\":\"\"deny\"\"}\",,,\"{\"\"steps\"\":3}\",1 minute,"
      ].join("\n")
      const [first, second] = yield* jobs("csv", text)
      expect(first!.options).toEqual({
        title: "123",
        thinking: true,
        files: ["x"],
        permission: "deny",
        port: 80,
        password: Redacted.make("pass-word"),
        budget: { cost: 0.5 },
        timeout: Duration.seconds(2)
      })
      expect(second!.options).toEqual({
        title: second!.id,
        permission: { bash: "deny" },
        budget: { steps: 3 },
        timeout: Duration.minutes(1)
      })
    }))

  it.effect("reads what happens when the cost is unknown", () =>
    Effect.gen(function*() {
      const [cell, row] = [
        yield* jobs("csv", "prompt,budget.cost,budget.unpriced\na,1,error"),
        yield* json([{ prompt: "a", budget: { cost: 1, unpriced: "error" } }])
      ].flat()
      expect(cell!.options.budget).toEqual({ cost: 1, unpriced: "error" })
      expect(row!.options.budget).toEqual({ cost: 1, unpriced: "error" })
    }))

  it.effect("treats the content of a column as data, inside JSON too", () =>
    Effect.gen(function*() {
      const [job] = yield* jobs(
        "csv",
        [
          "prompt,x,config.extraEnv,config",
          "a,\"q\"\",\"\"B\"\":\"\"1\",\"{\"\"A\"\":\"\"{{x}}\"\"}\",\"{\"\"files\"\":[\"\"{{x}}\"\"]}\""
        ].join("\n")
      )
      const x = "q\",\"B\":\"1"
      expect(job!.options).toMatchObject({ extraEnv: { A: x }, files: [x] })
    }))

  it.effect("merges a job's options over those of the batch", () =>
    Effect.gen(function*() {
      const [job] = yield* json([{ prompt: "x", config: { permission: { bash: "allow" } }, budget: { cost: 1 } }], {
        defaults: {
          model: "a/b",
          permission: { edit: "deny", bash: "deny" },
          budget: { cost: 5, steps: 9 },
          idleTimeout: 7
        }
      })
      expect(job!.options).toEqual({
        model: "a/b",
        title: job!.id,
        permission: { edit: "deny", bash: "allow" },
        budget: { cost: 1, steps: 9 },
        idleTimeout: 7
      })
    }))

  it.effect("fills templates of the command line", () =>
    Effect.gen(function*() {
      const planned = yield* jobs("csv", "prompt,lang\nhello,de\n{{x}},fr\n", {
        templates: { prompt: "Say \"{{prompt}}\" in {{lang}}", name: "{{lang}}", cwd: "out/{{lang}}" }
      })
      expect(planned.map(({ cwd, name, prompt }) => [prompt, name, cwd])).toEqual([
        ["Say \"hello\" in de", "de", "out/de"],
        ["Say \"{{x}}\" in fr", "fr", "out/fr"]
      ])
    }))

  it.effect("writes numbers into a template unchanged", () =>
    Effect.gen(function*() {
      const templates = { prompt: "{{a}} {{b}} {{c}} {{deep}}" }
      const prompts = (format: JobFile.Format, text: string) =>
        Effect.map(jobs(format, text, { templates }), (planned) => planned.map(({ prompt }) => prompt))
      const big = "12345678901234567890"
      expect(yield* prompts("json", `[{"a":1.10,"b":${big},"c":-0,"deep":{"x":[1.50,"1.50",true]}}]`)).toEqual([
        `1.10 ${big} -0 {"x":[1.50,"1.50",true]}`
      ])
      expect(yield* prompts("jsonl", "{\"a\":1E3,\"b\":0.10,\"c\":null,\"deep\":[]}")).toEqual(["1E3 0.10  []"])
      expect(yield* prompts("yaml", `- {a: 1.10, b: ${big}, c: 007, deep: [1.50, 0x1F, "1.50", .inf]}`)).toEqual([
        `1.10 ${big} 007 [1.50,31,"1.50",null]`
      ])
      expect(yield* prompts("csv", `a,b,c,deep\n1.10,${big},007,1\n`)).toEqual([`1.10 ${big} 007 1`])
    }))

  it.effect("returns a job per row, cell and repetition, in this order", () =>
    Effect.gen(function*() {
      const planned = yield* json([{ prompt: "p{{tone}}" }, { prompt: "q", name: "{{model}}" }], {
        axes: { model: "a/x,b/y", tone: "1,2" },
        repeat: 2
      })
      expect(planned.map(({ name }) => name)).toEqual([
        "p1 [a/x 1] #1",
        "p1 [a/x 1] #2",
        "p2 [a/x 2] #1",
        "p2 [a/x 2] #2",
        "p1 [b/y 1] #1",
        "p1 [b/y 1] #2",
        "p2 [b/y 2] #1",
        "p2 [b/y 2] #2",
        "a/x #1",
        "a/x #2",
        "a/x #1",
        "a/x #2",
        "b/y #1",
        "b/y #2",
        "b/y #1",
        "b/y #2"
      ])
      expect(planned.map(({ index }) => index)).toEqual(planned.map((_, index) => index))
      expect(planned[4]).toMatchObject({ cell: { model: "b/y", tone: "1" }, options: { model: "b/y" }, repeat: 1 })
      expect(new Set(ids(planned)).size).toBe(16)
    }))

  it.effect("gives unnamed rows different names", () =>
    Effect.gen(function*() {
      const names = (rows: ReadonlyArray<object>, options?: Options) =>
        Effect.map(json(rows, options), (planned) => planned.map(({ name }) => name))
      const long = "Review this file as carefully as you can: "
      expect(
        yield* names([{ f: "a" }, { f: "b" }, { f: "c", name: "mine" }], { templates: { prompt: `${long}{{f}}` } })
      )
        .toEqual([
          "Review this file as carefully as you ca… (row 1)",
          "Review this file as carefully as you ca… (row 2)",
          "mine"
        ])
      expect(
        yield* names([{ prompt: "x" }, { prompt: "y" }, { prompt: "x" }], { axes: { model: "a/b,c/d" }, repeat: 2 })
      )
        .toEqual(
          ["x (row 1)", "y", "x (row 3)"].flatMap((name) =>
            ["a/b", "c/d"].flatMap((model) => [1, 2].map((time) => `${name} [${model}] #${time}`))
          )
        )
      expect(yield* names([{ prompt: "x" }, { prompt: "y", name: "x" }, { prompt: "y", name: "x" }])).toEqual([
        "x (row 1)",
        "x",
        "x"
      ])
    }))

  it.effect("accepts any field as an axis", () =>
    Effect.gen(function*() {
      const planned = yield* json([{ prompt: "x" }], {
        axes: { "config.thinking": "true,false", "budget.cost": "1,2", cwd: "a,b" }
      })
      expect(planned.map(({ cwd, options }) => [cwd, options.thinking, options.budget])).toEqual([
        ["a", true, { cost: 1 }],
        ["b", true, { cost: 1 }],
        ["a", false, { cost: 1 }],
        ["b", false, { cost: 1 }],
        ["a", true, { cost: 2 }],
        ["b", true, { cost: 2 }],
        ["a", false, { cost: 2 }],
        ["b", false, { cost: 2 }]
      ])
    }))

  it.effect("gives a session a title that reveals nothing in a process list", () =>
    Effect.gen(function*() {
      const planned = yield* json([
        { prompt: "the key is canary-4711" },
        { prompt: "x", name: "canary-4711" },
        { prompt: "x", config: { title: "mine" } }
      ])
      expect(planned.map(({ options }) => options.title)).toEqual([planned[0]!.id, planned[1]!.id, "mine"])
    }))

  it.effect("shows no secret in a name, a title or a cell", () =>
    Effect.gen(function*() {
      const extraEnv = { API_KEY: "canary-4711", MODE: "fast" }
      const [job] = yield* json([{ prompt: "x", config: { extraEnv, title: "{{config}}" } }], {
        templates: { name: "n {{config}}" }
      })
      const title = "{\"extraEnv\":{\"API_KEY\":\"<redacted>\",\"MODE\":\"fast\"},\"title\":\"{{config}}\"}"
      expect([job!.name, job!.options.title]).toEqual([`n ${title}`, title])
      expect(job!.options.extraEnv).toEqual(extraEnv)

      const [inCell] = yield* json([{ prompt: "x" }], {
        axes: { config: "{\"password\":\"canary-4711\"}" },
        templates: { name: "{{config}}" }
      })
      expect(inCell).toMatchObject({
        name: "{\"password\":\"<redacted>\"}",
        cell: { config: "{\"password\":\"<redacted>\"}" },
        options: { password: Redacted.make("canary-4711") }
      })
    }))

  it.effect("names a job without a prompt after its command", () =>
    Effect.gen(function*() {
      const planned = yield* json([{ config: { command: "init" } }, { prompt: `\n${"long ".repeat(20)}\nsecond` }])
      expect(planned.map(({ name }) => name)).toEqual(["init", "long long long long long long long long…"])
    }))
})

describe("ids", () => {
  it.effect("are the same for the same input and options", () =>
    Effect.gen(function*() {
      const rows = [{ prompt: "a" }, { prompt: "a" }, { prompt: "b", cwd: "x", model: "a/b" }]
      const options = { axes: { agent: "x,y" }, repeat: 2, defaults: { permission: { edit: "deny" } } } as const
      const first = ids(yield* json(rows, options))
      expect(first).toEqual(ids(yield* json(rows, options)))
      expect(new Set(first).size).toBe(12)
      // as it was in the first version that wrote results files
      expect(ids(yield* json([{ prompt: "a", model: "a/b" }]))).toEqual(["d838d2ef6916bb27"])
    }))

  it.effect("do not depend on the format of the file, on names or on limits", () =>
    Effect.gen(function*() {
      const [id] = ids(yield* json([{ prompt: "a", model: "m/n", config: { thinking: true } }]))
      const others = yield* Effect.all([
        jobs("csv", "config.thinking,prompt,agent,model\ntrue,a,,m/n\n"),
        jobs("yaml", "- prompt: a\n  model: m/n\n  config: {thinking: true}\n  name: other\n  timeout: 1 minute"),
        json([{ prompt: "a", config: { model: "m/n", thinking: true }, budget: { cost: 3 } }], {
          defaults: { timeout: 5 }
        }),
        json([{ prompt: "{{p}}", p: "a", config: { thinking: true } }], { defaults: { model: "m/n" } })
      ])
      expect(others.map(ids)).toEqual([[id], [id], [id], [id]])
    }))

  it.effect("depend on everything that defines the job", () =>
    Effect.gen(function*() {
      const variants = yield* Effect.all([
        json([{ prompt: "a" }]),
        json([{ prompt: "a " }]),
        json([{ prompt: "a", cwd: "x" }]),
        json([{ prompt: "a", model: "m/n" }]),
        json([{ prompt: "a", config: { permission: { edit: "deny" } } }]),
        json([{ prompt: "a" }], { defaults: { agent: "plan" } }),
        json([{ prompt: "a" }], { axes: { agent: "plan" } }),
        json([{ prompt: "a" }, { prompt: "a" }]),
        json([{ prompt: "a" }], { repeat: 2 })
      ])
      const all = variants.flatMap(ids)
      // the first of several repetitions has the id of a single one
      expect(all.length - new Set(all).size).toBe(2)
    }))

  it.effect("depend on the directory of the batch as on that of the job", () =>
    Effect.gen(function*() {
      const id = (cwd: string | undefined, of: string | undefined) =>
        Effect.map(json([{ prompt: "a", cwd: of }], { cwd }), (planned) => ids(planned)[0])
      expect(yield* id("A", undefined)).not.toBe(yield* id("B", undefined))
      expect(yield* id("A", "x")).not.toBe(yield* id("B", "x"))
      expect(yield* id("A/", "./x")).toBe(yield* id(undefined, "A/x"))
      expect(yield* id("./A", ".")).toBe(yield* id(undefined, "./A"))
      expect(yield* id(".", undefined)).toBe(yield* id(undefined, undefined))
      for (const elsewhere of ["/x", "~/x", "C:\\x"]) {
        expect(yield* id("A", elsewhere)).toBe(yield* id(undefined, elsewhere))
      }
    }))

  it.effect("stay the same when a secret changes or jobs are added", () =>
    Effect.gen(function*() {
      const row = (secret: string) => ({
        prompt: "a",
        config: {
          password: secret,
          extraEnv: { API_KEY: secret, MODE: "1" },
          configOverrides: { provider: { acme: { options: { apiKey: secret, baseURL: "u" } } } },
          mcp: { x: { headers: { Authorization: secret } } }
        }
      })
      const [before] = ids(yield* json([row("first-secret")]))
      expect(ids(yield* json([{ prompt: "new" }, row("other-secret")]))[1]).toBe(before)
      const [batch] = ids(yield* json([{ prompt: "a" }], { defaults: { extraEnv: { A: Redacted.make("1") } } }))
      expect(ids(yield* json([{ prompt: "a" }], { defaults: { extraEnv: { A: Redacted.make("2") } } }))).toEqual([
        batch
      ])
    }))

  const config = fc.record({
    permission: fc.dictionary(fc.stringMatching(/^[a-z*]{1,4}$/), fc.constantFrom("allow", "deny"), {
      noNullPrototype: true
    }),
    configOverrides: fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.jsonValue({ maxDepth: 2 }), {
      noNullPrototype: true
    }),
    thinking: fc.boolean()
  }, { requiredKeys: [] })

  /** Turns every text in a value into a template of this text. */
  const escaped = (value: unknown): unknown =>
    typeof value === "string"
      ? Template.escape(value)
      : Array.isArray(value)
      ? value.map(escaped)
      : typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, escaped(inner)]))
      : value

  const shuffled = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shuffled)
      : typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).reverse().map(([name, inner]) => [name, shuffled(inner)]))
      : value

  it.effect.prop(
    "do not depend on the order of names",
    { config, prompt: fc.string({ minLength: 1 }) },
    ({ config, prompt }) =>
      Effect.gen(function*() {
        const row = { prompt: Template.escape(`x${prompt}`), cwd: "d", config: escaped(config) }
        expect(ids(yield* json([shuffled(row) as object]))).toEqual(ids(yield* json([row])))
      })
  )
})

describe("bad input is refused with its place", () => {
  const cases: ReadonlyArray<
    readonly [format: JobFile.Format, text: string, options: Options, ...problems: Array<string>]
  > = [
    [
      "jsonl",
      "{\"prompt\":\"ok\"}\n{\"name\":\"x\"}",
      {},
      "jobs.jsonl:2:1: the job has no `prompt`: add one, or set one for all jobs with --prompt"
    ],
    ["jsonl", "{\"prompt\":\"\"}", {}, "jobs.jsonl:1:11: `prompt`: must not be empty without a `command`"],
    ["jsonl", "{\"prompt\":7}", {}, "jobs.jsonl:1:11: `prompt` must be a text"],
    // templates
    [
      "jsonl",
      "{\"prompt\": \"a \\\"{{x}} {{ y }}\", \"z\":1}",
      {},
      "jobs.jsonl:1:17: unknown column `x`; the columns are `prompt`, `z`",
      "jobs.jsonl:1:23: unknown column `y`; the columns are `prompt`, `z`"
    ],
    [
      "csv",
      "prompt,config.title\n\"say \"\"hi\"\"\n{{x}}\",{{title}}\n",
      {},
      "jobs.csv:3:1: unknown column `x`; the columns are `prompt`, `config.title`",
      "jobs.csv:3:8: unknown column `title`; the columns are `prompt`, `config.title`"
    ],
    [
      "yaml",
      "- prompt: |\n    hello\n    {{ world\n",
      {},
      "jobs.yaml:3:5: `{{` has no `}}`; write `\\{{` for literal braces"
    ],
    ["jsonl", "{\"prompt\":\"\\u007b{x}}\"}", {}, "jobs.jsonl:1:11: unknown column `x`; the columns are `prompt`"],
    [
      "jsonl",
      "{\"prompt\":\"a\",\"x\":1}\n{\"prompt\":\"b\"}",
      { templates: { prompt: "go\n to {{x}}" } },
      "--prompt:2:5: unknown column `x`; the columns are `prompt` (for jobs.jsonl:2)"
    ],
    [
      "csv",
      "file\na\nb",
      {},
      "jobs.csv: no job has a `prompt`: set one for all jobs with --prompt, for example --prompt \"Review {{file}}\""
    ],
    // a mistake common to all rows is reported for the template
    [
      "csv",
      "file,n\na,1\nb,2\nc,3",
      { templates: { prompt: "go to {{fiel}} {{fiel}}", cwd: "{{n}}" }, axes: { "config.thinking": "true,false" } },
      "--prompt:1:7: unknown column `fiel`; the columns are `file`, `n`, `config.thinking`",
      "--prompt:1:16: unknown column `fiel`; the columns are `file`, `n`, `config.thinking`"
    ],
    [
      "jsonl",
      "{\"a\":1}",
      { templates: { prompt: " " } },
      "--prompt:1:1: `prompt`: must not be empty without a `command`"
    ],
    // options
    [
      "jsonl",
      "{\"prompt\":\"a\",\"model\":\"gpt\"}",
      {},
      "jobs.jsonl:1:23: `model`: must have the form `provider/model`"
    ],
    [
      "jsonl",
      "{\"prompt\":\"a\",\"model\":\"a/b\",\"config\":{\"model\":\"c/d\"}}",
      {},
      "jobs.jsonl:1:15: `model` is set twice"
    ],
    [
      "yaml",
      "- prompt: a\n  config:\n    colour: red\n    thinking: maybe\n    permission: {bash: ask}\n    extraEnv: {A: [1]}\n",
      {},
      "jobs.yaml:3:5: `colour`: unknown option",
      "jobs.yaml:4:15: `thinking`: expected boolean",
      "jobs.yaml:5:24: `permission.bash`: expected \"allow\" or \"deny\"; nobody can answer \"ask\"",
      "jobs.yaml:6:19: `extraEnv.A`: expected string"
    ],
    [
      "yaml",
      "- prompt: a\n  config:\n    configOverrides: {permission: {edit: ask}}\n    port: 1.5\n",
      {},
      "jobs.yaml:3:42: `permission.edit`: \"ask\" cannot be answered in a subprocess; use \"allow\" or \"deny\"",
      "jobs.yaml:4:11: `port`: must be an integer from 0 to 65535"
    ],
    [
      "csv",
      "prompt,config.thinking,config.colour,config.files\na,perhaps,red,[1]\n",
      {},
      "jobs.csv:2:3: `thinking`: expected boolean",
      "jobs.csv:1:24: `colour`: unknown option",
      "jobs.csv:2:15: `files`: expected string | Attachment"
    ],
    ["jsonl", "{\"prompt\":\"a\",\"config\":[]}", {}, "jobs.jsonl:1:24: `config` must be an object"],
    // limits
    [
      "jsonl",
      "{\"prompt\":\"a\",\"timeout\":\"soon\",\"budget\":{\"cost\":-1,\"money\":1,\"steps\":\"x\"}}",
      {},
      "jobs.jsonl:1:25: `timeout`: not a valid duration; use one like 90s, 5m, 2h, \"5 minutes\" or infinity",
      "jobs.jsonl:1:49: `budget.cost`: must be a number greater than zero",
      "jobs.jsonl:1:52: `budget.money`: unknown limit; the limits are steps, cost, tokens, toolCalls",
      "jobs.jsonl:1:70: `budget.steps` must be a number"
    ],
    [
      "csv",
      "prompt,timeout,budget.cost,budget\na,0s,0,1\n",
      {},
      "jobs.csv:2:3: `timeout`: must be greater than zero",
      "jobs.csv:2:6: `budget.cost`: must be a number greater than zero",
      "jobs.csv:2:8: `budget` must be an object in JSON"
    ],
    [
      "jsonl",
      "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}",
      { defaults: { model: "gpt" } },
      "options: `model`: must have the form `provider/model`"
    ],
    // columns that were meant for something
    [
      "csv",
      "prompt,agents,title,notes\na,b,c,d\n",
      {},
      "jobs.csv:1:8: no template uses the column `agents`; is `agent` meant?",
      "jobs.csv:1:15: no template uses the column `title`; is `config.title` meant?"
    ],
    ["csv", "prompt,agents,title\n{{agents}} {{title}},b,c\n", {}],
    [
      "jsonl",
      "{\"prompt\":\"a\",\"permission\":{}}",
      {},
      "jobs.jsonl:1:15: no template uses the column `permission`; is `config.permission` meant?"
    ],
    // the matrix
    [
      "jsonl",
      "{\"prompt\":\"a\",\"model\":\"a/b\"}",
      { axes: { model: "c/d" } },
      "jobs.jsonl:1:15: `model` is an axis of the matrix; a job cannot set it as well"
    ],
    [
      "jsonl",
      "{\"prompt\":\"a\"}",
      { axes: { modle: "c/d", tone: "x" } },
      "--matrix modle:1:1: the axis `modle` has no effect: it is not a field of a job, and no template uses it; is `model` meant?",
      "--matrix tone:1:1: the axis `tone` has no effect: it is not a field of a job, and no template uses it"
    ],
    [
      "jsonl",
      "{\"prompt\":\"a\"}",
      { axes: { model: "a/b,c" } },
      "--matrix model:1:1: `model`: must have the form `provider/model`"
    ],
    // all of it
    [
      "jsonl",
      "{\"prompt\":\"{{x}}\"}\n{\n{\"prompt\":\"a\",\"model\":\"b\"}\n{}",
      {},
      "jobs.jsonl:1:12: unknown column `x`; the columns are `prompt`",
      "jobs.jsonl:2:2: expected a name in double quotes, found the end of the text",
      "jobs.jsonl:3:23: `model`: must have the form `provider/model`",
      "jobs.jsonl:4:1: the job has no `prompt`: add one, or set one for all jobs with --prompt"
    ]
  ]
  for (const [index, [format, text, options, ...expected]] of cases.entries()) {
    it.effect(`${index + 1}: ${text.split("\n").slice(-1)[0] || text}`, () =>
      Effect.gen(function*() {
        const found = yield* problems(format, text, options)
        expect([...found].sort()).toEqual([...expected].sort())
      }))
  }

  it.effect("in any number", () =>
    Effect.gen(function*() {
      const row = JSON.stringify({ prompt: "x", config: { files: Array.from({ length: 140_000 }, () => 1) } })
      const planned = yield* plan("jsonl", row)
      expect(Either.flip(planned).pipe(Either.getOrThrow).problems.length).toBe(140_000)
    }))

  it.effect("without the value, which can be a secret", () =>
    Effect.gen(function*() {
      const found = yield* problems(
        "jsonl",
        JSON.stringify({
          prompt: "x",
          config: { password: ["canary-4711"], extraEnv: { A: ["canary-4711"] }, logLevel: "canary-4711" }
        })
      )
      expect(found.length).toBe(3)
      expect(found.join()).not.toContain("canary")
    }))
})
