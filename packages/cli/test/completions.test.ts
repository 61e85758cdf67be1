import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Shell } from "../src/commandLine/completions.js"
import { runCli } from "./support/cli.js"

const isInstalled = (shell: Shell): boolean => spawnSync(shell, ["-c", "true"]).status === 0

/** Runs a program in a shell that has sourced the completions. */
const inShell = (shell: Shell, program: (script: string) => string) =>
  Effect.scoped(Effect.gen(function*() {
    const { stdout } = yield* runCli(["--completions", shell])
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-completions-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const script = path.join(directory, "script")
    fs.writeFileSync(script, stdout)
    const args = shell === "zsh" ? ["-f", "-c"] : shell === "fish" ? ["--no-config", "-c"] : ["--norc", "-c"]
    const result = spawnSync(shell, [...args, program(script)], {
      cwd: directory,
      encoding: "utf8",
      env: { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory }
    })
    expect(result.stderr).toBe("")
    return result.stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0]!).sort()
  }))

const commands = ["batch", "doctor", "replay", "run"]

/** What a shell offers after some words, the last of which is incomplete. */
const offers: ReadonlyArray<readonly [line: string, expected: ReadonlyArray<string>]> = [
  ["", commands],
  ["re", ["replay"]],
  ["run --budget-", ["--budget-cost", "--budget-steps", "--budget-tokens", "--budget-tool-calls"]],
  ["run --json --log-level ", ["DEBUG", "ERROR", "INFO", "WARN"]],
  ["replay --m", ["--max-pause"]],
  ["--completions ", ["bash", "fish", "zsh"]]
]

const withoutOptions = (found: ReadonlyArray<string>, line: string) =>
  line === "" ? found.filter((word) => !word.startsWith("-")) : found

describe("completions", () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    it.effect(`are generated for ${shell}`, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* runCli(["--completions", shell])
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        yield* Effect.promise(() => expect(stdout).toMatchFileSnapshot(`./__snapshots__/completions.${shell}`))
      }))
  }

  it.effect.skipIf(!isInstalled("bash"))("work in bash", () =>
    Effect.gen(function*() {
      for (const [line, expected] of offers) {
        const found = yield* inShell("bash", (script) =>
          `source ${script}; COMP_WORDS=(effect-opencode ${line}${line === "" || line.endsWith(" ") ? "''" : ""})
           COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _effect_opencode; printf '%s\\n' "\${COMPREPLY[@]}"`)
        expect(withoutOptions(found, line), line).toEqual(expected)
      }
    }))

  it.effect.skipIf(!isInstalled("fish"))("work in fish", () =>
    Effect.gen(function*() {
      for (const [line, expected] of offers) {
        const found = yield* inShell("fish", (script) => `source ${script}; complete -C 'effect-opencode ${line}'`)
        expect(withoutOptions(found, line), line).toEqual(expected)
      }
    }))

  it.effect.skipIf(!isInstalled("zsh"))("are valid in zsh", () =>
    Effect.gen(function*() {
      expect(
        yield* inShell(
          "zsh",
          (script) => `autoload -U compinit; compinit -u; source ${script}; print $_comps[effect-opencode]`
        )
      )
        .toEqual(["_effect-opencode"])
    }))
})
