import * as MockCommandExecutor from "../MockCommandExecutor.js"

/**
 * A process that nobody has written a script for: it says so and exits. A failure to start would do as well, if only
 * the library told why; it does not, because such an error carries the arguments.
 */
export const script = (message: string): MockCommandExecutor.Script =>
  MockCommandExecutor.script(MockCommandExecutor.stderr(`${message}\n`), MockCommandExecutor.exit(64))
