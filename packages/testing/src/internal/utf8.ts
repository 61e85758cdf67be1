/** @internal */
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** @internal */
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
