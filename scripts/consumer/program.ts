/**
 * A program of a user: it is type-checked and run by plain node against the packed tarballs (`pnpm test:pack`).
 */
import { Effect } from "effect"
import * as Core from "effect-opencode"
import * as Testing from "effect-opencode-testing"

const program = Effect.sync(() => {
  console.log(`effect-opencode: ${Object.keys(Core).sort().join(", ")}`)
  console.log(`effect-opencode-testing: ${Object.keys(Testing).sort().join(", ")}`)
})

Effect.runPromise(program).catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
