/** The captures of real runs, as `test/fixtures/README.md` describes them. */
import { readdirSync, readFileSync } from "node:fs"

const root = new URL("../fixtures/opencode/", import.meta.url)

export const versions = ["1.14.34", "1.15.13", "1.17.19", "1.18.33"] as const

export type FixtureVersion = (typeof versions)[number]

export interface Fixture {
  readonly version: FixtureVersion
  readonly scenario: string
  /** `version/scenario` */
  readonly name: string
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
  readonly exitCode: number | null
  readonly signal: string | null
  /** The capture had to end the process, which would not have ended by itself. */
  readonly killedByTimeout: boolean
}

interface Meta {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly killedByTimeout?: boolean
}

const load = (version: FixtureVersion, scenario: string): Fixture => {
  const file = (suffix: string) => readFileSync(new URL(`${version}/${scenario}.${suffix}`, root))
  const meta = JSON.parse(file("meta.json").toString("utf8")) as Meta
  return {
    version,
    scenario,
    name: `${version}/${scenario}`,
    stdout: new Uint8Array(file("stdout.jsonl")),
    stderr: new Uint8Array(file("stderr.txt")),
    exitCode: meta.exitCode,
    signal: meta.signal,
    killedByTimeout: meta.killedByTimeout === true
  }
}

export const all: ReadonlyArray<Fixture> = versions.flatMap((version) =>
  readdirSync(new URL(`${version}/`, root))
    .filter((file) => file.endsWith(".meta.json"))
    .sort()
    .map((file) => load(version, file.slice(0, -".meta.json".length)))
)

export const get = (name: string): Fixture => {
  const found = all.find((fixture) => fixture.name === name)
  if (found === undefined) throw new Error(`there is no fixture ${name}`)
  return found
}

const utf8 = new TextDecoder("utf-8")

/** The text of a capture by the plainest means, for the tests to compare with. */
export const textOf = (bytes: Uint8Array): string => utf8.decode(bytes)

/** The lines of a capture by the plainest means: text after the last line feed counts unless it is empty. */
export const linesOf = (bytes: Uint8Array): ReadonlyArray<string> => {
  const lines = textOf(bytes).split("\n")
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

/** A line that is a JSON object, read by the plainest means. */
export const objectOf = (line: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as { readonly [key: string]: unknown }
      : undefined
  } catch {
    return undefined
  }
}
