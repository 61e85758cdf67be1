/**
 * A stand-in for the binary: a shell script that costs next to nothing, keeps a log of its starts and ends, and does what
 * its prompt says: `sleep=3` works for three seconds (default: the variable AGENT_SLEEP), `gate=a` works until `open("a")`,
 * `touch-file` changes its directory, `kill-runner` kills the program that started it. With the variable
 * AGENT_KILLS_AT_VERSION it kills that program when it is asked for its version, which is before it is started.
 */
import { Events } from "effect-opencode-testing"
import * as fs from "node:fs"
import * as path from "node:path"

export interface Entry {
  /** `overlap`: when this agent started, another one with the same prompt was alive. */
  readonly what: "start" | "end" | "overlap"
  readonly prompt: string
  readonly pid: number
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface Agent {
  readonly binary: string
  /** Lets the agents of this gate finish. */
  readonly open: (gate: string) => void
  readonly log: () => ReadonlyArray<Entry>
  /** The starts with this prompt. */
  readonly starts: (prompt: string) => ReadonlyArray<Entry>
}

const quoted = (event: Events.WireEvent): string => `'${JSON.stringify(event).replaceAll("'", "'\\''")}'`

/** Notes each earlier agent with the same prompt that is alive; a zombie is not. */
const overlap = (file: string): string =>
  `line=$(printf %s "$prompt" | head -n 1)
for other in $(awk -F '\\t' -v line="$line" -v me="$$" '$1 == "start" && $4 == line && $2 != me { print $2 }' '${file}'); do
  state=$(sed -n 's/^State:[[:space:]]*\\(.\\).*/\\1/p' "/proc/$other/status" 2>/dev/null)
  case "$state" in ''|Z|X) ;; *) note overlap;; esac
done
`

/** `watch`: every agent looks for others of its job, which costs it some milliseconds. */
export const make = (directory: string, options: { readonly watch?: boolean } = {}): Agent => {
  const file = path.join(directory, "agents.log")
  const binary = path.join(directory, "opencode")
  fs.writeFileSync(file, "")
  fs.writeFileSync(
    binary,
    `#!/bin/sh
if [ "$1" = --version ]; then
  if [ -n "$AGENT_KILLS_AT_VERSION" ]; then kill -9 "$PPID"; fi
  echo 1.18.33; exit 0
fi
prompt=$(cat)
note() { printf '%s\\t%s\\t%s\\t%s\\n' "$1" "$$" "$(date +%s%3N)" "$(printf %s "$prompt" | head -n 1)" >> '${file}'; }
note start
${options.watch === true ? overlap(file) : ""}printf '%s\\n' ${quoted(Events.stepStart())}
case "$prompt" in *kill-runner*) kill -9 "$PPID"; sleep 60;; esac
work=$(printf %s "$prompt" | sed -n 's/.*sleep=\\([0-9.]*\\).*/\\1/p' | head -n 1)
[ -z "\${work:-$AGENT_SLEEP}" ] || sleep "\${work:-$AGENT_SLEEP}"
gate=$(printf %s "$prompt" | sed -n 's/.*gate=\\([a-z]*\\).*/\\1/p' | head -n 1)
while [ -n "$gate" ] && [ ! -e '${file}'."$gate" ]; do sleep 0.1; done
case "$prompt" in *touch-file*) echo changed > changed.txt;; esac
case "$prompt" in *show-secret*) secret="$DEPLOY_TOKEN";; *) secret=done;; esac
printf '%s\\n' ${quoted(Events.text("SECRET"))} | sed "s/SECRET/$secret/"
printf '%s\\n' ${quoted(Events.finish())}
note end
`,
    { mode: 0o755 }
  )
  const log = (): ReadonlyArray<Entry> =>
    fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => {
      const [what, pid, at, prompt] = line.split("\t") as [Entry["what"], string, string, string]
      return { what, pid: Number(pid), at: Number(at), prompt }
    })
  return {
    binary,
    open: (gate) => fs.writeFileSync(`${file}.${gate}`, ""),
    log,
    starts: (prompt) => log().filter((entry) => entry.what === "start" && entry.prompt === prompt)
  }
}
