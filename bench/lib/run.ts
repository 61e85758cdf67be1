/** Runs measured programs, each in a fresh process, in rounds that give every variant its turn. */
import { spawn } from "node:child_process"
import * as path from "node:path"
import type { Measured } from "./meter.js"

/** The context of a benchmark. */
export interface Bench {
  /** The directory of the bundled programs. */
  readonly programs: string
  /** The directory for the workloads' files, and the temporary directory of the measured programs. */
  readonly scratch: string
  readonly rounds: number
  readonly say: (text: string) => void
}

/** Variables that would let the machine's own OpenCode, or a debugger, affect a measurement. */
const foreign = /^(XDG_|OPENCODE|EFFECT_OPENCODE|NODE_OPTIONS)/

export const environment = (bench: Bench): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))),
  TMPDIR: path.join(bench.scratch, "tmp")
})

/** A program that takes longer hangs; the longest one takes minutes. */
const patience = 20 * 60_000

export const measure = (
  bench: Bench,
  program: string,
  job: object,
  env?: Readonly<Record<string, string>>
): Promise<Measured> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(bench.programs, `${program}.mjs`), JSON.stringify(job)], {
      cwd: path.join(bench.scratch, "work"),
      env: { ...environment(bench), ...env },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: patience
    })
    const pieces: Array<Buffer> = []
    child.stdout.on("data", (bytes: Buffer) => pieces.push(bytes))
    child.on("error", reject)
    child.on("close", (code, signal) => {
      const text = Buffer.concat(pieces).toString("utf8")
      if (code === 0) resolve(JSON.parse(text))
      else reject(new Error(`${program} ${JSON.stringify(job)} ended with ${code ?? signal}: ${text.slice(-2000)}`))
    })
  })

export type Variants = { readonly [name: string]: () => Promise<Measured> }

/** The rounds of each variant. Every round begins with another variant, so that neighbours vary. */
export const interleaved = async <A extends Variants>(
  bench: Bench,
  variants: A,
  rounds = bench.rounds
): Promise<{ readonly [K in keyof A]: ReadonlyArray<Measured> }> => {
  const names = Object.keys(variants)
  const all = Object.fromEntries(names.map((name) => [name, [] as Array<Measured>]))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length]!
      all[name]!.push(await variants[name]!())
    }
    bench.say(
      `  round ${round + 1} of ${rounds}: ` +
        names.map((name) => `${name} ${Math.round(all[name]![round]!.cpu)}`).join(", ")
    )
  }
  return all as unknown as { readonly [K in keyof A]: ReadonlyArray<Measured> }
}
