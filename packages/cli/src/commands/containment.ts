/** What this machine has to end the processes of a run, and of a program that is gone. */
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"

export interface Containment {
  /** Programs that the watchdog needs and that are not there. */
  readonly missing: ReadonlyArray<string>
  /** Whether processes are found by a limit that an empty environment does not remove. */
  readonly limit: "used" | "taken" | "none"
  /** Whether this user can make process namespaces. */
  readonly namespaces: boolean
}

const script = `PATH=/usr/bin:/bin\${PATH:+:$PATH}
for tool in mkfifo grep tr sort rm sleep; do command -v "$tool" > /dev/null || echo "missing $tool"; done
unshare --user --map-root-user --pid --fork true 2> /dev/null && echo namespaces`

/** A limit that is set already belongs to the run that this program is inside of. */
export const limitOf = (limits: string): Containment["limit"] => {
  const hard = /^Max file locks\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === undefined ? "none" : hard === "unlimited" ? "used" : "taken"
}

export const look = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const limits = yield* Effect.orElseSucceed(fileSystem.readFileString("/proc/self/limits"), () => "")
  const lines = yield* Command.lines(Command.feed(Command.make("/bin/sh", "-c", script), ""))
  return {
    missing: lines.flatMap((line) => line.startsWith("missing ") ? [line.slice("missing ".length)] : []),
    limit: limitOf(limits),
    namespaces: lines.includes("namespaces")
  }
})
