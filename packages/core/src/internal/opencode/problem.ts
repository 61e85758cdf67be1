/** An option that cannot be used. */
export interface Problem {
  readonly path: string
  readonly reason: string
}
