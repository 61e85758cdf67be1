/**
 * Reasons that do not end a conversation. `other` is what 1.14.34 says where the provider gave no reason, `unknown`
 * what 1.15 and later say.
 */
const open = new Set(["tool-calls", "unknown", "other", "error"])

export const isFinal = (reason: string | undefined): boolean => reason !== undefined && !open.has(reason)
