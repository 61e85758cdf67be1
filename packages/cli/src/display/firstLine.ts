/** The first line that is not blank, trimmed; empty if there is none. */
export const firstLine = (text: string): string => text.trim().split("\n", 1)[0]?.trimEnd() ?? ""
