/** Log entries as text. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Inspectable from "effect/Inspectable"
import type * as Logger from "effect/Logger"

/** The logged values in order, then the cause. */
export const text = ({ cause, message }: Pick<Logger.Logger.Options<unknown>, "cause" | "message">): string =>
  [
    ...Arr.ensure(message).map((part) => Inspectable.toStringUnknown(part, 0)),
    ...(Cause.isEmpty(cause) ? [] : [Cause.pretty(cause)])
  ].join(" ")
