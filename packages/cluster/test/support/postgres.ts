/** A PostgreSQL of its own for a test: on loopback, in a directory of its own, ended and removed afterwards. */
import { execFileSync, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"

/** Where Debian keeps the programs of each major version, and where others may be. */
const directories = (): ReadonlyArray<string> => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return [
    ...versions.map((version) => path.join(debian, version, "bin")),
    ...(process.env["PATH"] ?? "").split(path.delimiter)
  ]
}

/** The directory with `initdb` and `postgres`; `undefined` without one. */
export const programs = (): string | undefined =>
  directories().find((directory) => ["initdb", "postgres"].every((name) => fs.existsSync(path.join(directory, name))))

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

export interface Postgres {
  readonly port: number
  readonly url: string
  /** Everything in the database, as text. */
  readonly dump: () => string
  readonly stop: () => Promise<void>
  /** Ends the server at once, as a crash does, and starts it again, after what is to happen meanwhile. */
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>
}

/** PostgreSQL refuses to run as root: another user does it then. */
const asUser = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const line = fs.readFileSync("/etc/passwd", "utf8").split("\n").find((line) => line.startsWith("postgres:")) ??
    "nobody:x:65534:65534"
  const [, , uid, gid] = line.split(":")
  return { uid: Number(uid), gid: Number(gid) }
}

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()))

export const start = async (directory: string): Promise<Postgres> => {
  const bin = programs()
  if (bin === undefined) throw new Error("there is no PostgreSQL")
  const user = asUser()
  const data = path.join(directory, "postgres")
  fs.mkdirSync(data, { mode: 0o700 })
  if (user !== undefined) {
    fs.chmodSync(directory, 0o755)
    fs.chownSync(data, user.uid, user.gid)
  }
  const options = { ...user, cwd: data, env: { ...process.env, LC_ALL: "C" } }
  execFileSync(path.join(bin, "initdb"), ["-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"], {
    ...options,
    stdio: "pipe"
  })
  const port = await freePort()
  const serve = async (): Promise<ChildProcess> => {
    const child = spawn(
      path.join(bin, "postgres"),
      ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", data, "-F", "-c", "max_connections=200"],
      { ...options, stdio: "ignore" }
    )
    for (let left = 300; left > 0; left--) {
      if (await answers(port)) return child
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    child.kill("SIGKILL")
    throw new Error("PostgreSQL does not answer")
  }
  let child = await serve()
  return {
    port,
    url: `postgres://test@127.0.0.1:${port}/postgres`,
    dump: () =>
      execFileSync(path.join(bin, "pg_dump"), ["-h", "127.0.0.1", "-p", String(port), "-U", "test", "postgres"], {
        encoding: "utf8",
        maxBuffer: 1 << 28
      }),
    stop: async () => {
      child.kill("SIGINT")
      await ended(child)
    },
    restart: async (meanwhile) => {
      child.kill("SIGQUIT")
      await ended(child)
      await meanwhile?.()
      child = await serve()
    }
  }
}

/** Whether it takes connections: while it starts, it refuses with an error message. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    const user = Buffer.from("user\0test\0database\0postgres\0\0")
    const packet = Buffer.alloc(8)
    packet.writeInt32BE(8 + user.length, 0)
    packet.writeInt32BE(196608, 4)
    const end = (outcome: boolean) => {
      socket.destroy()
      resolve(outcome)
    }
    socket.on("connect", () => socket.write(Buffer.concat([packet, user])))
    socket.on("data", (data) => end(data[0] === "R".charCodeAt(0)))
    socket.on("error", () => end(false))
  })
