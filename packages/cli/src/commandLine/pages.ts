/**
 * What help texts say besides what the commands say about themselves.
 */
import type { Page } from "./help.js"

const name = "effect-opencode"

export const program: Page & { readonly description: string } = {
  description: "Runs the OpenCode coding agent: one prompt or a batch, with exit codes that tell the outcome, and " +
    "nothing left behind.",
  usage: "<command> [options]",
  examples: [
    [`${name} run "Explain this repository" --permission read-only`, "one run; the answer is on standard output"],
    [`git diff | ${name} run "Review this change:" - > review.md`, "with standard input in the prompt"],
    [`${name} batch files.csv --prompt "Review {{file}}" --jobs 4`, "a run for each row of a table"],
    [`${name} doctor`, "when something does not work"]
  ],
  notes: [`${name} <command> --help shows the options of a command.`]
}

const commands: { readonly [name: string]: Page } = {
  run: {
    usage: "[prompt...] [options]",
    examples: [
      [`${name} run "Explain this repository" --permission read-only`, "read, but change nothing"],
      [
        `${name} run --file task.md --model anthropic/claude-sonnet-4-5 --budget-cost 0.5`,
        "a long prompt, half a dollar"
      ],
      [`git diff | ${name} run "Review this change:" - > review.md`, "the answer alone goes to the file"],
      [`${name} run "List the files" --json | jq -r 'select(.type == "text").part.text'`, "for programs"]
    ],
    notes: [
      "The answer goes to standard output, everything else to standard error.",
      "Exit codes: 0 success; 1 the program failed; 2 a wrong option or argument; 3 OpenCode is not there, not " +
      "supported or cannot be started; 4 its process failed; 5 it reported an error (provider, model, context); 6 a " +
      "permission was asked for; 7 the conversation did not finish; 8 a time limit; 9 a budget; 10 ended by somebody " +
      "else; 129, 130, 131, 141, 143 ended by SIGHUP, Ctrl-C, SIGQUIT, a closed pipe, SIGTERM."
    ]
  },
  replay: {
    usage: "<transcript> [options]",
    examples: [
      [`${name} run "Fix the test" --transcript run.jsonl`, "records a run"],
      [`${name} replay run.jsonl --speed 10 --max-pause 2s`, "shows it again, ten times as fast"]
    ],
    notes: []
  },
  doctor: {
    usage: "[options]",
    examples: [],
    notes: [
      "Nothing leaves the machine: the smoke run is answered by a scripted provider on the loopback address.",
      "Exit codes: 0 no problem was found; 1 there is one."
    ]
  },
  batch: {
    usage: "<jobs> [options]",
    examples: [
      [`${name} batch files.csv --prompt "Review {{file}}" --permission read-only`, "a run for each row"],
      [`${name} batch tasks.jsonl --worktree --jobs 2 --total-cost 5`, "each in a branch of its own, for five dollars"],
      [
        `${name} batch tasks.jsonl --matrix model=a/large,b/small --repeat 3 --report report.html`,
        "every task six times, compared on a page"
      ],
      [`${name} batch tasks.jsonl --resume`, "go on after an interruption"]
    ],
    notes: [
      "Ctrl-C lets the runs that are under way finish and starts no further one; the second Ctrl-C ends everything.",
      "Exit codes: 0 every job succeeded; 1 some did not; 2 something is wrong with the jobs or the options, and nothing " +
      "was started; 3 OpenCode is missing or not supported; 9 the budget of all jobs is used up; 129, 130, 131, 141, 143 " +
      "ended by SIGHUP, Ctrl-C, SIGQUIT, a closed pipe, SIGTERM."
    ]
  }
}

export const ofCommand = (command: string): Page => commands[command] ?? { usage: "[options]", examples: [], notes: [] }
