import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as utf8 from "../src/host/utf8.js"
import { runCli } from "./support/cli.js"

const bytes = (...parts: ReadonlyArray<string | ReadonlyArray<number>>) =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part))

const decoded = (given: Uint8Array) =>
  Either.match(utf8.decode("a.csv", given), { onLeft: ({ message }) => message, onRight: (text) => `text: ${text}` })

describe("bytes", () => {
  it.each([
    ["nothing", bytes(), "text: "],
    ["ASCII", bytes("a\nb"), "text: a\nb"],
    ["a byte order mark", bytes("\ufeffid"), "text: id"],
    ["a replacement character", bytes("\ufffd"), "text: \ufffd"],
    ["Latin-1", bytes("a,b\nü,caf", [0xe9], ",c"), "a.csv is not UTF-8 (line 2, column 6): save it as UTF-8"],
    [
      "half a character at the end",
      bytes("ab", [0xe2, 0x82]),
      "a.csv is not UTF-8 (line 1, column 3): save it as UTF-8"
    ],
    ["half a pair", bytes([0xed, 0xa0, 0xbd]), "a.csv is not UTF-8 (line 1, column 1): save it as UTF-8"],
    ["UTF-16", bytes([0xff, 0xfe, 0x61, 0]), "a.csv is UTF-16, not UTF-8: save it as UTF-8"],
    ["UTF-16, big", bytes([0xfe, 0xff, 0, 0x61]), "a.csv is UTF-16, not UTF-8: save it as UTF-8"],
    ["UTF-16 without a mark", bytes([0x61, 0, 0x62, 0]), "a.csv is UTF-16, not UTF-8: save it as UTF-8"]
  ])("are decoded or refused: %s", (_, given, expected) => {
    expect(decoded(given)).toBe(expected)
  })

  it.prop(
    "are refused at the first invalid one",
    { before: fc.fullUnicodeString({ minLength: 2 }), after: fc.string() },
    ({ after, before }) => {
      const text = `..${before}`
      const lines = text.split("\n")
      expect(decoded(bytes(text, [0xff], after))).toContain(
        `(line ${lines.length}, column ${lines[lines.length - 1]!.length + 1})`
      )
      expect(decoded(bytes(text))).toBe(`text: ${text}`)
    }
  )
})

const latin1 = bytes("name\ncaf", [0xe9], "\n")

const file = (name: string, content: Uint8Array) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = `${yield* fileSystem.makeTempDirectoryScoped()}/${name}`
    yield* fileSystem.writeFile(path, content)
    return path
  })

const refused = (path: string, ...args: ReadonlyArray<string>) =>
  Effect.map(runCli(args), ({ code, stderr }) => {
    expect(stderr).toContain(`${path} is not UTF-8 (line 2, column 4)`)
    expect(code).toBe(2)
  })

describe("a file that is not UTF-8 is refused before anything starts:", () => {
  it.scoped("a prompt file", () =>
    Effect.flatMap(file("prompt.md", latin1), (path) => refused(path, "run", "--file", path)).pipe(
      Effect.provide(NodeContext.layer)
    ))

  it.scoped("a file given by an option", () =>
    Effect.flatMap(file("mcp.json", latin1), (path) => refused(path, "run", "x", "--mcp", `@${path}`)).pipe(
      Effect.provide(NodeContext.layer)
    ))

  it.effect("standard input", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runCli(["run", "-"], { stdin: latin1 })
      expect(stderr).toBe("error: Standard input is not UTF-8 (line 2, column 4): save it as UTF-8.\n")
      expect(code).toBe(2)
    }))

  it.scoped("the jobs and the prompt of a batch", () =>
    Effect.gen(function*() {
      const jobs = yield* file("jobs.csv", latin1)
      yield* refused(jobs, "batch", jobs, "--prompt", "{{name}}")
      const sound = yield* file("sound.csv", bytes("name\na\n"))
      const prompt = yield* file("prompt.md", latin1)
      yield* refused(prompt, "batch", sound, "--prompt-file", prompt)
    }).pipe(Effect.provide(NodeContext.layer)))
})
