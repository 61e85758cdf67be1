import type { Contract } from "../../contract.js"
import * as events from "./events.js"
import * as failures from "./failures.js"
import * as permissions from "./permissions.js"
import * as server from "./server.js"
import * as session from "./session.js"

/** What this library relies on about OpenCode 2.x, measured with 2.0.14. */
export const contract: Contract = {
  facts: [...server.all, ...session.all, ...events.all, ...permissions.all, ...failures.all],
  most: [
    "server.ready",
    "server.password",
    "server.lease",
    "session.create",
    "prompt.verbatim",
    "config.content",
    "events.run",
    "end.succeeded",
    "finish.tokens",
    "rules.last"
  ]
}
