/** The real binary, started by hand: all processes at once, their output parsed. */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { job, report, start } from "../lib/meter.js"
import * as real from "../lib/real.js"
import type { Job } from "../lib/real.js"

const asked = job<Job & { readonly watch: boolean }>()

let rss = 0
let pss = 0

const one = (prompt: string, index: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const tmp = path.join(asked.work, `tmp-${index}`)
    fs.mkdirSync(tmp, { recursive: true })
    const child = spawn(asked.binary, [
      ...["run", ...(asked.major === 2 ? ["--standalone"] : []), "--format", "json", "-m", asked.config.model],
      ...(asked.titled ? ["--title", "benchmark"] : []),
      ...asked.args
    ], {
      cwd: asked.work,
      env: {
        ...process.env,
        TMPDIR: tmp,
        PWD: asked.work,
        OPENCODE_CONFIG_CONTENT: JSON.stringify(asked.config),
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        ...real.dataOf(asked, String(index)),
        ...asked.env
      },
      stdio: ["pipe", "pipe", "ignore"]
    })
    child.stdin.end(prompt)
    const memory = asked.watch ? real.watchMemory(child.pid!) : undefined
    const pieces: Array<Buffer> = []
    child.stdout.on("data", (bytes: Buffer) => pieces.push(bytes))
    child.on("error", reject)
    child.on("close", () => {
      const highest = memory?.()
      rss = Math.max(rss, highest?.rss ?? 0)
      pss = Math.max(pss, highest?.pss ?? 0)
      const events = Buffer.concat(pieces).toString("utf8").split("\n").filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { readonly type: string; readonly part?: { readonly text?: string } })
      resolve(events.map(({ part, type }) => type === "text" ? part?.text ?? "" : "").join(""))
    })
  })

const stop = start()
const texts = await Promise.all(asked.prompts.map(one))
report({ ...real.withChildren(stop(), texts, asked), rss, pss })
