/** The files of `deploy` say what the program takes: their arguments, ports, probes and times. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { parseAllDocuments } from "yaml"
import * as commandLine from "../src/internal/bin/commandLine.js"

const read = (name: string): string =>
  fs.readFileSync(fileURLToPath(new URL(`../deploy/${name}`, import.meta.url)), "utf8")

const yaml = (name: string): Array<any> =>
  parseAllDocuments(read(name)).map((document) => {
    assert.deepStrictEqual([...document.errors, ...document.warnings], [])
    return document.toJS()
  })

const runnerOf = (args: ReadonlyArray<string>) => {
  const line = Either.getOrThrow(commandLine.parse(args))
  if (line._tag !== "Runner") throw new Error(`${args.join(" ")} starts no runner`)
  return line
}

const health = fs.readFileSync(fileURLToPath(new URL("../src/internal/bin/health.ts", import.meta.url)), "utf8")

const hasPath = (path: string): boolean =>
  health.includes(`HttpRouter.get("${path}"`) ||
  new RegExp(`HttpRouter\\.get\\(\\s*"${path}"`).test(health)

describe("deploy", () => {
  it("Kubernetes: arguments, ports, probes and a grace period longer than the drain", () => {
    const [deployment, policy] = yaml("kubernetes.yaml")
    const pod = deployment.spec.template.spec
    const [container] = pod.containers
    const runner = runnerOf(
      container.args.map((arg: string) => arg.replace("$(POD_IP)", "10.0.0.1").replace("$(POD_NAME)", "runner-1"))
    )
    const variables = container.env.map(({ name }: { readonly name: string }) => name)
    for (const [, name] of JSON.stringify(container.args).matchAll(/\$\((\w+)\)/g)) assert.include(variables, name)
    assert.include(variables, "DATABASE_URL")
    const ports = Object.fromEntries(
      container.ports.map((port: { readonly name: string; readonly containerPort: number }) => [
        port.name,
        port.containerPort
      ])
    )
    assert.deepStrictEqual(ports, { cluster: runner.port, health: runner.healthPort })
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      const { path, port } = container[probe].httpGet
      assert.isTrue(hasPath(path), `${probe}: ${path}`)
      assert.strictEqual(port, "health")
      // The endpoint gives up on the database after three seconds.
      assert.isAbove(container[probe].timeoutSeconds, 3)
    }
    assert.isAbove(pod.terminationGracePeriodSeconds, Duration.toSeconds(runner.drain))
    assert.isTrue(pod.shareProcessNamespace)
    assert.include(
      container.volumeMounts.map(({ mountPath }: { readonly mountPath: string }) => mountPath),
      runner.data
    )
    assert.deepInclude(deployment.spec.template.metadata.labels, deployment.spec.selector.matchLabels)
    assert.deepStrictEqual(policy.spec.podSelector, deployment.spec.selector)
    assert.deepStrictEqual(
      policy.spec.ingress.map(({ ports }: { readonly ports: ReadonlyArray<{ readonly port: number }> }) =>
        ports[0]?.port
      ),
      [runner.port, runner.healthPort]
    )
  })

  it("Compose: arguments, an init process, and a stop longer than the drain", () => {
    const [{ services, volumes }] = yaml("compose.yaml")
    const { runner } = services
    const line = runnerOf([...runner.command, "--host", "a1b2c3"])
    assert.isTrue(runner.init)
    const [, minutes] = /^(\d+)m$/.exec(runner.stop_grace_period)!
    assert.isAbove(Number(minutes), Duration.toMinutes(line.drain))
    const [, port, path] = /127\.0\.0\.1:(\d+)(\/\w+)/.exec(runner.healthcheck.test.join(" "))!
    assert.strictEqual(Number(port), line.healthPort)
    assert.isTrue(hasPath(path!))
    assert.include(Object.keys(runner.environment), "DATABASE_URL")
    assert.include(Object.keys(runner.depends_on), "postgres")
    assert.deepStrictEqual(Object.keys(volumes), ["database", "data"])
    assert.isTrue(fs.existsSync(fileURLToPath(new URL(`../deploy/${runner.build}/Dockerfile`, import.meta.url))))
  })

  it("the image has the command, its peers and OpenCode", () => {
    const image = read("Dockerfile")
    const manifest = JSON.parse(fs.readFileSync(fileURLToPath(new URL("../package.json", import.meta.url)), "utf8"))
    assert.include(image, `ENTRYPOINT ["${Object.keys(manifest.publishConfig.bin)[0]}"]`)
    for (const name of Object.keys(manifest.peerDependencies)) assert.include(image, ` ${name}`)
    assert.include(image, " opencode-ai@")
  })
})

describe("the command line", () => {
  const problem = (args: ReadonlyArray<string>) =>
    Either.match(commandLine.parse(["runner", ...args]), {
      onLeft: ({ message }) => message,
      onRight: () => "none"
    })

  it("has defaults", () => {
    assert.deepInclude(runnerOf(["runner", "--host", "a"]), {
      host: "a",
      listenHost: "a",
      port: 34431,
      healthPort: 34432,
      agents: 4,
      secrets: []
    })
    assert.deepStrictEqual(runnerOf(["runner", "--host=a", "--secret=A", "--secret", "B"]).secrets, ["A", "B"])
  })

  it("refuses what it cannot use, without repeating what may be a secret", () => {
    assert.match(problem([]), /--host is needed/)
    assert.match(problem(["--host"]), /--host needs a value/)
    assert.match(problem(["--host", "a", "--host", "b"]), /twice/)
    assert.match(problem(["--host", "a", "--port", "0"]), /--port must be an integer from 1 to 65535/)
    assert.match(problem(["--host", "a", "--port", "34432"]), /must differ/)
    assert.match(problem(["--host", "a", "--agents", "many"]), /--agents/)
    assert.match(problem(["--host", "a", "--drain", "2h"]), /"2 hours"/)
    assert.match(problem(["--host", "a", "--no-such"]), /Unknown option --no-such/)
    for (const args of [["postgres://a:canary@b/c"], ["--host", "a", "--secret", "canary-1"]]) {
      assert.notInclude(problem(args), "canary")
      assert.notStrictEqual(problem(args), "none")
    }
  })
})
