/**
 * Reasons that do not end a conversation. Without a reason from the provider, 1.14.34 reports `other`, and 1.15 and
 * later report `unknown`.
 */
const open = new Set(["tool-calls", "unknown", "other", "error"])

export const isFinal = (reason: string | undefined): boolean => reason !== undefined && !open.has(reason)
