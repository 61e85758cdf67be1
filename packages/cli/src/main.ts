#!/usr/bin/env node
/** The command `effect-opencode`. */
import * as Cli from "./Cli.js"
import * as node from "./host/node.js"

node.runMain(Cli.run)
