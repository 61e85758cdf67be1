/** Prints the names of the spans that it receives, for a first look without a collector. */
import { createServer } from "node:http"

interface Traces {
  readonly resourceSpans?: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<{ readonly name: string }> }>
  }>
}

createServer((request, response) => {
  let body = ""
  request.on("data", (bytes) => body += bytes)
  request.on("end", () => {
    const { resourceSpans = [] }: Traces = JSON.parse(body)
    for (const { name } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))) {
      console.log(name)
    }
    response.end("{}")
  })
}).listen(4318, "127.0.0.1")
