/**
 * The faults that a run can meet, and the outcome that each has to have.
 */
import { OpenCode, type OpenCodeError, type RunEvent, type RunOptions } from "effect-opencode"
import type { ModelProvider } from "effect-opencode-testing"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import * as support from "../integration/support.js"
import * as opencode2 from "../support/opencode2.js"

const { announcing, appearance, during, leader, Reply, respond, run, steps } = support

/** The OpenCode that meets the faults. */
export interface Subject {
  readonly major: 1 | 2
  readonly version: string
  readonly binary: string | undefined
  /** The names of its tools for commands and for sub-agents. */
  readonly tools: { readonly shell: string; readonly subagent: string }
  /** The file of the database in a data directory. */
  readonly database: string
}

export const one: Subject = {
  major: 1,
  version: support.version,
  binary: undefined,
  tools: { shell: "bash", subagent: "task" },
  database: "opencode.db"
}

export const two: Subject = {
  major: 2,
  version: opencode2.version ?? "2",
  binary: opencode2.binary,
  tools: { shell: "shell", subagent: "subagent" },
  database: "opencode-2.db"
}

/** How a run ended. */
export interface Ending {
  /** The tag of the error, `success`, `interrupted`, or `stopped` if the consumer stopped. */
  readonly outcome: string
  readonly detail: string
  readonly events: ReadonlyArray<RunEvent.RunEvent>
  readonly partial?: OpenCodeError.RunSnapshot | undefined
  readonly text?: string | undefined
  /** When the fault under test happened; by default, the start of the run. */
  readonly from?: { readonly what: string; readonly at: number } | undefined
}

export interface Case extends support.Options {
  readonly group: string
  readonly fault: string
  readonly outcome: string
  readonly detail: string
  /** The answer so far, if there must be one. */
  readonly text?: RegExp | undefined
  readonly length?: number | undefined
  readonly prepare?: ((box: support.Sandbox) => void) | undefined
  readonly run?:
    | ((box: support.Sandbox) => Effect.Effect<Ending, OpenCodeError.OpenCodeError, support.Services>)
    | undefined
  readonly options?: RunOptions.RunOptions | undefined
}

/** A command, as the model of a subject requests it. */
const commandOf = ({ tools }: Subject) => (command: string) =>
  Reply.toolCalls([{ name: tools.shell, arguments: { command, description: "Scripted", timeout: 3_600_000 } }])

const counted = (retries: number): ReadonlyArray<string> => retries === 0 ? [] : [`failed attempts: ${retries}`]

/** What a program branches on, without anything that differs from run to run. */
const detailOf = (error: OpenCodeError.OpenCodeError): string => {
  switch (error._tag) {
    case "OpenCodeSessionError":
      return [
        error.kind,
        ...(error.statusCode === undefined ? [] : [`HTTP ${error.statusCode}`]),
        ...counted(error.providerRetries)
      ].join(", ")
    case "OpenCodeProcessError":
      return [error.signal ?? `exit code ${error.exitCode}`, ...(error.hint === undefined ? [] : ["with a hint"])].join(
        ", "
      )
    case "OpenCodeCancelledError":
      return error.signal ?? ""
    case "OpenCodeTimeoutError":
      return error.phase
    case "OpenCodeBudgetError":
      return `${error.limit}: ${error.reached} of ${error.max}`
    case "OpenCodeConfigError":
      return error.path
    case "OpenCodePermissionError":
      return `${error.permission} (${error.patterns.join(", ")})`
    case "OpenCodeIncompleteError":
      return `exit code ${error.exitCode}, last reason: ${error.finishReason ?? "none"}`
    case "OpenCodeSqliteError":
      return `${error.signature}, attempts: ${error.partial.attempts}`
    default:
      return ""
  }
}

type Run = Effect.Effect.Success<ReturnType<typeof run>>

const endingOf = (exit: Exit.Exit<Run, OpenCodeError.OpenCodeError>): Ending =>
  Exit.match(exit, {
    onSuccess: (result): Ending => ({
      outcome: "success",
      detail: result.finishReason,
      events: result.events,
      text: result.text
    }),
    onFailure: (cause): Ending => {
      const error = cause._tag === "Fail" ? Option.some(cause.error) : Option.none()
      return Option.match(error, {
        onNone: () => ({ outcome: Exit.isInterrupted(exit) ? "interrupted" : "defect", detail: "", events: [] }),
        onSome: (error) => {
          const partial = "partial" in error ? error.partial : undefined
          return {
            outcome: error._tag,
            detail: detailOf(error),
            events: partial?.events ?? [],
            partial,
            text: partial?.text
          }
        }
      })
    }
  })

export const ending = (options?: RunOptions.RunOptions): Effect.Effect<Ending, never, support.Services> =>
  Effect.map(Effect.exit(run("Go", options)), endingOf)

const now = Effect.sync(() => performance.now())

/** Brings a run to a point, disturbs it there, and waits for the verdict. */
const disturbed =
  (subject: Subject, point: "provider" | "tool", what: "interrupt" | NodeJS.Signals) =>
  (box: support.Sandbox): Effect.Effect<
    Ending,
    never,
    support.Services
  > =>
    Effect.gen(function*() {
      const provider = yield* announcing(Reply.never)
      const ready = point === "provider" ? provider.asked : appearance(box.work, "ready")
      yield* respond(
        point === "provider"
          ? provider.respond
          : steps([commandOf(subject)("touch ready; sleep 300"), Reply.text("slept")])
      )
      const running = yield* Effect.fork(run("Go"))
      yield* during(ready, running)
      const from = { what: what === "interrupt" ? "the interruption" : "the signal", at: yield* now }
      if (what === "interrupt") yield* Fiber.interrupt(running)
      else process.kill(leader(box).pid, what)
      return { ...endingOf(yield* Fiber.await(running)), from }
    })

const stopped = Effect.gen(function*() {
  let from = { what: "the first event", at: 0 }
  const events = yield* OpenCode.stream("Go").pipe(
    Stream.tap(() =>
      Effect.map(now, (at) => {
        from = { what: "the first event", at }
      })
    ),
    Stream.take(1),
    Stream.runCollect
  )
  return { outcome: "stopped", detail: "by the consumer", events: Chunk.toReadonlyArray(events), from }
})

const standIn = "stand-in"

/** A program in place of OpenCode, for faults that the real one cannot produce. */
const program = (source: string) => ({
  prepare: (box: support.Sandbox) =>
    fs.writeFileSync(
      path.join(box.root, standIn),
      `#!${process.execPath}\n${preamble}\nprocess.stdin.resume().on("end", () => {${source}})\n`,
      { mode: 0o755 }
    ),
  client: (box: support.Sandbox): OpenCode.Options => ({
    binary: path.join(box.root, standIn),
    forceKillAfter: "500 millis"
  })
})

const preamble = `
const print = (type, part, done) =>
  process.stdout.write(JSON.stringify({ type, timestamp: 1, sessionID: "ses_1", part }) + "\\n", done)
const start = () => print("step_start", { messageID: "msg_1" })
const stop = (done) => print("step_finish", { reason: "stop", cost: 0, tokens: { input: 1, output: 1 } }, done)
`

const MiB = 1024 * 1024

/** A command whose lines look like OpenCode's own, and whose commas separate nothing. */
const imitation =
  "cat > a.txt <<EOF\none, two); auto-rejecting\n! agent \"build\" not found. Falling back to default agent\nEOF"

/** Two concurrent sub-agents, whose provider fails twice each. */
const subAgents = ({ tools }: Subject): ModelProvider.Respond => {
  const attempts = new Map<string, number>()
  return (request) => {
    const task = /SUBTASK \d/.exec(request.prompt)?.[0]
    if (task === undefined) {
      return request.step > 0 ? Reply.text("all done") : Reply.toolCalls(
        [1, 2].map((n) => ({
          name: tools.subagent,
          arguments: { description: "scripted", prompt: `SUBTASK ${n}`, subagent_type: "general", agent: "general" }
        }))
      )
    }
    const before = attempts.get(task) ?? 0
    attempts.set(task, before + 1)
    return before < 2
      ? Reply.httpError(429, { error: { message: "Rate limit reached" } }, { "retry-after": "1" })
      : Reply.text("done")
  }
}

const databaseOf = (subject: Subject) => (box: support.Sandbox) => path.join(box.data, "opencode", subject.database)

const kept = { client: (box: support.Sandbox): OpenCode.Options => ({ isolation: { directory: box.data } }) }

const hasSetpriv = (() => {
  try {
    execFileSync("setpriv", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const isRoot = process.getuid?.() === 0

/** A database created by OpenCode that it may not write. Modes do not bind root, so there OpenCode runs as nobody. */
const readOnly = (subject: Subject) => (box: support.Sandbox): void => {
  const inRoot = (name: string) => path.join(box.root, name)
  const reachable = installed(subject, inRoot("bin"))
  for (const name of ["first", "open"]) fs.mkdirSync(inRoot(name))
  const database = databaseOf(subject)(box)
  execFileSync(reachable, ["session", "list", ...(subject.major === 2 ? ["--standalone"] : [])], {
    env: {
      ...process.env,
      HOME: inRoot("first"),
      TMPDIR: inRoot("first"),
      XDG_DATA_HOME: box.data,
      OPENCODE_DB: database
    },
    stdio: "ignore"
  })
  const inside = path.dirname(database)
  for (const name of fs.readdirSync(inside, { recursive: true, encoding: "utf8" })) {
    fs.chmodSync(path.join(inside, name), name.startsWith(subject.database) ? 0o444 : 0o777)
  }
  fs.chmodSync(inside, 0o555)
  for (const name of ["", "home", "work", "open", "data"]) fs.chmodSync(inRoot(name), 0o777)
  const asNobody = isRoot ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : ""
  fs.writeFileSync(inRoot(standIn), `#!/bin/sh\nexec ${asNobody}${reachable} "$@"\n`, { mode: 0o755 })
}

/** A binary that every user of the machine can start, with the packages beside it. */
const installed = ({ binary }: Subject, directory: string): string => {
  const original = fs.realpathSync(binary ?? createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe"))
  const link = (from: string, to: string): void => {
    if (!fs.existsSync(from)) return
    if (fs.statSync(from).isDirectory()) {
      fs.mkdirSync(to)
      for (const name of fs.readdirSync(from)) link(path.join(from, name), path.join(to, name))
      return
    }
    try {
      fs.linkSync(fs.realpathSync(from), to)
    } catch {
      fs.copyFileSync(from, to)
    }
  }
  const copy = path.join(directory, path.basename(original))
  fs.mkdirSync(directory)
  link(original, copy)
  link(path.join(path.dirname(original), "node_modules"), path.join(directory, "node_modules"))
  return copy
}

const always = (reply: ModelProvider.Reply) => ({ respond: () => reply })

const limited = { options: { maxProviderRetries: 2 } }

const refused = { configOverrides: { provider: { fake: { options: { baseURL: "http://127.0.0.1:1/v1" } } } } }

/** A project that has commands asked for. */
const asking: Pick<Case, "prepare"> = {
  prepare: (box) =>
    fs.writeFileSync(path.join(box.work, "opencode.json"), JSON.stringify({ permission: { bash: "ask" } }))
}

const session = "OpenCodeSessionError"

const provider = (cases: ReadonlyArray<Omit<Case, "group">>) => cases.map((c) => ({ ...c, group: "Provider" }))

const words = (message: string) => ({ error: { message, type: "invalid_request_error" } })

const patience = 400_000

/** Faults of a real OpenCode. */
export const casesOf = (subject: Subject): ReadonlyArray<Case> => {
  const command = commandOf(subject)
  const database = databaseOf(subject)
  const isSecond = subject.major === 2
  return [
    ...provider([
      {
        fault: "401",
        outcome: session,
        detail: isSecond ? "authentication, HTTP 401" : "authentication, HTTP 401, failed attempts: 1",
        ...always(Reply.httpError(401))
      },
      {
        fault: "403",
        outcome: session,
        detail: isSecond ? "authentication, HTTP 403" : "authentication, HTTP 403, failed attempts: 1",
        ...always(Reply.httpError(403))
      },
      {
        fault: "404",
        outcome: session,
        detail: isSecond ? "model-not-found, HTTP 404" : "model-not-found, HTTP 404, failed attempts: 1",
        ...always(Reply.httpError(404))
      },
      {
        fault: "429, `maxProviderRetries: 2`",
        outcome: session,
        detail: "rate-limit, failed attempts: 2",
        ...always(Reply.httpError(429, words("Rate limit reached"))),
        ...limited
      },
      {
        fault: "429 with `retry-after: 1`, `maxProviderRetries: 2`",
        outcome: session,
        detail: "rate-limit, failed attempts: 2",
        ...always(Reply.httpError(429, words("Rate limit reached"), { "retry-after": "1" })),
        ...limited
      },
      {
        fault: "429 with `retry-after: 600`, `maxProviderRetries: 1`",
        outcome: session,
        detail: "rate-limit, failed attempts: 1",
        ...always(Reply.httpError(429, words("Rate limit reached"), { "retry-after": "600" })),
        options: { maxProviderRetries: 1 }
      },
      {
        fault: "429, exhausted account",
        outcome: session,
        detail: isSecond ? "quota, HTTP 429" : "quota, failed attempts: 1",
        ...always(Reply.quota("You exceeded your current quota, please check your plan and billing details."))
      },
      {
        fault: "429, limit per minute, `maxProviderRetries: 2`",
        outcome: session,
        detail: isSecond ? "rate-limit, HTTP 429" : "rate-limit, failed attempts: 2",
        options: { maxProviderRetries: 2 },
        ...always(Reply.quota("Quota exceeded for quota metric 'Generate requests per minute'"))
      },
      {
        fault: "two sub-agents with two failed attempts each, `maxProviderRetries: 3`",
        outcome: "success",
        detail: "stop",
        text: /^all done$/,
        options: { maxProviderRetries: 3 },
        respond: subAgents(subject)
      },
      {
        fault: "429 once, then an answer",
        outcome: "success",
        detail: "stop",
        text: /^recovered$/,
        respond: (request) =>
          request.index === 0
            ? Reply.httpError(429, words("Rate limit reached"), { "retry-after": "1" })
            : Reply.text("recovered")
      },
      {
        fault: "500, `maxProviderRetries: 2`",
        outcome: session,
        detail: "provider-unavailable, failed attempts: 2",
        ...always(Reply.httpError(500, words("Internal server error"))),
        ...limited
      },
      {
        fault: "500, until OpenCode gives up",
        outcome: session,
        detail: isSecond
          ? "provider-unavailable, failed attempts: 10"
          : "provider-unavailable, HTTP 500, failed attempts: 6",
        ...always(Reply.httpError(500, words("Internal server error"))),
        timeout: patience
      },
      {
        fault: "503, `maxProviderRetries: 2`",
        outcome: session,
        detail: "provider-unavailable, failed attempts: 2",
        ...always(Reply.httpError(503, words("Service unavailable"))),
        ...limited
      },
      {
        fault: "refused connection, `maxProviderRetries: 2`",
        outcome: session,
        detail: "provider-unavailable, failed attempts: 2",
        options: { ...limited.options, ...refused }
      },
      {
        fault: "refused connection, until OpenCode gives up",
        outcome: session,
        detail: isSecond ? "provider-unavailable, failed attempts: 10" : "provider-unavailable, failed attempts: 6",
        options: refused,
        timeout: patience
      },
      {
        fault: "malformed stream",
        outcome: session,
        detail: isSecond ? "other" : "other, failed attempts: 1",
        ...always(Reply.malformed("so far"))
      },
      {
        // OpenCode's log does not report it; only its repeated steps show it.
        fault: "stream cut in the middle, `budget: { steps: 2 }`",
        outcome: "OpenCodeBudgetError",
        detail: "steps: 3 of 2",
        ...always(Reply.cut("so far")),
        options: { budget: { steps: 2 } }
      },
      {
        fault: "stream cut in the middle, until OpenCode gives up",
        outcome: session,
        detail: isSecond ? "provider-unavailable, failed attempts: 10" : "provider-unavailable, failed attempts: 5",
        ...always(Reply.cut("so far")),
        timeout: patience
      },
      {
        timeout: patience,
        fault: "error in the stream",
        outcome: session,
        detail: isSecond ? "other, failed attempts: 10" : "other, failed attempts: 1",
        ...always(Reply.streamError("the model has gone away", "so far"))
      },
      {
        fault: "silent, `startupTimeout: 20 seconds`",
        outcome: "OpenCodeTimeoutError",
        detail: "startup",
        ...always(Reply.never),
        options: { startupTimeout: "20 seconds" }
      },
      {
        fault: "silent in the middle of a stream, `idleTimeout: 3 seconds`",
        outcome: "OpenCodeTimeoutError",
        detail: "idle",
        ...always(Reply.stall("so far")),
        options: { idleTimeout: "3 seconds" }
      },
      {
        fault: "silent, `timeout: 10 seconds`",
        outcome: "OpenCodeTimeoutError",
        detail: "total",
        ...always(Reply.never),
        options: { timeout: "10 seconds" }
      },
      {
        fault: "413",
        outcome: session,
        detail: isSecond ? "context-overflow, HTTP 413" : "context-overflow, failed attempts: 2",
        ...always(Reply.httpError(413))
      },
      {
        fault: "context overflow, 400 with a message",
        outcome: session,
        detail: isSecond ? "context-overflow, HTTP 400" : "context-overflow, failed attempts: 2",
        ...always(Reply.httpError(400, words("This model's maximum context length is 8192 tokens.")))
      },
      {
        fault: "missing finish reason, `budget: { steps: 3 }`",
        outcome: "OpenCodeBudgetError",
        detail: "steps: 4 of 3",
        text: /^(on \n\n){2,3}on $/,
        ...always(Reply.noFinishReason("on ")),
        options: { budget: { steps: 3 } }
      },
      {
        // 2.x retries it before a step has ended; the default of `maxProviderRetries` ends that.
        fault: "HTML instead of a stream, `budget: { steps: 3 }`",
        outcome: isSecond ? session : "OpenCodeBudgetError",
        detail: isSecond ? "other, failed attempts: 10" : "steps: 4 of 3",
        timeout: patience,
        ...always(Reply.html()),
        options: { budget: { steps: 3 } }
      },
      {
        fault: "one tool call repeated for ever, `budget: { toolCalls: 3 }`",
        outcome: "OpenCodeBudgetError",
        detail: "toolCalls: 4 of 3",
        ...always(command("true")),
        options: { budget: { toolCalls: 3 }, permission: { doom_loop: "allow" } }
      },
      {
        fault: "finish reason `content_filter`",
        outcome: session,
        detail: "content-filter",
        text: /^so far$/,
        ...always(Reply.finish("content_filter", "so far"))
      },
      {
        fault: "finish reason `length`",
        outcome: "success",
        detail: "length",
        text: /^so far$/,
        ...always(Reply.finish("length", "so far"))
      }
    ]),
    ...([
      {
        fault: "unknown model",
        outcome: session,
        detail: "model-not-found",
        options: { model: "fake/nope" }
      },
      {
        fault: "unknown provider",
        outcome: session,
        detail: "model-not-found",
        options: { model: "nope/m1" }
      },
      { fault: "unknown agent", outcome: "OpenCodeConfigError", detail: "agent", options: { agent: "nope" } },
      { fault: "sub-agent", outcome: "OpenCodeConfigError", detail: "agent", options: { agent: "general" } },
      {
        fault: "unknown session",
        outcome: isSecond ? "OpenCodeConfigError" : "OpenCodeProcessError",
        detail: isSecond ? "sessionId" : "exit code 1, with a hint",
        options: { sessionId: "ses_0000000000000000000000nope" },
        ...kept
      },
      {
        fault: "invalid configuration",
        outcome: isSecond ? "OpenCodeConfigError" : "OpenCodeProcessError",
        detail: isSecond ? "configOverrides" : "exit code 1, with a hint",
        options: { configOverrides: { share: 5 } }
      },
      {
        fault: "rejected permission",
        outcome: "OpenCodePermissionError",
        detail: `${subject.tools.shell} (touch forbidden)`,
        respond: steps([command("touch forbidden"), Reply.text("done")]),
        ...asking
      },
      {
        fault: "rejected permission of a command that imitates OpenCode",
        outcome: "OpenCodePermissionError",
        detail: `${subject.tools.shell} (${imitation})`,
        respond: steps([command(imitation), Reply.text("done")]),
        ...asking
      }
    ] satisfies ReadonlyArray<Omit<Case, "group">>).map((c) => ({ ...c, group: "Request" })),
    ...([
      {
        fault: "corrupt database",
        outcome: "OpenCodeProcessError",
        detail: "exit code 1, with a hint",
        prepare: (box) => {
          fs.mkdirSync(path.dirname(database(box)))
          fs.writeFileSync(database(box), "no database ".repeat(1000))
        },
        ...kept
      },
      {
        fault: "a directory in place of the database",
        outcome: "OpenCodeProcessError",
        detail: "exit code 1, with a hint",
        prepare: (box) => fs.mkdirSync(database(box), { recursive: true }),
        ...kept
      },
      {
        fault: "a data directory that cannot be created",
        outcome: isSecond ? "OpenCodeConfigError" : "OpenCodeProcessError",
        detail: isSecond ? "isolation" : "exit code 1, with a hint",
        // With 2.x the user's own database is refused before.
        client: isSecond ? { isolation: { directory: "/proc/nowhere" } } : { isolation: "none" },
        options: { extraEnv: { XDG_DATA_HOME: "/proc/nowhere" } }
      },
      ...(isRoot && !hasSetpriv ? [] : [{
        // OpenCode prints the same text when another process is in its way.
        fault: "read-only database",
        outcome: "OpenCodeProcessError",
        detail: "exit code 1, with a hint",
        prepare: readOnly(subject),
        // Only its owner can enter the private temporary directory.
        run: (box: support.Sandbox) => ending({ extraEnv: { TMPDIR: path.join(box.root, "open") } }),
        client: (box: support.Sandbox) => ({
          isolation: { directory: box.data },
          binary: path.join(box.root, standIn)
        })
      }])
    ] satisfies ReadonlyArray<Omit<Case, "group">>).map((c) => ({ ...c, group: "Database" })),
    ...(["provider", "tool"] as const).flatMap((point) => {
      const where = point === "provider" ? "while waiting for the provider" : "while a tool sleeps"
      return [
        ...(["SIGTERM", "SIGINT", "SIGKILL"] as const).map((signal): Case => ({
          group: "From outside",
          fault: `${signal} ${where}`,
          outcome: signal === "SIGKILL" ? "OpenCodeProcessError" : "OpenCodeCancelledError",
          // 2.x exits with the same code after both others.
          detail: isSecond && signal !== "SIGKILL" ? "" : signal,
          run: disturbed(subject, point, signal)
        })),
        {
          group: "From outside",
          fault: `interruption ${where}`,
          outcome: "interrupted",
          detail: "",
          run: disturbed(subject, point, "interrupt")
        }
      ]
    }),
    ...([
      {
        fault: "a consumer that stops after the first event",
        outcome: "stopped",
        detail: "by the consumer",
        ...always(Reply.stall("so far")),
        run: () => stopped
      },
      {
        fault: "processes left in the background by a tool",
        outcome: "success",
        detail: "stop",
        respond: steps([command("nohup setsid sleep 300 >/dev/null 2>&1 & echo started"), Reply.text("started")])
      }
    ] satisfies ReadonlyArray<Omit<Case, "group">>).map((c) => ({ ...c, group: "From outside" }))
  ]
}

/** Faults that need no OpenCode. */
export const standIns: ReadonlyArray<Case> = [
  ...([
    {
      fault: "a line of 64 MiB",
      outcome: "success",
      detail: "stop",
      length: 64 * MiB,
      ...program(`start(); print("text", { text: "x".repeat(${64 * MiB}) }); stop()`)
    },
    {
      fault: "64 MiB on stderr",
      outcome: "success",
      detail: "stop",
      text: /^still here$/,
      ...program(`
        start()
        const line = "noise ".repeat(100) + "\\n"
        const flood = (left) => left <= 0
          ? print("text", { text: "still here" }, () => stop())
          : process.stderr.write(line.repeat(100), () => flood(left - line.length * 100))
        flood(${64 * MiB})
      `)
    },
    {
      fault: "64 MiB on stderr without a line feed",
      outcome: "success",
      detail: "stop",
      ...program(`start(); process.stderr.write("x".repeat(${64 * MiB}), () => stop())`)
    },
    {
      fault: "exit code 0, the last events lost",
      outcome: "OpenCodeIncompleteError",
      detail: "exit code 0, last reason: none",
      text: /^so far$/,
      ...program(`start(); print("text", { text: "so far" })`)
    },
    {
      fault: "exit code 3 without output",
      outcome: "OpenCodeProcessError",
      detail: "exit code 3",
      ...program(`process.exit(3)`)
    },
    {
      fault: "a process that does not exit, `exitGrace: 1 second`",
      outcome: "success",
      detail: "stop",
      ...program(`start(); stop(); setInterval(() => {}, 1000)`),
      options: { exitGrace: "1 second" }
    },
    {
      fault: "a compaction without a continuation, `exitGrace: 1 second`, `idleTimeout: 3 seconds`",
      outcome: "OpenCodeTimeoutError",
      detail: "idle",
      text: /^$/,
      ...program(`
        start(); print("text", { text: "SUMMARY" }); stop()
        print("text", { text: "Continue", synthetic: true, metadata: { compaction_continue: true } })
        setInterval(() => {}, 1000)
      `),
      options: { exitGrace: "1 second", idleTimeout: "3 seconds" }
    },
    {
      fault: "a compaction, then exit code 0",
      outcome: "OpenCodeIncompleteError",
      detail: "exit code 0, last reason: stop",
      text: /^$/,
      ...program(`
        start(); print("text", { text: "SUMMARY" }); stop()
        print("text", { text: "Continue", synthetic: true, metadata: { compaction_continue: true } })
      `)
    },
    {
      fault: "SIGTERM ignored, `idleTimeout: 1 second`",
      outcome: "OpenCodeTimeoutError",
      detail: "idle",
      ...program(`process.on("SIGTERM", () => {}); start(); setInterval(() => {}, 1000)`),
      options: { idleTimeout: "1 second" }
    },
    {
      fault: "lines that are not events",
      outcome: "success",
      detail: "stop",
      ...program(`process.stdout.write("\\n[]\\n{\\n\\u0000\\xff\\n"); start(); stop()`)
    },
    {
      fault: "events after other text on their line",
      outcome: "success",
      detail: "stop",
      text: /^still here$/,
      ...program(`
        const words = () => process.stdout.write("checked. ")
        words(); start(); words(); print("text", { text: "still here" }); words(); stop()
      `)
    },
    {
      fault: "other text inside an event, no answer",
      outcome: "OpenCodeIncompleteError",
      detail: "exit code 0, last reason: stop",
      ...program(`start(); process.stdout.write('{"type":"text","sessionID":"ses_1","part":{oops\\n'); stop()`)
    },
    {
      fault: "fields of an unexpected shape",
      outcome: "success",
      detail: "stop",
      text: /^still here$/,
      ...program(`
        start()
        print("text", { text: "still here", time: { start: "now" } })
        print("step_finish", { reason: "stop", cost: "0.1", messageID: 5, tokens: "many" })
      `)
    },
    {
      fault: "an error of an unexpected shape, exit code 0",
      outcome: "OpenCodeSessionError",
      detail: "other",
      ...program(`
        start(); stop()
        process.stdout.write('{"type":"error","sessionID":"ses_1","error":"boom"}\\n')
      `)
    }
  ] satisfies ReadonlyArray<Omit<Case, "group">>).map((c) => ({ ...c, group: "Stand-in" })),
  {
    group: "Machine",
    fault: "another user's home, `cwd: \"~root\"`",
    outcome: "OpenCodeConfigError",
    detail: "cwd",
    options: { cwd: "~root" }
  },
  {
    group: "Machine",
    fault: "a run id that could be a path, `runId: \"../a\"`",
    outcome: "OpenCodeConfigError",
    detail: "runId",
    options: { runId: "../a" }
  },
  {
    group: "Machine",
    fault: "the run id of a live run",
    outcome: "OpenCodeConfigError",
    detail: "runId",
    run: () =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const onStart = () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
        const live = yield* Effect.fork(OpenCode.run("x", { runId: "a", onStart }))
        yield* Deferred.await(started)
        const at = performance.now()
        const seen = yield* ending({ runId: "a" })
        yield* Fiber.interrupt(live)
        return { ...seen, from: { what: "the second call", at } }
      })
  },
  {
    group: "Machine",
    fault: "read-only trees in the temporary directory",
    outcome: "success",
    detail: "stop",
    ...program(`
      const { chmodSync, mkdirSync, writeFileSync } = require("node:fs")
      const module = process.env.TMPDIR + "/go/pkg/mod/example.org"
      mkdirSync(module, { recursive: true })
      writeFileSync(module + "/file.go", "", { mode: 0o444 })
      for (const directory of [module, module + "/.."]) chmodSync(directory, 0o555)
      start(); stop()
    `)
  }
]
