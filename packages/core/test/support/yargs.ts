import yargs from "yargs"
import { Parser } from "yargs/helpers"

let last: unknown

/** The arguments that OpenCode reads, and their names: the options of `opencode run` (1.18.33, yargs 18.0.0). */
const parser = yargs([])
  .detectLocale(false)
  .help(false)
  .version(false)
  .exitProcess(false)
  .fail((message, error) => {
    throw error ?? new Error(message)
  })
  .parserConfiguration({ "populate--": true })
  .option("print-logs", { type: "boolean" })
  .option("log-level", { type: "string", choices: ["DEBUG", "INFO", "WARN", "ERROR"] })
  .option("pure", { type: "boolean" })
  .command("run [message..]", "", (run) =>
    run
      .positional("message", { type: "string", array: true, default: [] })
      .option("command", { type: "string" })
      .option("continue", { alias: ["c"], type: "boolean" })
      .option("session", { alias: ["s"], type: "string" })
      .option("fork", { type: "boolean" })
      .option("share", { type: "boolean" })
      .option("model", { type: "string", alias: ["m"] })
      .option("agent", { type: "string" })
      .option("format", { type: "string", choices: ["default", "json"], default: "default" })
      .option("file", { alias: ["f"], type: "string", array: true })
      .option("title", { type: "string" })
      .option("attach", { type: "string" })
      .option("password", { alias: ["p"], type: "string" })
      .option("username", { alias: ["u"], type: "string" })
      .option("dir", { type: "string" })
      .option("port", { type: "number" })
      .option("variant", { type: "string" })
      .option("thinking", { type: "boolean" })
      .option("mini", { type: "boolean", hidden: true, default: false })
      .option("replay", { type: "boolean", default: true, hidden: true })
      .option("replay-limit", { type: "number", hidden: true })
      .option("interactive", { alias: ["i"], type: "boolean", default: false })
      .option("auto", { type: "boolean", default: false })
      .option("yolo", { type: "boolean", hidden: true, default: false })
      .option("dangerously-skip-permissions", { type: "boolean", hidden: true, default: false })
      .option("demo", { type: "boolean", default: false, hidden: true }), (read) => {
    last = read
  })
  .strict()

export interface Read {
  readonly [name: string]: unknown
  readonly message: ReadonlyArray<string>
  readonly "--"?: ReadonlyArray<string>
}

/** Reads arguments like OpenCode; throws when OpenCode would print its help. */
export const read = (args: ReadonlyArray<string>): Read => {
  last = undefined
  parser.parseSync([...args])
  return last as Read
}

const texts = ["command", "session", "model", "agent", "title", "attach", "username", "dir", "variant"]

/** The values of the options, by the parser that yargs itself uses, which is a hundred times as fast. */
export const values = (args: ReadonlyArray<string>): { readonly [name: string]: unknown } =>
  Parser.detailed([...args], { string: [...texts, "file"], array: ["file"], configuration: { "populate--": true } })
    .argv
