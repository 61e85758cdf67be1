import type { Contract } from "../../contract.js"
import * as commandLine from "./commandLine.js"
import * as events from "./events.js"
import * as failures from "./failures.js"
import * as permissions from "./permissions.js"
import * as server from "./server.js"
import * as sessions from "./sessions.js"
import * as surroundings from "./surroundings.js"

/** What this library relies on about OpenCode 1.x. */
export const contract: Contract = {
  facts: [
    ...commandLine.facts,
    ...events.facts,
    ...permissions.facts,
    ...failures.facts,
    ...sessions.facts,
    ...surroundings.facts,
    ...server.facts
  ],
  most: [
    "stdin.verbatim",
    "config.content",
    "events.order",
    "events.text",
    "finish.stop",
    "finish.tokens",
    "data.directory",
    "tools.offered",
    "ask.stderr",
    "ask.stops"
  ]
}
