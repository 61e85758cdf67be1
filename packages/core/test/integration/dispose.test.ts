import * as NodeContext from "@effect/platform-node/NodeContext"
import { expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import * as support from "./support.js"

it.scopedLive("disposing a runtime ends its runs, their processes and their directories", () =>
  Effect.gen(function*() {
    const box = yield* support.sandbox
    const binary = path.join(box.root, "hanging")
    // Its tool leaves the group, as those of OpenCode do.
    fs.writeFileSync(
      binary,
      `#!/bin/sh
cat > /dev/null
setsid sleep 61 &
echo '{"type":"step_start","sessionID":"ses_1","part":{}}'
exec sleep 62
`,
      { mode: 0o755 }
    )
    const runtime = ManagedRuntime.make(
      OpenCode.layer({ binary, version: support.version, defaults: { cwd: box.work } }).pipe(
        Layer.provide(NodeContext.layer)
      )
    )
    const exits = [
      runtime.runPromiseExit(OpenCode.run("x")),
      runtime.runPromiseExit(Stream.runDrain(OpenCode.stream("y"))),
      runtime.runPromiseExit(Effect.scoped(Effect.flatMap(OpenCode.session(), (session) => session.run("z"))))
    ]
    yield* support.until(() =>
      ["61", "62"].every((seconds) =>
        support.processes(box).filter(({ command }) => command.startsWith(`sleep ${seconds}`)).length === 3
      )
    )
    yield* Effect.promise(() => runtime.dispose())
    expect(support.left(box)).toEqual(support.nothing)
    for (const exit of exits) {
      expect(Exit.isInterrupted(yield* Effect.promise<Exit.Exit<unknown, unknown>>(() => exit))).toBe(true)
    }
  }))
