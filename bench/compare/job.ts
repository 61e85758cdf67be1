/** What the compared programs are asked to do. */

interface Job {
  readonly prompt: string
  /** OpenCode's configuration for the scripted model. */
  readonly config: { readonly [key: string]: unknown; readonly model: string }
  /** The program's own time limit in milliseconds, if it sets one. */
  readonly limit?: number
}

export const { config, limit, prompt }: Job = JSON.parse(process.argv[2]!)
