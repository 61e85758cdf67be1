import { assert, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeError, RunEvent, RunResult } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as decode from "../src/internal/opencode/decode.js"
import * as eventSearch from "../src/internal/opencode/eventSearch.js"
import * as T from "./support/mock.js"

const json = (value: unknown): string => JSON.stringify(value)

const wires = (line: string): ReadonlyArray<RunEvent.WireObject> =>
  RunEvent.allFromLine(line).filter((event) => event._tag !== "Diagnostic").map(RunEvent.toWire)

const lost = (line: string): boolean =>
  RunEvent.allFromLine(line).some((event) => event._tag === "Diagnostic" && event.lost === true)

const read = (lines: ReadonlyArray<string>): ReadonlyArray<RunEvent.RunEvent> => {
  const reader = decode.reader()
  const events: Array<RunEvent.RunEvent> = []
  for (const line of lines) reader(line, (event) => events.push(event))
  return events
}

const a = T.text("The answer is 42.")
const b = T.stepFinish("stop")
/** Text that a model can write into the input of a tool. */
const evil = T.text("evil")

const noises = [
  "checked. ",
  "[my-plugin] took 3 ms ",
  "{ ",
  "} ",
  "{{{{ ",
  "he said \"hello ",
  "{\"",
  "{ \"half ",
  "{\"a\":\"b",
  "{\"a\":\"b\\",
  "{\"a\":1} ",
  "{\"level\":\"info\",\"data\":{\"list\":[1,2,{\"x\":null}]}} ",
  "function () { return { a: 1 } } ",
  "[1/3] ",
  "INFO: ",
  "'",
  "\\",
  "\t\u001b[32mok\u001b[0m ",
  "größer 🎉 ",
  "{}",
  "[] ",
  "step 3, ",
  "true, ",
  "\"hello\", ",
  "\"state\": ",
  "found ["
]

describe("an event with other text on its line", () => {
  it("is found in any text", () => {
    for (const noise of noises) {
      expect([noise, wires(`${noise}${json(a)}`)]).toEqual([noise, [a]])
      expect([noise, wires(`${json(a)}${noise}`)]).toEqual([noise, [a]])
      expect([noise, wires(`${noise}${json(a)}${noise}${json(b)}${noise}`)]).toEqual([noise, [a, b]])
      expect([noise, lost(`${noise}${json(a)}${noise}${json(b)}${noise}`)]).toEqual([noise, false])
    }
  })

  it.prop("is found in any text without a brace", {
    words: fc.array(fc.fullUnicodeString().map((text) => text.replace(/[{[:,\n]/g, "")), {
      minLength: 3,
      maxLength: 3
    })
  }, ({ words: [before, between, after] }) => {
    expect(wires(`${before}.${json(a)}${between}${json(b)}${after}`)).toEqual([a, b])
  })

  it.prop("is found after any pieces of JSON that are not events", {
    pieces: fc.array(fc.oneof(fc.constantFrom(...noises), fc.json({ maxDepth: 2 })))
  }, ({ pieces }) => {
    expect(wires(`${pieces.join(" ")}. ${json(a)}`)).toEqual([a])
  })

  it("can directly follow another event", () => {
    expect(wires(json(a) + json(b))).toEqual([a, b])
  })

  it("can be formatted in any way", () => {
    expect(wires(`x ${JSON.stringify(a, null, 2).replaceAll("\n", " ")} y`)).toEqual([a])
    const { type, ...rest } = a
    expect(wires(`x ${json({ ...rest, type })} y`)).toEqual([{ ...rest, type }])
  })

  it("leaves the other text as diagnostics, in order", () => {
    expect(RunEvent.allFromLine(`one ${json(a)} two`).map((event) => event._tag === "Diagnostic" ? event.line : "-"))
      .toEqual(["one ", "-", " two"])
  })

  it("is returned by `fromLine` if it is the first", () => {
    expect(RunEvent.fromLine(`checked. ${json(a)}${json(b)}`)).toMatchObject({
      _tag: "Text",
      text: "The answer is 42."
    })
  })

  it("is not found in a plugin's dump of a part", () => {
    expect(wires(`part ${json(a.part)} done`)).toEqual([])
    expect(lost(`part ${json(a.part)} done`)).toBe(false)
  })

  it("is lost, and reported as such, without a session id", () => {
    const { sessionID: _, ...rest } = a
    expect(wires(`x ${json(rest)}`)).toEqual([])
    expect(lost(`x ${json(rest)}`)).toBe(true)
  })
})

describe("an object inside an event or other text is not taken for an event", () => {
  const holding = (value: unknown) => T.toolUse("bash", { input: { list: [1, value], value }, output: json(value) })

  it("in a complete one", () => {
    expect(wires(`checked. ${json(holding(evil))} done`)).toEqual([holding(evil)])
    expect(wires(`log ${json({ level: "info", data: evil })}`)).toEqual([])
    expect(lost(`log ${json({ level: "info", data: evil })}`)).toBe(false)
  })

  it("in one that is cut anywhere", () => {
    const whole = json(holding(evil))
    for (let at = 1; at < whole.length; at++) {
      expect([at, wires(whole.slice(0, at))]).toEqual([at, []])
      expect([at, wires(`checked. ${whole.slice(0, at)} checked.`)]).toEqual([at, []])
    }
    // The rest of an event that begins with an object does not show that it is one.
    for (let at = 1; at < whole.length; at++) {
      if (!whole.startsWith(json(evil), at)) expect([at, wires(whole.slice(at))]).toEqual([at, []])
    }
  })

  it("in one with other text inserted anywhere", () => {
    const whole = json(holding(evil))
    for (let at = 1; at < whole.length; at++) {
      const found = wires(`${whole.slice(0, at)} checked. ${whole.slice(at)}`)
      expect([at, found.filter((wire) => wire["type"] === "text")]).toEqual([at, []])
    }
  })

  it("in a list", () => {
    expect(wires(json([evil]))).toEqual([])
    expect(lost(json([evil]))).toBe(true)
    expect(wires(`x ${json([evil, evil])}`)).toEqual([])
  })

  it("as the rest of an event on the next line", () => {
    const whole = json(holding(evil))
    for (let at = 1; at < whole.length; at++) {
      const found = read([json(T.stepStart()), `${whole.slice(0, at)}checked`, whole.slice(at), json(b)])
      const texts = found.filter((event) => event._tag === "Text")
      expect([at, whole.startsWith(json(evil), at) ? [] : texts]).toEqual([at, []])
      expect(found.at(0)?._tag).toBe("StepStart")
      expect(found.at(-1)?._tag).toBe("StepFinish")
    }
  })
})

describe("an unreadable event", () => {
  it("is marked as lost", () => {
    const whole = json(a)
    for (let at = 3; at < whole.length; at++) expect([at, lost(whole.slice(0, at))]).toEqual([at, true])
    expect(lost(`x ${whole.slice(0, 40)}`)).toBe(true)
    expect(lost(`rt":${json({ ...a.part })}}`)).toBe(true)
    expect(decode.fromSplit({ tooLong: 300 })).toMatchObject({ kind: "line_too_long", lost: true })
  })

  it("is not assumed for braces or a quoted event", () => {
    for (const noise of noises) expect([noise, lost(noise)]).toEqual([noise, false])
    expect(lost(`said ${json(json(a))}`)).toBe(false)
    expect(lost(`{"type":"info","message":"x"`)).toBe(false)
    expect(lost("Warning: type text is deprecated")).toBe(false)
  })

  it("counts when it can be joined from two lines, and is marked as lost", () => {
    const whole = json(a)
    const at = whole.indexOf("answer")
    const events = read([`${whole.slice(0, at)}`, "[my-plugin] hello", `${whole.slice(at)} bye`, json(b)])
    expect(events.map((event) => event._tag)).toEqual(["Diagnostic", "Diagnostic", "Text", "Diagnostic", "StepFinish"])
    expect(events.find(RunEvent.is("Text"))?.text).toBe("The answer is 42.")
    expect(RunResult.fold(events).lostLines).toBe(1)
  })

  it("is completed within a few lines and before the next event only", () => {
    const whole = json(a)
    const noise = Array.from({ length: 20 }, () => "[my-plugin] hello")
    expect(read([whole.slice(0, 50), ...noise, whole.slice(50)]).some(RunEvent.is("Text"))).toBe(false)
    expect(read([whole.slice(0, 50), json(b), whole.slice(50)]).some(RunEvent.is("Text"))).toBe(false)
  })

  it("survives its wire form", () => {
    const event = RunEvent.fromLine(json(a).slice(0, 50))
    expect(RunEvent.fromLine(RunEvent.toLine(event))).toEqual(event)
  })
})

describe("eventSearch", () => {
  const size = 1024 * 1024
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["opening braces", "{"],
    ["quotes after braces", "{\"x"],
    ["nested objects", "{\"\":"],
    ["lists inside an object", "["],
    ["halves of events", "{\"type\":\"text\","],
    ["whole objects", "{} "],
    ["white space", "{ "],
    ["cut events one after the other", json(a).slice(0, 60)]
  ]

  it.each(cases)("takes linear time for %s", (_, piece) => {
    const line = `x {"a":${piece.repeat(size / piece.length)}`
    expect(eventSearch.find(`${line} ${json(b)}`).pieces.length).toBeGreaterThan(0)
    expect(eventSearch.find(piece.repeat(size / piece.length)).pieces.length).toBe(1)
  }, 60_000)
})

describe("a run", () => {
  const noisy = (...said: ReadonlyArray<string>) => T.layer([Mock.script(Mock.stdout(said.join("")), Mock.exit(0))])
  const line = (wire: unknown) => `${json(wire)}\n`

  const worked = [
    ...Array.from(
      { length: 5 },
      () => `checked. ${line(T.stepStart())}checked. ${line(T.toolUse("bash"))}${line(T.stepFinish("tool-calls"))}`
    ),
    line(T.stepStart()),
    line(T.text("The answer is 42.")),
    line(T.stepFinish("stop"))
  ]

  it.effect("counts events after a plugin's text", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "The answer is 42.")
      assert.strictEqual(result.toolCalls.length, 5)
      assert.strictEqual(result.steps, 6)
      assert.strictEqual(result.lostLines, 0)
      const steps = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x", { budget: { steps: 3 } }))
      assert.strictEqual(steps.limit, "steps")
      const calls = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x", { budget: { toolCalls: 2 } }))
      assert.strictEqual(calls.limit, "toolCalls")
    }).pipe(Effect.provide(T.layer(
      [1, 2, 3].map(() => Mock.script(Mock.stdout(worked.join("")), Mock.exit(0)))
    ))))

  it.effect("is Incomplete when its last text is lost", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x"))
      assert.strictEqual(error.finishReason, "stop")
      assert.strictEqual(error.partial.lostLines, 1)
      assert.include(error.message, "the last step finished with \"stop\", and its text is lost")
      assert.include(error.message, "1 line of stdout that could be events cannot be read")
    }).pipe(Effect.provide(noisy(
      line(T.stepStart()),
      line(T.text("I will look.")),
      line(T.stepFinish("tool-calls")),
      line(T.stepStart()),
      `${json(T.text("The answer")).slice(0, -30)}\n`,
      line(T.stepFinish("stop"))
    ))))

  it.effect("is Incomplete when its last text is unreadable", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x"))
      assert.strictEqual(error.partial.lostLines, 1)
    }).pipe(Effect.provide(noisy(
      line(T.stepStart()),
      line({ ...T.text(""), part: { type: "text", text: { deep: 1 } } }),
      line(T.stepFinish("stop"))
    ))))

  it.effect("with an answer carries the count of lost lines and logs it", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        said.push(`${logLevel.label} ${String(message)}`)
      })
      const result = yield* OpenCode.run("x").pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.strictEqual(result.text, "done")
      assert.strictEqual(result.lostLines, 1)
      assert.isTrue(said.some((line) => /^WARN 1 lines? .*cannot be read/.test(line)), said.join("\n"))
    }).pipe(Effect.provide(noisy(
      line(T.stepStart()),
      `${json(T.toolUse("bash")).slice(0, -30)}\n`,
      line(T.text("done")),
      line(T.stepFinish("stop"))
    ))))

  it.effect("is Incomplete when its end is lost", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x"))
      assert.strictEqual(OpenCodeError.partialOf(error)?.lostLines, 1)
    }).pipe(Effect.provide(noisy(
      line(T.stepStart()),
      line(T.text("done")),
      json(T.stepFinish("stop")).slice(0, -30)
    ))))
})
