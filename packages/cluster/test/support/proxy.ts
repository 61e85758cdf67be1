/** A way to the database that can be cut: dark swallows everything without closing a connection, as a lost network does. */
import * as net from "node:net"

export interface Proxy {
  readonly port: number
  readonly setDark: (isDark: boolean) => void
  readonly close: () => void
}

export const start = (target: number): Promise<Proxy> =>
  new Promise((resolve, reject) => {
    let isDark = false
    const sockets = new Set<net.Socket>()
    const server = net.createServer({ allowHalfOpen: true }, (inner) => {
      const outer = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true })
      const pass = (from: net.Socket, to: net.Socket) => {
        sockets.add(from)
        from.on("data", (data) => isDark ? undefined : to.write(data))
        from.on("end", () => isDark ? undefined : to.end())
        from.on("error", () => to.destroy())
        from.on("close", () => sockets.delete(from))
      }
      pass(inner, outer)
      pass(outer, inner)
    })
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () =>
      resolve({
        port: (server.address() as net.AddressInfo).port,
        setDark: (dark) => {
          isDark = dark
        },
        close: () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
      }))
  })
