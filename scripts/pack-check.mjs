/**
 * Checks the packages as users get them: makes the tarballs with `npm run tarballs`, runs publint and attw on them, checks
 * that `npm pack` refuses to write others, and installs them with a plain `npm install` in a project outside of this
 * repository. Its program (scripts/consumer/program.ts) is type-checked and run by plain node, and commands are run as npm
 * has installed them.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { published } from "./lib/pack.mjs"
import { isProgram, relative, root } from "./lib/repository.mjs"

const require = createRequire(import.meta.url)
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-pack-"))
const remove = () => fs.rmSync(temporary, { recursive: true, force: true })
process.on("exit", remove)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1))

class Failure extends Error {}

/** Runs a command and returns its output; a non-zero exit is a failure that contains the output. */
const run = (title, command, args, options = {}) => {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    ...options,
    env: { ...process.env, NO_COLOR: "1", ...options.env }
  })
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}`.trim()
  if (result.status !== 0 && options.check !== false) {
    throw new Failure(
      `${title} failed (${result.error?.message ?? result.signal ?? `exit ${result.status}`})\n${output}`
    )
  }
  return { status: result.status, output }
}
const node = (title, args, options) => run(title, process.execPath, args, options)

const bin = (name, command = name) => {
  let dir = path.join(root, "node_modules", name)
  const manifest = JSON.parse(fs.readFileSync(path.join(dir, "package.json"), "utf8"))
  dir = fs.realpathSync(dir)
  return path.join(dir, typeof manifest.bin === "string" ? manifest.bin : manifest.bin[command])
}

const rootManifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** The environment without the settings that the package manager of this script passes to it. */
const plainEnvironment = Object.fromEntries(
  Object.keys(process.env).filter((key) => /^(npm_|pnpm_)/i.test(key) && !/^npm_config_(registry|cache)$/i.test(key))
    .map((key) => [key, undefined])
)

/** The versions of the catalog in pnpm-workspace.yaml. */
const catalog = () => {
  const text = fs.readFileSync(path.join(root, "pnpm-workspace.yaml"), "utf8")
  const block = /^catalog:\n((?:[ \t]+.*\n?)+)/m.exec(text)?.[1] ?? ""
  return Object.fromEntries(
    [...block.matchAll(/^\s+"?([^":\s]+)"?:\s*"?([^"\s#]+)"?/gm)].map((match) => [match[1], match[2]])
  )
}

const checkContents = (tarball, dir, manifest) => {
  const { output } = run("tar", "tar", ["-tzf", tarball])
  const entries = output.split("\n").map((entry) => entry.replace(/^package\//, ""))
  const built = isProgram(manifest)
    ? Object.values(manifest.bin).map((file) => file.replace(/^\.\//, ""))
    : ["dist/index.js", "dist/index.d.ts", "src/index.ts"]
  for (const wanted of ["package.json", "README.md", "LICENSE", ...built]) {
    if (!entries.includes(wanted)) throw new Failure(`${manifest.name}: the tarball has no ${wanted}`)
  }
  const strange = entries.filter((entry) =>
    !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(entry) &&
      !/^dist\/.*\.(js|d\.ts)(\.map)?$/.test(entry) &&
      !/^src\/.*\.ts$/.test(entry) &&
      // programs that a package runs, not commands that it installs
      !/^bin\/[\w-]+\.(mjs|js|d\.ts)$/.test(entry) &&
      // what a package is operated with
      !/^deploy\/[\w-]+(\.yaml)?$/.test(entry) ||
    /\.(test|tst)\.ts$/.test(entry)
  )
  if (strange.length > 0) throw new Failure(`${manifest.name}: the tarball has ${strange.join(", ")}`)
  const packed = JSON.parse(run("tar", "tar", ["-xzOf", tarball, "package/package.json"]).output)
  if (/workspace:|catalog:/.test(JSON.stringify({ ...packed, devDependencies: undefined, scripts: undefined }))) {
    throw new Failure(`${manifest.name}: the packed package.json refers to the workspace`)
  }
  for (const [entry, target] of Object.entries(packed.exports)) {
    if (JSON.stringify(target).includes("src/")) throw new Failure(`${manifest.name}: the export ${entry} is at src`)
  }
  if (!fs.existsSync(path.join(dir, "LICENSE"))) throw new Failure(`${manifest.name}: no LICENSE`)
}

/** The command as npm has installed it: it starts, and it runs the real OpenCode against its scripted provider. */
const checkCommand = (consumer, env) => {
  console.log("consumer: effect-opencode")
  const command = path.join(consumer, "node_modules", ".bin", "effect-opencode")
  const offline = { cwd: consumer, env: { ...env, OPENCODE_BINARY: openCode() }, timeout: 900_000 }
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "packages", "cli", "package.json"), "utf8"))
  const printed = run("effect-opencode --version", command, ["--version"], offline).output
  if (printed !== version) throw new Failure(`effect-opencode --version printed ${printed} instead of ${version}`)
  const { output } = run("effect-opencode doctor", command, ["doctor", "--json"], { ...offline, check: false })
  let findings
  try {
    findings = JSON.parse(output.split("\n")[0]).findings
  } catch {
    throw new Failure(`effect-opencode doctor printed no JSON\n${output}`)
  }
  for (const check of ["binary", "smoke"]) {
    const statuses = findings.filter((finding) => finding.check === check).map(({ status }) => status)
    if (statuses.length === 0 || statuses.some((status) => status !== "ok")) {
      throw new Failure(`effect-opencode doctor: the check ${check} is not ok\n${output}`)
    }
  }
}

/** The real OpenCode of this repository. */
const openCode = () => path.join(root, "node_modules", "opencode-ai", "bin", "opencode.exe")

/** `npm pack` writes no tarball, in a package or at the root, and says what does. */
const checkRefusal = (name, dir) => {
  console.log(`  npm pack is refused`)
  const into = path.join(temporary, "refused")
  fs.mkdirSync(into, { recursive: true })
  const { output, status } = run("npm pack", "npm", ["pack", "--pack-destination", into], {
    cwd: dir,
    env: plainEnvironment,
    check: false
  })
  if (status === 0 || fs.readdirSync(into).length > 0) throw new Failure(`npm pack packed ${name}`)
  if (!output.includes(`${name} was not packed`) || !output.includes("npm run tarballs")) {
    throw new Failure(`npm pack of ${name} does not say what to do\n${output}`)
  }
}

const main = () => {
  console.log("npm run tarballs")
  const directory = path.join(temporary, "tarballs")
  run("npm run tarballs", "npm", ["run", "tarballs", "--", directory], { env: plainEnvironment })

  checkRefusal(rootManifest.name, root)
  const tarballs = {}
  for (const { dir, manifest } of published()) {
    console.log(manifest.name)
    const tarball = path.join(directory, `${manifest.name}-${manifest.version}.tgz`)
    checkContents(tarball, dir, manifest)
    checkRefusal(manifest.name, dir)
    console.log(`  publint`)
    node(`publint of ${manifest.name}`, [bin("publint"), tarball, "--strict"])
    // a package without exports has no types
    if (!isProgram(manifest)) {
      console.log(`  attw`)
      node(`attw of ${manifest.name}`, [
        bin("@arethetypeswrong/cli", "attw"),
        tarball,
        "--profile",
        "esm-only",
        "--no-emoji"
      ])
    }
    tarballs[manifest.name] = tarball
  }

  console.log("consumer: npm install")
  const consumer = path.join(temporary, "consumer")
  fs.mkdirSync(consumer)
  const versions = catalog()
  const names = Object.keys(tarballs)
  const pinned = (name) => {
    if (versions[name] === undefined) throw new Failure(`${name} is not in the catalog`)
    return [name, versions[name]]
  }
  fs.writeFileSync(
    path.join(consumer, "package.json"),
    JSON.stringify(
      {
        name: "consumer",
        version: "0.0.0",
        private: true,
        type: "module",
        dependencies: Object.fromEntries([
          "effect",
          "@effect/ai",
          "@effect/cluster",
          "@effect/experimental",
          "@effect/platform",
          "@effect/platform-node",
          "@effect/rpc",
          "@effect/sql",
          "@effect/sql-sqlite-node",
          "@effect/workflow"
        ].map(pinned)),
        devDependencies: { "@types/node": rootManifest.devDependencies["@types/node"] }
      },
      null,
      2
    )
  )
  for (const name of fs.readdirSync(path.join(root, "scripts", "consumer"))) {
    fs.cpSync(path.join(root, "scripts", "consumer", name), path.join(consumer, name), { recursive: true })
  }
  fs.writeFileSync(
    path.join(consumer, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        target: "ES2022",
        lib: ["ES2022", "ESNext.Disposable"],
        module: "NodeNext",
        moduleResolution: "NodeNext",
        verbatimModuleSyntax: true,
        types: ["node"],
        skipLibCheck: false,
        rootDir: ".",
        outDir: "out"
      },
      include: ["*.ts"]
    })
  )
  run("npm install", "npm", [
    "install",
    ...Object.values(tarballs),
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    "--fetch-retries=5",
    // Of a dependency of the cluster, better-sqlite3, which is compiled for minutes where its binary cannot be downloaded.
    "--ignore-scripts",
    "--loglevel",
    "error"
  ], {
    cwd: consumer,
    env: plainEnvironment
  })
  for (const name of names) {
    const nested = run("find", "find", [
      path.join(consumer, "node_modules"),
      "-type",
      "d",
      "-path",
      `*/node_modules/${name}`
    ])
    if (nested.output.split("\n").length !== 1) {
      throw new Failure(`${name} is installed more than once\n${nested.output}`)
    }
  }

  console.log("consumer: tsc")
  const checked = node("tsc", [require.resolve("typescript/bin/tsc"), "-p", consumer, "--pretty", "false"], {
    cwd: consumer,
    check: false
  })
  // Declarations are checked as well (skipLibCheck is off), but problems in other packages are not reported.
  const ours = checked.output.split("\n").filter((line) =>
    /error TS\d+/.test(line) &&
    (!line.startsWith("node_modules/") || names.some((name) => line.startsWith(`node_modules/${name}/`)))
  )
  if (ours.length > 0) throw new Failure(`the consumer program does not type-check\n${checked.output}`)
  if (!fs.existsSync(path.join(consumer, "out", "program.js"))) {
    throw new Failure(`tsc wrote nothing\n${checked.output}`)
  }

  console.log("consumer: node")
  const { output } = node("the consumer program", [path.join("out", "program.js")], { cwd: consumer, timeout: 900_000 })
  console.log(output.replace(/^/gm, "  "))

  checkCommand(consumer, plainEnvironment)

  console.log("consumer: internal modules are closed")
  for (const name of names) {
    const internal = node("import", [
      "--input-type=module",
      "--eval",
      `await import("${name}/internal/x").then(() => process.exit(1), (e) => process.exit(e.code === "ERR_PACKAGE_PATH_NOT_EXPORTED" ? 0 : 2))`
    ], { cwd: consumer, check: false })
    if (internal.status !== 0) throw new Failure(`${name}/internal/* can be imported`)
  }
  console.log(`packed, installed and ran: ${names.join(", ")}`)
}

try {
  main()
} catch (error) {
  if (!(error instanceof Failure)) throw error
  console.error(`\n${relative(new URL(import.meta.url).pathname)}: ${error.message}`)
  process.exitCode = 1
} finally {
  remove()
}
