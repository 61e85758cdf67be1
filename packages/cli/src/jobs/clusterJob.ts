/** Jobs of a batch as jobs of a cluster. A job of a cluster is data that a runner on another machine reads. */
import type * as AgentJob from "effect-opencode-cluster/AgentJob"
import type { OpenCodeConfigError } from "effect-opencode/OpenCodeError"
import { given } from "../commandLine/given.js"
import type { Job } from "./Job.js"
import type { Problem } from "./JobFile.js"
import { distinct } from "./JobFile.js"

/** What all jobs of a batch have in common on the cluster. */
export interface Shared {
  /** The base of the jobs' directories on the runners, as written. */
  readonly cwd: string | undefined
  readonly workspace: AgentJob.Workspace | undefined
  readonly secrets: ReadonlyArray<string> | undefined
  readonly afterCrash: AgentJob.AfterCrash | undefined
}

/** The part of `AgentJob` that says what a job may be. It is loaded with the package. */
export type Rules = Pick<typeof AgentJob, "Options" | "check">

/** A runner is a Unix machine: this one may be another. */
const isAbsolute = (directory: string): boolean => directory.startsWith("/")

const directoryOf = ({ cwd }: Job, { cwd: base }: Shared): string | undefined =>
  cwd === undefined || base === undefined || isAbsolute(cwd) ? cwd ?? base : `${base.replace(/\/+$/, "")}/${cwd}`

/** The job under an id of the cluster. */
export const make = (id: string, job: Job, shared: Shared): AgentJob.AgentJob => {
  const { afterCrash, secrets, workspace } = shared
  const cwd = directoryOf(job, shared)
  return {
    id,
    prompt: job.prompt,
    // Those that a job of a cluster cannot have are problems, see below.
    options: { ...(job.options as AgentJob.Options), ...(cwd === undefined ? {} : { cwd }) },
    ...(workspace === undefined ? {} : { workspace }),
    ...(secrets === undefined ? {} : { secrets }),
    ...(afterCrash === undefined ? {} : { afterCrash })
  }
}

const secret =
  "a secret does not leave this machine; start the runners with --secret <name>, and name it with --secret here"

const ofOptions = ({ options }: Job, rules: Rules): ReadonlyArray<readonly [name: string, reason: string]> =>
  Object.keys(given(options)).flatMap((name): ReadonlyArray<readonly [string, string]> => {
    const isSecret = name === "password" ||
      (name === "extraEnv" && Object.values(options.extraEnv ?? {}).some((value) => typeof value !== "string"))
    if (isSecret) return [[name, secret]]
    return Object.hasOwn(rules.Options.fields, name)
      ? []
      : [[name, "not with --cluster: it cannot be sent to a runner"]]
  })

const placeOf = (job: Job, name: string) => job.places.fields.get(name) ?? { source: "options" }

const ofJob = (job: Job, shared: Shared, rules: Rules): ReadonlyArray<Problem> => {
  const problem = (name: string, reason: string): Problem => ({
    ...placeOf(job, name),
    reason: `\`${name}\`: ${reason}`
  })
  if (job.schema !== undefined) {
    return [{ ...job.places.row, reason: "`schema`: not with --cluster, whose runners return answers in words" }]
  }
  const cwd = directoryOf(job, shared)
  if (cwd !== undefined && shared.workspace !== undefined) {
    return [problem("cwd", "not with --workspace: each run works in a tree of its own")]
  }
  if (cwd !== undefined && !isAbsolute(cwd)) {
    return [problem("cwd", "with --cluster it is a directory on the runners, so it must be absolute")]
  }
  const named = ofOptions(job, rules)
  if (named.length > 0) return named.map(([name, reason]) => problem(name, reason))
  const refused: OpenCodeConfigError | undefined = rules.check(make("job", job, shared))
  if (refused === undefined) return []
  const [head = "", next = ""] = refused.path.split(".")
  return [problem(head === "options" && next !== "" ? next : head, refused.reason)]
}

/** Why jobs cannot be sent to a cluster. */
export const problemsOf = (jobs: ReadonlyArray<Job>, shared: Shared, rules: Rules): ReadonlyArray<Problem> =>
  distinct(jobs.flatMap((job) => ofJob(job, shared, rules)))
