import type { Plan } from "../run/plan.js"

const maxTitle = 50

/** Without a title OpenCode asks a model for one. */
export const titleOf = ({ options, prompt }: Plan): string => {
  const first = prompt.trim().split("\n")[0]!
  return options.title ?? (first.length > maxTitle ? `${first.slice(0, maxTitle)}…` : first)
}
