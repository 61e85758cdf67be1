/** What this machine has to end the processes of a run, and of a program that is gone. */
import * as Command from "@effect/platform/Command"
import * as Containment from "effect-opencode/Containment"
import * as Effect from "effect/Effect"

export interface Found extends Containment.Machine {
  /** Programs that the watchdog needs and that are not there. */
  readonly missing: ReadonlyArray<string>
}

const script = `PATH=/usr/bin:/bin\${PATH:+:$PATH}
for tool in mkfifo grep tr sort rm sleep; do command -v "$tool" > /dev/null || echo "missing $tool"; done`

export const look = Effect.zipWith(
  Containment.look,
  Command.lines(Command.feed(Command.make("/bin/sh", "-c", script), "")),
  (machine, lines): Found => ({
    ...machine,
    missing: lines.flatMap((line) => line.startsWith("missing ") ? [line.slice("missing ".length)] : [])
  })
)
