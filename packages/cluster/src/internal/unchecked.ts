import type { MakeOptions } from "effect/Schema"

/** Builds a result or an error from facts that are ours. */
export const unchecked = <Fields, A>(
  Class: new(fields: Fields, options?: MakeOptions) => A,
  fields: NoInfer<Fields>
): A => new Class(fields, { disableValidation: true })
