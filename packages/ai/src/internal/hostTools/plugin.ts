/**
 * The plugin that tells the sessions of a warm server of OpenCode 1 apart. Its client of tools does not name the session of
 * a call (1.18.33); the plugin reports each call before it is made, and puts the ticket that it gets into the arguments.
 * The key by which it is recognized never leaves the memory of OpenCode, so that the agent's shell, which can read the
 * configuration and this file, cannot call tools in the name of another session.
 */

/** The argument that carries the ticket of a call. */
export const argument = "__call"

export const routes = { session: "/session", call: "/call" } as const

export interface Options {
  /** The base of the plugin's routes. */
  readonly url: string
  readonly token: string
  /** The name of the tool server. */
  readonly server: string
  /** OpenCode's names of the tools. */
  readonly tools: ReadonlyArray<string>
}

export const source = (options: Options): string =>
  `const options = ${JSON.stringify(options)}
const tools = new Set(options.tools)
const key = crypto.randomUUID() + crypto.randomUUID()
const parents = new Map()

const post = async (route, body) => {
  const response = await fetch(options.url + route, {
    method: "POST",
    headers: { authorization: "Bearer " + options.token, "content-type": "application/json" },
    body: JSON.stringify({ key, ...body })
  })
  if (!response.ok) throw new Error("the program that offers this tool refused the call: " + response.status)
  return response.json()
}

export const HostTools = async ({ client }) => {
  const root = async (id) => {
    for (;;) {
      if (!parents.has(id)) {
        if (parents.size > 10000) parents.clear()
        const { data } = await client.session.get({ path: { id } })
        parents.set(id, data?.parentID)
      }
      const parent = parents.get(id)
      if (parent === undefined || parent === null) return id
      id = parent
    }
  }
  return {
    "chat.message": async ({ sessionID }) => {
      try {
        const { data } = await client.mcp.status()
        await post(${JSON.stringify(routes.session)}, {
          session: await root(sessionID),
          status: data?.[options.server]?.status ?? "unknown"
        })
      } catch {
        // Without the report the program ends the run.
      }
    },
    "tool.execute.before": async ({ tool, sessionID, callID }, output) => {
      if (!tools.has(tool)) return
      const { ${argument}: _, ...args } = output.args
      const reply = await post(${JSON.stringify(routes.call)}, {
        session: await root(sessionID),
        from: sessionID,
        callId: callID,
        tool,
        args
      })
      output.args.${argument} = reply.ticket
    }
  }
}
`
