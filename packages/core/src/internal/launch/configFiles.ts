/**
 * Reads OpenCode's existing configuration: its files, and an inherited `OPENCODE_CONFIG_CONTENT`. Rules of an agent
 * override the rules for all agents, so the agents' names are needed before OpenCode starts.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type { Agents } from "../opencode/dialect.js"
import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"

/** JSON with comments and trailing commas, as OpenCode reads it; `undefined` for what is not an object. */
export const parse = (text: string): WireObject | undefined => {
  const strip = (text: string, noise: RegExp) =>
    text.replace(noise, (match: string) => match.startsWith("\"") ? match : " ")
  const plain = strip(text.replace(/^\uFEFF/, ""), /"(?:\\[^]|[^"\\])*"|\/\/[^\n]*|\/\*[^]*?\*\//g)
  try {
    const value: unknown = JSON.parse(strip(plain, /"(?:\\[^]|[^"\\])*"|,(?=\s*[}\]])/g))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const keys = (u: unknown): ReadonlyArray<string> => isObject(u) ? Object.keys(u) : []

/** `agents` is the next major's name for `agent`, which 1.18.33 understands. */
export const agentsOf = (content: WireObject | undefined): Agents => ({
  defined: [...keys(content?.["agent"]), ...keys(content?.["agents"])],
  modes: keys(content?.["mode"])
})

export const union = (all: ReadonlyArray<Agents>): Agents => ({
  defined: [...new Set(all.flatMap(({ defined }) => defined))],
  modes: [...new Set(all.flatMap(({ modes }) => modes))]
})

/** The agent's name from the file's front matter, in YAML or JSON, or else from its path. */
export const agentOfFile = (relative: string, text: string): string => {
  const header = /^\uFEFF?---(?!-)[^\n]*\n([^]*?)(?:\n---|$)/.exec(text)?.[1] ?? ""
  const said = parse(header)?.["name"]
  if (typeof said === "string") return said
  const named =
    /^(?:\{(?:[^\n]*,)?\s*)?(?:name|"name"|'name')\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#](?:(?!\s#|[,}]).)*))/m.exec(
      header
    )
  const name = (named?.[1] ?? named?.[2] ?? named?.[3])?.trim()
  return name ?? relative.replace(/\.md$/, "")
}

/** The places where OpenCode looks for configuration. */
export interface Places {
  /** The directory that the run works in. */
  readonly directory: string
  readonly home: string | undefined
  /** OpenCode's own configuration directory. */
  readonly global: string | undefined
  /** Files and directories that environment variables name. */
  readonly file: string | undefined
  readonly extra: string | undefined
}

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

const list = ({ fileSystem }: Services, directory: string) =>
  Effect.orElseSucceed(fileSystem.readDirectory(directory), (): ReadonlyArray<string> => [])

const read = ({ fileSystem }: Services, file: string): Effect.Effect<string> =>
  Effect.orElseSucceed(fileSystem.readFileString(file), () => "")

const fromFile = (services: Services, file: string): Effect.Effect<Agents> =>
  Effect.map(read(services, file), (text) => agentsOf(parse(text)))

const configNames = ["config.json", "opencode.json", "opencode.jsonc"]

/**
 * Reads the config files among the names in a directory: most directories have none, and failed reads would cost more.
 */
const fromFiles = (services: Services, directory: string, names: ReadonlyArray<string>) =>
  Effect.forEach(
    names.filter((name) => configNames.includes(name)),
    (name) => fromFile(services, services.path.join(directory, name))
  )

/** The Markdown files below a directory, following links but not cycles. */
const markdown = (
  services: Services,
  directory: string,
  above: ReadonlyArray<string> = []
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const real = yield* Effect.orElseSucceed(services.fileSystem.realPath(directory), () => directory)
    if (above.includes(real)) return []
    const found = yield* Effect.forEach(yield* list(services, directory), (name) => {
      const file = services.path.join(directory, name)
      const inside = markdown(services, file, [...above, real])
      return name.endsWith(".md") ? Effect.map(inside, (more) => [file, ...more]) : inside
    })
    return found.flat()
  })

/** Directories with a file for each agent. */
const folders = ["agent", "agents", "mode", "modes"]

/** Reads a directory laid out like `.opencode`. */
const fromDirectory = (services: Services, directory: string): Effect.Effect<Agents> =>
  Effect.gen(function*() {
    const names = yield* list(services, directory)
    const files = yield* fromFiles(services, directory, names)
    const agents = yield* Effect.forEach(names.filter((name) => folders.includes(name)), (folder) =>
      Effect.gen(function*() {
        const root = services.path.join(directory, folder)
        return yield* Effect.forEach(yield* markdown(services, root), (file) =>
          Effect.map(
            read(services, file),
            (text) =>
              agentOfFile(services.path.relative(root, file).replaceAll("\\", "/"), text)
          ))
      }))
    return union([...files, { defined: agents.flat(), modes: [] }])
  })

/** Reads a directory and its parents, up to the root of the repository. */
const fromProject = (services: Services, directory: string): Effect.Effect<ReadonlyArray<Agents>> =>
  Effect.gen(function*() {
    const names = yield* list(services, directory)
    const here = [
      ...yield* fromFiles(services, directory, names),
      ...names.includes(".opencode") ? [yield* fromDirectory(services, services.path.join(directory, ".opencode"))] : []
    ]
    const above = services.path.dirname(directory)
    return names.includes(".git") || above === directory
      ? here
      : [...here, ...yield* fromProject(services, above)]
  })

/**
 * The agents that configuration files define. A file that cannot be read is skipped, because OpenCode refuses to start
 * with it.
 */
export const agents = (services: Services, places: Places): Effect.Effect<Agents> =>
  Effect.map(
    Effect.all([
      fromProject(services, places.directory),
      Effect.forEach(
        [
          places.global,
          places.extra,
          places.home === undefined ? undefined : services.path.join(places.home, ".opencode")
        ].filter((directory) => directory !== undefined),
        (directory) => fromDirectory(services, directory)
      ),
      places.file === undefined ? Effect.succeed([]) : Effect.map(fromFile(services, places.file), (one) => [one])
    ]),
    (all) => union(all.flat())
  )
