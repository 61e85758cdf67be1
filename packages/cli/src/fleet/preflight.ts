/**
 * Finds valid jobs that could never start because something is missing on the disk or in their data directory. Running
 * such a job would tell the user no more, and its result would count as done.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Isolation from "effect-opencode/Isolation"
import * as Effect from "effect/Effect"
import type { Job } from "../jobs/Job.js"
import type { Problem } from "../jobs/JobFile.js"
import { distinct, JobFileError } from "../jobs/JobFile.js"
import { serverProblem } from "../jobs/serverProblem.js"

export interface Options {
  /** The base of the jobs' directories; absolute. */
  readonly cwd: string
  /** Whether each run has a data directory that is removed with it. */
  readonly isIsolated: boolean
  /** Whether a run works in a worktree, where relative names refer to committed files. */
  readonly hasWorktree: boolean
  /** Whether runs go over servers of the batch. */
  readonly hasServer: boolean
}

/** Resolves the directory of each job. */
export const directories = (
  cwd: string
): Effect.Effect<(job: Pick<Job, "cwd">) => string, never, Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const home = yield* Isolation.home
    return ({ cwd: own = "." }) =>
      path.resolve(cwd, home !== undefined && /^~(?=$|[/\\])/.test(own) ? home + own.slice(1) : own)
  })

/** The problem of a job that continues a session although its data directory starts empty. */
const sessionProblem = ({ options, places }: Job): ReadonlyArray<Problem> => {
  const name = options.sessionId !== undefined
    ? "sessionId"
    : options.continueSession === true
    ? "continueSession"
    : undefined
  if (name === undefined || options.attach !== undefined) return []
  return [{
    ...(places.fields.get(name) ?? { source: "options" }),
    reason: `\`${name}\`: with --isolation run every run starts with an empty data directory, so there is no session ` +
      "to continue; use --isolation none or a directory"
  }]
}

/** The problem of a job that needs a process of its own. */
const processProblem = ({ options, places }: Job): ReadonlyArray<Problem> => {
  const problem = serverProblem(options)
  if (problem === undefined) return []
  const [name = ""] = problem.path.split(".")
  return [{ ...(places.fields.get(name) ?? { source: "options" }), reason: `\`${problem.path}\`: ${problem.reason}` }]
}

/** Fails with all problems of all jobs; starts and changes nothing. */
export const check = (
  jobs: ReadonlyArray<Job>,
  options: Options
): Effect.Effect<void, JobFileError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directoryOf = yield* directories(options.cwd)
    const known = new Map<string, FileSystem.File.Type | undefined>()
    const typeOf = (file: string): Effect.Effect<FileSystem.File.Type | undefined> =>
      Effect.gen(function*() {
        if (known.has(file)) return known.get(file)
        const type = yield* fileSystem.stat(file).pipe(
          Effect.map(({ type }) => type),
          Effect.orElseSucceed(() => undefined)
        )
        known.set(file, type)
        return type
      })
    const isDirectory = (file: string) => Effect.map(typeOf(file), (type) => type === "Directory")

    const onDisk = (job: Job): Effect.Effect<ReadonlyArray<Problem>> =>
      Effect.gen(function*() {
        const { options: { attach, dir, files = [] }, places: { fields, row } } = job
        const cwd = directoryOf(job)
        if (!(yield* isDirectory(cwd))) {
          const missing = (yield* typeOf(cwd)) === undefined ? "there is no directory" : "not a directory:"
          return [{ ...(fields.get("cwd") ?? { source: "--cwd" }), reason: `\`cwd\`: ${missing} ${cwd}` }]
        }
        // With a server, files are resolved on the server's machine.
        if (attach !== undefined) return []
        const isElsewhere = (file: string): boolean => options.hasWorktree && !path.isAbsolute(file)
        const problems: Array<Problem> = []
        if (dir !== undefined && !isElsewhere(dir) && !(yield* isDirectory(path.resolve(cwd, dir)))) {
          problems.push({
            ...(fields.get("dir") ?? row),
            reason: `\`dir\`: there is no directory ${path.resolve(cwd, dir)}`
          })
        }
        for (const file of files) {
          if (typeof file !== "string" || isElsewhere(file) || (yield* typeOf(path.resolve(cwd, file))) !== undefined) {
            continue
          }
          problems.push({
            ...(fields.get("files") ?? row),
            reason: `\`files\`: there is no file ${path.resolve(cwd, file)}`
          })
        }
        return problems
      })

    const found = yield* Effect.forEach(jobs, (job) =>
      Effect.map(onDisk(job), (problems) => [
        ...problems,
        ...options.isIsolated ? sessionProblem(job) : [],
        ...options.hasServer ? processProblem(job) : []
      ]))
    const [first, ...rest] = distinct(found.flat())
    if (first !== undefined) {
      return yield* new JobFileError({ problems: [first, ...rest] })
    }
  })
