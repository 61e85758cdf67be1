import * as EntityAddress from "@effect/cluster/EntityAddress"
import * as EntityId from "@effect/cluster/EntityId"
import * as MessageStorage from "@effect/cluster/MessageStorage"
import * as Sharding from "@effect/cluster/Sharding"
import * as Path from "@effect/platform/Path"
import * as HostEnvironment from "effect-opencode/HostEnvironment"
import * as Isolation from "effect-opencode/Isolation"
import * as OpenCode from "effect-opencode/OpenCode"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { RunnerOptions, Service } from "../AgentRun.js"
import * as RunLedger from "../RunLedger.js"
import * as Workspace from "../Workspace.js"
import * as boards from "./board.js"
import * as clients from "./client.js"
import { JobEntity } from "./entity.js"
import * as leavings from "./leavings.js"
import * as metrics from "./metrics.js"
import * as runners from "./runner.js"
import * as slotsOf from "./slots.js"
import * as waiting from "./waiters.js"

/** A job that nobody has had in hand for this long is sent again; a runner says every two seconds what it has. */
const unseenFor = Duration.seconds(30)

const defaultRetention = Duration.days(30)

/** How long the tree and the session of a lost job are there to be looked at. */
const keptFor = Duration.days(1)

/** `XDG_STATE_HOME`, or where it is by default. */
const stateDirectory = Effect.gen(function*() {
  const path = yield* Path.Path
  const state = yield* HostEnvironment.variable("XDG_STATE_HOME")
  if (state !== undefined && path.isAbsolute(state)) return state
  const home = yield* Isolation.home
  return home === undefined ? path.resolve(".") : path.join(home, ".local", "state")
})

/** What one runner of the cluster does for all: sends forgotten jobs again, and removes old ones. */
const watchdog = (options: {
  readonly ledger: RunLedger.Service
  readonly sharding: Sharding.Sharding["Type"]
  readonly storage: MessageStorage.MessageStorage["Type"]
  readonly retention: Duration.Duration
}) =>
  Effect.gen(function*() {
    const client = yield* JobEntity.client

    const revive = Effect.flatMap(options.ledger.unseen(unseenFor), (ids) =>
      Effect.forEach(ids, (id) =>
        Effect.gen(function*() {
          yield* Effect.logWarning(`No runner has job "${id}" in hand: it is sent again`)
          // Two watchdogs in the same minute send one message.
          const minute = Math.floor(
            (yield* Effect.clockWith((clock) =>
              clock.currentTimeMillis
            )) / 60_000
          )
          yield* client(id).run({ delivery: `watchdog/${minute}` }, { discard: true })
          yield* metrics.revived
        }), { discard: true }))

    const retain = Effect.gen(function*() {
      const ids = yield* options.ledger.retain(options.retention)
      yield* Effect.forEach(ids, (id) => {
        const entityId = EntityId.make(id)
        return options.storage.clearAddress(
          new EntityAddress.EntityAddress({
            entityType: JobEntity.type,
            entityId,
            shardId: options.sharding.getShardId(entityId, JobEntity.getShardGroup(entityId))
          })
        )
      }, { discard: true })
      return ids.length
    }).pipe(Effect.repeat({ until: (count) => count === 0 }))

    const telling = (what: string) => Effect.catchAllCause((cause) => Effect.logWarning(`${what} failed`, cause))

    yield* Effect.forkScoped(Effect.repeat(revive.pipe(telling("The watchdog")), Schedule.spaced("10 seconds")))
    yield* Effect.forkScoped(Effect.repeat(retain.pipe(telling("The retention")), Schedule.spaced("1 hour")))
  })

export const make = <I>(tag: Context.Tag<I, Service>, options: RunnerOptions) =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const ledger = yield* RunLedger.RunLedger
    const sharding = yield* Sharding.Sharding
    const storage = yield* MessageStorage.MessageStorage
    const openCode = yield* OpenCode.OpenCode
    const path = yield* Path.Path
    const directory = options.dataDirectory ?? path.join(yield* stateDirectory, "effect-opencode-cluster")
    const waiters = yield* waiting.make(ledger)
    const slots = slotsOf.make(options.agents ?? 4)
    const board = yield* boards.make({ ledger, sharding })

    yield* Effect.forkScoped(Effect.repeat(
      Effect.suspend(() => metrics.slots(slots.waiting(), slots.used())),
      Schedule.spaced("1 second")
    ))

    const handlers = JobEntity.toLayer(
      Effect.flatMap(Workspace.Workspace, (workspace) =>
        runners.make({
          name: options.name,
          openCode,
          ledger,
          board,
          slots,
          waiters,
          workspace,
          secrets: options.secrets ?? {},
          dataDirectory: path.join(directory, "sessions")
        })),
      // A job's messages are few, and each is answered while its agent works.
      { concurrency: "unbounded" }
    ).pipe(Layer.provide(Workspace.layer({ directory })))

    // Each runner, because each has a disk of its own.
    yield* leavings.collect(
      ledger,
      [path.join(directory, "trees"), path.join(directory, "sessions")],
      Duration.min(keptFor, Duration.decode(options.retention ?? defaultRetention))
    ).pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("Removing what killed runners have left failed", cause)),
      Effect.repeat(Schedule.spaced("1 hour")),
      Effect.forkScoped
    )

    yield* sharding.registerSingleton(
      "OpenCode/Watchdog",
      Effect.scoped(Effect.andThen(
        Effect.provideService(
          watchdog({ ledger, sharding, storage, retention: Duration.decode(options.retention ?? defaultRetention) }),
          Sharding.Sharding,
          sharding
        ),
        Effect.never
      ))
    )

    return Layer.merge(
      handlers,
      Layer.effect(
        tag,
        clients.makeWith(
          waiters,
          Effect.sync(() => ({
            name: options.name,
            agents: slots.size,
            running: slots.used(),
            waiting: slots.waiting()
          }))
        )
      )
    )
  }))
