import { SystemError } from "@effect/platform/Error"
import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError } from "effect-opencode"
import { OpenCodeTest } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as fc from "effect/FastCheck"
import { CliError, ReportedError } from "../src/CliError.js"
import * as Style from "../src/display/Style.js"
import * as ExitCode from "../src/ExitCode.js"
import * as Explanation from "../src/Explanation.js"
import { InterruptedError } from "../src/host/Interrupt.js"

const { Failure, partial } = OpenCodeTest

const say = (cause: Cause.Cause<unknown>, verbose = false) =>
  Explanation.render(Explanation.explain(cause), { style: Style.plain, verbose })

/** One of each error, and of each of its variants. */
const errors: ReadonlyArray<OpenCodeError.OpenCodeError> = [
  Failure.binaryNotFound(),
  Failure.binaryNotFound({ binary: "/opt/opencode", reason: "not-executable" }),
  Failure.version(),
  Failure.config(),
  Failure.config({ path: "permission.bash.rm *", reason: "an action must be \"allow\" or \"deny\"" }),
  Failure.config({ path: "sessionId", reason: "set the layer's `isolation` to \"none\" or to a directory" }),
  Failure.config({ path: "prompt", reason: "must not be empty without a `command`" }),
  Failure.spawn(),
  Failure.sqlite(),
  Failure.process(),
  Failure.process({ signal: "SIGSEGV" }),
  Failure.process({ partial: { survivors: [4711] } }),
  ...(["authentication", "quota", "rate-limit", "context-overflow", "model-not-found", "other"] as const)
    .map((kind) => Failure.session({ kind, reason: "the provider's words.\nin two lines" })),
  Failure.permission(),
  Failure.incomplete(),
  ...(["startup", "idle", "total"] as const).map((phase) => Failure.timeout({ phase })),
  Failure.budget(),
  Failure.budget({ scope: "fleet" }),
  Failure.output(),
  new OpenCodeError.OpenCodeCancelledError({ signal: "SIGTERM", partial: partial() }),
  new OpenCodeError.OpenCodeServerError({ reason: "unreachable", url: "http://127.0.0.1:4096", stderr: "a\nb" })
]

describe("explain", () => {
  it("returns one line and a hint", async () => {
    const lines = errors.map((error) => {
      const explanation = Explanation.explain(Cause.fail(error))
      expect(explanation.message).not.toContain("\n")
      expect(explanation.exitCode).toBe(ExitCode.ofOutcome(error._tag))
      return `${error._tag}, exit ${explanation.exitCode}\n${say(Cause.fail(error))}\n`
    })
    await expect(lines.join("\n")).toMatchFileSnapshot("./__snapshots__/errors.txt")
  })

  it("returns everything that is known when verbose", () => {
    const text = say(Cause.fail(Failure.sqlite()), true)
    expect(text).toContain("OpenCodeSqliteError: OpenCode crashed on its database")
    expect(text).toContain("stderr: Error: Unexpected error")
    expect(text).toMatch(/run \S+ in /)
  })

  it("reads errors from elsewhere", () => {
    expect(say(Cause.fail(new CliError({ reason: "It\nis so.", hint: "do that" })))).toBe(
      "error: It is so.\nhint: do that"
    )
    const missing = new SystemError({
      reason: "NotFound",
      module: "FileSystem",
      method: "open",
      pathOrDescriptor: "a.txt"
    })
    expect(say(Cause.fail(missing))).toContain("a.txt")
    expect(say(Cause.fail(ConfigError.MissingData(["A"], "Expected A to exist")))).toContain("Expected A")
    expect(say(Cause.fail("a text"))).toBe("error: a text")
  })

  it("reports an unexpected failure as a defect", () => {
    const explanation = Explanation.explain(Cause.die(new Error("surprise")))
    expect(explanation).toMatchObject({ message: "surprise", exitCode: 1 })
    expect(explanation.hint).toContain("report it")
    expect(explanation.details).toContain("Explanation.test.ts")
  })

  it("is silent about an error reported before, an interruption and a closed pipe", () => {
    expect(say(Cause.fail(new ReportedError({ exitCode: 1 })))).toBe("")
    expect(say(Cause.fail(new InterruptedError({ signal: "SIGINT" })))).toBe("")
    expect(say(Cause.fail(new InterruptedError({ signal: "SIGPIPE" })))).toBe("")
    expect(say(Cause.fail(new InterruptedError({ signal: "SIGTERM" })))).toBe("error: Ended by SIGTERM.")
  })

  it.prop("returns one line for any reason", { text: fc.fullUnicodeString() }, ({ text }) => {
    const { message } = Explanation.explain(Cause.fail(new CliError({ reason: text })))
    expect(message).not.toMatch(/[\n\p{Cc}]/u)
  })
})

describe("a message", () => {
  it("contains no terminal control sequence", () => {
    const evil = "a\u001b[2Jb\u001b]0;title\u0007c\u009b1mde\rf"
    const error = new CliError({ reason: "x", hint: `${evil}\nsecond`, cause: new Error(`${evil}\n\tkept`) })
    const text = say(Cause.fail(error), true)
    expect(text).toContain("hint: abcde f second\n")
    expect(text).toContain("abcdef\n\tkept")
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  })
})

describe("exit codes", () => {
  it("distinguish the outcomes", () => {
    expect(Object.fromEntries(["success", "interrupted", "something", ...errors.map(({ _tag }) => _tag)]
      .map((outcome) => [outcome, ExitCode.ofOutcome(outcome)]))).toEqual({
        success: 0,
        interrupted: 130,
        something: 1,
        OpenCodeConfigError: 2,
        OpenCodeBinaryNotFoundError: 3,
        OpenCodeVersionError: 3,
        OpenCodeSpawnError: 3,
        OpenCodeProcessError: 4,
        OpenCodeSqliteError: 4,
        OpenCodeSessionError: 5,
        OpenCodePermissionError: 6,
        OpenCodeIncompleteError: 7,
        OpenCodeTimeoutError: 8,
        OpenCodeBudgetError: 9,
        OpenCodeCancelledError: 10,
        OpenCodeOutputError: 11,
        OpenCodeServerError: 12
      })
    expect((["SIGHUP", "SIGINT", "SIGQUIT", "SIGPIPE", "SIGTERM"] as const).map(ExitCode.ofSignal)).toEqual(
      [129, 130, 131, 141, 143]
    )
  })
})
