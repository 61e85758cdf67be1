/** A model provider on loopback with minimal cost, in the benchmark's own process. */
import * as http from "node:http"

/** The request in a prompt: how long the provider waits, in milliseconds, and in how many pieces it answers. */
export interface Asked {
  readonly delay: number
  readonly pieces: number
}

/** A prompt with such a request. */
export const promptOf = (index: number, { delay, pieces }: Asked): string =>
  `prompt ${index}: think ${delay} ms, then say ${pieces} words`

const asked = /think (\d+) ms, then say (\d+) words/g

/** The answer to such a prompt. */
export const answerOf = ({ pieces }: Asked): string => "word ".repeat(pieces)

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`

const chunk = (delta: object, finishReason: string | null, rest?: object): string =>
  event({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1,
    model: "m1",
    choices: [{ index: 0, delta, finish_reason: finishReason }],
    ...rest
  })

const usage = { usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 } }

const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
  const bytes: Array<Buffer> = []
  for await (const piece of request) bytes.push(piece as Buffer)
  const last = [...Buffer.concat(bytes).toString("utf8").matchAll(asked)].at(-1)
  if (last === undefined) {
    response.writeHead(400).end("expected a prompt of the benchmark")
    return
  }
  const pieces = Number(last[2])
  await new Promise((resolve) => setTimeout(resolve, Number(last[1])))
  response.writeHead(200, { "content-type": "text/event-stream" })
  const word = chunk({ role: "assistant", content: "word " }, null)
  for (let i = 0; i < pieces; i++) response.write(word)
  response.end(`${chunk({}, "stop", usage)}data: [DONE]\n\n`)
}

export const model = "bench/m1"

/** OpenCode's configuration for the provider at this address. */
const configOf = (baseURL: string) => ({
  provider: {
    bench: {
      npm: "@ai-sdk/openai-compatible",
      name: "Benchmark",
      options: { baseURL, apiKey: "none" },
      models: {
        m1: {
          name: "M1",
          tool_call: true,
          cost: { input: 1, output: 2 },
          limit: { context: 200_000, output: 32_000 }
        }
      }
    }
  },
  model
})

export type Config = ReturnType<typeof configOf>

export const providing = async <A>(use: (config: Config) => Promise<A>): Promise<A> => {
  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as { readonly port: number }
  try {
    return await use(configOf(`http://127.0.0.1:${port}/v1`))
  } finally {
    server.close()
    server.closeAllConnections()
  }
}
