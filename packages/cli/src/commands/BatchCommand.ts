/**
 * `effect-opencode batch`: many runs from a file of jobs.
 */
import * as Path from "@effect/platform/Path"
import type { Budget } from "effect-opencode/RunOptions"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { CliError, ReportedError } from "../CliError.js"
import * as commandLine from "../commandLine/commandLine.js"
import * as ConfigOptions from "../commandLine/ConfigOptions.js"
import * as options from "../commandLine/options.js"
import { choice, flag, parsed, text } from "../commandLine/options.js"
import * as values from "../commandLine/values.js"
import * as FleetView from "../display/FleetView.js"
import * as format from "../display/format.js"
import * as LiveDisplay from "../display/LiveDisplay.js"
import * as Style from "../display/Style.js"
import * as terminalText from "../display/terminalText.js"
import * as ExitCode from "../ExitCode.js"
import * as Batch from "../fleet/Batch.js"
import * as ClusterBatch from "../fleet/ClusterBatch.js"
import * as clusterClient from "../fleet/clusterClient.js"
import * as outputFile from "../fleet/outputFile.js"
import * as preflight from "../fleet/preflight.js"
import * as ResultsFile from "../fleet/ResultsFile.js"
import * as Worktree from "../git/Worktree.js"
import { Host } from "../host/Host.js"
import { Interrupt } from "../host/Interrupt.js"
import * as utf8 from "../host/utf8.js"
import * as clusterJob from "../jobs/clusterJob.js"
import * as Job from "../jobs/Job.js"
import * as JobFile from "../jobs/JobFile.js"
import * as located from "../jobs/located.js"
import * as Matrix from "../jobs/Matrix.js"
import * as Report from "../report/Report.js"
import * as layer from "./layer.js"
import * as nextSteps from "./nextSteps.js"

const limit = (name: string, description: string) =>
  parsed(
    (text) => Either.filterOrLeft(values.number(text), (limit) => limit > 0, () => "must be greater than zero"),
    name,
    "n",
    description
  )

const count = (name: string, description: string) => parsed(values.positive, name, "n", description)

const budget: options.Option<Budget | undefined> = options.map(
  options.all({
    cost: limit("total-cost", "US dollars that all jobs together may cost. No job starts once it is spent."),
    tokens: limit("total-tokens", "Tokens that all jobs together may use."),
    steps: limit("total-steps", "Steps that all jobs together may take."),
    toolCalls: limit("total-tool-calls", "Tool calls that all jobs together may make.")
  }),
  (limits) => Object.values(limits).every((limit) => limit === undefined) ? undefined : limits
)

const given = options.all({
  words: options.args("jobs|file", "The job file: .jsonl, .json, .csv or .yaml. After --matrix, further axes."),
  ...options.group("Options", {
    format: choice("format", JobFile.formats, "The format of the job file. Default: from its name."),
    prompt: text("prompt", "template", "The prompt of every job; {{column}} inserts a column of the file."),
    promptFile: text("prompt-file", "file", "A file with the prompt template."),
    name: text("name", "template", "The names of the jobs. Default: the field name, or the start of the prompt."),
    matrix: options.texts(
      "matrix",
      "axis=a,b",
      "Run every job once for each value, or combination of values, of: model, agent, cwd, timeout, config.<option>, " +
        "budget.<limit>, or a column that templates use. For several axes, list them or repeat the option."
    ),
    repeat: count("repeat", "How many times each job is run. Default: 1."),
    jobs: count("jobs", "Jobs that run at the same time. Default: 4."),
    output: text(
      "o, output",
      "file",
      "The results file: a JSON line for each job, written when it ends. Default: <jobs>.results.jsonl next to the job file."
    ),
    resume: flag("resume", "Continue with an existing results file: jobs that have a result are not run again."),
    retryFailed: flag("retry-failed", "With --resume: run failed jobs again."),
    failFast: flag("fail-fast", "Start no further job after one has failed."),
    server: ConfigOptions.server,
    budget,
    worktree: flag("worktree", "Give each run a git worktree and a branch of its own."),
    base: text(
      "base",
      "revision",
      "With --worktree: the commit that worktrees start from. Default: HEAD. With --workspace: a branch, tag or commit."
    ),
    keepWorktrees: choice(
      "keep-worktrees",
      Worktree.keeps,
      "With --worktree: worktrees to keep even if removing them would lose nothing. One with work in it is always " +
        "kept. Default: none."
    ),
    report: text("report", "file", "Write an HTML report at the end, with every run's transcript."),
    plain: flag("plain", "Print a line for each event, also on a terminal."),
    dryRun: flag("dry-run", "List the jobs and start nothing.")
  }),
  ...options.group("Cluster", {
    cluster: flag(
      "cluster",
      "Submit the jobs to the cluster of effect-opencode-cluster whose PostgreSQL is in the variable DATABASE_URL."
    ),
    workspace: text(
      "workspace",
      "url",
      "With --cluster: the git repository that each run gets a tree of; --base is the revision. What it changes is pushed as a branch."
    ),
    secrets: options.texts(
      "secret",
      "name",
      "With --cluster: a variable that the runners give to the agents. Can be repeated."
    ),
    afterCrash: choice(
      "after-crash",
      ["fail", "restart", "resume"],
      "With --cluster: what happens to a job whose runner died. Default: fail."
    ),
    cancel: flag("cancel", "With --cluster and --resume: cancel the jobs that have no result.")
  }),
  answer: ConfigOptions.answer,
  run: ConfigOptions.run,
  client: ConfigOptions.client,
  fleet: ConfigOptions.fleet
})

const usage = (reason: string, hint?: string) => new CliError({ reason, hint })

const isAxis = (word: string): boolean => /^[^=/\\]+=/.test(word)

/** Separates the job file from further axes, which follow the first one as plain words. */
const sort = (words: ReadonlyArray<string>, matrix: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    // Refused before anything repeats it.
    if (words.some(clusterClient.isDatabaseUrl)) {
      return yield* usage(
        "A URL of a database is not an argument: everybody on the machine can read arguments.",
        "set DATABASE_URL, and give --cluster alone"
      )
    }
    const further = matrix.length === 0 ? [] : words.filter(isAxis)
    const files = words.filter((word) => !further.includes(word))
    const [file, ...rest] = files
    if (file === undefined) {
      return yield* usage("No job file given.", "effect-opencode batch jobs.csv --prompt \"Review {{file}}\"")
    }
    if (rest.length > 0) {
      return yield* usage(`Expected one job file, got ${files.length}: ${files.join(", ")}.`)
    }
    const pairs = yield* Effect.forEach([...matrix, ...further], (axis) =>
      Either.mapLeft(values.pair(axis), (reason) =>
        usage(`--matrix: ${reason}`, "--matrix model=a/x,b/y agent=build,plan")))
    return { file, pairs }
  })

const readText = (what: string, file: string) =>
  Effect.mapError(utf8.readFile(file), ({ cause, message }) => new CliError({ reason: `${what} ${message}.`, cause }))

/** As many problems as a person reads: one mistake can repeat in each of a hundred thousand rows. */
const shownProblems = 50

/** Prints each problem on its own line, like a compiler. */
const reportProblems = (error: JobFile.JobFileError) =>
  Effect.gen(function*() {
    const { problems } = error
    for (const problem of problems.slice(0, shownProblems)) {
      yield* Console.error(terminalText.oneLine(JobFile.format(problem)))
    }
    if (problems.length > shownProblems) {
      yield* Console.error(`… and ${format.count(problems.length - shownProblems)} more`)
    }
    return yield* new CliError({
      reason: `Nothing was started: ${
        problems.length === 1 ? "there is a problem" : `there are ${format.count(problems.length)} problems`
      } with the jobs.`
    })
  })

/** A template comes from the command line or from a file. */
const source = (name: string, text: string | undefined) => text === undefined ? undefined : located.source(name, text)

const planOf = (given: {
  readonly file: string
  readonly format: JobFile.Format | undefined
  readonly pairs: ReadonlyArray<readonly [string, string]>
  readonly prompt: string | undefined
  readonly promptFile: string | undefined
  readonly name: string | undefined
  readonly repeat: number | undefined
  readonly run: Job.Input["defaults"]
  readonly answer: ConfigOptions.AnswerOptions
}) =>
  Effect.gen(function*() {
    const { file, prompt, promptFile } = given
    const format = given.format ?? JobFile.formatOf(file)
    if (format === undefined) {
      return yield* usage(
        `The format of ${file} is not clear from its name.`,
        `--format ${JobFile.formats.join(", --format ")}`
      )
    }
    if (prompt !== undefined && promptFile !== undefined) {
      return yield* usage("--prompt and --prompt-file cannot be combined.")
    }
    const template = promptFile === undefined
      ? source("--prompt", prompt)
      : located.source(promptFile, yield* readText("The prompt file", promptFile))
    const axes = yield* Either.mapLeft(
      Matrix.parse(given.pairs),
      ([first, ...rest]) => usage(`--matrix: ${[first, ...rest].join("; ")}.`)
    )
    const { cwd, ...defaults } = given.run ?? {}
    return yield* Job.plan({
      file: JobFile.parse({ name: file, text: yield* readText("The job file", file), format }),
      axes,
      repeat: given.repeat,
      templates: {
        prompt: template,
        name: source("--name", given.name),
        // A directory without braces is the base of the jobs' own directories.
        cwd: cwd?.includes("{{") === true ? source("--cwd", cwd) : undefined
      },
      defaults,
      schema: given.answer.schema,
      cwd: cwd?.includes("{{") === true ? undefined : cwd
    }).pipe(Effect.catchTag("JobFileError", reportProblems))
  })

const list = (jobs: ReadonlyArray<Job.Job>) =>
  Effect.forEach(jobs, ({ id, name }) => Console.log(`${id}  ${terminalText.oneLine(name)}`), { discard: true })

const display = (plain: boolean) =>
  Layer.unwrapEffect(
    Effect.map(Host, ({ stdoutIsTerminal }) => plain || !stdoutIsTerminal ? LiveDisplay.plain : LiveDisplay.live)
  )

const why: { readonly [reason in Batch.Stop]: string } = {
  asked: "the batch was interrupted",
  failure: "a job failed",
  budget: "the budget of all jobs is used up",
  unpriced: "the cost of a run is unknown, so the budget of all jobs cannot be enforced",
  cancelled: "the batch was cancelled"
}

const exitCodeOf = ({ results, stopped, undone }: Batch.Outcome): number => {
  if (undone.length > 0 && stopped === "asked") return ExitCode.ofSignal("SIGINT")
  if (undone.length > 0 && (stopped === "budget" || stopped === "unpriced")) {
    return ExitCode.ofOutcome("OpenCodeBudgetError")
  }
  return undone.length > 0 || results.some(({ outcome }) => outcome !== "success") ? ExitCode.failure : ExitCode.success
}

const writeReport = (
  file: string,
  outcome: Batch.Outcome,
  jobs: ReadonlyArray<Job.Job>,
  results: string,
  cwd: string
) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const directoryOf = yield* preflight.directories(cwd)
    const page = Report.html({
      title: path.basename(results).replace(/(\.results)?\.jsonl$/, ""),
      source: results,
      at: yield* Clock.currentTimeMillis,
      runs: yield* Report.read(outcome.results, {
        directory: path.dirname(results),
        sources: new Map(jobs.map((job) => [job.id, { options: job.options, cwd: directoryOf(job) }]))
      })
    })
    yield* outputFile.write(file, page)
  }).pipe(
    Effect.mapError((cause) =>
      new CliError({ reason: `The report ${file} cannot be written.`, exitCode: ExitCode.failure, cause })
    )
  )

/**
 * The path of what a batch keeps next to its results file. It depends on that file's name alone: the batch that holds
 * the lock owns all of it, and treats what is already there as the remains of a killed batch.
 */
const besideOf = (output: string) => (name: string): string => {
  const stem = output.replace(/\.results\.jsonl$/, "")
  return stem === output ? `${output}-${name}` : `${stem}.${name}`
}

/** Options that the runners of a cluster have, or that mean nothing with one. */
const refuseWithCluster = (given: {
  readonly server: boolean
  readonly worktree: boolean
  readonly budget: Budget | undefined
  readonly failFast: boolean
  readonly jobs: number | undefined
  readonly cancel: boolean
  readonly resume: boolean
  readonly retryFailed: boolean
  readonly base: string | undefined
  readonly workspace: string | undefined
  readonly client: ConfigOptions.ClientOptions
  readonly fleet: ConfigOptions.FleetOptions
}) => {
  const [ofRunner] = Object.keys({ ...given.client, ...given.fleet })
  if (ofRunner !== undefined) {
    return usage(`${ConfigOptions.optionOf(ofRunner) ?? ofRunner}: not with --cluster, whose runners have it.`)
  }
  if (given.server) return usage("--server: not with --cluster, whose runners choose how they run OpenCode.")
  if (given.worktree) {
    return usage("--worktree: not with --cluster.", "--workspace <url> gives each run a tree of a repository")
  }
  if (given.budget !== undefined) {
    return usage("--total-…: not with --cluster, where the runners share a budget (FleetLimits.layerBudget).")
  }
  if (given.failFast && given.jobs === undefined) {
    return usage("--fail-fast with --cluster needs --jobs: otherwise all jobs are submitted at once.", "give both")
  }
  if (given.base !== undefined && given.workspace === undefined) {
    return usage("--base with --cluster needs --workspace.", "add --workspace <url>")
  }
  if (given.cancel && !given.resume) return usage("--cancel needs --resume.", "give both")
  if (given.cancel && given.retryFailed) return usage("--cancel and --retry-failed cannot be combined.")
  return Effect.void
}

/** Fails if an output file would overwrite something else that the batch reads or writes. */
const refuseSame = (option: "output" | "report", file: string, others: ReadonlyArray<readonly [string, string]>) =>
  Effect.forEach(others, ([what, other]) =>
    Effect.flatMap(outputFile.areSame(file, other), (isSame) =>
      isSame
        ? usage(`--${option}: ${file} is ${what}.`, "choose another file")
        : Effect.void), { discard: true })

export const command = commandLine.make(
  {
    name: "batch",
    description: "Runs many agents: the jobs of a file, once for each cell of a matrix.",
    usage: "batch <jobs> [options]",
    examples: [
      ["effect-opencode batch files.csv --prompt \"Review {{file}}\" --permission read-only", "a run for each row"],
      [
        "effect-opencode batch tasks.jsonl --worktree --jobs 2 --total-cost 5",
        "each in a branch of its own, for five dollars"
      ],
      [
        "effect-opencode batch tasks.jsonl --matrix model=a/large,b/small --repeat 3 --report report.html",
        "every task six times, compared on a page"
      ],
      [
        "effect-opencode batch questions.csv --prompt \"{{question}}\" --permission read-only --server",
        "many short runs over one warm server"
      ],
      ["effect-opencode batch tasks.jsonl --resume", "go on after an interruption"],
      [
        "effect-opencode batch tasks.jsonl --cluster --workspace git@example.com:acme/api.git",
        "on the machines of a cluster, each run in a tree of its own"
      ]
    ],
    notes: [
      "Ctrl-C lets the runs that are under way finish and starts no further one; the second Ctrl-C ends everything.",
      "With --cluster the first Ctrl-C ends this program, not the jobs: --resume waits for their results, --resume " +
      "--cancel cancels them.",
      "Exit codes: 0 every job succeeded; 1 some did not; 2 something is wrong with the jobs or the options, and nothing " +
      "was started; 3 OpenCode is missing or not supported; 9 the budget of all jobs is used up; 129, 130, 131, 141, 143 " +
      "ended by SIGHUP, Ctrl-C, SIGQUIT, a closed pipe, SIGTERM."
    ]
  },
  given,
  (given) =>
    Effect.gen(function*() {
      const path = yield* Path.Path
      const { answer, base, client, fleet, keepWorktrees, resume, retryFailed, run, server, worktree } = given
      const { file, pairs } = yield* sort(given.words, given.matrix ?? [])
      if (retryFailed && !resume) return yield* usage("--retry-failed needs --resume.", "give both")
      const { cluster } = given
      if (cluster) yield* refuseWithCluster(given)
      const ofCluster = given.workspace ?? given.secrets ?? given.afterCrash
      if (!cluster && (ofCluster !== undefined || given.cancel)) {
        return yield* usage("--workspace, --secret, --after-crash and --cancel need --cluster.", "add --cluster")
      }
      if (!worktree && ((base !== undefined && !cluster) || keepWorktrees !== undefined)) {
        return yield* usage("--base and --keep-worktrees need --worktree.", "add --worktree")
      }
      const jobs = yield* planOf({ ...given, file, pairs })
      if (answer.repairs !== undefined && jobs.every(({ schema }) => schema === undefined)) {
        return yield* usage("--repairs needs a schema.", "give --schema, or the jobs a field `schema`")
      }
      const settled = ConfigOptions.settle(client, run)
      const concurrency = given.jobs ?? 4
      const carryOut = yield* layer.make({ ...settled, ...fleet }, server ? { concurrency, run } : undefined)
      const cwd = path.resolve(run.cwd === undefined || run.cwd.includes("{{") ? "." : run.cwd)

      // Two names of one file share one lock.
      const output = yield* outputFile.follow(
        path.resolve(given.output ?? `${file.replace(/\.[^./\\]+$/, "")}.results.jsonl`)
      )
      const directory = path.dirname(output)
      const beside = besideOf(output)
      const read: ReadonlyArray<readonly [string, string]> = [
        ["the job file", path.resolve(file)],
        ...given.promptFile === undefined ? [] : [["the prompt file", path.resolve(given.promptFile)] as const]
      ]
      yield* refuseSame("output", output, read)
      yield* refuseSame("output", `${output}.lock`, read)
      const report = given.report === undefined ? undefined : path.resolve(given.report)
      if (report !== undefined) {
        yield* refuseSame("report", report, [
          ...read,
          ["the results file", output],
          ["the lock of the results file", `${output}.lock`],
          ["the transcripts directory", beside("transcripts")],
          ["the worktrees directory", beside("worktrees")],
          ["the name of the batch in the cluster", beside("cluster.json")]
        ])
      }
      const submission = beside("cluster.json")
      if (!cluster && (yield* ClusterBatch.wasSubmitted(submission))) {
        return yield* usage(
          `The jobs were submitted to a cluster, according to ${submission}.`,
          "--cluster --resume waits for their results; delete the file to run the jobs here"
        )
      }
      const before = resume ? yield* ResultsFile.peek(output) : Option.some([])
      const shared: clusterJob.Shared = {
        cwd: run.cwd === undefined || run.cwd.includes("{{") ? undefined : run.cwd,
        workspace: given.workspace === undefined
          ? undefined
          : { url: given.workspace, ...(base === undefined ? {} : { ref: base }) },
        secrets: given.secrets,
        afterCrash: given.afterCrash
      }
      const modules = cluster ? yield* clusterClient.modules() : undefined
      if (modules !== undefined) {
        const todo = Batch.todoOf(jobs, Option.getOrElse(before, () => []), { retryFailed })
        const [first, ...rest] = clusterJob.problemsOf(todo, shared, modules.AgentJob)
        if (first !== undefined) {
          return yield* reportProblems(new JobFile.JobFileError({ problems: [first, ...rest] }))
        }
      } else if (Option.isSome(before)) {
        yield* preflight.check(Batch.todoOf(jobs, before.value, { retryFailed }), {
          cwd,
          isIsolated: settled.isolation === undefined || settled.isolation === "run",
          hasWorktree: worktree,
          hasServer: server
        }).pipe(Effect.catchTag("JobFileError", reportProblems))
      }
      if (given.dryRun) return yield* list(jobs)

      if (report !== undefined) {
        yield* Effect.mapError(
          outputFile.check(report),
          (cause) => new CliError({ reason: `The report ${report} cannot be written; nothing was started.`, cause })
        )
      }
      const open = ResultsFile.open(output, { resume, jobs: new Set(jobs.map(({ id }) => id)) })
      const onCluster = (modules: clusterClient.Modules) =>
        Effect.scoped(Effect.gen(function*() {
          const client = yield* clusterClient.connect(modules)
          const results = yield* open
          const name = yield* ClusterBatch.identity(submission, { resume })
          const { graceful, stopping } = yield* Interrupt
          yield* graceful
          return yield* ClusterBatch.run({
            jobs,
            results,
            client,
            batch: name,
            shared,
            concurrency: given.jobs ?? "unbounded",
            retryFailed,
            failFast: given.failFast,
            cancel: given.cancel,
            detach: Deferred.await(stopping)
          })
        })).pipe(
          Effect.onInterrupt(() => Console.error("Submitted jobs continue in the cluster; --resume waits for them."))
        )
      const here = Effect.scoped(Effect.gen(function*() {
        const results = yield* open
        const { graceful, stopping } = yield* Interrupt
        yield* graceful
        return yield* Batch.run({
          jobs,
          results,
          directory,
          transcripts: beside("transcripts"),
          cwd,
          concurrency,
          resume,
          retryFailed,
          repairs: answer.repairs,
          failFast: given.failFast,
          budget: given.budget === undefined ? undefined : { ...given.budget, unpriced: run.budget?.unpriced },
          worktrees: worktree ? { directory: beside("worktrees"), base, keep: keepWorktrees ?? "none" } : undefined,
          stop: Deferred.await(stopping),
          forceKillAfter: settled.forceKillAfter
        })
      })).pipe(
        Effect.onInterrupt(() => Console.error("Finished jobs are in the results file; --resume runs the rest."))
      )
      const batch: Effect.Effect<
        Batch.Outcome | ClusterBatch.Outcome,
        Effect.Effect.Error<typeof here> | CliError,
        Effect.Effect.Context<typeof here>
      > = modules === undefined ? here : onCluster(modules)
      const outcome = yield* batch.pipe(
        Effect.catchTags({
          ResultsFileError: (error) =>
            new CliError({
              reason: error.message,
              hint: error.hint,
              exitCode: error.reason === "unwritable" ? ExitCode.failure : ExitCode.usage
            }),
          WorktreeError: (error) => new CliError({ reason: error.message, hint: "--worktree needs a git repository" })
        }),
        Effect.provide(display(given.plain)),
        Effect.provide(carryOut)
      )

      const { columns, stdoutIsTerminal } = yield* Host
      const screen = { columns: stdoutIsTerminal ? yield* columns : 120, style: yield* Style.stdout }
      for (const line of FleetView.final(outcome.results, screen)) yield* Console.log(line)
      if (report !== undefined) yield* writeReport(report, outcome, jobs, output, cwd)
      const { args } = yield* Host
      const about = nextSteps.lines({ outcome, args, run, results: output, report, transcripts: beside("transcripts") })
      for (const line of yield* about) yield* Console.log(line)
      if (outcome.undone.length > 0) {
        yield* Console.error(
          "submitted" in outcome ?
            ClusterBatch.farewell(outcome) :
            `${format.count(outcome.undone.length)} of ${format.count(jobs.length)} jobs were not run, because ${
              why[outcome.stopped ?? "asked"]
            }; --resume runs them.`
        )
      }
      const exitCode = exitCodeOf(outcome)
      if (exitCode !== ExitCode.success) return yield* new ReportedError({ exitCode })
    })
)
