/** The fields that are set: for types in which a field can be left out, but not be `undefined`. */
export const given = <A extends object>(fields: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
