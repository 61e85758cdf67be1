/**
 * The agents' model if no real one is set: a provider on loopback that answers from a script.
 */
import { ModelProvider } from "effect-opencode-testing"
import { troubles } from "./trouble.js"

const { Reply } = ModelProvider

/** The model's description of each function. */
const descriptions: Readonly<Record<string, string>> = {
  chunk: "Splits an array into arrays of at most the given size.",
  clamp: "Keeps a number between a minimum and a maximum.",
  formatBytes: "Writes a number of bytes with a binary unit, such as 1.5 MiB.",
  groupBy: "Collects the items that share a key into one array for each key.",
  median: "Returns the middle of some numbers, or the mean of the two in the middle.",
  pluralize: "Writes a count with its noun in the singular or the plural.",
  range: "Lists the numbers from one bound up to, but not including, another.",
  slugify: "Turns a text into lower-case words joined by hyphens, for use in a URL.",
  truncate: "Shortens a text to a length, with an ellipsis if something was cut off.",
  unique: "Removes the duplicates of an array and keeps the order of the first ones."
}

const thinking = { delay: "500 millis", usage: { input: 4200, cached: 3100, output: 90 } } as const

const call = (name: string, args: object) => Reply.toolCalls([{ name, arguments: args }], thinking)

/** A command that ends at once and leaves a process behind. It prints the process's number. */
const leave = call("bash", {
  command: "nohup sleep 600 > nohup.log 2>&1 & echo pid $!",
  description: "Starts a server in the background"
})

const documentFunction = (name: string): ReadonlyArray<ModelProvider.Reply> => {
  const filePath = `src/${name}.js`
  const read = call("read", { filePath })
  const description = descriptions[name] ?? "Nobody knows."
  const healthy = [
    read,
    call("edit", {
      filePath,
      oldString: `export const ${name} =`,
      newString: `/** ${description} */\nexport const ${name} =`
    }),
    Reply.text(description, thinking)
  ]
  switch (troubles[name]) {
    case "hang":
      return [read, Reply.never]
    case "loop":
      // never the same call twice: OpenCode stops those itself
      return Array.from(
        { length: 20 },
        (_, step) =>
          Reply.toolCalls([{ name: "read", arguments: { filePath, limit: step + 1 } }], {
            ...thinking,
            usage: { input: 100_000 }
          })
      )
    case "background":
      return [leave, ...healthy]
    default:
      return healthy
  }
}

const writeOverview = (prompt: string): ReadonlyArray<ModelProvider.Reply> => {
  const items = prompt.split("\n").filter((line) => line.startsWith("- "))
  return [
    call("write", { filePath: "OVERVIEW.md", content: ["# sample-utils", "", ...items, ""].join("\n") }),
    Reply.text(`The library has ${items.length} small helpers for numbers, texts and collections.`, thinking)
  ]
}

/** The model finds the name of the function in the prompt; any other prompt is the one for the overview. */
export const respond: ModelProvider.Respond = (request) => {
  const name = /^Document the function (\w+):/.exec(request.prompt)?.[1]
  return ModelProvider.steps(
    name === undefined ? writeOverview(request.prompt) : documentFunction(name)
  )(request)
}
