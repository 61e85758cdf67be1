/** An invalid option. */
export interface Problem {
  readonly path: string
  readonly reason: string
}
