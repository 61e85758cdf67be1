/** Bundles the measured programs, so that loading modules is not measured. */
import * as esbuild from "esbuild"
import * as fs from "node:fs"
import * as path from "node:path"

export const build = async (from: string, to: string): Promise<void> => {
  const programs = fs.readdirSync(from).filter((name) => name.endsWith(".ts")).map((name) => path.join(from, name))
  await esbuild.build({
    entryPoints: programs,
    outdir: to,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // Some dependencies are CommonJS and load Node's modules by `require`.
    banner: { js: "import { createRequire } from \"node:module\"; const require = createRequire(import.meta.url);" },
    logLevel: "warning"
  })
}
