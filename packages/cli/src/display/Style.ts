/** Colours for people. Without a terminal, or if colours are switched off, a style changes nothing. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Host } from "../host/Host.js"

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

const code = (open: number, close: number) => (text: string): string =>
  text === "" ? "" : `\u001b[${open}m${text}\u001b[${close}m`

/** The colours of the terminal's own palette. */
export const colored: Style = {
  bold: code(1, 22),
  dim: code(2, 22),
  red: code(31, 39),
  green: code(32, 39),
  yellow: code(33, 39),
  cyan: code(36, 39)
}

const same = (text: string): string => text

/** No colours. */
export const plain: Style = { bold: same, dim: same, red: same, green: same, yellow: same, cyan: same }

/**
 * Chooses whether to colour a stream: on a terminal with colours, unless `NO_COLOR` is set to anything
 * (https://no-color.org). `FORCE_COLOR` asks for colours without a terminal; `NO_COLOR` wins.
 */
export const choose = (surroundings: {
  readonly isTerminal: boolean
  readonly noColor: string | undefined
  readonly forceColor: string | undefined
  readonly term: string | undefined
}): Style => {
  const { forceColor, isTerminal, noColor, term } = surroundings
  if (noColor !== undefined && noColor !== "") return plain
  if (forceColor !== undefined && forceColor !== "") return forceColor === "0" ? plain : colored
  return isTerminal && term !== "dumb" ? colored : plain
}

const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(Effect.option(Config.string(name)), Option.getOrUndefined)

const of = (stream: "stdout" | "stderr"): Effect.Effect<Style, never, Host> =>
  Effect.gen(function*() {
    const { stderrIsTerminal, stdoutIsTerminal } = yield* Host
    return choose({
      isTerminal: stream === "stdout" ? stdoutIsTerminal : stderrIsTerminal,
      noColor: yield* variable("NO_COLOR"),
      forceColor: yield* variable("FORCE_COLOR"),
      term: yield* variable("TERM")
    })
  })

/** The style of standard output. */
export const stdout: Effect.Effect<Style, never, Host> = of("stdout")

/** The style of standard error. */
export const stderr: Effect.Effect<Style, never, Host> = of("stderr")
