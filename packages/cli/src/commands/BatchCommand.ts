/**
 * `effect-opencode batch`: many runs from a file of jobs.
 */
import * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
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
import * as outputFile from "../fleet/outputFile.js"
import * as preflight from "../fleet/preflight.js"
import * as ResultsFile from "../fleet/ResultsFile.js"
import * as Worktree from "../git/Worktree.js"
import { Host } from "../host/Host.js"
import { Interrupt } from "../host/Interrupt.js"
import * as utf8 from "../host/utf8.js"
import * as Job from "../jobs/Job.js"
import * as JobFile from "../jobs/JobFile.js"
import * as located from "../jobs/located.js"
import * as Matrix from "../jobs/Matrix.js"
import * as Report from "../report/Report.js"

const limit = (name: string, description: string) =>
  parsed(
    name,
    "n",
    description,
    (text) => Either.filterOrLeft(values.number(text), (limit) => limit > 0, () => "it must be more than zero")
  )

const count = (name: string, description: string) =>
  parsed(
    name,
    "n",
    description,
    (text) => Either.filterOrLeft(values.count(text), (count) => count > 0, () => "it is no whole number from 1")
  )

const budget: options.Option<Budget | undefined> = options.map(
  options.all({
    cost: limit("total-cost", "US dollars that all jobs together may cost. What would start after that does not."),
    tokens: limit("total-tokens", "Tokens of all jobs together."),
    steps: limit("total-steps", "Steps of all jobs together."),
    toolCalls: limit("total-tool-calls", "Tool calls of all jobs together.")
  }),
  (limits) => Object.values(limits).every((limit) => limit === undefined) ? undefined : limits
)

const given = options.all({
  words: options.args("jobs|file", "The file of jobs: .jsonl, .json, .csv or .yaml. Behind --matrix, further axes."),
  format: choice("format", JobFile.formats, "The format of the file. Default: by its name."),
  prompt: text("prompt", "template", "The prompt of every job, with {{columns}} of the file in it."),
  promptFile: text("prompt-file", "file", "A file that holds this template."),
  name: text("name", "template", "What the jobs are called. Default: their field name, or how their prompt begins."),
  matrix: options.texts(
    "matrix",
    "axis=a,b",
    "Every job once for each value, and each combination of values: model, agent, cwd, timeout, config.<option>, " +
      "budget.<limit>, or a column that templates name. Several axes behind each other, or repeat it."
  ),
  repeat: count("repeat", "How often each job is run. Default: 1."),
  jobs: count("jobs", "Jobs at work at the same time. Default: 4."),
  output: text(
    "o, output",
    "file",
    "The results, a JSON line for each job, written as they come. Default: <jobs>.results.jsonl beside the file of jobs."
  ),
  resume: flag("resume", "Go on with results that are there: jobs that have one are not run again."),
  retryFailed: flag("retry-failed", "With --resume: run those again that failed."),
  failFast: flag("fail-fast", "Start no further job when one has failed."),
  budget,
  worktree: flag("worktree", "A git worktree and a branch of its own for each run."),
  base: text("base", "revision", "With --worktree: the commit from which they are made. Default: HEAD."),
  keepWorktrees: choice(
    "keep-worktrees",
    Worktree.keeps,
    "With --worktree: those that stay although nothing would be lost with them. One with work in it always stays. " +
      "Default: none."
  ),
  report: text("report", "file", "Write a page for a browser in the end, with every run's transcript."),
  plain: flag("plain", "A line for each event, also on a terminal."),
  dryRun: flag("dry-run", "List the jobs, and start nothing."),
  run: ConfigOptions.run,
  client: ConfigOptions.client,
  fleet: ConfigOptions.fleet
})

const usage = (reason: string, hint?: string) => new CliError({ reason, hint })

const isAxis = (word: string): boolean => /^[^=/\\]+=/.test(word)

/** The file, and the axes: behind the first axis the others come as words. */
const sort = (words: ReadonlyArray<string>, matrix: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const further = matrix.length === 0 ? [] : words.filter(isAxis)
    const files = words.filter((word) => !further.includes(word))
    const [file, ...rest] = files
    if (file === undefined) {
      return yield* usage("There is no file of jobs.", "effect-opencode batch jobs.csv --prompt \"Review {{file}}\"")
    }
    if (rest.length > 0) {
      return yield* usage(`There is one file of jobs, not ${files.length}: ${files.join(", ")}.`)
    }
    const pairs = yield* Effect.forEach([...matrix, ...further], (axis) =>
      Either.mapLeft(values.pair(axis), (reason) =>
        usage(`--matrix: ${reason}`, "--matrix model=a/x,b/y agent=build,plan")))
    return { file, pairs }
  })

const readText = (what: string, file: string) =>
  Effect.mapError(utf8.readFile(file), ({ cause, message }) => new CliError({ reason: `${what} ${message}.`, cause }))

/** As many as a person reads; one mistake can be a problem in each of a hundred thousand rows. */
const shownProblems = 50

/** Every problem in a line of its own, as compilers do it. */
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

/** A template is a text of the command line, or a file. */
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
}) =>
  Effect.gen(function*() {
    const { file, prompt, promptFile } = given
    const format = given.format ?? JobFile.formatOf(file)
    if (format === undefined) {
      return yield* usage(
        `The name of ${file} does not tell its format.`,
        `--format ${JobFile.formats.join(", --format ")}`
      )
    }
    if (prompt !== undefined && promptFile !== undefined) {
      return yield* usage("--prompt and --prompt-file: give one of the two.")
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
      file: JobFile.parse({ name: file, text: yield* readText("The file of jobs", file), format }),
      axes,
      repeat: given.repeat,
      templates: {
        prompt: template,
        name: source("--name", given.name),
        // A directory without braces is where the jobs' own directories are looked for.
        cwd: cwd?.includes("{{") === true ? source("--cwd", cwd) : undefined
      },
      defaults,
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
  failure: "one has failed",
  budget: "the budget of all jobs is used up",
  unpriced: "the cost of a run is unknown, so that the budget of all jobs cannot be kept"
}

const exitCodeOf = ({ results, stopped, undone }: Batch.Outcome): number => {
  if (undone.length > 0 && stopped === "asked") return ExitCode.ofSignal("SIGINT")
  if (undone.length > 0 && (stopped === "budget" || stopped === "unpriced")) {
    return ExitCode.ofOutcome("OpenCodeBudgetError")
  }
  return undone.length > 0 || results.some(({ outcome }) => outcome !== "success") ? ExitCode.failure : ExitCode.success
}

const writeReport = (file: string, outcome: Batch.Outcome, results: string, directory: string) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const page = Report.html({
      title: path.basename(results).replace(/(\.results)?\.jsonl$/, ""),
      source: results,
      at: yield* Clock.currentTimeMillis,
      runs: yield* Report.read(outcome.results, { directory })
    })
    yield* outputFile.write(file, page)
  }).pipe(
    Effect.mapError((cause) =>
      new CliError({ reason: `The report ${file} cannot be written.`, exitCode: ExitCode.failure, cause })
    )
  )

/**
 * What a batch keeps beside its results. Only results of the same name have the same: whoever has their lock has all of
 * it, and takes what there is for what a killed batch has left.
 */
const besideOf = (output: string) => (name: string): string => {
  const stem = output.replace(/\.results\.jsonl$/, "")
  return stem === output ? `${output}-${name}` : `${stem}.${name}`
}

/** Nothing that is read or written is written over by something else. */
const refuseSame = (option: "output" | "report", file: string, others: ReadonlyArray<readonly [string, string]>) =>
  Effect.forEach(others, ([what, other]) =>
    Effect.flatMap(outputFile.areSame(file, other), (isSame) =>
      isSame
        ? usage(`--${option}: ${file} is ${what}.`, "name another file")
        : Effect.void), { discard: true })

export const command = commandLine.make(
  {
    name: "batch",
    description: "Runs many agents: the jobs of a file, in every cell of a matrix.",
    usage: "<jobs> [options]",
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
      ["effect-opencode batch tasks.jsonl --resume", "go on after an interruption"]
    ],
    notes: [
      "Ctrl-C lets the runs that are under way finish and starts no further one; the second Ctrl-C ends everything.",
      "Exit codes: 0 every job succeeded; 1 some did not; 2 something is wrong with the jobs or the options, and nothing " +
      "was started; 3 OpenCode is missing or not supported; 9 the budget of all jobs is used up; 129, 130, 131, 141, 143 " +
      "ended by SIGHUP, Ctrl-C, SIGQUIT, a closed pipe, SIGTERM."
    ]
  },
  given,
  (given) =>
    Effect.gen(function*() {
      const path = yield* Path.Path
      const { base, client, fleet, keepWorktrees, resume, retryFailed, run, worktree } = given
      const { file, pairs } = yield* sort(given.words, given.matrix ?? [])
      if (retryFailed && !resume) return yield* usage("--retry-failed is for --resume.", "give both")
      if (!worktree && (base !== undefined || keepWorktrees !== undefined)) {
        return yield* usage("--base and --keep-worktrees are for --worktree.", "give --worktree, too")
      }
      const jobs = yield* planOf({ ...given, file, pairs })
      const settled = ConfigOptions.settle(client, run)
      const isIsolated = settled.isolation === undefined || settled.isolation === "run"
      const cwd = path.resolve(run.cwd === undefined || run.cwd.includes("{{") ? "." : run.cwd)

      // Two names of one file have one lock.
      const output = yield* outputFile.follow(
        path.resolve(given.output ?? `${file.replace(/\.[^./\\]+$/, "")}.results.jsonl`)
      )
      const directory = path.dirname(output)
      const beside = besideOf(output)
      const read: ReadonlyArray<readonly [string, string]> = [
        ["the file of jobs", path.resolve(file)],
        ...given.promptFile === undefined ? [] : [["the prompt file", path.resolve(given.promptFile)] as const]
      ]
      yield* refuseSame("output", output, read)
      yield* refuseSame("output", `${output}.lock`, read)
      const report = given.report === undefined ? undefined : path.resolve(given.report)
      if (report !== undefined) {
        yield* refuseSame("report", report, [
          ...read,
          ["the file of results", output],
          ["the lock of the results", `${output}.lock`],
          ["the directory of the transcripts", beside("transcripts")],
          ["the directory of the worktrees", beside("worktrees")]
        ])
      }
      const before = resume ? yield* ResultsFile.peek(output) : Option.some([])
      if (Option.isSome(before)) {
        yield* preflight.check(Batch.todoOf(jobs, before.value, { retryFailed }), {
          cwd,
          isIsolated,
          hasWorktree: worktree
        }).pipe(Effect.catchTag("JobFileError", reportProblems))
      }
      if (given.dryRun) return yield* list(jobs)

      if (report !== undefined) {
        yield* Effect.mapError(
          outputFile.check(report),
          (cause) => new CliError({ reason: `The report ${report} cannot be written; nothing was started.`, cause })
        )
      }
      const batch = Effect.scoped(Effect.gen(function*() {
        const results = yield* ResultsFile.open(output, { resume, jobs: new Set(jobs.map(({ id }) => id)) })
        const { graceful, stopping } = yield* Interrupt
        yield* graceful
        return yield* Batch.run({
          jobs,
          results,
          directory,
          transcripts: beside("transcripts"),
          cwd,
          concurrency: given.jobs ?? 4,
          resume,
          retryFailed,
          failFast: given.failFast,
          budget: given.budget === undefined ? undefined : { ...given.budget, unpriced: run.budget?.unpriced },
          worktrees: worktree ? { directory: beside("worktrees"), base, keep: keepWorktrees ?? "none" } : undefined,
          stop: Deferred.await(stopping),
          isIsolated,
          forceKillAfter: settled.forceKillAfter
        })
      })).pipe(
        Effect.onInterrupt(() => Console.error("What has ended is in the results; --resume goes on with the rest.")),
        Effect.catchTags({
          ResultsFileError: (error) =>
            new CliError({
              reason: error.message,
              hint: error.hint,
              exitCode: error.reason === "unwritable" ? ExitCode.failure : ExitCode.usage
            }),
          WorktreeError: (error) =>
            new CliError({ reason: error.message, hint: "--worktree works in git repositories" })
        })
      )
      const outcome = yield* batch.pipe(
        Effect.provide(display(given.plain)),
        Effect.provide(OpenCode.layer({ ...settled, ...fleet }))
      )

      const { columns, stdoutIsTerminal } = yield* Host
      const screen = { columns: stdoutIsTerminal ? yield* columns : 120, style: yield* Style.stdout }
      for (const line of FleetView.final(outcome.results, screen)) yield* Console.log(line)
      if (report !== undefined) yield* writeReport(report, outcome, output, directory)
      if (outcome.undone.length > 0) {
        yield* Console.error(
          `${format.count(outcome.undone.length)} of ${format.count(jobs.length)} jobs were not run, because ${
            why[outcome.stopped ?? "asked"]
          }; --resume goes on with them.`
        )
      }
      const exitCode = exitCodeOf(outcome)
      if (exitCode !== ExitCode.success) return yield* new ReportedError({ exitCode })
    })
)
