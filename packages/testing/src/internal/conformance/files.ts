/** Files that scenarios write. */

/** An MCP server with the tool `echo`. It answers each request of one line; a notification has no id. */
export const mcpServer = `#!/bin/sh
while IFS= read -r line; do
  case $line in *'"id":'*) ;; *) continue ;; esac
  id=\${line##*\\"id\\":}
  id=\${id%%[,\\}]*}
  version=2024-11-05
  case $line in
    *'"initialize"'*)
      result='{"protocolVersion":"'$version'","capabilities":{"tools":{}},"serverInfo":{"name":"scripted","version":"1"}}' ;;
    *'"tools/list"'*)
      result='{"tools":[{"name":"echo","description":"Echoes","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}]}' ;;
    *'"tools/call"'*)
      result='{"content":[{"type":"text","text":"echoed by the server"}]}' ;;
    *) result='{}' ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\\n' "$id" "$result"
done
`

/** A plugin of OpenCode 2 that notes in a file that it was loaded, and that it was set up. */
export const plugin = (file: string): string =>
  `import { appendFileSync } from "node:fs"
const note = (what) => appendFileSync(${JSON.stringify(file)}, what + "\\n")
note("loaded")
export default { id: "scripted", setup: async () => note("set up") }
`

/** A list of models with one provider, whose key is in `LISTED_KEY`. */
export const modelList = JSON.stringify({
  listed: {
    id: "listed",
    name: "Listed",
    npm: "@ai-sdk/openai-compatible",
    api: "http://127.0.0.1:2/v1",
    env: ["LISTED_KEY"],
    models: {
      one: {
        id: "one",
        name: "One",
        attachment: false,
        reasoning: false,
        temperature: false,
        tool_call: true,
        release_date: "2026-01-01",
        last_updated: "2026-01-01",
        modalities: { input: ["text"], output: ["text"] },
        open_weights: false,
        cost: { input: 1, output: 2 },
        limit: { context: 1000, output: 100 }
      }
    }
  }
})

/** Places texts, one byte a character, in zeros. */
const bytesOf = (length: number, ...parts: ReadonlyArray<readonly [at: number, text: string]>): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (const [at, text] of parts) bytes.set(Uint8Array.from(text, (character) => character.charCodeAt(0)), at)
  return bytes
}

/** A database of SQLite, of two pages of 512 bytes, whose only table has the name of one of OpenCode's. */
export const database: Uint8Array = bytesOf(
  1024,
  [0, "SQLite format 3\0\x02\0\x01\x01\0@  \0\0\0\x01\0\0\0\x02"],
  [43, "\x01\0\0\0\x04"],
  [59, "\x01"],
  [95, "\x01\0.c\x01\r\0\0\0\x01\x01\xc6\0\x01\xc6"],
  [454, "8\x01\x06\x17\x1b\x1b\x01Itablesessionsession\x02CREATE TABLE session (id text)"],
  [512, "\r\0\0\0\0\x02"]
)
