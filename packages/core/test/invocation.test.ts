import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Redacted } from "effect"
import { RunConfig, Version } from "effect-opencode"
import * as invocation from "../src/internal/invocation.js"
import * as arbitraries from "./support/arbitraries.js"

const v118 = Version.make(1, 18, 33)

const args = (config: RunConfig.RunConfig, prompt?: string) => invocation.args(config, v118, prompt)

const start = ["run", "--format", "json"]

describe("invocation", () => {
  describe("args", () => {
    it("are only the start where nothing is asked for", () => {
      expect(args({})).toEqual(start)
      expect(args(RunConfig.empty, "")).toEqual(start)
    })

    const rows: ReadonlyArray<readonly [RunConfig.RunConfig, ReadonlyArray<string>]> = [
      [{ printLogs: true }, ["--print-logs"]],
      [{ logLevel: "DEBUG" }, ["--log-level", "DEBUG"]],
      [{ command: "review" }, ["--command", "review"]],
      [{ continueSession: true }, ["--continue"]],
      [{ sessionId: "ses_1" }, ["--session", "ses_1"]],
      [{ fork: true }, ["--fork"]],
      [{ share: true }, ["--share"]],
      [{ model: "a/b" }, ["-m", "a/b"]],
      [{ agent: "plan" }, ["--agent", "plan"]],
      [{ files: ["a.txt", "b c.txt"] }, ["-f", "a.txt", "-f", "b c.txt"]],
      [{ files: [] }, []],
      [{ title: "a title" }, ["--title", "a title"]],
      [{ attach: "http://localhost:4096" }, ["--attach", "http://localhost:4096"]],
      [{ dir: "/srv" }, ["--dir", "/srv"]],
      [{ port: 4096 }, ["--port", "4096"]],
      [{ port: 0 }, ["--port", "0"]],
      [{ variant: "high" }, ["--variant", "high"]],
      [{ thinking: true }, ["--thinking"]],
      [{ username: "me" }, ["--username", "me"]],
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
      [{ permission: "deny", mcp: {}, tools: {}, instructions: ["x"], configOverrides: {}, extraEnv: { A: "b" } }, []]
    ]

    for (const [config, expected] of rows) {
      it(`${JSON.stringify(config)} gives ${JSON.stringify(expected)}`, () => {
        expect(args(config)).toEqual([...start, ...expected])
      })
    }

    it("keep one order, with everything on", () => {
      const config: Required<RunConfig.RunConfig> = {
        printLogs: true,
        logLevel: "ERROR",
        command: "review",
        continueSession: true,
        sessionId: "ses_1",
        fork: true,
        share: true,
        model: "a/b",
        agent: "plan",
        files: ["a.txt", "b.txt"],
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
        ...["--log-level", "ERROR"],
        ...["--command", "review"],
        "--continue",
        ...["--session", "ses_1"],
        "--fork",
        "--share",
        ...["-m", "a/b"],
        ...["--agent", "plan"],
        ...["-f", "a.txt", "-f", "b.txt"],
        ...["--title", "t"],
        ...["--attach", "http://h"],
        ...["--dir", "/d"],
        ...["--port", "1"],
        ...["--variant", "high"],
        "--thinking",
        ...["--username", "me"],
        "--pure",
        "--auto",
        "--extra",
        ...["--", "do it"]
      ])
    })

    it("carry the prompt behind `--`, last, whatever it looks like", () => {
      for (const prompt of ["-x", "--help", "--", "a b", "\"quoted\"", "line\nline"]) {
        expect(args({ files: ["a.txt"] }, prompt)).toEqual([...start, "-f", "a.txt", "--", prompt])
      }
    })

    it("know the old name of `--auto`", () => {
      const old = ["--dangerously-skip-permissions"]
      expect(invocation.args({ auto: true }, Version.make(1, 14, 0))).toEqual([...start, ...old])
      expect(invocation.args({ auto: true }, Version.make(1, 16, 9))).toEqual([...start, ...old])
      expect(invocation.args({ auto: true }, Version.make(1, 17, 0))).toEqual([...start, "--auto"])
    })
  })

  describe("env", () => {
    it("switches updates off unless told otherwise, and that is all", () => {
      expect(invocation.env({})).toEqual({ OPENCODE_DISABLE_AUTOUPDATE: "1" })
      expect(invocation.env({ disableAutoupdate: true })).toEqual({ OPENCODE_DISABLE_AUTOUPDATE: "1" })
      expect(invocation.env({ disableAutoupdate: false })).toEqual({})
    })

    it("carries extra variables, secrets revealed, our own over them", () => {
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

    it("leaves a user's own configuration variable alone where there is no configuration", () => {
      expect(invocation.env({ extraEnv: { OPENCODE_CONFIG_CONTENT: "mine" } })).toMatchObject({
        OPENCODE_CONFIG_CONTENT: "mine"
      })
    })

    it("carries the password, which arguments never do", () => {
      const config = { attach: "http://h", username: "me", password: Redacted.make("hunter2-canary") }
      expect(invocation.env(config)).toMatchObject({ OPENCODE_SERVER_PASSWORD: "hunter2-canary" })
      expect(args(config, "go").join(" ")).not.toContain("hunter2-canary")
      expect(args(config)).not.toContain("-p")
      expect(args(config)).not.toContain("--password")
    })
  })

  describe("withErrorLog", () => {
    it("asks for the error log unless the caller decided", () => {
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
        expect(invocation.lacking(config, before)).toEqual({ option, since: from })
        expect(invocation.lacking(config, from)).toBeUndefined()
        expect(invocation.lacking(config, v118)).toBeUndefined()
      })
    }

    it("is nothing where nothing is asked for", () => {
      const oldest = invocation.supported.from
      expect(invocation.lacking({}, oldest)).toBeUndefined()
      expect(invocation.lacking({ pure: false, auto: false, model: "a/b", fork: true }, oldest)).toBeUndefined()
    })
  })

  describe("round trip", () => {
    const flags = {
      "--print-logs": "printLogs",
      "--continue": "continueSession",
      "--fork": "fork",
      "--share": "share",
      "--thinking": "thinking",
      "--pure": "pure",
      "--auto": "auto"
    } as const
    const options = {
      "--log-level": "logLevel",
      "--command": "command",
      "--session": "sessionId",
      "-m": "model",
      "--agent": "agent",
      "--title": "title",
      "--attach": "attach",
      "--dir": "dir",
      "--variant": "variant",
      "--username": "username"
    } as const

    /** Reads arguments and variables as OpenCode does, back into what was asked for. */
    const parse = (args: ReadonlyArray<string>, env: { readonly [name: string]: string }) => {
      const config: Record<string, unknown> = {}
      const files: Array<string> = []
      let prompt: string | undefined
      const rest = args.slice(start.length)
      while (rest.length > 0) {
        const name = rest.shift()!
        if (name === "--") {
          prompt = rest.splice(0).join(" ")
        } else if (name in flags) {
          config[flags[name as keyof typeof flags]] = true
        } else if (name === "-f") {
          files.push(rest.shift()!)
        } else if (name === "--port") {
          config["port"] = Number(rest.shift())
        } else {
          config[options[name as keyof typeof options] ?? `unexpected ${name}`] = rest.shift()
        }
      }
      if (files.length > 0) config["files"] = files
      const {
        OPENCODE_CONFIG_CONTENT,
        OPENCODE_DISABLE_AUTOUPDATE,
        OPENCODE_PERMISSION,
        OPENCODE_SERVER_PASSWORD,
        ...extraEnv
      } = env
      config["disableAutoupdate"] = OPENCODE_DISABLE_AUTOUPDATE === "1"
      if (OPENCODE_CONFIG_CONTENT !== undefined) {
        // The rules stand under the agent's name and in a variable once more, see `permissionOrder`.
        const { agent, ...content } = JSON.parse(OPENCODE_CONFIG_CONTENT)
        Object.assign(config, content)
        const told = { content: agent?.build?.permission, variable: JSON.parse(OPENCODE_PERMISSION ?? "null") }
        const isNative = config["agent"] === undefined || config["agent"] === "build"
        if (told.variable !== null) expect(told.variable).toEqual(content.permission)
        if (agent !== undefined || (isNative && told.variable !== null)) {
          expect(told.content).toEqual(content.permission)
        }
      }
      if (OPENCODE_SERVER_PASSWORD !== undefined) config["password"] = OPENCODE_SERVER_PASSWORD
      if (Object.keys(extraEnv).length > 0) config["extraEnv"] = extraEnv
      return { config, prompt }
    }

    /** Anything at all, also what looks like an option. */
    const text = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom("--", "-f", "--fork", "-m", "a b", "ü 🎉", "\n"))
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

    it.prop("arguments and variables hold the whole configuration", {
      config,
      disableAutoupdate: fc.boolean(),
      prompt: fc.option(text, { nil: undefined })
    }, ({ config, disableAutoupdate, prompt }) => {
      const whole = { ...config, disableAutoupdate }
      const { password, ...plain } = whole
      expect(parse(args(whole, prompt), invocation.env(whole))).toEqual({
        config: password === undefined ? plain : { ...plain, password: Redacted.value(password) },
        prompt
      })
    }, { fastCheck: { numRuns: 300 } })

    it.prop("no argument holds the password", { config }, ({ config }) => {
      const secret = "canary-5f1c"
      const all = args({ ...config, password: Redacted.make(secret) }, "go")
      expect(all.filter((arg) => arg.includes(secret))).toEqual([])
    })
  })
})
