import * as fs from "node:fs"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import * as hiddenPaths from "../../src/internal/launch/hiddenPaths.js"

const here = fs.realpathSync(fileURLToPath(new URL("../../node_modules/", import.meta.url)))

/**
 * A directory that a sandbox does not replace, as it does those for temporary files: in the repository, or, if that is
 * in such a directory itself, the home directory.
 */
export const lasting = hiddenPaths.temporary.some((directory) => here.startsWith(`${directory}/`))
  ? os.userInfo().homedir
  : here
