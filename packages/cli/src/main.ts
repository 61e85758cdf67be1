#!/usr/bin/env node
/**
 * The command `effect-opencode`.
 *
 * @since 0.1.0
 */
import * as Cli from "./Cli.js"
import * as node from "./host/node.js"

node.runMain(Cli.run)
