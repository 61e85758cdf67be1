/**
 * What the engine says of a text that is not JSON, without the part of the text that it shows: half of a secret could not
 * be found in it.
 */
export const withoutExcerpt = (message: string): string =>
  message.replace(/(,? )?(\.\.\.)?"[\s\S]*"(\.\.\.)? is not valid JSON$/, " in what is not valid JSON")
