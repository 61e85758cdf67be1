/** A way to the database that can be cut, as networks are: without closing a connection. */
import * as net from "node:net"

/**
 * `dark` swallows everything, `half-open` swallows the answers only, so that the database sees statements whose sender
 * knows nothing of it, `slow` delivers everything ten seconds late.
 */
export type Mode = "open" | "dark" | "half-open" | "slow"

export interface Proxy {
  readonly port: number
  readonly setMode: (mode: Mode) => void
  /** Goes dark as soon as a statement matches, before the database sees it; resolves then. */
  readonly darkAt: (statement: RegExp) => Promise<void>
  readonly close: () => void
}

export const start = (target: number): Promise<Proxy> =>
  new Promise((resolve, reject) => {
    let mode: Mode = "open"
    let trap: { readonly statement: RegExp; readonly sprung: () => void } | undefined
    const sockets = new Set<net.Socket>()
    const server = net.createServer({ allowHalfOpen: true }, (inner) => {
      const outer = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true })
      const pass = (from: net.Socket, to: net.Socket, isAnswer: boolean) => {
        sockets.add(from)
        const deliver = (act: () => void) => {
          if (mode === "dark" || mode === "half-open" && isAnswer) return
          if (mode === "slow") setTimeout(() => to.destroyed ? undefined : act(), 10_000)
          else act()
        }
        from.on("data", (data: Buffer) => {
          if (!isAnswer && trap?.statement.test(data.toString("latin1")) === true) {
            mode = "dark"
            trap.sprung()
            trap = undefined
          }
          deliver(() => to.write(data))
        })
        from.on("end", () => deliver(() => to.end()))
        from.on("error", () => to.destroy())
        from.on("close", () => {
          sockets.delete(from)
          if (mode === "open") to.destroy()
        })
      }
      pass(inner, outer, false)
      pass(outer, inner, true)
    })
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () =>
      resolve({
        port: (server.address() as net.AddressInfo).port,
        setMode: (next) => {
          // What was swallowed is missing: the connections are reset, as by a network that has forgotten them.
          if (next === "open") { for (const socket of sockets) socket.destroy() }
          mode = next
        },
        darkAt: (statement) =>
          new Promise((sprung) => {
            trap = { statement, sprung }
          }),
        close: () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
      }))
  })
