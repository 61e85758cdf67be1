/**
 * A stand-in for the binary: a shell script that costs next to nothing, keeps a log of its starts and ends, and does what
 * its prompt says: `sleep=3` works for three seconds (default: the variable AGENT_SLEEP), `kill-runner` kills the program
 * that started it.
 */
import { Events } from "effect-opencode-testing"
import * as fs from "node:fs"
import * as path from "node:path"

export interface Entry {
  readonly what: "start" | "end"
  readonly prompt: string
  readonly pid: number
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface Agent {
  readonly binary: string
  readonly log: () => ReadonlyArray<Entry>
  /** The starts with this prompt. */
  readonly starts: (prompt: string) => ReadonlyArray<Entry>
}

const quoted = (event: Events.WireEvent): string => `'${JSON.stringify(event).replaceAll("'", "'\\''")}'`

export const make = (directory: string): Agent => {
  const file = path.join(directory, "agents.log")
  const binary = path.join(directory, "opencode")
  fs.writeFileSync(file, "")
  fs.writeFileSync(
    binary,
    `#!/bin/sh
if [ "$1" = --version ]; then echo 1.18.33; exit 0; fi
prompt=$(cat)
note() { printf '%s\\t%s\\t%s\\t%s\\n' "$1" "$$" "$(date +%s%3N)" "$(printf %s "$prompt" | head -n 1)" >> '${file}'; }
note start
printf '%s\\n' ${quoted(Events.stepStart())}
case "$prompt" in *kill-runner*) kill -9 "$PPID"; sleep 60;; esac
work=$(printf %s "$prompt" | sed -n 's/.*sleep=\\([0-9.]*\\).*/\\1/p' | head -n 1)
[ -z "\${work:-$AGENT_SLEEP}" ] || sleep "\${work:-$AGENT_SLEEP}"
case "$prompt" in *show-secret*) secret="$DEPLOY_TOKEN";; *) secret=done;; esac
printf '%s\\n' ${quoted(Events.text("SECRET"))} | sed "s/SECRET/$secret/"
printf '%s\\n' ${quoted(Events.finish())}
note end
`,
    { mode: 0o755 }
  )
  const log = (): ReadonlyArray<Entry> =>
    fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => {
      const [what, pid, at, prompt] = line.split("\t") as ["start" | "end", string, string, string]
      return { what, pid: Number(pid), at: Number(at), prompt }
    })
  return {
    binary,
    log,
    starts: (prompt) => log().filter((entry) => entry.what === "start" && entry.prompt === prompt)
  }
}
