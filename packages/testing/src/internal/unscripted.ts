import * as MockCommandExecutor from "../MockCommandExecutor.js"

/**
 * A process without a script, which reports that and exits. A failure to start would not show the reason, because the
 * library drops such an error's message, which contains the arguments.
 */
export const script = (message: string): MockCommandExecutor.Script =>
  MockCommandExecutor.script(MockCommandExecutor.stderr(`${message}\n`), MockCommandExecutor.exit(64))
