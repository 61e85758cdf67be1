import * as Scheduler from "effect/Scheduler"

/** Interrupts the fiber that it drives before one of its operations, as a yield of the runtime can. */
export const interruptingAt = (position: number, onInterrupt: () => void): Scheduler.Scheduler => {
  let operations = 0
  return {
    shouldYield: (fiber) => {
      operations++
      if (operations !== position) return false
      onInterrupt()
      fiber.unsafeInterruptAsFork(fiber.id())
      return 0
    },
    scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber)
  }
}
