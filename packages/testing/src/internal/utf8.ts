// Every platform that Effect runs on has these, and no `lib` but that of browsers declares them.
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }
declare const TextDecoder: new() => { readonly decode: (bytes: Uint8Array) => string }

/** @internal */
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** @internal */
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
