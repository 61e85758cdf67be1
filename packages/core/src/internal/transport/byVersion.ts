import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type { Launcher } from "../launch/launcher.js"
import * as loopback from "../launch/loopback.js"
import type { PrivateServer } from "../opencode/privateServer.js"
import type { Transport } from "../run/transport.js"
import * as cli from "./cli.js"
import * as held from "./private/held.js"
import type { Held } from "./private/held.js"
import * as privateServer from "./private/transport.js"

/** A transport that carries each run as the version of its binary needs it. */
export const make = (client: Launcher, httpClient: HttpClient.HttpClient): Effect.Effect<Transport> =>
  Effect.map(
    // Known when the program starts, and of use only where requests are sent.
    Effect.cached(loopback.warn),
    (warn) => of(client, httpClient, warn, { isOwnDirectory: false, held: undefined, warned: new Set() })
  )

interface Surroundings {
  readonly isOwnDirectory: boolean
  /** The servers of the conversation that the runs are turns of. */
  readonly held: Held | undefined
  /** The servers that runs are attached to and that were warned about. */
  readonly warned: Set<string>
}

const of = (
  client: Launcher,
  httpClient: HttpClient.HttpClient,
  warn: Effect.Effect<void>,
  surroundings: Surroundings
): Transport => {
  const processes = cli.make(client, surroundings.isOwnDirectory)
  const find = cli.finder(client)
  const services = (server: PrivateServer): privateServer.Services => ({ client, httpClient, server, ...surroundings })
  return {
    ...processes,
    acquire: (plan, request) =>
      Effect.flatMap(find(request), (found) => {
        const { privateServer: server } = found.dialect
        return server === undefined
          ? processes.acquire(plan, request)
          : Effect.as(
            Effect.all([
              warn,
              cli.refuseLive(client, plan),
              cli.checkVersion(plan, found),
              privateServer.accept(services(server), plan, found)
            ]),
            () => privateServer.prepare(services(server), plan, found)
          )
      }),
    forSession: (plan) =>
      Effect.zipWith(
        cli.forSession(client, plan),
        // After the data directory, so that it ends first.
        held.make,
        (inner, held) =>
          of(inner, httpClient, warn, {
            ...surroundings,
            isOwnDirectory: surroundings.isOwnDirectory || (plan.options.isolation ?? "run") !== "run",
            held
          })
      ),
    forLocation: (location) =>
      Effect.map(
        cli.forLocation(client, location),
        (inner) => of(inner, httpClient, warn, { ...surroundings, isOwnDirectory: true })
      ),
    importing: (plan, conversation) =>
      Effect.flatMap(
        Effect.zip(client.binary, client.release),
        ([binary, release]) => {
          const { privateServer: server } = release.dialect
          return server === undefined
            ? processes.importing(plan, conversation)
            : Effect.andThen(
              warn,
              privateServer.importing(services(server), { binary, ...release }, plan, conversation)
            )
        }
      ),
    conversation: (run, sessionId) =>
      Effect.flatMap(client.release, (release) => {
        const { privateServer: server } = release.dialect
        return server === undefined
          ? processes.conversation(run, sessionId)
          : privateServer.conversation(services(server), release, run, sessionId)
      }),
    models: Effect.flatMap(client.release, (release) => {
      const { privateServer: server } = release.dialect
      return server === undefined
        ? processes.models
        : Effect.flatMap(
          client.binary,
          (binary) => Effect.andThen(warn, privateServer.models(services(server), { binary, ...release }))
        )
    })
  }
}
