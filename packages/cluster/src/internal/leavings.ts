/** Directories of jobs on the disk of a runner, and how those are found again whose runner was killed. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as WorkingTree from "effect-opencode/WorkingTree"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Service as Ledger } from "../RunLedger.js"

/** The name of a directory says nothing about its job: a file beside it does. */
const suffix = ".job"

/** Notes whose directory this will be; before it is made, so that none is without an owner. */
export const own = (directory: string, id: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* fileSystem.makeDirectory(path.dirname(directory), { recursive: true, mode: 0o700 })
    // Another runner may read the note at this moment, and must not see a part of it.
    const written = `${directory}.${yield* Random.nextIntBetween(0, 1_000_000_000)}`
    yield* fileSystem.writeFileString(written, id)
    yield* fileSystem.rename(written, `${directory}${suffix}`)
  })

/** Removes a directory, then the note about it. */
export const remove = (directory: string) =>
  Effect.ignoreLogged(Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    yield* WorkingTree.remove(directory)
    yield* fileSystem.remove(`${directory}${suffix}`, { force: true })
  }))

/**
 * A job that this ledger does not know may be one of another ledger, whose runners use the same directory and are at work:
 * no agent works for a month.
 */
const ofOthers = Duration.days(30)

/**
 * Removes what killed runners have left of jobs that have had their verdict for this time, or whose ledger is another one
 * or gone and whose note is a month old. A living runner removes the directories of its jobs itself.
 */
export const collect = (ledger: Ledger, parents: ReadonlyArray<string>, keep: Duration.Duration) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const owned = yield* Effect.forEach(parents, (parent) =>
      Effect.gen(function*() {
        const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(parent), () => [])
        return yield* Effect.forEach(names.filter((name) => name.endsWith(suffix)), (name) =>
          Effect.map(
            // Another runner with this directory may have removed it.
            Effect.option(fileSystem.readFileString(path.join(parent, name))),
            Option.map((id) => ({ id, directory: path.join(parent, name.slice(0, -suffix.length)) }))
          ))
      }))
    const all = owned.flat().flatMap(Option.toArray)
    const settled = new Set(yield* ledger.settledOf([...new Set(all.map(({ id }) => id))]))
    const now = yield* Clock.currentTimeMillis
    const noted = (directory: string) =>
      fileSystem.stat(`${directory}${suffix}`).pipe(
        Effect.map(({ mtime }) => Option.getOrUndefined(mtime)?.getTime() ?? Infinity),
        Effect.orElseSucceed(() => Infinity)
      )
    yield* Effect.forEach(all.filter(({ id }) => settled.has(id)), ({ directory, id }) =>
      Effect.gen(function*() {
        const job = yield* ledger.job(id)
        const isOver = Option.isSome(job)
          ? (job.value.settledAt ?? Infinity) <= now - Duration.toMillis(keep)
          : (yield* noted(directory)) <= now - Duration.toMillis(ofOthers)
        if (isOver) yield* remove(directory)
      }), { discard: true })
  })
