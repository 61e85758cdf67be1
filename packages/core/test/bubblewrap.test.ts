import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as bubblewrap from "../src/internal/process/bubblewrap.js"
import type { Mount } from "../src/internal/process/bubblewrap.js"

/** Canonical paths, with parts that look like options. */
const path = fc.array(fc.constantFrom("a", "b", "--bind", "-", "..x", " ", "'", "$HOME", "\n"), {
  minLength: 1,
  maxLength: 4
}).map((parts) => `/${parts.join("/")}`)

const mount: fc.Arbitrary<Mount> = fc.oneof(
  fc.record({
    _tag: fc.constantFrom("Read" as const, "Write" as const),
    path,
    source: fc.option(path, { nil: undefined })
  }),
  fc.record({ _tag: fc.constant("Hidden" as const), path })
)

const layout = fc.record({ cwd: path, mounts: fc.array(mount), ownNetwork: fc.boolean() })

/** How many words each option of bubblewrap takes (bwrap(1)). */
const words: { readonly [option: string]: number } = {
  "--unshare-pid": 0,
  "--unshare-ipc": 0,
  "--unshare-net": 0,
  "--die-with-parent": 0,
  "--cap-drop": 1,
  "--cap-add": 1,
  "--ro-bind": 2,
  "--ro-bind-try": 2,
  "--bind": 2,
  "--dev-bind": 2,
  "--dev": 1,
  "--dir": 1,
  "--proc": 1,
  "--symlink": 2,
  "--tmpfs": 1,
  "--remount-ro": 1,
  "--chdir": 1,
  "--setenv": 2
}

/** The options, as bubblewrap reads them; fails if a word is read as another one. */
const read = (args: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const found: Array<ReadonlyArray<string>> = []
  let index = 0
  while (args[index] !== "--") {
    const count = words[args[index]!]
    assert.isDefined(count, `${args[index]} is not one of our options`)
    found.push(args.slice(index, index + 1 + count!))
    index += 1 + count!
  }
  assert.strictEqual(index, args.length - 1)
  return found
}

describe("the command line of bubblewrap", () => {
  it.prop("takes no path for an option", { layout }, ({ layout }) => {
    const options = read(bubblewrap.args(layout))
    for (const { path } of bubblewrap.arrange(layout.mounts)) {
      assert.strictEqual(
        options.filter((words) =>
          words.at(-1) === path && words[0] !== "--remount-ro" && words[0] !== "--setenv" && words[0] !== "--chdir"
        ).length,
        1
      )
    }
  })

  it.prop("makes outer mounts first, and empty directories read-only at the end", { layout }, ({ layout }) => {
    const options = read(bubblewrap.args(layout))
    const own = options.slice(options.findIndex(([name]) => name === "--proc") + 1)
    const mounted = own.filter(([name]) => ["--bind", "--ro-bind", "--tmpfs"].includes(name!)).map((words) =>
      words.at(-1)!
    )
    for (const [index, inner] of mounted.entries()) {
      for (const outer of mounted.slice(index + 1)) assert.isFalse(bubblewrap.isWithin(inner, outer) && inner !== outer)
    }
    const first = own.findIndex(([name]) => name === "--remount-ro")
    if (first !== -1) {
      assert.isTrue(own.slice(first).every(([name]) => ["--remount-ro", "--chdir", "--setenv"].includes(name!)))
    }
  })

  it.prop("gives the last word on a path to its last mount", { path, mounts: fc.array(mount) }, ({ mounts, path }) => {
    const last = { _tag: "Hidden" as const, path }
    assert.deepStrictEqual(bubblewrap.mountOf([...mounts, last], path), last)
    assert.deepStrictEqual(bubblewrap.mountOf([...mounts, last], `${path}/below/deep/down/far`), last)
  })

  it("always drops capabilities, has its own numbers of processes, ends with its parent, and keeps the kernel's settings", () => {
    const args = bubblewrap.args({ cwd: "/", mounts: [], ownNetwork: false })
    for (const option of ["--unshare-pid", "--die-with-parent", "--cap-drop"]) assert.include(args, option)
    assert.notInclude(args, "--unshare-net")
    assert.include(args.join(" "), "--ro-bind-try /proc/sys /proc/sys")
  })

  it("starts companions before the program, whose arguments stay as they are", () => {
    const wrapped = bubblewrap.wrap("/usr/bin/bwrap", {
      cwd: "/work",
      mounts: [],
      ownNetwork: true,
      companions: [["/usr/bin/socat", "a'b", "c d"]]
    })(
      { binary: "/bin/opencode", invocation: { args: ["run", "--", "x y"], env: { A: "b" }, stdin: "prompt" } },
      "/work"
    )
    assert.isTrue(wrapped.isContainer)
    assert.strictEqual(wrapped.invocation.stdin, "prompt")
    assert.deepStrictEqual(wrapped.invocation.args.slice(-8), [
      "/bin/sh",
      "-c",
      "('/usr/bin/socat' 'a'\\''b' 'c d' &) </dev/null >/dev/null 2>&1\nexec \"$@\"",
      "effect-opencode-sandbox",
      "/bin/opencode",
      "run",
      "--",
      "x y"
    ])
  })
})
