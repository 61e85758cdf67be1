/**
 * The command as users start it, in a sandbox whose remains can be counted: home, temporary directory and working
 * directory lie under one directory, whose name stands in the environment of every process that is started.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../../../core/test/support/bundle.js"
import { install } from "../../../core/test/support/home.js"
import { kill, programOf, read } from "../../../core/test/support/processFiles.js"

export { version } from "../../../core/test/support/home.js"

export interface Sandbox {
  /** Contains everything else. */
  readonly root: string
  /** The working directory of the command. */
  readonly work: string
  /** The `TMPDIR` of the command; empty before and after a batch. */
  readonly tmp: string
  readonly environment: { readonly [name: string]: string | undefined }
}

/** Variables by which the machine's own OpenCode, or a run around this one, would affect a test. */
const foreign = /^(XDG_|OPENCODE|EFFECT_OPENCODE|GIT_)/

export const sandbox: Effect.Effect<Sandbox, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync((): Sandbox => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-cli-")))
    for (const name of ["work", "home", "tmp"]) fs.mkdirSync(path.join(root, name))
    install(path.join(root, "home"))
    const own = Object.entries(process.env).filter(([name]) => !foreign.test(name))
    return {
      root,
      work: path.join(root, "work"),
      tmp: path.join(root, "tmp"),
      environment: {
        ...Object.fromEntries(own),
        HOME: path.join(root, "home"),
        TMPDIR: path.join(root, "tmp"),
        NO_COLOR: "1",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_AUTHOR_NAME: "test",
        GIT_AUTHOR_EMAIL: "test@example.invalid",
        GIT_COMMITTER_NAME: "test",
        GIT_COMMITTER_EMAIL: "test@example.invalid"
      }
    }
  }),
  (box) =>
    Effect.sync(() => {
      for (const { pid } of processes(box)) kill(pid)
      fs.rmSync(box.root, { recursive: true, force: true, maxRetries: 5 })
    })
)

/** `/proc/PID/stat` from field 3 on. */
const fieldsOf = (stat: string): ReadonlyArray<string> => stat.slice(stat.lastIndexOf(")") + 2).split(" ")

/** Every process that was started in the sandbox, wherever it is now. Linux only. */
export const processes = (box: Sandbox): ReadonlyArray<{ readonly pid: number; readonly command: string }> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((name) => {
    const { command, environment } = programOf(name)
    if (!(environment + command).includes(box.root)) return []
    const [state = ""] = fieldsOf(read(`/proc/${name}/stat`))
    return /^[ZX]?$/.test(state) ? [] : [{ pid: Number(name), command: command.replaceAll("\0", " ") }]
  })

/** What the command has left behind: nothing. */
export const left = (box: Sandbox) => ({
  processes: processes(box).map(({ command, pid }) => `${pid} ${command}`),
  directories: fs.readdirSync(box.tmp).filter((name) => name.startsWith("effect-opencode-"))
})

export const nothing = { processes: [], directories: [] }

const { resolve } = createRequire(import.meta.url)

/** The binary that the repository installs. */
export const binary = resolve("opencode-ai/bin/opencode.exe")

export const provider = (respond: ModelProvider.Respond) =>
  ModelProvider.layer({ respond }).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )

/** What Node is to run for the command. */
export const program = bundle(fileURLToPath(new URL("../../src/main.ts", import.meta.url)))

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Kills the watchdogs of a program, so that what it leaves stays; returns how many there were. Linux only. */
export const killWatchdogs = (pid: number): number => {
  const found = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((name) => {
    const { command } = programOf(name, 1)
    return command.includes("effect-opencode-leash") && command.includes(`/${pid}/`)
  })
  for (const name of found) process.kill(Number(name), "SIGKILL")
  return found.length
}

export interface Running {
  readonly pid: number
  /** Standard output so far. */
  readonly output: () => string
  readonly kill: (signal: "SIGKILL" | "SIGINT") => void
  readonly ended: Effect.Effect<Ended>
}

/** Starts `effect-opencode` as a process. */
export const start = (box: Sandbox, ...args: ReadonlyArray<string>): Effect.Effect<Running> =>
  Effect.gen(function*() {
    const ended = yield* Deferred.make<Ended>()
    const child = spawn(process.execPath, [program, ...args], {
      cwd: box.work,
      env: box.environment,
      stdio: ["ignore", "pipe", "pipe"]
    })
    const output = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text
      })
    }
    const end = (code: number | null, signal: string | null) =>
      Deferred.unsafeDone(ended, Effect.succeed({ code, signal, ...output }))
    child.once("close", end)
    // A process that it could not end can hold its pipes open.
    child.once("exit", (code, signal) => signal === "SIGKILL" ? end(code, signal) : undefined)
    return {
      pid: child.pid!,
      output: () => output.stdout,
      kill: (signal) => child.kill(signal),
      ended: Deferred.await(ended)
    }
  })

export const run = (box: Sandbox, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.flatMap(start(box, ...args), ({ ended }) => ended)

/** Waits until a condition holds, but no longer than the command lives. */
export const until = ({ ended }: Pick<Running, "ended">, isSo: () => boolean): Effect.Effect<void> =>
  Effect.raceFirst(
    Effect.iterate(false, { while: (done) => !done, body: () => Effect.delay(Effect.sync(isSo), 50) }),
    Effect.flatMap(ended, (ended) => Effect.dieMessage(`it ended before that: ${JSON.stringify(ended)}`))
  ).pipe(Effect.asVoid)
