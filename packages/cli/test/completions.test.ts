import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runCli } from "./support/cli.js"

type Shell = "bash" | "zsh" | "fish"

const isInstalled = (shell: Shell): boolean => spawnSync(shell, ["-c", "true"]).status === 0

const wordsOf = (line: string): ReadonlyArray<string> => line.split(" ")

const suggest = (shell: Shell, line: string) =>
  Effect.map(runCli(["--suggest", shell, ...wordsOf(line)]), ({ code, stderr, stdout }) => {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    return stdout
  })

/** Runs a program of a shell that has sourced the completions; the program that they ask answers as ours does. */
const inShell = (shell: Shell, line: string, program: (script: string) => string) =>
  Effect.scoped(Effect.gen(function*() {
    const { stdout } = yield* runCli(["--completions", shell])
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-completions-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const [script, answer, asked, bin, work] = ["script", "answer", "asked", "bin", "work"]
      .map((name) => path.join(directory, name)) as [string, string, string, string, string]
    fs.mkdirSync(bin)
    fs.mkdirSync(path.join(work, "folder"), { recursive: true })
    fs.writeFileSync(path.join(work, "notes.md"), "")
    fs.writeFileSync(script, stdout)
    fs.writeFileSync(answer, yield* suggest(shell, line))
    const own = path.join(bin, "effect-opencode")
    fs.writeFileSync(own, `#!/bin/sh\nprintf '%s\\n' "$@" > '${asked}'\ncat '${answer}'\n`, { mode: 0o755 })
    const args = shell === "zsh" ? ["-f", "-c"] : shell === "fish" ? ["--no-config", "-c"] : ["--norc", "-c"]
    const result = spawnSync(shell, [...args, program(script)], {
      cwd: work,
      encoding: "utf8",
      env: {
        ...process.env,
        PATH: `${bin}${path.delimiter}${process.env["PATH"]}`,
        HOME: directory,
        XDG_CONFIG_HOME: directory,
        XDG_DATA_HOME: directory
      }
    })
    expect(result.stderr).toBe("")
    if (shell !== "zsh") {
      expect(fs.readFileSync(asked, "utf8")).toBe(["--suggest", shell, ...wordsOf(line)].join("\n") + "\n")
    }
    return result.stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0]!).sort()
  }))

const commands = ["batch", "conformance", "doctor", "replay", "run"]

const profiles = ["allow", "allow-all", "deny", "deny-all", "read-only"]

/** What a shell offers after some words, the last of which is not ended. */
const offers: ReadonlyArray<readonly [line: string, expected: ReadonlyArray<string>]> = [
  ["", commands],
  ["re", ["replay"]],
  ["run --budget-", ["--budget-cost", "--budget-steps", "--budget-tokens", "--budget-tool-calls"]],
  ["run --json --log-level ", ["DEBUG", "ERROR", "INFO", "WARN"]],
  ["run words --permission d", profiles.filter((profile) => profile.startsWith("d"))],
  ["run --isolation r", ["run"]],
  ["replay --m", ["--max-pause"]],
  ["batch --keep-worktrees f", ["failed"]],
  ["--completions ", ["bash", "fish", "zsh"]]
]

const withoutOptions = (found: ReadonlyArray<string>, line: string) =>
  line === "" ? found.filter((word) => !word.startsWith("-")) : found

const inBash = (line: string) =>
  inShell(
    "bash",
    line,
    (script) =>
      `source ${script}; source ${script}; COMP_WORDS=(effect-opencode ${
        wordsOf(line).map((word) => `'${word}'`).join(" ")
      })
     COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _effect-opencode; printf '%s\\n' "\${COMPREPLY[@]}"`
  )

const inFish = (line: string) =>
  inShell("fish", line, (script) => `source ${script}; complete -C 'effect-opencode ${line}'`)

describe("completions", () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    it.effect(`for ${shell} are a script that asks the program`, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* runCli(["--completions", shell])
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        expect(stdout).toMatch(new RegExp(`effect-opencode '?--suggest'? '?${shell}'?`))
      }))
  }

  it.effect.skipIf(!isInstalled("bash"))("work in bash", () =>
    Effect.gen(function*() {
      for (const [line, expected] of offers) {
        expect(withoutOptions(yield* inBash(line), line), line).toEqual(expected)
      }
      expect(yield* inBash("run --file ")).toEqual(["folder/", "notes.md"])
      expect(yield* inBash("run --cwd ")).toEqual(["folder/"])
    }))

  it.effect.skipIf(!isInstalled("fish"))("work in fish", () =>
    Effect.gen(function*() {
      for (const [line, expected] of offers) {
        expect(withoutOptions(yield* inFish(line), line), line).toEqual(expected)
      }
    }))

  it.effect.skipIf(!isInstalled("zsh"))("are valid in zsh", () =>
    Effect.gen(function*() {
      expect(
        yield* inShell(
          "zsh",
          "",
          (script) => `autoload -U compinit; compinit -u; source ${script}; print $_comps[effect-opencode]`
        )
      )
        .toEqual(["_optique:effect-opencode"])
    }))
})
