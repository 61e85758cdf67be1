/**
 * What a caller gets when something goes wrong, by three ways to run OpenCode: `npm run compare`, or
 * `npm run compare -- --patience 300 --only background,endless`. What is measured takes its place in `bench/compare/results.json`, from which
 * `pnpm recorded` writes the tables of the documents.
 *
 * Every way runs the real binary with the same scripted model on loopback. A row that has not ended after `--patience`
 * seconds is ended by this script and says so.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { ModelProvider } from "effect-opencode-testing"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { build } from "../lib/build.js"

const { values } = parseArgs({
  options: { patience: { type: "string", default: "120" }, only: { type: "string" } },
  args: process.argv.slice(2).filter((arg) => arg !== "--")
})
const patience = Number(values.patience)
if (!(patience >= 120)) {
  console.error("--patience is a number of seconds, at least 120")
  process.exit(2)
}
if (process.platform !== "linux") {
  console.error("the comparison reads /proc to find what is left of a run, so it needs Linux")
  process.exit(2)
}

const here = path.dirname(fileURLToPath(import.meta.url))
const binary = createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe")
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-compare-"))

/** The limit that a caller sets, in seconds. */
const limit = 60

const { Reply } = ModelProvider

const bash = (command: string) => Reply.toolCalls([{ name: "bash", arguments: { command, description: "Runs it" } }])

const answers: { readonly [word: string]: ReadonlyArray<ModelProvider.Reply> } = {
  silence: [Reply.never],
  background: [bash("nohup sleep 3600 > /dev/null 2>&1 &"), Reply.text("Started.")],
  endless: [bash("sleep 3600"), Reply.text("Done.")],
  hello: [Reply.text("Hello.")]
}

/** The model's answers, by the word in the prompt: `opencode run` puts an argument with a space into quotes. */
const respond: ModelProvider.Respond = (request) => {
  const word = Object.keys(answers).find((word) => request.prompt.includes(word))
  if (word === undefined) throw new Error(`no answer to ${request.prompt}`)
  return ModelProvider.steps(answers[word]!)(request)
}

interface Case {
  readonly name: string
  /** The word in the prompt that chooses the model's answers. */
  readonly id: string
  readonly title: string
  /** Whether the compared programs set a limit. */
  readonly limited: boolean
}

const cases: ReadonlyArray<Case> = [
  { name: "silence", id: "silence", title: "A provider that never answers", limited: false },
  { name: "limited", id: "silence", title: `A provider that never answers, and a limit of ${limit} s`, limited: true },
  { name: "background", id: "background", title: "A tool leaves a process in the background", limited: false },
  { name: "endless", id: "endless", title: `A command never ends, and a limit of ${limit} s`, limited: true }
]

const only = values.only?.split(",") ?? cases.map(({ name }) => name)
const unknown = only.filter((name) => !cases.some((one) => one.name === name))
if (unknown.length > 0) {
  console.error(`unknown case ${unknown.join(", ")}; the cases are ${cases.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}

interface Command {
  readonly title: string
  readonly file: string
  readonly args: ReadonlyArray<string>
}

const ways = (
  { id, limited }: Pick<Case, "id" | "limited">,
  config: ModelProvider.ConfigOverrides
): ReadonlyArray<Command> => {
  const job = (given: number | undefined) => JSON.stringify({ prompt: `${id} please`, config, limit: given })
  const run = ["run", "--format", "json", "--title", "comparison", `${id} please`]
  const program = (
    name: string,
    given: number | undefined
  ) => [path.join(scratch, "programs", `${name}.mjs`), job(given)]
  const given = limited ? limit * 1000 : undefined
  return [
    limited
      ? { title: `\`timeout ${limit} opencode run\``, file: "timeout", args: [String(limit), binary, ...run] }
      : { title: "`opencode run`", file: binary, args: run },
    {
      title: limited ? "`@opencode-ai/sdk`, `AbortSignal.timeout`, `close()`" : "`@opencode-ai/sdk`, `close()`",
      file: process.execPath,
      args: program("sdk", given)
    },
    {
      title: limited
        ? `effect-opencode, \`timeout: "${limit} seconds"\``
        : id === "silence"
        ? "effect-opencode, no option set"
        : "effect-opencode",
      file: process.execPath,
      args: program("ours", given)
    }
  ]
}

/** The variable that marks what a run starts. */
const mark = "EFFECT_OPENCODE_COMPARE"

const marked = (id: string): ReadonlyArray<{ readonly pid: number; readonly command: string }> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      // An ended process that nobody has asked about has an empty environment.
      const environment = fs.readFileSync(`/proc/${name}/environ`, "latin1").split("\0")
      if (!environment.includes(`${mark}=${id}`)) return []
      const command = fs.readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0")
      return [{ pid: Number(name), command: [path.basename(command[0] ?? ""), ...command.slice(1)].join(" ").trim() }]
    } catch {
      return []
    }
  })

const kill = (id: string) => {
  for (const { pid } of marked(id)) {
    try {
      process.kill(pid, "SIGKILL")
    } catch {
      // It has just ended.
    }
  }
}

const bytesIn = (directory: string): number =>
  fs.readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0)

const sleep = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000))

interface Row {
  readonly case: string
  readonly way: string
  /** Seconds until the command ended. */
  readonly seconds: number
  /** Whether this script ended it, because it was still running. */
  readonly endedByUs: boolean
  readonly exitCode: number | null
  readonly signal: string | null
  /** What was still running ten seconds after the end. */
  readonly processes: ReadonlyArray<string>
  /** Bytes left in the temporary directory. */
  readonly temporary: number
}

let runs = 0

const idOf = (run: number): string => `${process.pid}-${run}`

// What is measured outlives its run, so an interrupted comparison ends it as well.
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => {
    for (let run = 0; run < runs; run++) kill(idOf(run))
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
    process.exit(code)
  })
}

const measure = async ({ args, file, title }: Command, { name }: Pick<Case, "name">): Promise<Row> => {
  const id = idOf(runs++)
  const directories = ["tmp", "work"].map((name) => path.join(scratch, id, name))
  for (const directory of [...directories, path.join(scratch, "home")]) fs.mkdirSync(directory, { recursive: true })
  const [tmp, work] = directories as [string, string]
  // The SDK starts the first `opencode` on PATH.
  const bin = path.join(scratch, "bin")
  if (!fs.existsSync(bin)) {
    fs.mkdirSync(bin)
    fs.symlinkSync(binary, path.join(bin, "opencode"))
  }
  const child = spawn(file, args, {
    cwd: work,
    env: {
      PATH: `${bin}:${process.env["PATH"]}`,
      HOME: path.join(scratch, "home"),
      TMPDIR: tmp,
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_BINARY: binary,
      OPENCODE_CONFIG_CONTENT: process.env["EFFECT_OPENCODE_COMPARE_CONFIG"],
      [mark]: id
    },
    // Standard input is closed: with an open pipe `opencode run` would wait for its end.
    stdio: ["ignore", "pipe", "pipe"]
  })
  for (const pipe of [child.stdout, child.stderr]) pipe.resume()
  const began = performance.now()
  // Not "close": a process that is left behind may hold the pipes open.
  const exited = new Promise<{ readonly code: number | null; readonly signal: string | null }>((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", (code, signal) => resolve({ code, signal }))
  })
  const timer = new AbortController()
  const end = await Promise.race([
    exited,
    new Promise<undefined>((resolve) => {
      const timeout = setTimeout(resolve, patience * 1000)
      timer.signal.addEventListener("abort", () => clearTimeout(timeout))
    })
  ])
  timer.abort()
  const seconds = (performance.now() - began) / 1000
  if (end === undefined) {
    kill(id)
    await exited
  } else {
    await sleep(10)
  }
  const processes = marked(id).map(({ command }) => command)
  kill(id)
  await sleep(0.5)
  const temporary = bytesIn(tmp)
  fs.rmSync(path.join(scratch, id), { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  return {
    case: name,
    way: title,
    seconds: Math.round(seconds * 10) / 10,
    endedByUs: end === undefined,
    exitCode: end?.code ?? null,
    signal: end?.signal ?? null,
    processes: end === undefined ? [] : processes,
    temporary: end === undefined ? 0 : temporary
  }
}

const versionOf = (name: string): string =>
  JSON.parse(fs.readFileSync(path.join(here, "../node_modules", name, "package.json"), "utf8")).version

const program = Effect.gen(function*() {
  const { configOverrides, requests } = yield* ModelProvider.ModelProvider
  process.env["EFFECT_OPENCODE_COMPARE_CONFIG"] = JSON.stringify(configOverrides)
  // The first start in a home directory does more than the others.
  yield* Effect.promise(() => measure(ways({ id: "hello", limited: false }, configOverrides)[0]!, { name: "warm-up" }))
  const rows: Array<Row> = []
  for (const one of cases.filter(({ name }) => only.includes(name))) {
    for (const way of ways(one, configOverrides)) {
      console.log(`${one.title}: ${way.title}`)
      const before = (yield* requests).length
      const row = yield* Effect.promise(() => measure(way, one))
      if ((yield* requests).length === before) {
        return yield* Effect.dieMessage(`the model was not asked within ${row.seconds} s: the machine is too busy`)
      }
      console.log(JSON.stringify(row, undefined, 2))
      rows.push(row)
    }
  }
  return rows
})

const provider = ModelProvider.layer({ respond }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

interface Results {
  readonly date: string
  readonly machine: string
  /** Seconds. */
  readonly patience: number
  readonly limit: number
  readonly versions: { readonly [name: string]: string }
  readonly titles: { readonly [name: string]: string }
  readonly rows: ReadonlyArray<Row>
}

const file = path.join(here, "results.json")

/** Rows of cases that were not measured now, if the programs are the same. */
const earlier = (versions: Results["versions"]): ReadonlyArray<Row> => {
  if (!fs.existsSync(file)) return []
  const results: Results = JSON.parse(fs.readFileSync(file, "utf8"))
  const isSame = results.limit === limit && JSON.stringify(results.versions) === JSON.stringify(versions)
  return isSame ? results.rows.filter(({ case: name }) => !only.includes(name)) : []
}

try {
  await build(path.join(here, "programs"), path.join(scratch, "programs"))
  const measured = await Effect.runPromise(Effect.provide(program, provider))
  const versions = {
    "opencode-ai": versionOf("opencode-ai"),
    "@opencode-ai/sdk": versionOf("@opencode-ai/sdk"),
    node: process.versions.node
  }
  const rows = [...earlier(versions), ...measured]
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${os.cpus().length} processors`,
    patience,
    limit,
    versions,
    titles: Object.fromEntries(cases.map(({ name, title }) => [name, title])),
    rows: cases.flatMap(({ name }) => rows.filter((row) => row.case === name))
  }
  fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
  console.log("\nwrote bench/compare/results.json; `pnpm recorded` writes the tables of the documents")
} finally {
  fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
}
