import { describe, expect, it } from "@effect/vitest"
import { RunConfig, Version } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as check from "../src/internal/opencode/check.js"
import * as dialect from "../src/internal/opencode/dialect.js"
import * as invocation from "../src/internal/opencode/v1/invocation.js"
import * as permissionOrder from "../src/internal/opencode/v1/permissionOrder.js"
import * as arbitraries from "./support/arbitraries.js"
import * as yargs from "./support/yargs.js"

const v118 = Version.make(1, 18, 33)

const args = (config: RunConfig.RunConfig, prompt?: string) => invocation.args(config, v118, prompt)

const lacking = (config: RunConfig.RunConfig, version: Version.Version) =>
  dialect.lacking(invocation.options, config, version)

const start = ["run", "--format", "json"]

const isEmpty = (value: unknown) => JSON.stringify(value) === "{}"

describe("invocation", () => {
  describe("args", () => {
    it("are the fixed ones for an empty configuration", () => {
      expect(args({})).toEqual(start)
      expect(args(RunConfig.empty, "")).toEqual(start)
    })

    const rows: ReadonlyArray<readonly [RunConfig.RunConfig, ReadonlyArray<string>]> = [
      [{ printLogs: true }, ["--print-logs"]],
      [{ logLevel: "DEBUG" }, ["--log-level=DEBUG"]],
      [{ command: "review" }, ["--command=review"]],
      [{ continueSession: true }, ["--continue"]],
      [{ sessionId: "ses_1" }, ["--session=ses_1"]],
      [{ fork: true }, ["--fork"]],
      [{ share: true }, ["--share"]],
      [{ model: "a/b" }, ["--model=a/b"]],
      [{ agent: "plan" }, ["--agent=plan"]],
      [{ files: ["a.txt", "b c.txt"] }, ["--file=a.txt", "--file=b c.txt"]],
      [{ files: [] }, []],
      [{ system: "Be brief." }, []],
      [{ title: "a title" }, ["--title=a title"]],
      [{ attach: "http://localhost:4096" }, ["--attach=http://localhost:4096"]],
      [{ dir: "/srv" }, ["--dir=/srv"]],
      [{ port: 4096 }, ["--port=4096"]],
      [{ port: 0 }, ["--port=0"]],
      [{ variant: "high" }, ["--variant=high"]],
      [{ thinking: true }, ["--thinking"]],
      [{ username: "me" }, ["--username=me"]],
      [{ pure: true }, ["--pure"]],
      [{ auto: true }, ["--auto"]],
      [{ extraArgs: ["--brand-new", "x"] }, ["--brand-new", "x"]],
      [
        {
          printLogs: false,
          continueSession: false,
          fork: false,
          share: false,
          thinking: false,
          pure: false,
          auto: false
        },
        []
      ],
      [{ password: Redacted.make("hunter2-canary") }, []],
      [{ mcp: {}, tools: {}, instructions: ["x"], configOverrides: {}, extraEnv: { A: "b" } }, []],
      [{ permission: "deny" }, ["--agent=build"]],
      [{ permission: "deny", agent: "plan" }, ["--agent=plan"]]
    ]

    for (const [config, expected] of rows) {
      it(`are ${JSON.stringify(expected)} for ${JSON.stringify(config)}`, () => {
        expect(args(config)).toEqual([...start, ...expected])
      })
    }

    it("have one order, with every option set", () => {
      const config: Required<RunConfig.RunConfig> = {
        printLogs: true,
        logLevel: "ERROR",
        command: "review",
        continueSession: true,
        sessionId: "ses_1",
        fork: true,
        forkAfter: "msg_1",
        share: true,
        model: "a/b",
        agent: "plan",
        files: ["a.txt", "b.txt"],
        system: "Be brief.",
        title: "t",
        attach: "http://h",
        password: Redacted.make("hunter2-canary"),
        dir: "/d",
        port: 1,
        variant: "high",
        thinking: true,
        username: "me",
        pure: true,
        auto: true,
        extraArgs: ["--extra"],
        extraEnv: { A: "1" },
        disableAutoupdate: true,
        startupProfile: "fast",
        permission: "deny",
        mcp: {},
        tools: {},
        instructions: [],
        configOverrides: {}
      }
      expect(args(config, "do it")).toEqual([
        ...start,
        "--print-logs",
        "--log-level=ERROR",
        "--command=review",
        "--continue",
        "--session=ses_1",
        "--fork",
        "--share",
        "--model=a/b",
        "--agent=plan",
        ...["--file=a.txt", "--file=b.txt"],
        "--title=t",
        "--attach=http://h",
        "--dir=/d",
        "--port=1",
        "--variant=high",
        "--thinking",
        "--username=me",
        "--pure",
        "--auto",
        "--extra",
        ...["--", "do it"]
      ])
    })

    it("end with the prompt after `--`, in any form", () => {
      for (const prompt of ["-x", "--help", "--", "a b", "\"quoted\"", "line\nline"]) {
        expect(args({ files: ["a.txt"] }, prompt)).toEqual([...start, "--file=a.txt", "--", prompt])
      }
    })

    it("use the old name of `--auto` for older versions", () => {
      const old = ["--dangerously-skip-permissions"]
      expect(invocation.args({ auto: true }, Version.make(1, 14, 0))).toEqual([...start, ...old])
      expect(invocation.args({ auto: true }, Version.make(1, 16, 9))).toEqual([...start, ...old])
      expect(invocation.args({ auto: true }, Version.make(1, 17, 0))).toEqual([...start, "--auto"])
    })
  })

  describe("env", () => {
    it("disables updates unless told otherwise, and nothing else", () => {
      expect(invocation.env({})).toEqual({ OPENCODE_DISABLE_AUTOUPDATE: "1" })
      expect(invocation.env({ disableAutoupdate: true })).toEqual({ OPENCODE_DISABLE_AUTOUPDATE: "1" })
      expect(invocation.env({ disableAutoupdate: false })).toEqual({})
    })

    it("names the file of a system prompt after all other instructions, ours or else the inherited ones", () => {
      const instructions = (config: RunConfig.RunConfig, inherited: { readonly [key: string]: unknown }) => {
        const env = invocation.env(config, { agents: dialect.noAgents, inherited, system: "/tmp/system.md" })
        return JSON.parse(env["OPENCODE_CONFIG_CONTENT"]!) as unknown
      }
      expect(instructions({}, {})).toEqual({ instructions: ["/tmp/system.md"] })
      expect(instructions({ instructions: ["a"] }, { instructions: ["b"], theme: "x" }))
        .toEqual({ instructions: ["a", "/tmp/system.md"], theme: "x" })
      expect(instructions({ tools: { bash: false } }, { instructions: ["b"] }))
        .toEqual({ instructions: ["b", "/tmp/system.md"], tools: { bash: false } })
      expect(instructions({ configOverrides: { instructions: ["c"] } }, { instructions: ["b"] }))
        .toEqual({ instructions: ["c", "/tmp/system.md"] })
    })

    it("contains extra variables with secrets revealed, under our own", () => {
      expect(invocation.env({
        extraEnv: { PLAIN: "x", SECRET: Redacted.make("y"), OPENCODE_CONFIG_CONTENT: "mine" },
        tools: { bash: false }
      })).toEqual({
        PLAIN: "x",
        SECRET: "y",
        OPENCODE_CONFIG_CONTENT: "{\"tools\":{\"bash\":false}}",
        OPENCODE_DISABLE_AUTOUPDATE: "1"
      })
    })

    it("keeps a user's own configuration variable if there is no configuration", () => {
      expect(invocation.env({ extraEnv: { OPENCODE_CONFIG_CONTENT: "mine" } })).toMatchObject({
        OPENCODE_CONFIG_CONTENT: "mine"
      })
    })

    it("contains the password, which arguments never do", () => {
      const config = { attach: "http://h", username: "me", password: Redacted.make("hunter2-canary") }
      expect(invocation.env(config)).toMatchObject({ OPENCODE_SERVER_PASSWORD: "hunter2-canary" })
      expect(args(config, "go").join(" ")).not.toContain("hunter2-canary")
      expect(args(config)).not.toContain("-p")
      expect(args(config)).not.toContain("--password")
    })
  })

  describe("withErrorLog", () => {
    it("requests the error log unless the caller decided", () => {
      expect(invocation.withErrorLog({})).toEqual({ printLogs: true, logLevel: "ERROR" })
      expect(invocation.withErrorLog({ logLevel: "DEBUG" })).toEqual({ printLogs: true, logLevel: "DEBUG" })
      expect(args(invocation.withErrorLog({ printLogs: false }))).toEqual(start)
      expect(invocation.withErrorLog({ agent: "plan", printLogs: true })).toMatchObject({ agent: "plan" })
    })
  })

  describe("lacking", () => {
    const since: ReadonlyArray<readonly [RunConfig.RunConfig, string, Version.Version, Version.Version]> = [
      [{ dir: "/d" }, "dir", Version.make(1, 2, 5), Version.make(1, 2, 6)],
      [{ password: Redacted.make("p") }, "password", Version.make(1, 2, 26), Version.make(1, 2, 27)],
      [{ username: "me" }, "username", Version.make(1, 13, 9), Version.make(1, 14, 0)],
      [{ pure: true }, "pure", Version.make(1, 13, 9), Version.make(1, 14, 0)],
      [{ auto: true }, "auto", Version.make(1, 13, 9), Version.make(1, 14, 0)]
    ]

    for (const [config, option, before, from] of since) {
      it(`${option} is there from ${Version.format(from)} on`, () => {
        expect(lacking(config, before)).toEqual({ option, since: from })
        expect(lacking(config, from)).toBeUndefined()
        expect(lacking(config, v118)).toBeUndefined()
      })
    }

    it("is empty for an empty configuration", () => {
      const oldest = invocation.supported.from
      expect(lacking({}, oldest)).toBeUndefined()
      expect(lacking({ pure: false, auto: false, model: "a/b", fork: true }, oldest)).toBeUndefined()
    })
  })

  describe("round trip", () => {
    const flags = ["printLogs", "continue", "fork", "share", "thinking", "pure", "auto"]
    const options = [
      "logLevel",
      "command",
      "session",
      "model",
      "agent",
      "title",
      "attach",
      "dir",
      "variant",
      "username"
    ]
    const names: { readonly [name: string]: string } = { continue: "continueSession", session: "sessionId" }

    /** What OpenCode reads from arguments and variables, translated back to a configuration. */
    const parse = (args: ReadonlyArray<string>, env: { readonly [name: string]: string }) => {
      const { format, ...read } = yargs.read(args)
      expect(format).toBe("json")
      const config: Record<string, unknown> = {}
      for (const name of [...flags, ...options, "port"]) {
        if (read[name] !== undefined && read[name] !== false) config[names[name] ?? name] = read[name]
      }
      if (read["file"] !== undefined) config["files"] = read["file"]
      expect([read.message, read["password"], read["yolo"], read["interactive"], read["dangerously-skip-permissions"]])
        .toEqual([[], undefined, false, false, false])
      const {
        OPENCODE_CONFIG_CONTENT,
        OPENCODE_DISABLE_AUTOUPDATE,
        OPENCODE_PERMISSION,
        OPENCODE_SERVER_PASSWORD,
        ...extraEnv
      } = env
      config["disableAutoupdate"] = OPENCODE_DISABLE_AUTOUPDATE === "1"
      const content = OPENCODE_CONFIG_CONTENT === undefined ? undefined : JSON.parse(OPENCODE_CONFIG_CONTENT)
      if (OPENCODE_PERMISSION !== undefined) {
        expect(JSON.parse(OPENCODE_PERMISSION)).toEqual(permissionOrder.ordered(content.permission))
      }
      if (OPENCODE_SERVER_PASSWORD !== undefined) config["password"] = OPENCODE_SERVER_PASSWORD
      if (Object.keys(extraEnv).length > 0) config["extraEnv"] = extraEnv
      return { config, content, prompt: read["--"]?.join(" ") }
    }

    /** Any text, including text that looks like an option. */
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }).filter((text) => !text.includes("\0")),
      fc.string({ unit: fc.constantFrom("-", "=", "\"", "'", "\n", " ", ".", "a", "\\", "$", "1") }),
      fc.constantFrom(
        ...[
          "",
          "-",
          "--",
          "---",
          "-f",
          "--fork",
          "--no-replay",
          "no-auto",
          "--auto",
          "--auto=true",
          "-m",
          "--a.b",
          "a.b"
        ],
        ...["\"x\"", "'x'", "\"", "'", "\"\"", "''", "\"'x'\"", "x\"", "\"a\" and \"b\"", "=", "a=b", "=--auto"],
        ...["a b", "ü 🎉", "\n", "--x\n--auto", "1", "-1", "007", "0x1f", "1e5", "NaN", "true", "false", "undefined"],
        ...["__proto__", "constructor", "--get-yargs-completions", "--help", "--version", "-h"]
      )
    )
    const on = fc.constant(true)
    const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,8}$/)
    const action = fc.constantFrom("allow" as const, "deny" as const)

    const config = fc.record({
      printLogs: on,
      continueSession: on,
      fork: on,
      share: on,
      thinking: on,
      pure: on,
      auto: on,
      logLevel: fc.constantFrom("DEBUG" as const, "INFO" as const, "WARN" as const, "ERROR" as const),
      command: text,
      sessionId: text,
      model: text,
      agent: text,
      title: text,
      attach: text,
      dir: text,
      variant: text,
      username: text,
      port: fc.nat(65_535),
      files: fc.array(text, { minLength: 1, maxLength: 3 }),
      password: text.map((value) => Redacted.make(value)),
      extraEnv: fc.dictionary(name, text, { minKeys: 1, maxKeys: 3 }),
      permission: fc.oneof(action, fc.dictionary(name, fc.oneof(action, fc.dictionary(name, action)))),
      tools: fc.dictionary(name, fc.boolean()),
      mcp: fc.dictionary(name, arbitraries.json),
      instructions: fc.array(text)
    }, { requiredKeys: [] })

    it.prop("arguments and variables contain the whole configuration", {
      config,
      disableAutoupdate: fc.boolean(),
      prompt: fc.option(
        text.filter((text) => Option.isNone(check.run(`${text}`, { command: "x", promptVia: "argv" }))),
        { nil: undefined }
      )
    }, ({ config, disableAutoupdate, prompt }) => {
      const whole = { ...config, disableAutoupdate }
      const { agent: _a, instructions: _i, mcp: _m, password, permission: _p, tools: _t, ...rest } = whole
      const agent = permissionOrder.agentOf(whole)
      const plain = agent === undefined ? rest : { ...rest, agent }
      const content = RunConfig.configContent(whole)
      const parsed = parse(args(whole, prompt), invocation.env(whole))
      expect(parsed).toEqual({
        config: password === undefined ? plain : { ...plain, password: Redacted.value(password) },
        content: content === undefined || Object.values(content).every(isEmpty)
          ? undefined
          : permissionOrder.asTold(content, agent),
        prompt: prompt === "" ? undefined : prompt
      })
    }, { fastCheck: { numRuns: 40 } })

    const values = fc.record({
      command: text,
      sessionId: text,
      agent: text,
      title: text,
      attach: text,
      dir: text,
      variant: text,
      username: text,
      model: text,
      files: fc.array(text, { minLength: 1, maxLength: 10 })
    })

    it.prop("a value is never parsed as anything but the value of its option", { values }, ({ values }) => {
      expect(parse(args(values, "go"), {}).config).toEqual({ ...values, disableAutoupdate: false })
    }, { fastCheck: { numRuns: 40 } })

    it.prop("a value is parsed unchanged", { values }, ({ values }) => {
      const { agent, attach, command, dir, file, model, session, title, username, variant } = yargs.values(args(values))
      const read = { agent, attach, command, dir, files: file, model, sessionId: session, title, username, variant }
      expect(read).toEqual(values)
    }, { fastCheck: { numRuns: 500 } })

    it.prop("no argument contains the password", { config }, ({ config }) => {
      const secret = "canary-5f1c"
      const all = args({ ...config, password: Redacted.make(secret) }, "go")
      expect(all.filter((arg) => arg.includes(secret))).toEqual([])
    })
  })
})
