import { describe, expect, it } from "@effect/vitest"
import * as NodeChildProcess from "node:child_process"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import * as wholeStdin from "../src/internal/process/wholeStdin.js"

const run = (planted: ReadonlyArray<string>, path: string) => {
  const directory = NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "whole-stdin-"))
  try {
    for (const name of planted) {
      NodeFs.writeFileSync(NodePath.join(directory, name), "#!/bin/sh\necho planted >> taken\n", { mode: 0o755 })
    }
    const stdin = "a".repeat(5000)
    const { binary, invocation } = wholeStdin.guarded(
      { binary: process.execPath, invocation: { args: ["-p", "fs.readFileSync(0).length"], env: {}, stdin } },
      { file: NodePath.join(directory, ".prompt"), actsOnNothing: false }
    )
    const { stdout } = NodeChildProcess.spawnSync(binary, [...invocation.args], {
      cwd: directory,
      env: { PATH: path },
      input: stdin,
      encoding: "utf8"
    })
    return { length: Number(stdout), files: NodeFs.readdirSync(directory).sort() }
  } finally {
    NodeFs.rmSync(directory, { recursive: true })
  }
}

describe("a long prompt", () => {
  it("is collected by tools of the system, not by those of the working directory", () => {
    expect(run(["sh", "cat", "wc", "rm"], `.:${process.env["PATH"]}`)).toEqual({
      length: 5000,
      files: ["cat", "rm", "sh", "wc"]
    })
  })

  it("arrives when PATH has no tools", () => {
    expect(run([], "/nowhere")).toEqual({ length: 5000, files: [] })
  })
})

describe("a program without stdin that is held", () => {
  const directory = () => NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "whole-stdin-"))
  const start = (input: string, place: string) => {
    const { binary, invocation } = wholeStdin.guarded(
      { binary: process.execPath, invocation: { args: ["-p", "`<${fs.readFileSync(0)}>`"], env: {}, stdin: "" } },
      { file: NodePath.join(place, ".prompt"), actsOnNothing: true, isHeld: true }
    )
    expect(invocation.stdin).toBe("\n")
    const { status, stdout } = NodeChildProcess.spawnSync(binary, [...invocation.args], { input, encoding: "utf8" })
    return { status, stdout: stdout.trim(), files: NodeFs.readdirSync(place) }
  }

  it("starts with an empty stdin once it is released, and never if its starter dies before", () => {
    const place = directory()
    try {
      expect(start("\n", place)).toEqual({ status: 0, stdout: "<>", files: [] })
      expect(start("", place)).toEqual({ status: 1, stdout: "", files: [] })
    } finally {
      NodeFs.rmSync(place, { recursive: true })
    }
  })
})
