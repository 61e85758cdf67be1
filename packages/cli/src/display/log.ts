/** Log entries as text, and where they go. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Logger from "effect/Logger"

/** The logged values in order, then the cause. */
export const text = ({ cause, message }: Pick<Logger.Logger.Options<unknown>, "cause" | "message">): string =>
  [
    ...Arr.ensure(message).map((part) => Inspectable.toStringUnknown(part, 0)),
    ...(Cause.isEmpty(cause) ? [] : [Cause.pretty(cause)])
  ].join(" ")

/** Replaces all loggers by one. */
export const only = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> =>
  Layer.fiberRefLocallyScopedWith(FiberRef.currentLoggers, () => HashSet.make(logger))
