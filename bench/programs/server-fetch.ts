/**
 * The lower bound: a server, `fetch`, one subscription to its events, a loop. Prompts are sent without waiting for
 * their answers; a prompt ends when its session becomes idle. Nothing is checked, limited or recovered.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"
import * as readline from "node:readline"
import { type Answer, type Job, measure, type Prompt } from "../lib/batches.js"
import { job as read, report } from "../lib/meter.js"

const job = read<Job>()

const password = "benchmark"
const headers = {
  authorization: `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`,
  "content-type": "application/json",
  // On loopback, compression would cost both sides time.
  "accept-encoding": "identity"
}

const listening = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", (code, signal) => reject(new Error(`the server ended with ${code ?? signal}`)))
    readline.createInterface({ input: child.stdout! }).on("line", (line) => {
      const url = /listening on (\S+)/.exec(line)?.[1]
      if (url !== undefined) resolve(url)
    })
  })

const server = spawn(job.binary, ["serve", "--hostname", "127.0.0.1", "--port", "0"], {
  cwd: job.work,
  stdio: ["ignore", "pipe", "ignore"],
  env: {
    ...process.env,
    XDG_DATA_HOME: path.join(job.work, "data"),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_SERVER_PASSWORD: password,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(job.config)
  }
})
process.on("exit", () => server.kill("SIGKILL"))
process.on("SIGTERM", () => process.exit(143))
const url = await listening(server)

interface Running {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
  text: string
  tokens: number
}

interface Event {
  readonly type: string
  readonly properties: {
    readonly sessionID?: string
    readonly error?: unknown
    readonly part?: {
      readonly type: string
      readonly text?: string
      readonly time?: { readonly end?: number }
      readonly tokens?: { readonly total: number }
    }
  }
}

const running = new Map<string, Running>()

const seen = ({ properties, type }: Event): void => {
  // The same event again, in another shape.
  if (type === "sync") return
  const session = running.get(properties.sessionID ?? "")
  if (session === undefined) return
  if (type === "message.part.updated") {
    const part = properties.part!
    if (part.type === "text" && part.time?.end !== undefined) session.text += part.text
    else if (part.type === "step-finish") session.tokens += part.tokens!.total
  } else if (type === "session.error") {
    session.reject(properties.error)
  } else if (type === "session.idle") {
    session.resolve({ text: session.text, tokens: session.tokens })
  }
}

const events = await fetch(`${url}/global/event`, { headers })
const listen = async () => {
  const decoder = new TextDecoder()
  let rest = ""
  const reader = events.body!.getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const frames = (rest + decoder.decode(read.value, { stream: true })).split("\n\n")
    rest = frames.pop()!
    for (const frame of frames) seen(JSON.parse(frame.slice("data: ".length)).payload)
  }
}
listen().catch((error) => {
  for (const session of running.values()) session.reject(error)
})

const post = (route: string, body: object): Promise<Response> =>
  fetch(`${url}${route}`, { method: "POST", headers, body: JSON.stringify(body) })

const permission = ["question", "plan_enter", "plan_exit"].map((permission) => ({
  permission,
  pattern: "*",
  action: "deny"
}))

const one = async ({ directory, text }: Prompt): Promise<Answer> => {
  const created = await post(`/session?directory=${encodeURIComponent(directory)}`, { title: "Benchmark", permission })
  const { id } = await created.json() as { readonly id: string }
  const answer = new Promise<Answer>((resolve, reject) => running.set(id, { resolve, reject, text: "", tokens: 0 }))
  try {
    const sent = await post(`/session/${id}/prompt_async`, { parts: [{ type: "text", text }] })
    await sent.arrayBuffer()
    return await answer
  } finally {
    running.delete(id)
  }
}

const measured = await measure(
  job,
  (prompts) => Promise.all(prompts.map((prompt) => one(prompt).catch(() => undefined)))
)
report(measured)
