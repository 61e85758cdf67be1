/**
 * Removes the excerpt of the text from the engine's JSON error, because half a secret in it could not be found and
 * masked.
 */
export const withoutExcerpt = (message: string): string =>
  message.replace(/(,? )?(\.\.\.)?"[\s\S]*"(\.\.\.)? is not valid JSON$/, " in what is not valid JSON")
