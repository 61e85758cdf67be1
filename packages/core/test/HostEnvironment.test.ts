import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { HostEnvironment, Leftovers, OpenCode } from "effect-opencode"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as loopback from "../src/internal/launch/loopback.js"
import * as T from "./support/mock.js"

/** An OpenCode that prints its data directory's files and the mark of its run. */
const looking = `#!/bin/sh
[ "$1" = --version ] && { echo 1.18.33; exit; }
cat >/dev/null
echo '{"type":"text","sessionID":"s","part":{"text":"'"$(ls "$XDG_DATA_HOME/opencode") $HOME $${Leftovers.variable}"'"}}'
echo '{"type":"step_finish","sessionID":"s","part":{"reason":"stop"}}'
`

/** Sets variables of this process until the scope closes. */
const setting = (variables: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      Object.assign(process.env, variables)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const name of Object.keys(variables)) delete process.env[name]
        Object.assign(process.env, before)
      })
  )

const settings = Layer.setConfigProvider(ConfigProvider.fromMap(
  new Map([["AGENT_MODEL", "acme/large"], ["PATH", "/nowhere"], ["HOME", "/nowhere"], [Leftovers.variable, "nobody"]])
))

describe("the host environment", () => {
  for (const [name, binary] of [["a name on PATH", "oc-looking"], ["a path", "~/bin/oc-looking"]] as const) {
    for (const [how, provider] of [["default", Layer.empty], ["own", settings]] as const) {
      it.scopedLive(`is the environment of the process with the program's ${how} ConfigProvider: ${name}`, () =>
        Effect.gen(function*() {
          const fileSystem = yield* FileSystem.FileSystem
          const home = yield* fileSystem.makeTempDirectoryScoped()
          NodeFs.mkdirSync(`${home}/.local/share/opencode`, { recursive: true })
          NodeFs.writeFileSync(`${home}/.local/share/opencode/auth.json`, "{}")
          NodeFs.mkdirSync(`${home}/bin`)
          NodeFs.writeFileSync(`${home}/bin/oc-looking`, looking, { mode: 0o755 })
          yield* setting({
            HOME: home,
            PATH: `${home}/bin:${process.env["PATH"]}`,
            XDG_DATA_HOME: "",
            [Leftovers.variable]: "outer"
          })
          const result = yield* OpenCode.run("x").pipe(
            Effect.provide(OpenCode.layer({ binary }).pipe(Layer.provide(NodeContext.layer), Layer.provide(provider))),
            Effect.provide(provider)
          )
          assert.strictEqual(result.text, `auth.json ${home} outer:${result.runId}`)
        }).pipe(Effect.provide(NodeContext.layer)))
    }
  }

  it.effect("is read again for every run", () =>
    Effect.gen(function*() {
      const variables: Record<string, string> = {}
      const marks = Effect.map(T.commands, (all) => all.map(({ env }) => env[Leftovers.variable]!.split(":")[0]))
      yield* Effect.gen(function*() {
        yield* OpenCode.run("x")
        variables[Leftovers.variable] = "later"
        yield* OpenCode.run("x")
      }).pipe(Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables(variables)))
      assert.deepStrictEqual(yield* marks, ["", "later"])
    }).pipe(Effect.provide(T.layer(() => T.answering("x")))))

  it.effect("supplies the reviewed environment", () =>
    Effect.gen(function*() {
      const { bin, home } = yield* T.Machine
      yield* Effect.withConfigProvider(OpenCode.run("x"), ConfigProvider.fromMap(new Map([["LANG", "wrong"]])))
      const { env } = yield* T.only
      assert.deepInclude(env, { PATH: bin, HOME: home, LANG: "de" })
    }).pipe(Effect.provide(T.layer([T.answering("x")], { environment: "reviewed" }, () => ({ LANG: "de" })))))
})

describe("a proxy", () => {
  const local = "localhost,127.0.0.1,::1,[::1]"
  const cases: ReadonlyArray<readonly [string, Record<string, string>, Record<string, string>, string | undefined]> = [
    ["that is not set", { NO_PROXY: "a" }, {}, undefined],
    ["that is empty", { HTTP_PROXY: "" }, {}, undefined],
    ["of the machine", { HTTP_PROXY: "http://p" }, {}, local],
    ["for HTTPS alone, in small letters", { https_proxy: "http://p" }, {}, local],
    ["for everything", { ALL_PROXY: "socks5://p" }, {}, local],
    ["of the run", {}, { HTTP_PROXY: "http://p" }, local],
    ["that the run lifts", { HTTP_PROXY: "http://p" }, { HTTP_PROXY: "" }, undefined],
    ["with exceptions", { HTTP_PROXY: "http://p", NO_PROXY: "a, .b", no_proxy: "c a" }, {}, `a,.b,c,${local}`],
    ["with exceptions of the run", { HTTP_PROXY: "http://p", NO_PROXY: "a" }, { NO_PROXY: "b" }, `b,${local}`],
    ["with loopback among them", { HTTP_PROXY: "http://p", no_proxy: local }, {}, local],
    ["that is used for nothing", { HTTP_PROXY: "http://p", NO_PROXY: "*" }, {}, "*"]
  ]
  for (const [name, inherited, extraEnv, expected] of cases) {
    it.effect(`${name}: requests to this machine bypass it`, () =>
      Effect.gen(function*() {
        yield* OpenCode.run("x", { extraEnv })
        const { env } = yield* T.only
        if (expected === undefined) assert.isUndefined(env["no_proxy"])
        else assert.deepInclude(env, { NO_PROXY: expected, no_proxy: expected })
      }).pipe(Effect.provide(T.layer([T.answering("x")], {}, () => inherited))))
  }

  it.effect("is not inherited by a given environment", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x")
      assert.isUndefined((yield* T.only).env["NO_PROXY"])
    }).pipe(
      Effect.provide(T.layer([T.answering("x")], { environment: { A: "b" } }, () => ({ HTTP_PROXY: "http://p" })))
    ))

  const node = { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: "http://p" }
  const asked: ReadonlyArray<readonly [boolean, Record<string, string>]> = [
    [true, node],
    [true, { NODE_OPTIONS: "--use-env-proxy", http_proxy: "http://p", NO_PROXY: "a" }],
    [false, { ...node, NO_PROXY: "a, 127.0.0.1" }],
    [false, { ...node, no_proxy: "*" }],
    [false, { NODE_USE_ENV_PROXY: "1" }],
    [false, { HTTP_PROXY: "http://p" }]
  ]
  for (const [isProxied, variables] of asked) {
    it.effect(`between us and our servers is ${isProxied ? "detected" : "absent"} with ${Object.keys(variables)}`, () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* loopback.isProxied, isProxied)
      }).pipe(Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables(variables))))
  }
})
