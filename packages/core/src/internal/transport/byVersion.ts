import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import { OpenCodeVersionError } from "../../OpenCodeError.js"
import * as Version from "../../Version.js"
import type { Launcher } from "../launch/launcher.js"
import type { Transport } from "../run/transport.js"
import * as cli from "./cli.js"
import * as privateServer from "./private/transport.js"

/** A transport that carries each run as the version of its binary needs it. */
export const make = (
  client: Launcher,
  httpClient: HttpClient.HttpClient,
  isOwnDirectory = false
): Transport => {
  const processes = cli.make(client, isOwnDirectory)
  const find = cli.finder(client)
  return {
    ...processes,
    acquire: (plan, request) =>
      Effect.flatMap(find(request), (found) => {
        const { privateServer: server } = found.dialect
        return server === undefined
          ? processes.acquire(plan, request)
          : Effect.as(
            Effect.all([
              cli.refuseLive(client, plan),
              cli.checkVersion(plan, found),
              privateServer.accept(client, plan, found)
            ]),
            () => privateServer.prepare(client, httpClient, server, plan, found, isOwnDirectory)
          )
      }),
    forSession: (plan) =>
      Effect.map(
        cli.forSession(client, plan),
        (inner) => make(inner, httpClient, isOwnDirectory || (plan.options.isolation ?? "run") !== "run")
      ),
    forLocation: (location) => Effect.map(cli.forLocation(client, location), (inner) => make(inner, httpClient, true)),
    importing: (plan, conversation) =>
      Effect.flatMap(
        Effect.zip(client.binary, client.release),
        ([binary, { dialect, version }]) =>
          dialect.privateServer === undefined
            ? processes.importing(plan, conversation)
            : new OpenCodeVersionError({
              binary,
              version: Version.format(version),
              option: "importSession",
              reason: "importing a session is not supported with OpenCode 2 yet"
            })
      ),
    conversation: (run, sessionId) =>
      Effect.flatMap(client.release, (release) => {
        const { privateServer: server } = release.dialect
        return server === undefined
          ? processes.conversation(run, sessionId)
          : privateServer.conversation(client, release, server, run, sessionId)
      }),
    models: Effect.flatMap(client.release, (release) => {
      const { privateServer: server } = release.dialect
      return server === undefined
        ? processes.models
        : Effect.flatMap(
          client.binary,
          (binary) => privateServer.models(client, httpClient, server, { binary, ...release })
        )
    })
  }
}
