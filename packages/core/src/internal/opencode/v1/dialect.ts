import * as decode from "../decode.js"
import type { Dialect, Server } from "../dialect.js"
import * as crashTexts from "./crashTexts.js"
import * as invocation from "./invocation.js"
import * as questions from "./questions.js"
import * as repeatedStep from "./repeatedStep.js"
import * as server from "./server.js"
import * as startupProfile from "./startupProfile.js"
import * as stderrFacts from "./stderrFacts.js"
import * as unattended from "./unattended.js"

/** The dialect of OpenCode 1.x, measured with 1.18.33. */
export const v1: Dialect & { readonly server: Server } = {
  supported: invocation.supported,
  isTested: () => true,
  options: invocation.options,
  losesEnd: invocation.losesEnd,
  withDefaults: invocation.withErrorLog,
  unattended: unattended.make,
  invocation: invocation.make,
  variables: invocation.env,
  startupVariables: startupProfile.variables,
  stdout: decode.reader,
  repeatedStep: repeatedStep.make,
  stderr: stderrFacts.make,
  crashTexts,
  models: questions.models,
  session: questions.session,
  importing: questions.importing,
  server
}
