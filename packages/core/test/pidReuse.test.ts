import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as pidReuse from "../src/internal/process/pidReuse.js"

const stat = "cpu  1 2 3\nintr 5 0\nctxt 7\nbtime 1\nprocesses 403771\nprocs_running 4\n"

describe("pidReuse", () => {
  it("reads the last pid and the number of processes created", () => {
    assert.deepStrictEqual(pidReuse.parse("5.91 5.06 4.53 4/133 14429\n", stat), { last: 14429, made: 403771 })
  })

  it("is undefined when a sandbox hides the counters", () => {
    for (
      const [loadavg, text] of [
        ["", ""],
        ["0.00 0.00 0.00 0/0 0\n", stat],
        ["5.91 5.06 4.53 4/133 14429\n", "processes 0\n"],
        ["5.91 5.06 4.53 4/133 14429\n", "cpu 1\n"],
        ["5.91 5.06", stat]
      ] as const
    ) assert.isUndefined(pidReuse.parse(loadavg, text))
  })

  it("recognises a pid assigned before as the same process", () => {
    const before = { last: 1000, made: 5000 }
    assert.isTrue(pidReuse.isSame(1000, before, { last: 1003, made: 5003 }))
    assert.isTrue(pidReuse.isSame(7, before, before))
    assert.isTrue(pidReuse.isSame(2000, before, { last: 1003, made: 5003 }), "given before they came round")
    assert.isFalse(pidReuse.isSame(1001, before, { last: 1003, made: 5003 }), "given since")
    assert.isFalse(pidReuse.isSame(1010, before, { last: 1003, made: 5003 }), "can be given any moment")
    assert.isFalse(pidReuse.isSame(7, before, { last: 301, made: 5003 }), "they began anew")
    assert.isFalse(pidReuse.isSame(7, before, { last: 1003, made: 500_000 }), "they can have come round")
    assert.isFalse(pidReuse.isSame(7, before, { last: 1003, made: 4000 }), "another machine")
  })

  it("is never wrong on a machine that soon reuses its pids", () => {
    const [first, end] = [300, 700]
    const steps = fc.array(
      fc.oneof(fc.constant("look" as const), fc.record({ make: fc.integer({ min: 1, max: 500 }), dying: fc.nat(99) })),
      { maxLength: 30 }
    )
    let claims = 0
    fc.assert(
      fc.property(steps, (steps) => {
        const alive = new Map<number, number>()
        let count = { last: first, made: 1 }
        let earlier = { count, alive: new Map(alive) }
        const make = (dying: number) => {
          let last = count.last
          do last = last + 1 === end ? first : last + 1
          while (alive.has(last))
          count = { last, made: count.made + 1 }
          alive.set(last, count.made)
          if (alive.size > 60) alive.delete([...alive.keys()][dying % alive.size]!)
        }
        for (const step of steps) {
          if (step !== "look") {
            for (let i = 0; i < step.make; i++) make(step.dying + i)
            continue
          }
          for (const [pid, process] of alive) {
            const before = earlier.alive.get(pid)
            if (before === undefined || !pidReuse.isSame(pid, earlier.count, count)) continue
            claims++
            assert.strictEqual(process, before, `${pid} is another process`)
          }
          earlier = { count, alive: new Map(alive) }
        }
      }),
      { numRuns: 500 }
    )
    assert.isAbove(claims, 1000)
  })
})
