import { describe, expect, it } from "@effect/vitest"
import * as ansi from "../src/internal/util/ansi.js"

describe("ansi", () => {
  it("removes colours, cursor moves and private modes, and nothing else", () => {
    expect(ansi.strip("\u001b[91m\u001b[1mError: \u001b[0mno")).toBe("Error: no")
    expect(ansi.strip("\u001b[38;5;208mx\u001b[?25l\u001b[2K\u001b[1Ay")).toBe("xy")
    expect(ansi.strip("a[1] (x) [0m")).toBe("a[1] (x) [0m")
  })
})
