/** The first line that says something, without the space around it; empty where none does. */
export const firstLine = (text: string): string => text.trim().split("\n", 1)[0]?.trimEnd() ?? ""
